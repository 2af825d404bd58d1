#!/usr/bin/env python3
"""Prepare GTZAN: genres/<genre>/<genre>.NNNNN.{au,wav}, ten classes of 100.

Divides it into K stratified folds, with exact replicas and excerpts of one recording (Sturm, 2013) inside
one fold, and writes <data-dir>/utt2fold with all folds and <data-dir>/{train,test} for the fold that is
tested. GTZAN does not name its artists: the speaker of an excerpt is its group of repetitions. jazz.00054 is
left out where it is corrupt, as in the WAV release.

Source of the lists: B. L. Sturm, "The GTZAN dataset: Its contents, its faults, their effects on
evaluation, and its future use", arXiv:1306.1461, 2013. Excerpts are named by their numbers. ``EXACT``
are exact replicas: 50 excerpts too many, counting the one of ``ACROSS``, which is the number that paper
and its predecessor (MIRUM 2012) give. ``RECORDING`` are different excerpts of one recording. Repetitions
are kept inside one fold; a pair too many there costs nothing, one too few leaks.

Usage: local/prepare_gtzan.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_gtzan.py --folds 10 --fold 1 /corpora/gtzan data/gtzan
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from local.corpus import ids, overlap, splits
from local.corpus.tracks import Track, leave_out, prepare_parser, write_data_dirs
from steps import audio
from utils import cli, tables
from utils.cli import UserError

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TRACKS_PER_GENRE = 100

#: Unreadable in the widespread WAV release of the corpus; the original .au decodes.
CORRUPT = "jazz.00054"

Lists = Mapping[str, tuple[tuple[int, ...], ...]]

EXACT: Lists = {
    "disco": ((50, 51, 70), (55, 60, 89), (71, 74), (98, 99)),
    "hiphop": ((39, 45), (76, 78)),
    "jazz": (
        *((33, 51), (34, 53), (35, 55), (36, 58), (37, 60), (38, 62), (39, 65)),
        *((40, 67), (42, 68), (43, 69), (44, 70), (45, 71), (46, 72)),
    ),
    "metal": ((4, 13), (34, 94), (40, 61), (41, 62), (42, 63), (43, 64), (44, 65), (45, 66)),
    "pop": ((15, 22), (30, 31), (45, 46), (47, 80), (52, 57), (54, 60), (56, 59), (67, 71), (87, 90)),
    "reggae": (
        *((3, 54), (5, 56), (8, 57), (10, 60), (13, 58), (41, 69), (73, 74)),
        *((75, 91, 92), (80, 81, 82)),
    ),
}

RECORDING: Lists = {
    "classical": ((42, 53), (51, 80)),
    "country": ((8, 51), (52, 60)),
    "disco": ((38, 78),),
    "hiphop": ((1, 42), (46, 65), (47, 67), (48, 68), (49, 69), (50, 72)),
    "pop": ((15, 21, 22), (47, 48, 51), (52, 54), (57, 60), (68, 73)),
    "reggae": ((7, 59), (33, 44)),
}

#: The one replica that is in two classes.
ACROSS = (("metal.00058", "rock.00016"),)


def repetition_groups() -> dict[str, str]:
    """Return for every excerpt that is repeated the first excerpt of its group."""
    repeated = [
        {f"{genre}.{number:05d}" for number in numbers}
        for lists in (EXACT, RECORDING)
        for genre in lists
        for numbers in lists[genre]
    ]
    groups: list[set[str]] = []
    for names in (*repeated, *map(set, ACROSS)):
        touching = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*touching)]
    return {name: min(group) for group in groups for name in group}


def find_excerpts(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the files of the excerpts ``<genre>.NNNNN``, and the names of those that are missing."""
    folders = [root / "genres", root / "genres_original", root]
    folder = next((path for path in folders if (path / GENRES[0]).is_dir()), None)
    if folder is None:
        need = "--corpus-root must hold genres/<genre>/<genre>.NNNNN.au"
        raise UserError(f"{root}: no folder genres/{GENRES[0]}; {need}")
    found: dict[str, Path] = {}
    for genre in GENRES:
        for path in sorted((folder / genre).glob("*")):
            match = re.fullmatch(r"([a-z]+)\.(\d{5})\.(au|wav)", path.name)
            if match is None or not path.is_file():
                continue
            if match[1] != genre:
                raise UserError(
                    f"{path}: named {match[1]} in the folder of {genre}; restore the original tree"
                )
            if path.stem in found:
                raise UserError(f"{path}: {found[path.stem].name} is there as well; keep one of them")
            found[path.stem] = path
    expected = (f"{genre}.{number:05d}" for genre in GENRES for number in range(TRACKS_PER_GENRE))
    return found, [name for name in expected if name not in found]


def drop_corrupt(found: dict[str, Path]) -> None:
    """Remove the excerpt that is known to be corrupt, if it is there and does not decode."""
    if CORRUPT not in found:
        cli.warn(f"{CORRUPT}: not there; it is corrupt in the WAV release")
        return
    try:
        with audio.Track(found[CORRUPT]) as track:
            for _ in track.blocks():
                pass
    except audio.AudioError as error:
        cli.warn(f"{CORRUPT}: known to be corrupt, left out ({error})")
        del found[CORRUPT]


def make_tracks(found: dict[str, Path]) -> list[Track]:
    """Give every excerpt its speaker: the first of its repetitions, or itself."""
    first = repetition_groups()
    tracks = []
    for name, path in found.items():
        spk, rest = ids.slug(first.get(name, name)), ids.slug(name)
        utt = spk if spk == rest else f"{spk}-{rest}"
        tracks.append(Track(utt, spk, name.partition(".")[0], str(path)))
    return sorted(tracks, key=lambda track: track.utt)


def main(argv: list[str] | None = None) -> int:
    """Prepare the corpus."""
    parser = prepare_parser(__doc__)
    add = parser.add_argument
    add("--folds", type=cli.positive_int, default=10, help="how many folds")
    add("--fold", type=cli.positive_int, default=1, help="the fold that is tested")
    add("--seed", type=int, default=777, help="decides among groups of the same size")
    add("--utt2fold", metavar="FILE", help="take the folds from this table (<utt> <fold>)")
    add("--allow-missing", type=int, default=0, help="excerpts that may be missing")
    args = parser.parse_args(argv)
    found, missing = find_excerpts(args.corpus_root.resolve())
    if missing := [name for name in missing if name != CORRUPT]:
        shown = f"{' '.join(missing[:20])}{' ...' if len(missing) > 20 else ''}"
        text = f"{len(missing)} of 1000 excerpts are missing: {shown}"
        if len(missing) > args.allow_missing:
            remedy = f"--allow-missing {len(missing)} (conf/prepare_gtzan.conf)"
            raise UserError(f"{text}; restore them, or give {remedy}")
        cli.warn(text)
    drop_corrupt(found)
    tracks = leave_out(make_tracks(found), args.exclude)
    if args.utt2fold:
        folds = splits.read_folds(args.utt2fold, [track.utt for track in tracks], "the corpus")
    else:
        spk, genre = ({t.utt: getattr(t, name) for t in tracks} for name in ("spk", "genre"))
        folds = splits.deal(spk, genre, args.folds, args.seed)
    if args.fold not in folds.values():
        raise UserError(f"--fold {args.fold}: the folds are 1 to {max(folds.values())}")
    tracks = [replace(t, subset="test" if folds[t.utt] == args.fold else "train") for t in tracks]
    tables.write_table(args.data_dir / "utt2fold", folds)
    write_data_dirs(args.data_dir, tracks, GENRES)
    overlap.report(args.data_dir, ["test"], unknown={"test": "GTZAN does not name them"})
    return 0


if __name__ == "__main__":
    cli.run(main)

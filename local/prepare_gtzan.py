#!/usr/bin/env python3
"""Prepare GTZAN: genres/<genre>/<genre>.NNNNN.{au,wav}, ten classes of 100.

Divides it into K stratified folds, with exact replicas and excerpts of one recording (Sturm, 2013) inside
one fold, and writes <data-dir>/utt2fold with all folds and <data-dir>/{train,test} for the fold that is
tested. GTZAN does not name its artists: the speaker of an excerpt is its group of repetitions. jazz.00054 is
left out where it is corrupt, as in the WAV release.

Usage: local/prepare_gtzan.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_gtzan.py --folds 10 --fold 1 /corpora/gtzan data/gtzan
"""

from dataclasses import replace
from pathlib import Path

from local.corpus import gtzan, ids, overlap, splits
from local.corpus.tracks import Track, leave_out, prepare_parser, write_data_dirs
from steps import audio
from utils import cli, tables


def drop_corrupt(found: dict[str, Path]) -> None:
    """Remove the excerpt that is known to be corrupt, if it is there and does not decode."""
    if gtzan.CORRUPT not in found:
        cli.warn(f"{gtzan.CORRUPT}: not there; it is corrupt in the WAV release")
        return
    try:
        with audio.Track(found[gtzan.CORRUPT]) as track:
            for _ in track.blocks():
                pass
    except audio.AudioError as error:
        cli.warn(f"{gtzan.CORRUPT}: known to be corrupt, left out ({error})")
        del found[gtzan.CORRUPT]


def make_tracks(found: dict[str, Path]) -> list[Track]:
    """Give every excerpt its speaker: the first of its repetitions, or itself."""
    first = gtzan.repetition_groups()
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
    found, missing = gtzan.find_excerpts(args.corpus_root.resolve())
    if missing := [name for name in missing if name != gtzan.CORRUPT]:
        shown = f"{' '.join(missing[:20])}{' ...' if len(missing) > 20 else ''}"
        text = f"{len(missing)} of 1000 excerpts are missing: {shown}"
        if len(missing) > args.allow_missing:
            remedy = f"--allow-missing {len(missing)} (conf/prepare_gtzan.conf)"
            raise cli.UserError(f"{text}; restore them, or give {remedy}")
        cli.warn(text)
    drop_corrupt(found)
    tracks = leave_out(make_tracks(found), args.exclude)
    if args.utt2fold:
        folds = splits.read_folds(args.utt2fold, [track.utt for track in tracks], "the corpus")
    else:
        spk, genre = ({t.utt: getattr(t, name) for t in tracks} for name in ("spk", "genre"))
        folds = splits.deal(spk, genre, args.folds, args.seed)
    if args.fold not in folds.values():
        raise cli.UserError(f"--fold {args.fold}: the folds are 1 to {max(folds.values())}")
    tracks = [replace(t, subset="test" if folds[t.utt] == args.fold else "train") for t in tracks]
    tables.write_table(args.data_dir / "utt2fold", folds)
    write_data_dirs(args.data_dir, tracks, gtzan.GENRES)
    overlap.report(args.data_dir, ["test"], unknown={"test": "GTZAN does not name them"})
    return 0


if __name__ == "__main__":
    cli.run(main)

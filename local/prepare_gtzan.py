#!/usr/bin/env python3
"""Prepare GTZAN: genres/<genre>/<genre>.NNNNN.{au,wav}, ten classes of 100.

Divides it into K stratified folds, with exact replicas and excerpts of one recording (Sturm, 2013) inside
one fold, and writes <data-dir>/utt2fold with all folds and <data-dir>/{train,test} for the fold that is
tested. GTZAN does not name its artists: the speaker of an excerpt is its group of repetitions, unless a
table of artists is given. jazz.00054 is left out where it is corrupt, as in the WAV release.

Usage: prepare_gtzan.py [options] <corpus-root> <data-dir>
 e.g.: prepare_gtzan.py --folds 10 --fold 1 /corpora/gtzan data/gtzan
"""

from __future__ import annotations

from pathlib import Path

from local.corpus import artists, gtzan, ids, splits
from local.corpus.tracks import Track, leave_out, prepare_parser, write_corpus
from steps import audio
from utils import cli, tables


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = prepare_parser("prepare_gtzan.py [options] <corpus-root> <data-dir>", __doc__)
    parser.add_argument("--folds", type=cli.positive_int, default=10, help="how many folds")
    parser.add_argument("--fold", type=cli.positive_int, default=1, help="the fold that is tested")
    parser.add_argument("--seed", type=int, default=777, help="decides among groups of the same size")
    parser.add_argument("--utt2fold", metavar="FILE", help="take the folds from this table (<utt> <fold>)")
    parser.add_argument(
        "--artists", metavar="CSV", help="table with the columns path (<genre>.NNNNN or a file) and artist"
    )
    parser.add_argument("--allow-missing", type=int, default=0, help="excerpts that may be missing")
    return parser


def check_missing(missing: list[str], allowed: int) -> None:
    """Refuse or report missing excerpts; the corrupt one does not count.

    UserError if more than ``allowed`` are missing.
    """
    missing = [name for name in missing if name != gtzan.CORRUPT]
    if not missing:
        return
    names = " ".join(missing[:20]) + (" ..." if len(missing) > 20 else "")
    text = f"{len(missing)} of 1000 excerpts are missing: {names}"
    if len(missing) > allowed:
        raise cli.UserError(
            f"{text}; restore them, or give --allow-missing {len(missing)} (conf/prepare_gtzan.conf)"
        )
    cli.warn(text)


def drop_corrupt(found: dict[str, Path]) -> None:
    """Remove the excerpt that is known to be corrupt, if it is there and does not decode."""
    path = found.get(gtzan.CORRUPT)
    if path is None:
        cli.warn(f"{gtzan.CORRUPT}: not there; it is corrupt in the WAV release")
        return
    try:
        with audio.Track(path) as track:
            for _ in track.blocks():
                pass
    except audio.AudioError as error:
        cli.warn(f"{gtzan.CORRUPT}: known to be corrupt, left out ({error})")
        del found[gtzan.CORRUPT]


def read_artists(path: str) -> dict[str, str]:
    """Return the artist of each excerpt that a table names."""
    known = {}
    for place, columns in artists.read_csv(path).items():
        name = Path(place).name
        for suffix in (".au", ".wav"):
            name = name.removesuffix(suffix)
        if columns.get("artist", "").strip():
            known[name] = columns["artist"]
    return known


def make_tracks(found: dict[str, Path], known: dict[str, str]) -> list[Track]:
    """Give every excerpt its speaker: its artist if known, else the first of its repetitions, or itself.

    An artist whose excerpts repeat one of another artist's is one speaker with that one.
    """
    speaker = {name: ids.slug(known.get(name, name)) for name in found}
    repeated = [(first, name) for name, first in gtzan.repetition_groups().items() if name in found]
    joined = gtzan.connected((speaker.get(first, ids.slug(first)), speaker[name]) for first, name in repeated)
    tracks = []
    for name, path in found.items():
        spk, rest = joined.get(speaker[name], speaker[name]), ids.slug(name)
        utt = spk if spk == rest else f"{spk}-{rest}"
        tracks.append(Track(utt, spk, name.partition(".")[0], str(path)))
    return sorted(tracks, key=lambda track: track.utt)


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    if not args.corpus_root.is_dir():
        raise cli.UserError(f"{args.corpus_root}: no such folder; give the folder that holds genres/")
    found, missing = gtzan.find_excerpts(args.corpus_root.resolve())
    check_missing(missing, args.allow_missing)
    drop_corrupt(found)
    tracks = leave_out(make_tracks(found, read_artists(args.artists) if args.artists else {}), args.exclude)
    if args.utt2fold:
        folds = splits.read_folds(args.utt2fold, [track.utt for track in tracks], "the corpus")
    else:
        spk, genre = ({t.utt: getattr(t, name) for t in tracks} for name in ("spk", "genre"))
        folds = splits.deal(spk, genre, args.folds, args.seed)
    if args.fold not in folds.values():
        raise cli.UserError(f"--fold {args.fold}: the folds are 1 to {max(folds.values())}")
    tracks = [
        Track(t.utt, t.spk, t.genre, t.path, "test" if folds[t.utt] == args.fold else "train") for t in tracks
    ]
    tables.write_table(args.data_dir / "utt2fold", folds)
    unknown = {} if args.artists else {"test": "GTZAN does not name them; --artists CSV does"}
    write_corpus(args, tracks, gtzan.GENRES, unknown)
    return 0


if __name__ == "__main__":
    cli.run(main)

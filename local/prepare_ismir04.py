#!/usr/bin/env python3
"""Prepare the ISMIR2004 Genre corpus as the archive unpacks.

Writes <data-dir>/{train,test,evaluation}: wav.scp utt2genre utt2spk spk2utt genres.txt. train is the
archive's training, test its development, as in the paper; evaluation is a second test set. The counts
must be those of the paper's Table 1. What train shares with the other sets is in <data-dir>/overlap.txt.

Usage: prepare_ismir04.py [options] <corpus-root> <data-dir>
 e.g.: prepare_ismir04.py /corpora/ismir04_genre data/ismir04
"""

from __future__ import annotations

from local.corpus import ismir04
from local.corpus.tracks import Recording, leave_out, name_tracks, prepare_parser, write_corpus
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = prepare_parser("prepare_ismir04.py [options] <corpus-root> <data-dir>", __doc__)
    parser.add_argument("--allow-missing", type=int, default=0, help="tracks that may be missing")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    root = args.corpus_root.resolve()
    if not root.is_dir():
        raise cli.UserError(f"{args.corpus_root}: no such folder; give the folder with audio/ and metadata/")
    found: dict[str, list[Recording]] = {}
    missing: list[str] = []
    for subset in ismir04.SUBSETS:
        found[subset], absent = ismir04.read_subset(root, subset)
        missing += absent
    ismir04.check_counts(found, missing, args.allow_missing)
    tracks = name_tracks(recording for recordings in found.values() for recording in recordings)
    tracks = leave_out(tracks, args.exclude)
    if not found["evaluation"]:
        cli.warn("evaluation: not one track of it is there; run the recipe with --test-sets test")
    others = [subset for subset in ("test", "evaluation") if found[subset]]
    write_corpus(args, tracks, ismir04.GENRES, {"test": ismir04.ANONYMOUS}, others=others)
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Prepare the ISMIR2004 Genre corpus as the archive unpacks.

Writes <data-dir>/{train,test,evaluation}: wav.scp utt2genre utt2spk spk2utt genres.txt. train is the
archive's training, test its development, as in the paper; evaluation is a second test set. The counts
must be those of the paper's Table 1. What train shares with the other sets is in <data-dir>/overlap.txt.

Usage: local/prepare_ismir04.py [options] <corpus-root> <data-dir>
e.g.:  local/prepare_ismir04.py /corpora/ismir04_genre data/ismir04
"""

from local.corpus import ismir04, overlap
from local.corpus.tracks import leave_out, name_tracks, prepare_parser, write_data_dirs
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Prepare the corpus."""
    parser = prepare_parser(__doc__)
    parser.add_argument("--allow-missing", type=int, default=0, help="tracks that may be missing")
    args = parser.parse_args(argv)
    found, missing = ismir04.read_archive(args.corpus_root.resolve())
    ismir04.check_counts(found, missing, args.allow_missing)
    tracks = leave_out(name_tracks(found), args.exclude)
    present = {recording.subset for recording in found}
    if "evaluation" not in present:
        cli.warn("evaluation: not one track of it is there; run the recipe with --test-sets test")
    write_data_dirs(args.data_dir, tracks, ismir04.GENRES)
    others = [subset for subset in ("test", "evaluation") if subset in present]
    overlap.report(args.data_dir, others, unknown={"test": ismir04.ANONYMOUS})
    return 0


if __name__ == "__main__":
    cli.run(main)

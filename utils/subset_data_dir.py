#!/usr/bin/env python3
"""Write a data directory that holds some utterances of others, with every table cut to match.

Tables of utterances (utt2*, *.scp, segments) are filtered, spk2utt is made anew, genres.txt and frame_shift
are copied; archives stay where they are. Several source directories are pooled. Like Kaldi's
utils/subset_data_dir.sh --utt-list and utils/combine_data.sh.

Usage: subset_data_dir.py [options] <src-dir>... <dest-dir>
 e.g.: subset_data_dir.py --utt-list exp/cv.list data/synth/train data/synth/train_cv
"""

from __future__ import annotations

from utils import cli, tables
from utils.data_dir import read_data_dirs, write_subset


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("subset_data_dir.py [options] <src-dir>... <dest-dir>", __doc__)
    parser.add_argument("--utt-list", metavar="FILE", help="the utterances, one a line (or the first field)")
    parser.add_argument("--spk-list", metavar="FILE", help="the speakers, one a line (or the first field)")
    parser.add_argument("sources", nargs="+", metavar="src-dir")
    parser.add_argument("target", metavar="dest-dir")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    data = read_data_dirs(args.sources)
    utts = data.utts
    utt2spk = data.tables["utt2spk"]
    for path, known, kind in (
        (args.utt_list, set(utts), "utterance"),
        (args.spk_list, set(utt2spk.values()), "speaker"),
    ):
        if path is None:
            continue
        listed = {key for line in tables.read_lines(path) if (key := tables.split_line(line)[0])}
        if unknown := sorted(listed - known):
            raise cli.UserError(f"{path}: {kind} '{unknown[0]}' is not in {data.name}")
        utts = [utt for utt in utts if (utt if kind == "utterance" else utt2spk[utt]) in listed]
    write_subset(data, utts, args.target)
    cli.log(f"wrote {len(utts)} of {len(data.utts)} utterances of {data.name} to {args.target}")
    return 0


if __name__ == "__main__":
    cli.run(main)

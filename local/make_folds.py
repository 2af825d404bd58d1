#!/usr/bin/env python3
"""Deal the tracks of one or several data directories into K folds, and write each fold's train and test.

Folds are stratified by class. With --fold-by spk an artist lies in one fold only. Several directories are
pooled: for ISMIR2004 the artist-filtered protocol is 5 folds over training and evaluation, of the same 128
artists. Writes <prefix><k>/{train,test} for k = 1 ... K, <prefix>s/test with all tracks, of which each is
tested once, and <prefix>.utt2fold.

Usage: local/make_folds.py [options] <data-dir>... <prefix>
e.g.:  local/make_folds.py --folds 5 data/ismir04/train data/ismir04/evaluation data/ismir04_fold
"""

from local.corpus import splits
from utils import cli, tables
from utils.data_dir import read_data_dirs, write_subset


def main(argv: list[str] | None = None) -> int:
    """Deal the folds."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--folds", type=cli.positive_int, default=5, help="how many")
    add("--fold-by", choices=("spk", "utt"), default="spk", help="what is never divided")
    add("--seed", type=int, default=777, help="decides among groups of the same size")
    args = parser.parse_args(argv)
    data, prefix = read_data_dirs(args.data_dirs), args.prefix
    utt2group = {utt: utt for utt in data.utts} if args.fold_by == "utt" else data.tables["utt2spk"]
    folds = splits.deal(utt2group, data.tables["utt2genre"], args.folds, args.seed)
    for fold in range(1, args.folds + 1):
        target = prefix.with_name(f"{prefix.name}{fold}")
        write_subset(data, [utt for utt in data.utts if folds[utt] != fold], target / "train")
        write_subset(data, [utt for utt in data.utts if folds[utt] == fold], target / "test")
    write_subset(data, data.utts, prefix.with_name(f"{prefix.name}s") / "test")
    tables.write_table(prefix.with_name(f"{prefix.name}.utt2fold"), folds)
    return 0


if __name__ == "__main__":
    cli.run(main)

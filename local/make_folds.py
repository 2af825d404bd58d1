#!/usr/bin/env python3
"""Deal the tracks of one or several data directories into K folds, and write each fold's train and test.

Folds are stratified by class. With --fold-by spk an artist lies in one fold only, so that every fold's
test artists are unheard in its training. Several directories are pooled: for ISMIR2004 the artist-filtered
protocol is 5 folds over training and evaluation, whose artists are the same 128. Writes
<prefix><k>/{train,test} for k = 1 ... K, <prefix>s/test with all tracks, of which each is tested once, and
<prefix>.utt2fold; a list of one's own is given with --utt2fold instead of K.

Usage: make_folds.py [options] <data-dir>... <prefix>
 e.g.: make_folds.py --folds 5 --fold-by spk data/ismir04/train data/ismir04/evaluation data/ismir04_fold
 e.g.: make_folds.py --utt2fold data/gtzan/utt2fold data/gtzan/train data/gtzan/test data/gtzan_fold
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from local.corpus import overlap, splits
from utils import cli, tables
from utils.data_dir import read_data_dirs, write_subset


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("make_folds.py [options] <data-dir>... <prefix>", __doc__)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many")
    parser.add_argument("--fold-by", choices=("spk", "utt"), default="spk", help="what is never divided")
    parser.add_argument("--seed", type=int, default=777, help="decides among groups of the same size")
    parser.add_argument("--utt2fold", metavar="FILE", help="take the folds, 1 to K, from this table")
    parser.add_argument(
        "--strict", type=cli.boolean, default=False, help="the same audio in two folds is an error"
    )
    parser.add_argument("sources", nargs="+", metavar="data-dir")
    parser.add_argument("prefix", type=Path)
    return parser


def unknown_artists(sources: list[str]) -> dict[str, str]:
    """Return why the artists of the folds cannot be compared, if those of a source cannot."""
    for source in map(Path, sources):
        reasons = overlap.unknown_artists(source.parent)
        if source.name in reasons:
            return {"test": reasons[source.name]}
    return {}


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    data = read_data_dirs(args.sources)
    if "utt2genre" not in data.tables:
        raise cli.UserError(f"{data.name}: no utt2genre; prepare the corpus first")
    if args.utt2fold:
        folds = splits.read_folds(args.utt2fold, data.utts, data.name)
    else:
        utt2group = {utt: utt for utt in data.utts} if args.fold_by == "utt" else data.tables["utt2spk"]
        folds = splits.deal(utt2group, data.tables["utt2genre"], args.folds, args.seed)
    unknown = unknown_artists(args.sources)
    for fold in range(1, max(folds.values()) + 1):
        test = [utt for utt in data.utts if folds[utt] == fold]
        train = [utt for utt in data.utts if folds[utt] != fold]
        target = args.prefix.with_name(f"{args.prefix.name}{fold}")
        write_subset(data, train, target / "train")
        write_subset(data, test, target / "test")
        counts = Counter(data.tables["utt2genre"][utt] for utt in test)
        cli.log(f"fold {fold}: {len(test)} tracks: {' '.join(f'{g} {n}' for g, n in sorted(counts.items()))}")
        overlap.report(target, ["test"], strict=args.strict, unknown=unknown)
    write_subset(data, data.utts, args.prefix.with_name(f"{args.prefix.name}s") / "test")
    tables.write_table(args.prefix.with_name(f"{args.prefix.name}.utt2fold"), folds)
    return 0


if __name__ == "__main__":
    cli.run(main)

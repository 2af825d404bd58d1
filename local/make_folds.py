#!/usr/bin/env python3
"""Deal the tracks of one or several data directories into K folds, and write each fold's train and test.

Folds are stratified by class. With --fold-by spk an artist lies in one fold only, so that every fold's
test artists are unheard in its training. Several directories are pooled: for ISMIR2004 the artist-filtered
protocol is 5 folds over training and evaluation, whose artists are the same 128. Writes
<prefix><k>/{train,test} for k = 1 ... K, <prefix>s/test with all tracks, of which each is tested once, and
<prefix>.utt2fold; a list of one's own is given with --utt2fold instead of K.

Usage: local/make_folds.py [options] <data-dir>... <prefix>
e.g.:  local/make_folds.py --folds 5 data/ismir04/train data/ismir04/evaluation data/ismir04_fold
       local/make_folds.py --utt2fold data/gtzan/utt2fold data/gtzan/train data/gtzan/test data/gtzan_fold
"""

from collections import Counter

from local.corpus import overlap, splits
from utils import cli, tables
from utils.data_dir import read_data_dirs, write_subset


def main(argv: list[str] | None = None) -> int:
    """Deal the folds."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--folds", type=cli.positive_int, default=5, help="how many")
    add("--fold-by", choices=("spk", "utt"), default="spk", help="what is never divided")
    add("--seed", type=int, default=777, help="decides among groups of the same size")
    add("--utt2fold", metavar="FILE", help="take the folds, 1 to K, from this table")
    add("--strict", type=cli.boolean, default=False, help="the same audio in two folds is an error")
    args = parser.parse_args(argv)
    data, prefix = read_data_dirs(args.data_dirs), args.prefix
    if "utt2genre" not in data.tables:
        raise cli.UserError(f"{data.name}: no utt2genre; prepare the corpus first")
    genre = data.tables["utt2genre"]
    if args.utt2fold:
        folds = splits.read_folds(args.utt2fold, data.utts, data.name)
    else:
        utt2group = {utt: utt for utt in data.utts} if args.fold_by == "utt" else data.tables["utt2spk"]
        folds = splits.deal(utt2group, genre, args.folds, args.seed)
    reasons = [overlap.unknown_artists(path.parent).get(path.name, "") for path in args.data_dirs]
    unknown = {"test": " ".join(reasons)} if any(reasons) else {}
    for fold in range(1, max(folds.values()) + 1):
        test = [utt for utt in data.utts if folds[utt] == fold]
        target = prefix.with_name(f"{prefix.name}{fold}")
        write_subset(data, [utt for utt in data.utts if folds[utt] != fold], target / "train")
        write_subset(data, test, target / "test")
        counts = sorted(Counter(genre[utt] for utt in test).items())
        cli.log(f"fold {fold}: {len(test)} tracks: {' '.join(f'{name} {n}' for name, n in counts)}")
        overlap.report(target, ["test"], strict=args.strict, unknown=unknown)
    write_subset(data, data.utts, prefix.with_name(f"{prefix.name}s") / "test")
    tables.write_table(prefix.with_name(f"{prefix.name}.utt2fold"), folds)
    return 0


if __name__ == "__main__":
    cli.run(main)

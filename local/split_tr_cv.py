#!/usr/bin/env python3
"""Divide a training directory into tr, which is trained on, and cv, which decides when to stop.

About 10 % of the tracks of every class go to cv, whole artists at a time. Every class keeps an artist in
tr; a class with one artist only stays there whole, with a warning. Reads and writes data directories.
Kaldi's counterpart is utils/subset_data_dir_tr_cv.sh.

Usage: local/split_tr_cv.py [options] <data-dir> <tr-dir> <cv-dir>
e.g.:  local/split_tr_cv.py --cv-percent 10 data/synth/train data/synth/train_tr data/synth/train_cv
"""

from collections import Counter

from local.corpus import splits
from utils import cli
from utils.data_dir import DataDir, read_data_dirs, write_subset


def choose_cv(data: DataDir, share: float, seed: int) -> set[str]:
    """Return the utterances of the cross-validation set; UserError if no artist can be spared."""
    utt2spk = data.tables["utt2spk"]
    groups = splits.group_counts(utt2spk, data.tables["utt2genre"])
    # Where every class has few and large artists, half of a class is better than no cross-validation.
    held = splits.choose_held_out(groups, share, seed)
    held = held or splits.choose_held_out(groups, share, seed, floor_share=0.5)
    if not held:
        raise cli.UserError(
            f"{data.name}: no class can spare an artist for cross-validation; give a higher --cv-percent "
            "or tracks of more artists"
        )
    return {utt for utt, spk in utt2spk.items() if spk in held}


def main(argv: list[str] | None = None) -> int:
    """Divide one directory."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--cv-percent", type=cli.finite_float, default=10.0, help="of the tracks of a class")
    parser.add_argument("--seed", type=int, default=777, help="decides among equally good divisions")
    args = parser.parse_args(argv)
    if not 0 < args.cv_percent < 100:
        parser.error(f"--cv-percent {args.cv_percent:g}: expected a percentage between 0 and 100")
    data = read_data_dirs([args.data_dir])
    if "utt2genre" not in data.tables:
        raise cli.UserError(f"{args.data_dir}/utt2genre: no such file; prepare the corpus first")
    cv = choose_cv(data, args.cv_percent / 100, args.seed)
    genre = data.tables["utt2genre"]
    held = Counter(genre[utt] for utt in cv)
    for name, total in sorted(Counter(genre.values()).items()):
        cli.log(f"{name}: {total - held[name]} tracks in tr, {held[name]} in cv")
        if not held[name]:
            cli.warn(f"class {name} stays in tr entirely: its smallest artist is too large a part of it")
    write_subset(data, [utt for utt in data.utts if utt not in cv], args.tr_dir)
    write_subset(data, cv, args.cv_dir)
    return 0


if __name__ == "__main__":
    cli.run(main)

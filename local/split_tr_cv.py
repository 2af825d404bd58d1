#!/usr/bin/env python3
"""Divide a training directory into tr, which is trained on, and cv, which decides when to stop.

About 10 % of the tracks of every class go to cv, whole artists at a time. Every class keeps an artist in
tr; a class with one artist only stays there whole, with a warning. Reads and writes data directories.
Kaldi's counterpart is utils/subset_data_dir_tr_cv.sh.

Usage: split_tr_cv.py [options] <data-dir> <tr-dir> <cv-dir>
 e.g.: split_tr_cv.py --cv-percent 10 --seed 777 data/synth/train data/synth/train_tr data/synth/train_cv
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from local.corpus import splits
from utils import cli
from utils.data_dir import DataDir, read_data_dirs, write_subset


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("split_tr_cv.py [options] <data-dir> <tr-dir> <cv-dir>", __doc__)
    parser.add_argument("--cv-percent", type=cli.finite_float, default=10.0, help="of the tracks of a class")
    parser.add_argument("--seed", type=int, default=777, help="decides among equally good divisions")
    parser.add_argument("data_dir")
    parser.add_argument("tr_dir")
    parser.add_argument("cv_dir")
    return parser


def choose_cv(data: DataDir, percent: float, seed: int) -> set[str]:
    """Return the utterances of the cross-validation set.

    UserError if ``percent`` is not between 0 and 100, or no artist of any class can be spared.
    """
    if not 0 < percent < 100:
        raise cli.UserError(f"--cv-percent {percent:g}: expected a percentage between 0 and 100")
    utt2spk = data.tables["utt2spk"]
    groups = splits.group_counts(utt2spk, data.tables["utt2genre"])
    # Where every class has few and large artists, half of a class is better than no cross-validation.
    held = splits.choose_held_out(groups, percent / 100, seed)
    held = held or splits.choose_held_out(groups, percent / 100, seed, floor_share=0.5)
    if not held:
        raise cli.UserError(
            f"{data.name}: no class can spare an artist for cross-validation; give a higher --cv-percent "
            "or tracks of more artists"
        )
    return {utt for utt, spk in utt2spk.items() if spk in held}


def report(data: DataDir, cv: Collection[str]) -> None:
    """Log the sizes class by class, and warn where a class has no track in cv."""
    utt2genre, utt2spk = data.tables["utt2genre"], data.tables["utt2spk"]
    totals, held = Counter(utt2genre.values()), Counter(utt2genre[utt] for utt in cv)
    for genre in sorted(totals):
        cli.log(f"{genre}: {totals[genre] - held[genre]} tracks in tr, {held[genre]} in cv")
        if not held[genre]:
            artists = {utt2spk[utt] for utt in data.utts if utt2genre[utt] == genre}
            why = "one artist only" if len(artists) == 1 else "its smallest artist is too large a part of it"
            cli.warn(f"class {genre} stays in tr entirely: {why}")
    share = 100 * len(cv) / len(data.utts)
    cli.log(f"{len(data.utts) - len(cv)} tracks in tr, {len(cv)} in cv ({share:.1f} %)")


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    data = read_data_dirs([args.data_dir])
    if "utt2genre" not in data.tables:
        raise cli.UserError(f"{args.data_dir}/utt2genre: no such file; prepare the corpus first")
    cv = choose_cv(data, args.cv_percent, args.seed)
    report(data, cv)
    write_subset(data, [utt for utt in data.utts if utt not in cv], args.tr_dir)
    write_subset(data, cv, args.cv_dir)
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Divide a training directory into tr, which is trained on, and cv, which decides when to stop.

About 10 % of the tracks of every class go to cv, whole artists at a time. Every class keeps an artist in
tr; a class with one artist only stays there whole, with a warning. Reads and writes data directories.
Kaldi's counterpart is utils/subset_data_dir_tr_cv.sh.

Usage: local/split_tr_cv.py [options] <data-dir> <tr-dir> <cv-dir>
e.g.:  local/split_tr_cv.py --cv-percent 10 data/synth/train data/synth/train_tr data/synth/train_cv
"""

from local.corpus import splits
from utils import cli
from utils.data_dir import read_data_dirs, write_subset


def main(argv: list[str] | None = None) -> int:
    """Divide one directory."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--cv-percent", type=splits.share, default="10", help="of the tracks of a class")
    parser.add_argument("--seed", type=int, default=777, help="decides among equally good divisions")
    args = parser.parse_args(argv)
    data = read_data_dirs([args.data_dir])
    groups = splits.group_counts(data.tables["utt2spk"], data.tables["utt2genre"])
    # Where every class has few and large artists, half of a class is better than no cross-validation.
    held = splits.choose_held_out(groups, args.cv_percent, args.seed)
    held = held or splits.choose_held_out(groups, args.cv_percent, args.seed, floor_share=0.5)
    if not held:
        need = "give a higher --cv-percent or tracks of more artists"
        raise cli.UserError(f"{data.name}: no class can spare an artist for cross-validation; {need}")
    in_cv = splits.class_totals({artist: groups[artist] for artist in held})
    for name, total in splits.class_totals(groups).items():
        say = cli.log if name in in_cv else cli.warn
        say(f"{name}: {total - in_cv.get(name, 0)} tracks in tr, {in_cv.get(name, 0)} in cv")
    cv = {utt for utt, artist in data.tables["utt2spk"].items() if artist in held}
    write_subset(data, [utt for utt in data.utts if utt not in cv], args.tr_dir)
    write_subset(data, cv, args.cv_dir)
    return 0


if __name__ == "__main__":
    cli.run(main)

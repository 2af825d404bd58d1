#!/usr/bin/env python3
"""Divide a data directory into tr, which is trained on, and cv, which decides when to stop.

About 10 % of the tracks of every class go to cv, whole artists at a time. A class that cannot spare one
stays in tr, and if none can, cv gets single tracks; both with a warning. tr and cv get labels.{ark,scp}: for
every frame the class of its track, the line in genres.txt - 1, as Kaldi posteriors.

<dir>/feature_transform.nnet, of the frames of tr, is what all networks see of frames: cmvn gives every column
mean 0 and variance 1, as Kaldi's recipes do; whiten gives the covariance within the classes, shrunk towards
its diagonal, the inverse as well. Kaldi counterparts: subset_data_dir_tr_cv.sh, ali-to-post, cmvn-to-nnet.

Usage: local/make_training_data.py [options] <data-dir> <tr-dir> <cv-dir> <dir>
e.g.:  local/make_training_data.py --config conf/transform.conf data/x/train{,_tr,_cv} data/x/cmvn
"""

from pathlib import Path

import numpy as np

from local.corpus import splits
from steps import archive
from steps.nnet1.components import AffineTransform, Network
from steps.nnet1.feature_transform import global_stats, stats_to_network, whitening
from steps.nnet1.model_file import write_network
from steps.scoring.reference import read_reference
from utils import cli, tables
from utils.data_dir import DataDir, read_data_dirs, write_subset


def choose_cv(data: DataDir, share: float, seed: int) -> set[str]:
    """Return the utterances of the cross-validation set; UserError if no track can be spared."""
    artists, tracks = data.tables["utt2spk"], {utt: utt for utt in data.utts}
    # Where every class has few and large artists, half of a class is better than no cross-validation.
    for utt2spk, floor_share in ((artists, 0.34), (artists, 0.5), (tracks, 0.5)):
        groups = splits.group_counts(utt2spk, data.tables["utt2genre"])
        if held := splits.choose_held_out(groups, share, seed, floor_share=floor_share):
            break
    else:
        raise cli.UserError(f"{data.name}: no class has a track to spare for cross-validation")
    if utt2spk is tracks:
        cli.warn(f"{data.name}: no class can spare an artist; cv gets tracks by artists of tr")
    in_cv = splits.class_totals({artist: groups[artist] for artist in held})
    for name, total in splits.class_totals(groups).items():
        say = cli.log if name in in_cv else cli.warn
        say(f"{name}: {total - in_cv.get(name, 0)} tracks in tr, {in_cv.get(name, 0)} in cv")
    return {utt for utt, artist in utt2spk.items() if artist in held}


def make_transform(data_dir: Path, folder: Path, kind: str, shrinkage: float) -> None:
    """Write the feature transform of the frames of a data directory."""
    feats = archive.read_matrices(f"scp:{data_dir}/feats.scp")
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "cmvn":
        stats = global_stats(feats).astype(np.float32)
        archive.write_matrix_file(folder / "cmvn.stats", stats)
        network = stats_to_network(stats)
    else:
        found = whitening(feats, tables.read_table(data_dir / "utt2genre"), shrinkage)
        weight, bias = (values.astype(np.float32) for values in found)
        network = Network([AffineTransform(len(bias), len(bias), weight=weight, bias=bias)])
    write_network(network, str(folder / "feature_transform.nnet"), kind != "cmvn")


def main(argv: list[str] | None = None) -> int:
    """Make the training data."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--cv-percent", type=splits.share, default="10", help="of the tracks of a class")
    add("--seed", type=int, default=777, help="decides among equally good divisions")
    add("--transform", choices=("cmvn", "whiten"), default="cmvn", help="cmvn or whiten")
    add("--shrinkage", type=cli.finite_float, default=0.03, help="of whiten's correlations")
    args = parser.parse_args(argv)
    if not 0.0 < args.shrinkage <= 1.0:
        parser.error(f"--shrinkage: expected above 0 and up to 1, got {args.shrinkage:g}")
    data, reference = read_data_dirs([args.data_dir]), read_reference(args.data_dir)
    cv = choose_cv(data, args.cv_percent, args.seed)
    for target, utts in ((args.tr_dir, set(data.utts) - cv), (args.cv_dir, cv)):
        write_subset(data, utts, target)
        with archive.Writer(f"ark,scp:{target}/labels.ark,{target}/labels.scp", kind="posterior") as writer:
            for utt in sorted(utts):
                writer.write(utt, [[(reference.genre[utt], 1.0)]] * int(data.tables["utt2num_frames"][utt]))
    make_transform(args.tr_dir, args.dir, args.transform, args.shrinkage)
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Accuracy of the SVMs on f_lstm and f_fusion against the threshold k, for Figure 3.

Trains on the training tracks and tests on the test tracks at every k of --k-grid, with the C of svm_lstm and
svm_fusion. A picture: k is 0.9 in the tables whatever it shows. Reads post_*/post.scp and svm_*/svm.npz of
<exp-dir>, and the mean frames <sc-dir>/{train,test}.scp; writes <exp-dir>/sweep_k.tsv.

Usage: local/sweep_k.py [options] <data-dir> <sc-dir> <exp-dir>
e.g.:  local/sweep_k.py data/synth exp/synth_sc/svm_sc exp/synth_lstm_512
"""

import numpy as np

from steps.scoring.reference import read_reference, read_vectors
from steps.scoring.segment import posterior_statistics, read_posteriors
from steps.scoring.svm import fit, positive_floats, read_svm
from utils import atomic, cli

DEFAULT_GRID = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))


def main(argv: list[str] | None = None) -> int:
    """Sweep one model."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--k-grid", type=positive_floats, default=DEFAULT_GRID, help="thresholds")
    parser.add_argument("--test-set", default="test", metavar="SET", help="where it is tested")
    args = parser.parse_args(argv)
    exp, sets = args.exp_dir, []
    costs = [read_svm(exp / f"svm_{kind}/svm.npz").cost for kind in ("lstm", "fusion")]
    for part in ("train", args.test_set):
        reference = read_reference(args.data_dir / part)
        means = read_vectors(reference, f"scp:{args.sc_dir}/{part}.scp")
        found = read_posteriors(reference, f"scp:{exp}/post_{part}/post.scp")
        by_utt = {utt: post.copy() for utt, post in found}
        sets.append((means, [by_utt[utt] for utt in reference.genre], reference.labels))
    (*_, labels), (*_, truth) = sets
    with atomic.replacing(exp / "sweep_k.tsv") as file:
        file.write("k\tlstm_correct\tfusion_correct\ttotal\n")
        for k in args.k_grid:
            kinds = []
            for means, posts, _ in sets:
                lstm = np.stack([posterior_statistics(post, k) for post in posts])
                vectors = [lstm, np.hstack([means, lstm])]  # rounded as those of the tables are
                kinds.append([values.astype(np.float32).astype(np.float64) for values in vectors])
            right = []
            for cost, ours, theirs in zip(costs, *kinds, strict=True):
                scores = fit(ours, labels, len(reference.classes), cost).scores(theirs)
                right.append((scores.argmax(axis=1) == truth).sum())
            file.write(f"{k:g}\t{right[0]}\t{right[1]}\t{len(truth)}\n")
    return 0


if __name__ == "__main__":
    cli.run(main)

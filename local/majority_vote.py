#!/usr/bin/env python3
"""Score frame posteriors: frame accuracy, and segment accuracy by majority vote.

Reads utt2genre and genres.txt. Writes accuracy.json with Frame_acc, Seg_acc (majority vote; of equal ones the
larger summed posterior wins) and LogSeg_acc (largest mean log posterior), and predictions of the last two.

Usage: local/majority_vote.py [options] <data-dir> <post-rspecifier> <out-dir>
e.g.:  local/majority_vote.py data/synth/test scp:exp/synth_lstm_512/post_test/post.scp \
         exp/synth_lstm_512/score_test
"""

import numpy as np

from steps.scoring.reference import read_reference
from steps.scoring.scores import Measure, Predictions, write_scores
from steps.scoring.segment import read_posteriors, vote
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Score the posteriors of one set."""
    args = cli.KaldiParser.of(__doc__).parse_args(argv)
    reference = read_reference(args.data_dir)
    found = {utt: vote(post) for utt, post in read_posteriors(reference, args.post_rspecifier)}
    votes, ref = [found[utt] for utt in reference.genre], reference.labels
    frames = np.stack([item.counts for item in votes])
    shares = np.stack([item.shares for item in votes])
    logs = np.stack([item.mean_log_posterior for item in votes])
    majority = np.array([item.majority for item in votes])
    confusion = np.zeros((len(reference.classes),) * 2, dtype=np.int64)
    np.add.at(confusion, ref, frames)
    right = np.stack([frames[np.arange(len(ref)), ref], frames.sum(axis=1)], axis=1)
    truth = reference.classes, tuple(reference.genre), ref
    measures = [
        Measure("Frame_acc", confusion, {"frames": right.tolist()}),
        Predictions(*truth, majority, shares, probabilities=True).measure("Seg_acc"),
        Predictions(*truth, logs.argmax(axis=1), logs).measure("LogSeg_acc"),
    ]
    write_scores(args.out_dir, measures)
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Score frame posteriors: frame accuracy, and segment accuracy by majority vote.

Reads the labels and lengths of a data directory (utt2genre, utt2num_frames, genres.txt) and streams
the posteriors. Writes into <out-dir>: accuracy.json with Frame_acc, Seg_acc (majority vote; among
classes with equally many frames the larger summed posterior wins, and such ties are counted) and
LogSeg_acc (largest mean log posterior); predictions_Seg_acc.tsv and predictions_LogSeg_acc.tsv, a row
a track.

Usage: local/majority_vote.py [options] <data-dir> <post-rspecifier> <out-dir>
e.g.:  local/majority_vote.py data/synth/test scp:exp/synth_lstm_512/post_test/post.scp \
         exp/synth_lstm_512/score_test
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from steps.scoring.measures import Measure
from steps.scoring.predictions import Predictions
from steps.scoring.reference import Reference, read_num_frames, read_reference
from steps.scoring.scores import write_scores
from steps.scoring.significance import interval_by_track
from steps.scoring.votes import TrackVote, read_posteriors, vote
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser(
        "local/majority_vote.py [options] <data-dir> <post-rspecifier> <out-dir>", __doc__
    )
    parser.add_argument("data_dir", help="data directory of the posteriors' set")
    parser.add_argument("post", help="rspecifier of the posteriors, a row a frame and a column a class")
    parser.add_argument("out_dir", help="folder of the results")
    return parser


def collect_votes(reference: Reference, rspecifier: str) -> dict[str, TrackVote]:
    """Stream the posteriors and return the votes of every utterance, C-sorted.

    UserError if an utterance is missing, unknown, of another length than utt2num_frames says, or not finite.
    """
    num_frames = read_num_frames(reference)
    votes = {utt: vote(post) for utt, post in read_posteriors(reference, rspecifier, num_frames)}
    return {utt: votes[utt] for utt in reference.genre}


def make_predictions(
    reference: Reference,
    votes: dict[str, TrackVote],
    hypothesis: Callable[[TrackVote], int],
    scores: Callable[[TrackVote], np.ndarray],
) -> Predictions:
    """Tabulate one rule's hypotheses with the frame counts of every track."""
    items = list(votes.values())
    ref = reference.labels
    return Predictions(
        classes=reference.classes,
        utts=tuple(votes),
        ref=ref,
        hyp=np.array([hypothesis(item) for item in items]),
        scores=np.stack([scores(item) for item in items]),
        counts={
            "frames": np.array([item.num_frames for item in items]),
            "frames_correct": np.array([item.counts[label] for item, label in zip(items, ref, strict=True)]),
            "tie": np.array([int(item.tie) for item in items]),
        },
    )


def frame_confusion(reference: Reference, votes: dict[str, TrackVote]) -> np.ndarray:
    """Add up the frames by true and hypothesised class, int64 of shape (C, C)."""
    confusion = np.zeros((len(reference.classes), len(reference.classes)), dtype=np.int64)
    for utt, item in votes.items():
        confusion[reference.genre[utt]] += item.counts
    return confusion


def main(argv: list[str] | None = None) -> int:
    """Score the posteriors of one set."""
    args = get_parser().parse_args(argv)
    reference = read_reference(args.data_dir)
    votes = collect_votes(reference, args.post)
    by_vote = make_predictions(reference, votes, lambda item: item.majority, lambda item: item.shares)
    by_log = make_predictions(
        reference, votes, lambda item: item.by_log_posterior, lambda item: item.mean_log_posterior
    )
    low, high = interval_by_track(by_vote.counts["frames_correct"], by_vote.counts["frames"])
    ties = int(by_vote.counts["tie"].sum())
    measures = [
        Measure("Frame_acc", frame_confusion(reference, votes), {"by_track": [100 * low, 100 * high]}),
        Measure("Seg_acc", by_vote.confusion, {"ties": ties}),
        Measure("LogSeg_acc", by_log.confusion),
    ]
    by_vote = dataclasses.replace(by_vote, probabilities=True)  # the shares of the frames
    write_scores(Path(args.out_dir), measures, {"Seg_acc": by_vote, "LogSeg_acc": by_log})
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Turn the frames and frame posteriors of each track into one vector (equations 10-14 of the paper).

--type sc: the mean input frame. --type lstm: maximum, minimum and mean of the posteriors and the share of
frames above --k, each by class. --type fusion: both. A rspecifier that the type does not need is not read.

Usage: local/segment_features.py [options] <feats-rspecifier> <post-rspecifier> <vec-wspecifier>
e.g.:  local/segment_features.py --type fusion --k 0.9 scp:data/synth/test/feats.scp \
         scp:exp/synth_lstm_512/post_test/post.scp ark,scp:fusion.ark,fusion.scp
"""

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from steps import archive
from steps.scoring.segment import check_posteriors, mean_frame, posterior_statistics
from utils import cli


def statistics(posts: str, k: float) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield number of frames and f_lstm (equations 11-14) of every utterance of an rspecifier."""
    classes = 0
    for utt, post in archive.read_matrices(posts):
        classes = classes or post.shape[1]
        check_posteriors(utt, post, classes, posts)
        yield utt, len(post), posterior_statistics(post, k)


def means(feats: str) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield number of frames and f_sc (equation 10) of every utterance of an rspecifier."""
    for utt, frames in archive.read_matrices(feats):
        if not len(frames) or not np.isfinite(mean := mean_frame(frames)).all():
            raise cli.UserError(f"{feats}: utterance '{utt}': no frames, or not finite; compute them again")
        yield utt, len(frames), mean


def fusions(feats: str, posts: str, k: float) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield [f_sc, f_lstm] of every utterance; both rspecifiers must hold the same, in the same order."""
    pairs = zip_longest(means(feats), statistics(posts, k), fillvalue=("", 0, np.empty(0)))
    for (utt, count, mean), (other, length, vector) in pairs:
        if (utt, count) != (other, length):
            raise cli.UserError(
                f"expected frames and posteriors of the same tracks, got {count} of '{utt}' in {feats} and "
                f"{length} of '{other}' in {posts}; run the forward pass again"
            )
        yield utt, count, np.concatenate([mean, vector])


def main(argv: list[str] | None = None) -> int:
    """Write one vector an utterance."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--type", default="lstm", choices=("sc", "lstm", "fusion"), help="which vector")
    parser.add_argument("--k", type=cli.finite_float, default=0.9, help="threshold of the share of frames")
    args = parser.parse_args(argv)
    if not 0.0 <= args.k < 1.0:
        parser.error(f"--k: expected a posterior, 0 <= k < 1, got {args.k:g}")
    feats, posts = args.feats_rspecifier, args.post_rspecifier
    vectors = means(feats) if args.type == "sc" else statistics(posts, args.k)
    if args.type == "fusion":
        vectors = fusions(feats, posts, args.k)
    with archive.Writer(args.vec_wspecifier, kind="vector") as writer:
        for utt, _, vector in vectors:
            writer.write(utt, vector.astype(np.float32))
    return 0


if __name__ == "__main__":
    cli.run(main)

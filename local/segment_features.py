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

Vectors = Iterator[tuple[str, int, np.ndarray]]
"""Of each utterance its number of frames and a vector."""


def statistics(posts: str, k: float) -> Vectors:
    """Yield f_lstm (equations 11-14) of every utterance of an rspecifier."""
    classes = 0
    for utt, post in archive.read_matrices(posts):
        classes = classes or post.shape[1]
        check_posteriors(utt, post, classes, posts)
        yield utt, len(post), posterior_statistics(post, k)


def means(feats: str) -> Vectors:
    """Yield f_sc (equation 10) of every utterance of an rspecifier."""
    for utt, frames in archive.read_matrices(feats):
        if not len(frames) or not np.isfinite(mean := mean_frame(frames)).all():
            raise cli.UserError(f"{feats}: utterance '{utt}': no frames, or not finite; compute them again")
        yield utt, len(frames), mean


def main(argv: list[str] | None = None) -> int:
    """Write one vector an utterance."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--type", default="lstm", choices=("sc", "lstm", "fusion"), help="which vector")
    parser.add_argument("--k", type=cli.finite_float, default=0.9, help="threshold of the share of frames")
    args = parser.parse_args(argv)
    if not 0.0 <= args.k < 1.0:
        parser.error(f"--k: expected a posterior, 0 <= k < 1, got {args.k:g}")
    parts = [means(args.feats_rspecifier)] if args.type != "lstm" else []
    parts += [statistics(args.post_rspecifier, args.k)] if args.type != "sc" else []
    with archive.Writer(args.vec_wspecifier, kind="vector") as writer:
        for (utt, count, vector), *others in zip_longest(*parts, fillvalue=("", 0, np.empty(0))):
            for other, length, further in others:
                if (utt, count) != (other, length):
                    raise cli.UserError(
                        "expected frames and posteriors of the same tracks in the same order, got "
                        f"{count} of '{utt}' and {length} of '{other}'; run the forward pass again"
                    )
                vector = np.concatenate([vector, further])
            writer.write(utt, vector.astype(np.float32))
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Turn the frames and frame posteriors of each track into one vector (equations 10-14 of the paper).

--type sc: the mean input frame. --type lstm: maximum, minimum and mean of the posteriors and the
share of frames above --k, each by class. --type fusion: the two behind each other. Sums are taken
in float64, vectors are written in float32. A rspecifier that the type does not need is ''.

Usage: local/segment_features.py [options] <feats-rspecifier> <post-rspecifier> <vec-wspecifier>
e.g.:  local/segment_features.py --type fusion --k 0.9 scp:data/synth/test/feats.scp \
         scp:exp/synth_lstm_512/post_test/post.scp ark,scp:fusion.ark,fusion.scp
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steps import archive
from steps.scoring.segment import KINDS, fusion, mean_frame, posterior_statistics
from steps.scoring.votes import check_posteriors
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    usage = "local/segment_features.py [options] <feats-rspecifier|''> <post-rspecifier|''> <vec-wspecifier>"
    parser = cli.KaldiParser(usage, __doc__)
    parser.add_argument("--type", default="lstm", choices=KINDS, help="which vector")
    parser.add_argument("--k", type=cli.finite_float, default=0.9, help="threshold of the share of frames")
    parser.add_argument("feats", help="rspecifier of the input frames, for sc and fusion")
    parser.add_argument("post", help="rspecifier of the posteriors, for lstm and fusion")
    parser.add_argument("vectors", help="wspecifier of the vectors")
    return parser


def _finite(utt: str, vector: np.ndarray, source: str) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise cli.UserError(f"{source}: utterance '{utt}': the features are not finite; compute them again")
    return vector


def mean_frames(rspecifier: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield f_sc of every utterance."""
    for utt, feats in archive.read_matrices(rspecifier):
        if not len(feats):
            raise cli.UserError(f"{rspecifier}: utterance '{utt}' has no frames")
        yield utt, _finite(utt, mean_frame(feats), rspecifier)


def statistics(rspecifier: str, k: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield f_lstm of every utterance."""
    for utt, post in archive.read_matrices(rspecifier):
        check_posteriors(utt, post, post.shape[1], None, rspecifier)
        yield utt, posterior_statistics(post, k)


def fusions(feats_rspecifier: str, post_rspecifier: str, k: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield f_fusion of every utterance of the features; both archives must hold the same utterances."""
    tracks = {}
    for utt, post in archive.read_matrices(post_rspecifier):
        check_posteriors(utt, post, post.shape[1], None, post_rspecifier)
        tracks[utt] = (len(post), posterior_statistics(post, k))
    for utt, feats in archive.read_matrices(feats_rspecifier):
        if utt not in tracks:
            raise cli.UserError(f"{post_rspecifier}: utterance '{utt}' of {feats_rspecifier} is missing")
        num_frames, f_lstm = tracks.pop(utt)
        if len(feats) != num_frames:
            raise cli.UserError(
                f"utterance '{utt}': expected {len(feats)} posteriors ({feats_rspecifier}), got {num_frames} "
                f"({post_rspecifier}); run the forward pass again"
            )
        yield utt, fusion(_finite(utt, mean_frame(feats), feats_rspecifier), f_lstm)
    if tracks:
        raise cli.UserError(f"{feats_rspecifier}: utterance '{min(tracks)}' of {post_rspecifier} is missing")


def main(argv: list[str] | None = None) -> int:
    """Write one vector an utterance."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.type in ("sc", "fusion") and not args.feats:
        parser.error(f"--type {args.type} needs <feats-rspecifier>")
    if args.type in ("lstm", "fusion") and not args.post:
        parser.error(f"--type {args.type} needs <post-rspecifier>")
    if not 0.0 <= args.k < 1.0:
        parser.error(f"--k: expected a posterior, 0 <= k < 1, got {args.k:g}")
    vectors = {
        "sc": lambda: mean_frames(args.feats),
        "lstm": lambda: statistics(args.post, args.k),
        "fusion": lambda: fusions(args.feats, args.post, args.k),
    }[args.type]()
    count = dim = 0
    with archive.Writer(args.vectors, kind="vector") as writer:
        for utt, vector in vectors:
            if count and len(vector) != dim:
                raise cli.UserError(f"utterance '{utt}' has {len(vector)} values, the ones before have {dim}")
            writer.write(utt, vector.astype(np.float32))
            count, dim = count + 1, len(vector)
        if not count:
            raise cli.UserError(f"{args.feats or args.post}: no utterances")
    cli.log(f"wrote {count} vectors of {dim} values ({args.type}, k={args.k:g}) to {args.vectors}")
    return 0


if __name__ == "__main__":
    cli.run(main)

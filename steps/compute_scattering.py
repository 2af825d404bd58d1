#!/usr/bin/env python3
r"""Compute scattering features: one row a frame, one column a path, in the order of ScatNet.

Reads 'scp:wav.scp' (one-channel WAV of the configured sample rate); writes an archive of matrices. A track
shorter than one window is refused.

Usage: steps/compute_scattering.py [options] <wav-rspecifier> <feats-wspecifier>
 e.g.: steps/compute_scattering.py --config conf/scattering.conf scp:data/train/wav22k.scp \
         ark,scp:feats.ark,feats.scp
"""

import time
from argparse import Namespace
from typing import Any

from steps import archive
from steps.nnet1.options import open_device
from steps.scattering import Config, features_of_tracks, num_dims, wav
from steps.scattering.config import parse_quality
from utils import atomic, cli, progress, tables


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser.of(__doc__)
    add, default = parser.add_argument, Config()
    add("--T", type=cli.positive_int, default=default.T, help="averaging scale in samples")
    add("--Q", default="8,1:1,1", help="wavelets an octave, Q1,Q2 for each block")
    add("--max-order", type=int, default=default.max_order, help="highest order: 1 or 2")
    add("--sample-rate", type=cli.positive_int, default=default.sample_rate, help="in Hz")
    add("--raw", type=cli.boolean, default=False, help="no renormalisation, no logarithm")
    kinds = "ours, or kymatio's core on our filters (ScatNet's but for 12 frames at both ends of a track)"
    add("--backend", choices=("fast", "kymatio"), default="fast", help=kinds)
    add("--use-gpu", choices=("yes", "no", "optional"), default="no", help="compute on CUDA")
    add("--write-num-frames", metavar="FILE", help="write '<utt> <frames>' lines")
    add("--write-frame-shift", metavar="FILE", help="write the seconds between frames")
    return parser


def feature_options(options: Namespace, use_gpu: str) -> dict[str, Any]:
    """Return the options of ``steps.scattering.features`` that the options of :func:`get_parser` say."""
    chosen = Config(options.T, parse_quality(options.Q), options.max_order, options.sample_rate)
    device = "cpu" if use_gpu == "no" else open_device(use_gpu)
    return {"config": chosen, "raw": options.raw, "device": device, "backend": options.backend}


def main(argv: list[str] | None = None) -> int:
    """Compute the features of all tracks of a list, on a GPU several together."""
    options = get_parser().parse_args(argv)
    how, num_frames, start = feature_options(options, options.use_gpu), {}, time.monotonic()
    chosen: Config = how["config"]
    cli.log(
        f"{num_dims(chosen)} dimensions: T={chosen.T} Q={options.Q} orders 0 to {chosen.max_order}, "
        f"a frame every {chosen.hop} samples at {chosen.sample_rate} Hz"
    )
    names = wav.read_names(options.wav_rspecifier)
    tracks = wav.opened(names, options.sample_rate)
    with archive.Writer(options.feats_wspecifier) as writer:
        for utt, frames in features_of_tracks(tracks, **how):
            writer.write(utt, frames)
            num_frames[utt] = len(frames)
            progress.report(len(num_frames), len(names), "tracks")
    seconds, audio = time.monotonic() - start, sum(num_frames.values()) * chosen.frame_shift
    cli.log(
        f"{len(num_frames)} tracks, {audio / 3600:.3f} hours, {sum(num_frames.values())} frames on "
        f"{how['device']} in {seconds:.2f} s, {audio / seconds:.0f} times real time"
    )
    if options.write_num_frames:
        tables.write_table(options.write_num_frames, num_frames)
    if options.write_frame_shift:
        with atomic.replacing(options.write_frame_shift) as file:
            file.write(f"{chosen.frame_shift:.12g}\n")
    return 0


if __name__ == "__main__":
    cli.run(main)

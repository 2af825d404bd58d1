#!/usr/bin/env python3
r"""Compute scattering features: one row a frame, one column a path, in the order of ScatNet.

Reads 'scp:wav.scp' (one-channel WAV of the configured sample rate), or the --segments of what is in it;
writes an archive of matrices. A track shorter than one window is refused. --print-dims, which says what each
column means (frequencies in Hz), may stand without the two arguments.

With --blocks FIRST:STEP:LAST, BLOCK in the arguments, in --segments and --write-num-frames stands for each
of these numbers in turn, and a block that was made under the same --key before is kept:
steps/make_scattering.sh cuts a corpus into blocks whose limits do not depend on the number of jobs.

Usage: steps/compute_scattering.py [options] [<wav-rspecifier>] [<feats-wspecifier>]
 e.g.: steps/compute_scattering.py --config conf/scattering.conf scp:data/train/wav22k.scp \
         ark,scp:feats.ark,feats.scp
       steps/compute_scattering.py --config conf/scattering.conf --print-dims dims.csv
"""

import itertools
import re
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from steps import archive
from steps.scattering import Config, columns, features, features_of_tracks, num_dims, wav
from steps.scattering.config import csv_lines, parse_quality
from utils import atomic, cli, progress, tables


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser.of(__doc__)
    add, default = parser.add_argument, Config()
    add("--T", type=cli.positive_int, default=default.T, help="averaging scale in samples")
    add("--Q", default="8,1:1,1", help="wavelets an octave, Q1,Q2 for each block")
    add("--max-order", type=int, default=default.max_order, help="highest order: 0, 1 or 2")
    add("--sample-rate", type=cli.positive_int, default=default.sample_rate, help="in Hz")
    add("--raw", type=cli.boolean, default=False, help="no renormalisation, no logarithm")
    add("--double", type=cli.boolean, default=False, help="compute in double precision")
    kinds = "ours, or kymatio's core on our filters (ScatNet's but for 12 frames at both ends of a track)"
    add("--backend", choices=("fast", "kymatio"), default="fast", help=kinds)
    add("--use-gpu", choices=("yes", "no", "optional"), default="no", help="compute on CUDA")
    add("--num-threads", type=cli.positive_int, default=1, help="threads on the CPU")
    add("--compress", type=cli.boolean, default=False, help="write compressed matrices")
    add("--allow-pipes", type=cli.boolean, default=False, help="run the commands in the scp")
    add("--print-dims", default="", metavar="FILE", help="write what each column means; '-' is stdout")
    add("--write-num-frames", default="", metavar="FILE", help="write '<utt> <frames>' lines")
    add("--write-frame-shift", default="", metavar="FILE", help="write the seconds between frames")
    add("--segments", default="", metavar="FILE", help="pieces of the recordings, as Kaldi's")
    add("--blocks", metavar="FIRST:STEP:LAST", help="numbers for BLOCK in the arguments")
    add("--key", default="", help="keep blocks that were made under this key (once.py)")
    return parser


def choose_device(use_gpu: str) -> str:
    """Return 'cuda' or 'cpu' for yes, no or optional."""
    if use_gpu == "no":
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if use_gpu == "yes" and not available:
        raise cli.UserError("--use-gpu=yes: no CUDA device is available; use --use-gpu=optional or no")
    return "cuda" if available else "cpu"


def transform(options: Namespace) -> Config:
    """Return the feature set that the options of :func:`get_parser` say."""
    return Config(options.T, parse_quality(options.Q), options.max_order, options.sample_rate)


def feature_options(options: Namespace, device: str) -> dict[str, Any]:
    """Return the options of ``steps.scattering.features`` that the options of :func:`get_parser` say."""
    return {
        "config": transform(options),
        "raw": options.raw,
        "dtype": "float64" if options.double else "float32",
        "device": device,
        "num_threads": options.num_threads,
        "backend": options.backend,
    }


def features_of(signal: wav.Samples, options: Namespace, device: str) -> np.ndarray:
    """Return the features of one track, float32 (num_frames, dims), as an archive holds them."""
    frames = features(signal, **feature_options(options, device)).astype(np.float32, copy=False)
    return archive.as_compressed(frames) if options.compress else frames


class Block(NamedTuple):
    """What one archive is made of, and the table that says when it is complete."""

    wav_rspecifier: str
    feats_wspecifier: str
    write_num_frames: str
    segments: str

    @property
    def mark(self) -> Path:
        """Where the key stands under which it was made, once it is complete."""
        return Path(f"{self.write_num_frames}.key")

    def is_kept(self, key: str) -> bool:
        """Tell whether it was completed under a key before; an empty key keeps nothing."""
        there = key and Path(self.write_num_frames).is_file() and self.mark.is_file()
        return bool(there) and self.mark.read_text(encoding="utf-8") == key


class Track(NamedTuple):
    """A track on its way: its block, its name, where it is, and its samples."""

    block: Block
    utt: str
    where: str
    samples: int

    def __str__(self) -> str:
        return self.where


def blocks_of(options: Namespace) -> list[Block]:
    """Return the blocks that the options say; BLOCK is replaced by the number of each."""
    texts = [getattr(options, name) for name in Block._fields]
    if not options.blocks:
        return [Block(*texts)]
    if not re.fullmatch(r"0*[1-9]\d*(:0*[1-9]\d*){2}", options.blocks, re.ASCII):
        raise cli.UserError(f"--blocks: expected FIRST:STEP:LAST, numbers from 1 on, got '{options.blocks}'")
    first, step, last = map(int, options.blocks.split(":"))
    return [Block(*(text.replace("BLOCK", str(n)) for text in texts)) for n in range(first, last + 1, step)]


def read_tracks(blocks: Iterable[Block], options: Namespace) -> Iterator[tuple[Track, wav.Samples]]:
    """Open the tracks of all blocks one by one."""
    for block in blocks:
        utt, source, pipes = "", block.wav_rspecifier, options.allow_pipes
        for utt, where, signal in wav.read_wavs(
            source, options.sample_rate, allow_pipes=pipes, segments=block.segments
        ):
            yield Track(block, utt, where, len(signal)), signal
        if not utt:
            raise cli.UserError(f"{source}: no tracks in it; convert the corpus first")


def compute(options: Namespace) -> None:
    """Compute and write the blocks that are not kept from before, on a GPU several together."""
    left = [block for block in blocks_of(options) if not block.is_kept(options.key)]
    for block in left:
        block.mark.unlink(missing_ok=True)
    device, start = choose_device(options.use_gpu), time.monotonic()
    computed = features_of_tracks(read_tracks(left, options), **feature_options(options, device))
    every = itertools.groupby(computed, key=lambda item: item[0].block)
    for done, (block, own) in enumerate(every):
        progress.report(done, len(left), "blocks")
        num_frames, samples = {}, 0
        with archive.Writer(block.feats_wspecifier, compress=options.compress) as writer:
            for track, frames in own:
                writer.write(track.utt, frames.astype(np.float32, copy=False))
                num_frames[track.utt] = len(frames)
                samples += track.samples
        seconds, start = max(time.monotonic() - start, 1e-9), time.monotonic()
        audio = samples / options.sample_rate
        cli.log(
            f"{len(num_frames)} tracks, {audio / 3600:.3f} hours, {sum(num_frames.values())} frames on "
            f"{device} in {seconds:.2f} s, {audio / seconds:.0f} times real time"
        )
        if block.write_num_frames:
            tables.write_table(block.write_num_frames, num_frames)
        if options.key:
            write(str(block.mark), options.key)


def write(name: str, text: str) -> None:
    """Write a file, or stdout for '-'."""
    if name == "-":
        sys.stdout.write(text)
    elif name:
        with atomic.replacing(name) as file:
            file.write(text)


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = get_parser()
    options = parser.parse_args(argv)
    only_prints = bool(options.print_dims or options.write_frame_shift) and not options.wav_rspecifier
    if not options.feats_wspecifier and not only_prints:
        parser.error("expected <wav-rspecifier> <feats-wspecifier>")
    if (options.blocks or options.key) and not options.write_num_frames:
        parser.error("--blocks and --key need --write-num-frames, whose table says that a block is complete")
    chosen = transform(options)
    cli.log(
        f"{num_dims(chosen)} dimensions: T={chosen.T} Q={options.Q} orders 0 to {chosen.max_order}, "
        f"a frame every {chosen.hop} samples at {chosen.sample_rate} Hz"
    )
    write(options.print_dims, "".join(f"{line}\n" for line in csv_lines(columns(chosen))))
    write(options.write_frame_shift, f"{chosen.frame_shift:.12g}\n")
    if not only_prints:
        compute(options)
    return 0


if __name__ == "__main__":
    cli.run(main)

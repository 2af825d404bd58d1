#!/usr/bin/env python3
r"""Compute scattering features: one row a frame, one column a path, in the order of ScatNet.

Reads 'scp:wav.scp' (one-channel WAV of the configured sample rate), or the --segments of what is in it;
writes an archive of matrices.
Audio shorter than one window is refused, silence is kept with a warning. --print-dims writes a table of
what each column means, frequencies in Hz, and may stand without the two arguments.

With --blocks FIRST:STEP:LAST, BLOCK in the arguments, in --segments and --write-num-frames stands for each
of these numbers in turn, and a block that was made under the same --key before is kept:
steps/make_scattering.sh cuts a corpus into blocks whose limits do not depend on the number of jobs.

e.g. steps/compute_scattering.py --config conf/scattering.conf scp:data/train/wav22k.scp \
       ark,scp:feats.ark,feats.scp
     steps/compute_scattering.py --config conf/scattering.conf --print-dims dims.csv
"""

from __future__ import annotations

import itertools
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from steps import archive
from steps.scattering import BACKENDS, columns, config, features, features_of_tracks, paths, wav
from utils import atomic, cli, kept, progress, tables


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("compute_scattering.py [options] <wav-rspecifier> <feats-wspecifier>", __doc__)
    default = config.Config()
    parser.add_argument("--T", type=cli.positive_int, default=default.T, help="averaging scale in samples")
    parser.add_argument("--Q", default="8,1:1,1", help="wavelets an octave, Q1,Q2 for each block")
    parser.add_argument("--max-order", type=int, default=default.max_order, help="highest order: 0, 1 or 2")
    parser.add_argument("--sample-rate", type=cli.positive_int, default=default.sample_rate, help="in Hz")
    parser.add_argument("--raw", type=cli.boolean, default=False, help="no renormalisation, no logarithm")
    parser.add_argument("--double", type=cli.boolean, default=False, help="compute in double precision")
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default="fast",
        help="ours, or kymatio's core on our filters (ScatNet's but for 12 frames at both ends of a track)",
    )
    parser.add_argument("--use-gpu", choices=("yes", "no", "optional"), default="no", help="compute on CUDA")
    parser.add_argument("--num-threads", type=cli.positive_int, default=1, help="threads on the CPU")
    parser.add_argument("--compress", type=cli.boolean, default=False, help="write compressed matrices")
    parser.add_argument("--allow-pipes", type=cli.boolean, default=False, help="run the commands in the scp")
    parser.add_argument("--print-dims", metavar="FILE", help="write what each column means; '-' is stdout")
    parser.add_argument("--write-num-frames", metavar="FILE", help="write '<utt> <frames>' lines")
    parser.add_argument("--write-frame-shift", metavar="FILE", help="write the seconds between frames")
    parser.add_argument("--segments", default="", metavar="FILE", help="pieces of the recordings, as Kaldi's")
    parser.add_argument("--blocks", metavar="FIRST:STEP:LAST", help="numbers for BLOCK in the arguments")
    parser.add_argument("--key", default="", help="keep blocks that were made under this key (once.py)")
    parser.add_argument("wav_rspecifier", nargs="?")
    parser.add_argument("feats_wspecifier", nargs="?")
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


def transform(options: Namespace) -> config.Config:
    """Return the feature set that the options of :func:`get_parser` say."""
    return config.Config(
        T=options.T,
        Q=config.parse_quality(options.Q),
        max_order=options.max_order,
        sample_rate=options.sample_rate,
    )


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
    """Return the features of one track, float32 of shape (num_frames, dims)."""
    return features(signal, **feature_options(options, device)).astype(np.float32, copy=False)


def as_stored(frames: np.ndarray, options: Namespace) -> np.ndarray:
    """Return features as an archive holds them: a little changed if it is compressed."""
    return archive.as_compressed(frames) if options.compress else frames


def print_dims(name: str, chosen: config.Config) -> None:
    """Write the table of columns to a file, or to stdout for '-'."""
    text = "\n".join(paths.csv_lines(columns(chosen))) + "\n"
    if name == "-":
        sys.stdout.write(text)
        return
    with atomic.replacing(name) as file:
        file.write(text)


class Track(NamedTuple):
    """A track on its way: the number of its archive, its name, where it is, and its samples."""

    number: int
    utt: str
    where: str
    samples: int

    def __str__(self) -> str:
        return self.where


def read_tracks(archives: Mapping[int, Namespace], sample_rate: int) -> Iterator[tuple[Track, wav.Samples]]:
    """Open the tracks of all archives one by one."""
    for number, options in archives.items():
        found = 0
        for utt, where, signal in wav.read_wavs(
            options.wav_rspecifier, sample_rate, allow_pipes=options.allow_pipes, segments=options.segments
        ):
            if signal.is_silent():
                cli.warn(f"{where}: silence: every sample is 0")
            found += 1
            yield Track(number, utt, where, len(signal)), signal
        if not found:
            raise cli.UserError(f"{options.wav_rspecifier}: no tracks in it; convert the corpus first")


def compute(
    archives: Mapping[int, Namespace], chosen: config.Config, before: int, total: int
) -> Iterator[tuple[int, dict[str, int]]]:
    """Compute and write all tracks of archives; yield the number of each and its tracks' frames.

    ``before`` of all ``total`` tracks of the job (0: not known) were done before them. On a GPU tracks of
    several archives are computed together.
    """
    first = next(iter(archives.values()))
    device = choose_device(first.use_gpu)
    start = time.monotonic()
    computed = features_of_tracks(read_tracks(archives, chosen.sample_rate), **feature_options(first, device))
    for number, tracks in itertools.groupby(computed, key=lambda item: item[0].number):
        options, num_frames, samples = archives[number], {}, 0
        with archive.Writer(options.feats_wspecifier, compress=options.compress) as writer:
            for track, frames in tracks:
                progress.report(before, total, "tracks")
                writer.write(track.utt, frames.astype(np.float32, copy=False))
                num_frames[track.utt] = len(frames)
                samples += track.samples
                before += 1
        seconds = max(time.monotonic() - start, 1e-9)
        start = time.monotonic()
        audio = samples / chosen.sample_rate
        cli.log(
            f"{len(num_frames)} tracks, {audio / 3600:.3f} hours, {sum(num_frames.values())} frames on "
            f"{device} in {seconds:.2f} s, {audio / seconds:.0f} times real time"
        )
        yield number, num_frames


def block_numbers(text: str) -> range:
    """Parse ``FIRST:STEP:LAST``."""
    words = text.split(":")
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and int(word) for word in words):
        raise cli.UserError(f"--blocks: expected FIRST:STEP:LAST, numbers from 1 on, got '{text}'")
    first, step, last = map(int, words)
    return range(first, last + 1, step)


def blocks_of(options: Namespace) -> list[Namespace]:
    """Return the options of each block: BLOCK is replaced by its number."""
    if not options.blocks:
        return [options]
    names = ("wav_rspecifier", "feats_wspecifier", "write_num_frames", "segments")
    return [
        Namespace(**vars(options) | {name: getattr(options, name).replace("BLOCK", str(n)) for name in names})
        for n in block_numbers(options.blocks)
    ]


def num_tracks(options: Namespace) -> int:
    """Count the tracks of a script file, or their segments; 0 of another specifier."""
    rspecifier = options.wav_rspecifier
    table = options.segments or (rspecifier[4:] if rspecifier.startswith("scp:") else "")
    return len(tables.read_scp(table)) if table else 0


def compute_blocks(options: Namespace, chosen: config.Config) -> None:
    """Compute the blocks that are not kept from before, or the one archive if there are no blocks."""
    blocks = dict(enumerate(blocks_of(options)))
    counts = {number: num_tracks(block) for number, block in blocks.items()}
    there = [
        number
        for number in blocks
        if options.blocks and kept.is_kept(blocks[number].write_num_frames, options.key)
    ]
    for number in there:
        cli.log(f"{blocks.pop(number).write_num_frames} is there already")
    for block in blocks.values():
        if block.write_num_frames:
            kept.begin(block.write_num_frames)
    done = sum(counts[number] for number in there)
    for number, num_frames in compute(blocks, chosen, done, sum(counts.values())) if blocks else ():
        table = blocks[number].write_num_frames
        if table:
            tables.write_table(table, num_frames)
            kept.keep(table, options.key)


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = get_parser()
    options = parser.parse_args(argv)
    only_prints = bool(options.print_dims or options.write_frame_shift) and options.wav_rspecifier is None
    if options.feats_wspecifier is None and not only_prints:
        parser.error("expected <wav-rspecifier> <feats-wspecifier>")
    chosen = transform(options)
    cli.log(
        f"{paths.num_dims(chosen)} dimensions: T={chosen.T} Q={options.Q} orders 0 to {chosen.max_order}, "
        f"a frame every {chosen.hop} samples at {chosen.sample_rate} Hz"
    )
    if options.print_dims:
        print_dims(options.print_dims, chosen)
    if options.write_frame_shift:
        with atomic.replacing(options.write_frame_shift) as file:
            file.write(f"{chosen.frame_shift:.12g}\n")
    if only_prints:
        return 0
    if options.blocks and not options.write_num_frames:
        parser.error("--blocks needs --write-num-frames, whose table says that a block is complete")
    compute_blocks(options, chosen)
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Time the scattering features beside kymatio's core on the same filters, each in a process of its own.

Prints a table: seconds (best of the repetitions, filters built before), times real time, processor seconds,
peak memory; then the cost of the filters, and the time of the bare Fourier transforms beside ours. On a busy
machine the processor time is the better number; --long=false leaves out the 240 s.

e.g. tests/bench/bench_scattering.py
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile

from tests.bench.alone import alone, peak_gb
from utils import cli

RATE = 22050
CUDA_TRACKS = 64  # of which the time of one is told
LABELS = {"core": "kymatio's core, ScatNet's filters", "ours": "steps.scattering", "cuda": "the same on CUDA"}


def signal(seconds: float) -> np.ndarray:
    """Return tones and noise [shape=(samples,)]."""
    rng = np.random.default_rng(0)
    clock = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    tones = np.sin(2 * np.pi * 330 * clock) * (1 + 0.5 * np.sin(2 * np.pi * 5 * clock))
    return (0.2 * tones + 0.05 * rng.standard_normal(len(clock))).astype(np.float32)


def kymatio_core(audio: np.ndarray) -> Callable[[], object]:
    """Kymatio's core with ScatNet's filters on one block, or on blocks of 192 hops."""
    from steps.scattering import Config, blocks, reference

    pieces = list(blocks.pieces([("", audio)], Config(), "float32"))
    return lambda: [reference.compute(piece, Config(), "float32") for piece in pieces]


def on_cuda(folder: str, audio: np.ndarray) -> Callable[[], object]:
    """Return the path of a GPU over ``CUDA_TRACKS`` tracks in WAV files, reading included."""
    from steps.scattering import features_of_tracks, wav

    path = f"{folder}/track.wav"
    soundfile.write(path, audio, RATE, "PCM_16")

    def opened() -> Iterator[tuple[int, wav.Samples]]:
        for number in range(CUDA_TRACKS):
            with wav.open_wav(path, RATE, str(number)) as samples:
                yield number, samples

    return lambda: [len(frames) for _, frames in features_of_tracks(opened(), device="cuda")]


def measure(system: str, seconds: float, repeats: int) -> tuple[float, float, float]:
    """Return the best wall and processor seconds of a system, and the peak memory of this process [GB]."""
    from steps.scattering import features

    audio, tracks, walls, cpus = signal(seconds), CUDA_TRACKS if system == "cuda" else 1, [], []
    with tempfile.TemporaryDirectory() as folder:
        if system == "ours":
            job: Callable[[], object] = lambda: features(audio)  # noqa: E731
        else:
            job = on_cuda(folder, audio) if system == "cuda" else kymatio_core(audio)
        for _ in range(repeats + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            walls.append((time.perf_counter() - wall) / tracks)
            cpus.append((time.process_time() - cpu) / tracks)
    return min(walls[1:]), min(cpus[1:]), peak_gb()


def transforms(num_hops: int) -> list[tuple[bool, int, int]]:
    """List a block's Fourier transforms as (whether it is real, rows, samples)."""
    from steps.scattering import Config
    from steps.scattering.config import groups

    samples = num_hops * Config().hop
    found = [(True, 1, samples)]
    for group in groups(Config()):
        size = samples >> group.resolution
        found.append((False, len(group.members), size))
        if group.children:
            found.append((True, len(group.members), size))
        found += [(False, len(child.columns), samples >> child.resolution) for child in group.children]
    return found


def flops(num_hops: int) -> float:
    """Count a block's operations, ``5 n log2 n`` a complex transform and half of it a real one."""
    return sum((2.5 if real else 5.0) * rows * n * math.log2(n) for real, rows, n in transforms(num_hops))


def bare_transforms(num_hops: int, repeats: int) -> float:
    """Time a block's Fourier transforms alone by the faster of SciPy and torch for each [seconds]."""
    import scipy.fft
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    total = 0.0
    for real, rows, size in transforms(num_hops):
        best = math.inf
        for library in (scipy.fft, torch.fft):
            for _ in range(repeats):
                data: Any = rng.standard_normal((rows, size), dtype=np.float32)
                data = data if real else data.astype(np.complex64)
                given = data if library is scipy.fft else torch.from_numpy(data)
                options = {} if real or library is torch.fft else {"overwrite_x": True}
                start = time.process_time()
                (library.rfft if real else library.ifft)(given, norm="forward", **options)
                best = min(best, time.process_time() - start)
        total += best
    return total


def costs() -> tuple[float, float, float]:
    """Time the filters of the longest block, and in turns the transforms of 30 s alone and all that we do."""
    from steps.scattering import Config, compiled, features

    start = time.process_time()
    compiled.Transform(Config(), 192)
    build, audio = time.process_time() - start, signal(30)
    features(audio)
    bare, own = [], []
    for _ in range(5):
        bare.append(bare_transforms(192, 3))
        for _ in range(5):
            start = time.process_time()
            features(audio)
            own.append(time.process_time() - start)
    return build, min(bare), min(own)


def about_machine() -> tuple[str, bool]:
    """Return this machine's name, and whether it has a GPU (it imports torch)."""
    import torch

    from tests.bench.machine import machine

    return machine(), torch.cuda.is_available()


def main(argv: list[str] | None = None) -> int:
    """Print the table and what follows it."""
    parser = cli.KaldiParser("bench_scattering.py [options]", __doc__)
    parser.add_argument("--long", type=cli.boolean, default=True, help="time 240 s too")
    parser.add_argument("--repeats", type=cli.positive_int, default=20, help="of ours (of kymatio's 2)")
    options = parser.parse_args(argv)
    name, has_gpu = alone(about_machine)
    print(f"{name}\n")
    print("| system | audio, s | seconds | × real time | processor s | peak, GB |")
    print("|---|---|---|---|---|---|")
    runs = {"core": 2, "ours": options.repeats, **({"cuda": options.repeats} if has_gpu else {})}
    for seconds in [30, 240] if options.long else [30]:
        for system, repeats in runs.items():
            wall, cpu, peak = alone(measure, system, seconds, repeats)
            row = (LABELS[system], seconds, f"{wall:.3f}", f"{seconds / wall:.0f}", f"{cpu:.3f}")
            print(f"| {' | '.join(map(str, row))} | {peak:.2f} |", flush=True)
    build, bare, own = alone(costs)
    print(f"\nfilters of a block: built in {build:.2f} s")
    print(
        f"30 s take {flops(192) / 1e9:.2f} Gflop of Fourier transforms: alone, by the faster library, "
        f"{bare:.3f} s ({30 / bare:.0f} × real time), all that we do {own:.3f} s ({30 / own:.0f} ×), "
        f"{bare / own:.2f} times their speed"
    )
    return 0


if __name__ == "__main__":
    cli.run(main)

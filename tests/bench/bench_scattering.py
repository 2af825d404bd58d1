#!/usr/bin/env python3
"""Time the scattering features beside kymatio's, each measurement in a process of its own.

Prints a table: seconds (best of the repetitions, filters built before), times real time, processor
seconds, peak memory; then the cost of the filters, the time of the bare Fourier
transforms beside ours, and one measured hour of audio with the projection to 100 hours. Kymatio's own front
ends need some GB of memory; --kymatio=false leaves them out. On a busy machine the processor time is the
better number; --long=false leaves out the 240 s and the hour.

e.g. tests/bench/bench_scattering.py
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from utils import cli

ROOT = Path(__file__).resolve().parents[2]

RATE = 22050
CUDA_TRACKS = 64  # of which the time of one is told
SYSTEMS = ("kymatio numpy", "kymatio torch", "core", "ours")
LABELS = {
    "kymatio numpy": "kymatio.numpy, J=13 (747 paths)",
    "kymatio torch": "kymatio.torch, J=13 (747 paths)",
    "core": "kymatio's core, ScatNet's filters",
    "ours": "steps.scattering",
    "ours cuda": "steps.scattering on CUDA",
}


def signal(seconds: float) -> np.ndarray:
    """Return tones and noise [shape=(samples,)]."""
    rng = np.random.default_rng(0)
    clock = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    tones = np.sin(2 * np.pi * 330 * clock) * (1 + 0.5 * np.sin(2 * np.pi * 5 * clock))
    return (0.2 * tones + 0.05 * rng.standard_normal(len(clock))).astype(np.float32)


def kymatio_front_end(audio: np.ndarray, backend: str, threads: int) -> Callable[[], object]:
    """Kymatio as its manual has it: two transforms, J = 13, Q = 8 and Q = 1."""
    if backend == "torch":
        import torch
        from kymatio.torch import Scattering1D

        torch.set_num_threads(threads)
        given: object = torch.from_numpy(audio)
    else:
        from kymatio.numpy import Scattering1D

        given = audio
    made = [Scattering1D(J=13, Q=Q, shape=len(audio)) for Q in (8, 1)]
    return lambda: [transform(given) for transform in made]


def kymatio_core(audio: np.ndarray) -> Callable[[], object]:
    """Kymatio's core with ScatNet's filters on one block, or on blocks of 192 hops."""
    from steps.scattering import Config, blocks, reference

    hops = blocks.layout(Config(), len(audio)).num_hops
    made = reference.Reference(Config(), "float32", num_hops=hops)
    return lambda: reference.averages(audio, Config(), made)


def ours(audio: np.ndarray, threads: int) -> Callable[[], object]:
    """Return the fast path, logarithm included."""
    from steps.scattering import features

    return lambda: features(audio, num_threads=threads)


def ours_on_cuda(folder: str, audio: np.ndarray) -> Callable[[], object]:
    """Return the path of a GPU over ``CUDA_TRACKS`` tracks in WAV files, reading included."""
    from steps.scattering import features_of_tracks, wav

    path = f"{folder}/track.wav"
    soundfile.write(path, audio, RATE, "PCM_16")

    def opened() -> Iterator[tuple[int, wav.Samples]]:
        for number in range(CUDA_TRACKS):
            with wav.open_wav(path, RATE, str(number)) as samples:
                yield number, samples

    return lambda: [len(frames) for _, frames in features_of_tracks(opened(), device="cuda")]


def measure_hour() -> dict[str, float]:
    """Time one hour of audio in one WAV file, reading included."""
    from steps.scattering import features, wav

    minute = signal(60)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/hour.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
            for _ in range(60):
                file.write(minute)
        features(minute)
        wall, cpu = time.perf_counter(), time.process_time()
        with wav.open_wav(path, RATE, "hour") as samples:
            features(samples)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def measure(system: str, seconds: float, threads: int, repeats: int) -> dict[str, float]:
    """Time one system in this process."""
    name, _, backend = system.partition(" ")
    audio = signal(seconds)
    walls, cpus = [], []
    with tempfile.TemporaryDirectory() as folder:
        tracks = CUDA_TRACKS if backend == "cuda" else 1
        if backend == "cuda":
            job = ours_on_cuda(folder, audio)
        elif name == "ours":
            job = ours(audio, threads)
        elif name == "core":
            job = kymatio_core(audio)
        else:
            job = kymatio_front_end(audio, backend, threads)
        for _ in range(repeats + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            walls.append((time.perf_counter() - wall) / tracks)
            cpus.append((time.process_time() - cpu) / tracks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"wall": min(walls[1:]), "cpu": min(cpus[1:]), "peak": peak}


def transforms(num_hops: int) -> list[tuple[bool, int, int]]:
    """List a block's Fourier transforms as (whether it is real, rows, samples)."""
    from steps.scattering import Config, paths

    samples = num_hops * Config().hop
    found = [(True, 1, samples)]
    for group in paths.groups(Config()):
        size = samples >> group.resolution
        found.append((False, len(group.members), size))
        if group.children:
            found.append((True, len(group.members), size))
        found += [(False, child.count, samples >> child.resolution) for child in group.children]
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


def costs() -> dict[str, float]:
    """Time the filters of the longest block, and in turns the transforms of 30 s alone and all that we do."""
    from steps.scattering import Config, bands, features

    start = time.process_time()
    bands.build(Config(), 192, "float32")
    build, audio = time.process_time() - start, signal(30)
    features(audio)
    alone, own = [], []
    for _ in range(5):
        alone.append(bare_transforms(192, 3))
        for _ in range(5):
            start = time.process_time()
            features(audio)
            own.append(time.process_time() - start)
    return {"build": build, "fft": min(alone), "own": min(own)}


def in_a_process(*words: object, threads: int = 1) -> dict[str, float]:
    """Run this program in a process of its own and return what it measured."""
    command = [sys.executable, __file__, *(str(word) for word in words)]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("bench_scattering.py [options]", __doc__)
    parser.add_argument("--kymatio", type=cli.boolean, default=True, help="time kymatio's front ends too")
    parser.add_argument("--long", type=cli.boolean, default=True, help="time 240 s and an hour too")
    parser.add_argument(
        "--repeats", type=cli.positive_int, default=20, help="repetitions of ours (of others 2)"
    )
    parser.add_argument("--part", default="", help="one measurement, in this process")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the audio")
    parser.add_argument("--num-threads", type=cli.positive_int, default=1, help="threads")
    return parser


def table(systems: list[str], lengths: list[int], repeats: int) -> None:
    """Print the table."""
    print("| system | audio, s | threads | seconds | × real time | processor s | peak, GB |")
    print("|---|---|---|---|---|---|---|")
    for seconds in lengths:
        for system in systems:
            # Kymatio's front ends take all memory for a long track.
            if system.startswith("kymatio") and seconds > 60:
                continue
            for threads in (1, 2):
                if threads > 1 and system.endswith(("numpy", "core", "cuda")):
                    continue
                count = repeats if system.startswith("ours") else min(repeats, 2)
                words = (f"--part={system}", f"--seconds={seconds}", f"--num-threads={threads}")
                got = in_a_process(*words, f"--repeats={count}", threads=threads)
                print(
                    f"| {LABELS[system]} | {seconds} | {threads} | {got['wall']:.3f} | "
                    f"{seconds / got['wall']:.0f} | {got['cpu']:.3f} | {got['peak']:.2f} |",
                    flush=True,
                )


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    options = get_parser().parse_args(argv)
    if options.part == "costs":
        print(json.dumps(costs()))
        return 0
    if options.part == "cuda":
        import torch

        print(json.dumps({"there": torch.cuda.is_available()}))
        return 0
    if options.part == "hour":
        print(json.dumps(measure_hour()))
        return 0
    if options.part:
        print(json.dumps(measure(options.part, options.seconds, options.num_threads, options.repeats)))
        return 0
    systems = [name for name in SYSTEMS if options.kymatio or not name.startswith("kymatio")]
    if in_a_process("--part=cuda")["there"]:
        systems.append("ours cuda")
    from tests.bench.machine import machine  # imports torch, whose memory is not ours

    print(f"{machine()}\n")
    table(systems, [30, 240] if options.long else [30], options.repeats)
    cost = in_a_process("--part=costs")
    work = flops(192)
    print(f"\nfilters of a block: built in {cost['build']:.2f} s")
    print(
        f"30 s take {work / 1e9:.2f} Gflop of Fourier transforms; alone, by the faster of SciPy and torch, "
        f"they take {cost['fft']:.3f} s ({30 / cost['fft']:.0f} × real time), all that we do "
        f"{cost['own']:.3f} s ({30 / cost['own']:.0f} ×): {cost['fft'] / cost['own']:.2f} times their speed"
    )
    if options.long:
        hour = in_a_process("--part=hour")
        print(
            f"one hour in one piece: {hour['wall']:.1f} s, {hour['cpu']:.1f} processor seconds, "
            f"peak {hour['peak']:.2f} GB; 100 hours on one core: {hour['cpu'] * 100 / 60:.0f} minutes"
        )
    return 0


if __name__ == "__main__":
    cli.run(main)

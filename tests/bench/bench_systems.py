#!/usr/bin/env python3
"""Time the features of the five published systems, each in a process of its own with one thread.

Prints a row for each: hours of music an hour of one core, the peak memory of the process, and what the
hundred hours of ISMIR2004 take (projected). The audio is made: tones and noise, tracks of four minutes. What
decides needs minutes at most and no audio; sig2014's row is its activations, by a network of random weights.

e.g. tests/bench/bench_systems.py --minutes 12
"""

import time

import numpy as np
import torch

from steps.systems import registry, sig2014, spectra
from tests.bench.alone import alone, peak_gb
from tests.bench.bench_scattering import signal
from tests.bench.machine import machine
from utils import cli

TRACK_SECONDS, HOURS = 240, 100.5


def random_network(num_units: int) -> dict[str, np.ndarray]:
    """Return a network of sig2014 that was not trained."""
    layers = sig2014.make_network(num_units, 6, 0.25).state_dict()
    arrays = {"mean": np.zeros(513, np.float32), "deviation": np.ones(513, np.float32)}
    return arrays | {name: value.numpy() for name, value in layers.items()}


def measure(name: str, num_tracks: int) -> tuple[float, float]:
    """Return the seconds that a system's features of so many tracks take, and the peak memory [GB]."""
    torch.set_num_threads(1)
    system = registry.load(name)
    options = registry.parse(cli.KaldiParser("", ""), ["--system", name])
    network = random_network(options.num_units) if name == "sig2014" else {}
    track = signal(TRACK_SECONDS)
    system.features(track[: 10 * spectra.SAMPLE_RATE], options, network)
    start = time.perf_counter()
    for _ in range(num_tracks):
        system.features(track, options, network)
    return time.perf_counter() - start, peak_gb()


def main(argv: list[str] | None = None) -> int:
    parser = cli.KaldiParser("tests/bench/bench_systems.py [options]", __doc__)
    parser.add_argument("--minutes", type=cli.positive_int, default=12, help="of audio (default: 12)")
    num_tracks = max(1, parser.parse_args(argv).minutes * 60 // TRACK_SECONDS)
    print(f"{machine()}, one thread\n")
    print("| system | hours of music an hour and core | GB | minutes for ISMIR2004 on one core |")
    print("|---|---|---|---|")
    for name in registry.NAMES:
        seconds, memory = alone(measure, name, num_tracks)
        speed = num_tracks * TRACK_SECONDS / seconds
        print(f"| {name} | {speed:.0f} | {memory:.2f} | {60 * HOURS / speed:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    cli.run(main)

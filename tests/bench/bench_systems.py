#!/usr/bin/env python3
"""Time the features of the five published systems, each in a process of its own with one thread.

Prints a row for each: hours of music an hour of one core, the peak memory of the process, and what the
hundred hours of ISMIR2004 take (projected). The audio is made: tones and noise, tracks of four minutes. What
decides needs minutes at most and no audio; sig2014's row is its activations, by a network of random weights.

e.g. tests/bench/bench_systems.py --minutes 12
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser

import numpy as np
import torch

from steps.systems import registry, sig2014, spectra
from tests.bench.machine import machine
from utils import cli

TRACK_SECONDS = 240
HOURS = 100.5


def make_track(seed: int) -> np.ndarray:
    """Return tones and noise, float32 [shape=(samples,)]."""
    rng = np.random.default_rng(seed)
    clock = np.arange(TRACK_SECONDS * spectra.SAMPLE_RATE, dtype=np.float32) / spectra.SAMPLE_RATE
    tones = np.sin(2 * np.pi * 330 * clock) * (1 + 0.5 * np.sin(2 * np.pi * 5 * clock))
    return (0.2 * tones + 0.05 * rng.standard_normal(len(clock))).astype(np.float32)


def random_network(num_units: int) -> dict[str, np.ndarray]:
    """Return a network of sig2014 that was not trained."""
    layers = sig2014.make_network(num_units, 6, 0.25).state_dict()
    arrays = {"mean": np.zeros(513, np.float32), "deviation": np.ones(513, np.float32)}
    for number in range(sig2014.NUM_LAYERS):
        for kind in ("weight", "bias"):
            arrays[f"layer{number}_{kind}"] = layers[f"{3 * number}.{kind}"].numpy()
    return arrays


def measure(name: str, num_tracks: int) -> None:
    """Print the seconds and the peak memory of one system's features as JSON."""
    torch.set_num_threads(1)
    parser = ArgumentParser()
    system = registry.load(name)
    system.add_options(parser)
    options = parser.parse_args([])
    options.use_gpu = "no"
    network = random_network(options.num_units) if name == "sig2014" else {}
    system.features(make_track(0)[: 10 * spectra.SAMPLE_RATE], options, network)
    seconds = 0.0
    for number in range(num_tracks):
        track = make_track(number)
        start = time.perf_counter()
        system.features(track, options, network)
        seconds += time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "memory": memory}))


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = cli.KaldiParser("tests/bench/bench_systems.py [options]", __doc__)
    parser.add_argument("--minutes", type=cli.positive_int, default=12, help="of audio (default: 12)")
    parser.add_argument("--only", default="", metavar="NAME", help="measure this one here, and print JSON")
    args = parser.parse_args(argv)
    num_tracks = max(1, args.minutes * 60 // TRACK_SECONDS)
    if args.only:
        measure(args.only, num_tracks)
        return 0
    print(f"{machine()}, one thread\n")
    print("| system | hours of music an hour and core | GB | minutes for ISMIR2004 on one core |")
    print("|---|---|---|---|")
    for name in registry.NAMES:
        words = [sys.executable, __file__, "--minutes", str(args.minutes), "--only", name]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        speed = num_tracks * TRACK_SECONDS / found["seconds"]
        print(f"| {name} | {speed:.0f} | {found['memory']:.2f} | {60 * HOURS / speed:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    cli.run(main)

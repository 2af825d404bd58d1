#!/usr/bin/env python3
"""Cut, tear, join, pad and lie about recordings at random: nothing may be lost without a word.

Every container is made here from a noise of known length, changed, and decoded. What comes out without a
warning or an error must have the length that went in, up to one block of a lossy codec (4 096 frames).
m4a and mka are tried where ffmpeg can make them; of joined m4a files, ffmpeg knows the first only.

Usage: tests/reliability/fuzz_audio.py [--seconds 100] [--seed 1]
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from steps import audio
from utils import cli

RATE, SECONDS, BLOCK = 22050, 4, 4096
KINDS = ("wav", "aiff", "au", "caf", "flac", "ogg", "mp3", "m4a", "mka")
ALTERATIONS = ("cut", "tear", "join", "pad", "lie")


def make_sources(folder: Path) -> dict[str, bytes]:
    """Return a recording in each container."""
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, RATE * SECONDS)
    found = {}
    for kind in KINDS:
        path = folder / f"x.{kind}"
        if kind in ("m4a", "mka"):
            if shutil.which("ffmpeg") is None:
                continue
            words = ["ffmpeg", "-v", "error", "-y", "-i", folder / "x.wav", "-c:a", "aac", path]
            subprocess.run(words, check=True)
        else:
            soundfile.write(path, sound, RATE, format=kind.upper())
        found[kind] = path.read_bytes()
    return found


def alter(data: bytes, how: str, rng: np.random.Generator) -> tuple[bytes, int]:
    """Return an altered recording, and how many times its samples are in it or should be."""
    at = int(rng.integers(200, len(data) - 200))
    if how == "cut":
        return data[:at], 1
    if how == "tear":
        return data[:at] + data[at + int(rng.integers(1, len(data) - at)) :], 1
    if how == "join":
        return data + data, 2
    if how == "pad":
        return data + (bytes(at) if rng.integers(2) else rng.bytes(at)), 1
    changed = bytearray(data)
    for place in rng.integers(4, 64, 2):
        changed[place] = rng.integers(256)
    return bytes(changed), 1


def verdict(path: Path, times: int) -> str:
    """Decode a file: refused, told, right or lost."""
    try:
        with audio.Track(path) as track:
            taken = sum(len(block) for block in track.blocks())
            told = bool(track.warnings)
            # A header may lie about rate or channels as well; then nobody knows the length.
            alike = (track.sample_rate, track.channels) == (RATE, 1)
    except audio.AudioError:
        return "refused"
    if told:
        return "told"
    return "right" if taken > times * RATE * SECONDS - BLOCK or not alike else "lost"


def main(argv: list[str] | None = None) -> int:
    """Run for a while and print what became of the files; 1 if something was lost."""
    parser = cli.KaldiParser("fuzz_audio.py [--seconds N] [--seed S]", __doc__)
    parser.add_argument("--seconds", type=cli.finite_float, default=100.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    rng = np.random.default_rng(options.seed)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        sources = make_sources(Path(name))
        stop = time.monotonic() + options.seconds
        while time.monotonic() < stop:
            for kind, data in sources.items():
                for how in ALTERATIONS:
                    if (kind, how) == ("m4a", "join"):
                        continue
                    altered, times = alter(data, how, rng)
                    path = Path(name) / "altered"
                    path.write_bytes(altered)
                    said = verdict(path, times)
                    counts.setdefault(f"{kind} {how}", Counter())[said] += 1
    for row, found in counts.items():
        print(row, " ".join(f"{said} {found[said]}" for said in ("right", "told", "refused", "lost")))
    return int(any(found["lost"] for found in counts.values()))


if __name__ == "__main__":
    cli.run(main)

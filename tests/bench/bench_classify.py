#!/usr/bin/env python3
"""Time local/classify.sh: seconds to its first line, then × real time over the further files.

The median of --repeats starts with the first file alone; then all files once, from the first line to the
last. Networks take long files at another speed than short ones: give files of one length.

Usage: tests/bench/bench_classify.py [options] <exp-dir|system.zip> <file>...
e.g.:  tests/bench/bench_classify.py exp/synth_best data/synth/wav/*.wav
"""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import soundfile

from steps import native
from utils import cli

PROGRAM = Path(__file__).resolve().parents[2] / "local/classify.sh"


def lines_after(system: str, files: list[str]) -> list[float]:
    """Return the seconds from the start to each line."""
    begin = time.monotonic()
    with subprocess.Popen(
        [PROGRAM, system, *files], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        found = [time.monotonic() - begin for _ in process.stdout]
    if process.returncode:
        raise cli.UserError(f"{PROGRAM.name} {system}: exit status {process.returncode}; see what it says")
    return found


def main(argv: list[str]) -> int:
    """Print the figures."""
    parser = cli.KaldiParser(
        "tests/bench/bench_classify.py [options] <exp-dir|system.zip> <file>...", __doc__
    )
    parser.add_argument(
        "--repeats", type=cli.positive_int, default=5, help="starts of which the median counts"
    )
    parser.add_argument("system")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args(argv)
    lines_after(args.system, args.files[:1])  # writes byte code
    first = [lines_after(args.system, args.files[:1])[0] for _ in range(args.repeats)]
    print(f"{native.processor_name()}, {args.system}")
    print(f"first line after {statistics.median(first):.2f} s ({min(first):.2f} to {max(first):.2f})")
    if rest := args.files[1:]:
        music = sum(soundfile.info(path).duration for path in rest)
        after = lines_after(args.system, args.files)
        speed = music / (after[-1] - after[0])
        print(f"{len(rest)} further files, {music:.0f} s of music: {speed:.0f} × real time")
    return 0


if __name__ == "__main__":
    cli.run(main, echo=False)

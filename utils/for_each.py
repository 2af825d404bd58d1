#!/usr/bin/env python3
"""Run a command once for each item, side by side, and wait for all of them.

Usage: for_each.py [--max-jobs-run N] "<item> <item> …" <command…>
 e.g.: for_each.py --max-jobs-run 2 "dnn1 dnn2" steps/train.sh --conf conf/synth/{}.conf exp/synth_{}

{} is replaced by the item in every argument. No shell is involved. Each line that the command prints
comes out behind "[item] ". If one fails, the others go on to their end; then the failed items are named
and the exit status is 1. RECIPE_PID and signals mean what they mean to run.py.

Options:
  --max-jobs-run N    run at most N commands at once (default: all of them)
"""

from __future__ import annotations

import os
import subprocess
import sys

from utils.job_runner import frontend, local, recipe_process
from utils.job_runner.gpus import GpuPool
from utils.job_runner.request import UsageError


class Lines:
    """Passes a command's output on, line by line behind a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode(errors="surrogateescape")
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)
        self.rest = b""

    def forward(self) -> None:
        """Write out the complete lines that have arrived."""
        while True:
            try:
                data = os.read(self.source, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self.rest = (self.rest + data).split(b"\n")
            self._write(lines)

    def close(self) -> None:
        """Write out what is left."""
        self.forward()
        os.close(self.source)
        if self.rest:
            self._write([self.rest])

    def _write(self, lines: list[bytes]) -> None:
        if lines:
            sys.stdout.buffer.write(b"".join(b"[%s] %s\n" % (self.prefix, line) for line in lines))
            sys.stdout.flush()


def parse(argv: list[str]) -> tuple[int | None, list[str], list[str]]:
    """Return the limit, the items and the command; raises UsageError."""
    words, limit = list(argv), None
    if words and words[0].partition("=")[0] == "--max-jobs-run":
        name, equals, value = words.pop(0).partition("=")
        value = value if equals else (words.pop(0) if words else "")
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise UsageError(f"{name}: expected an integer of at least 1, got '{value}'")
        limit = int(value)
    if words and words[0].startswith("-"):
        raise UsageError(f"unknown option {words[0]}")
    if len(words) < 2:
        raise UsageError("expected a list of items and a command")
    items = words[0].split()
    if len(set(items)) < len(items):
        raise UsageError(f"an item is repeated in '{words[0]}'")
    return limit, items, words[1:]


def run(items: list[str], command: list[str], limit: int) -> list[str]:
    """Run the command for all items; return the items for which it failed."""
    outputs = {number: Lines(item) for number, item in enumerate(items)}

    def start(number: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        words = [word.replace("{}", items[number]) for word in command]
        process = local.start_task({"argv": words}, environment=environment, stdout=outputs[number].sink)
        os.close(outputs[number].sink)
        return process

    def forward() -> None:
        for lines in outputs.values():
            lines.forward()

    codes = local.run_all(outputs, start, limit=limit, gpus=GpuPool(0, frontend.warn), step=forward)
    for lines in outputs.values():
        lines.close()
    return [f"{items[number]} (code {code})" for number, code in sorted(codes.items()) if code]


def main(argv: list[str]) -> int:
    """Run the commands; return 0, 1 (some failed), 2 (usage) or 130 (Ctrl-C)."""
    if argv[:1] in (["--help"], ["-h"]):
        print(__doc__)
        return 0
    recipe_process.raise_on_signals()
    try:
        limit, items, command = parse(argv)
        failed = run(items, command, limit or max(1, len(items)))
    except UsageError as error:
        frontend.say(f"{error}; see {frontend.PROGRAM} --help")
        return 2
    except OSError as error:
        print(f"ERROR ({frontend.PROGRAM}) {error}", file=sys.stderr)
        return 1
    except recipe_process.InterruptedRunError as stop:
        frontend.say(f"{stop.reason}; stopped the commands that ran")
        return stop.exit_code
    if failed:
        frontend.say(f"{len(failed)} / {len(items)} failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

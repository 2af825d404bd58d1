#!/usr/bin/env python3
"""Run a command once for each item, side by side, and wait for all of them.

Usage: for_each.py [--max-jobs-run N] "<item> <item> …" <command…>
 e.g.: for_each.py --max-jobs-run 2 "dnn1 dnn2" steps/train.sh --conf conf/synth/{}.conf exp/synth_{}

{} is replaced by the item in every argument. No shell is involved. Each line that the command prints
comes out behind "[item] ". If one fails, the others go on to their end; then the failed items are named
and the exit status is 1. After a status of 75 (another run is at work on it) no further command is started,
and that is the exit status. RECIPE_PID and signals mean what they mean to run.py.

Options:
  --max-jobs-run N    run at most N commands at once (default: all of them)
"""

from __future__ import annotations

import os
import subprocess
import sys

from utils import display, progress
from utils.job_runner import frontend, local
from utils.job_runner.gpus import GpuPool
from utils.job_runner.request import UsageError
from utils.progress import Status

BUSY = 75


class Output:
    """What one command prints: lines of text are passed on behind a prefix, where it stands is kept."""

    def __init__(self, item: str) -> None:
        self.item, self.rest = item, b""
        self.status: Status | None = None
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)

    def forward(self) -> None:
        """Take the complete lines that have arrived."""
        while True:
            try:
                data = os.read(self.source, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._take(line)

    def close(self) -> None:
        """Take what is left."""
        self.forward()
        os.close(self.source)
        if self.rest:
            self._take(self.rest)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="backslashreplace")
        if not text.startswith(display.MARK):
            progress.write(f"[{self.item}] {text}", sys.stdout)
        elif (status := progress.parse(text.removeprefix(display.MARK))) is not None:
            status.label = self.item if self.item in status.label else f"{self.item} {status.label}"
            self.status = status


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


def run(items: list[str], command: list[str], limit: int) -> dict[str, int]:
    """Run the command for all items; return the exit codes of those for which it failed."""
    outputs = {number: Output(item) for number, item in enumerate(items)}

    def start(number: int, _: dict[str, str]) -> subprocess.Popen[bytes]:
        words = [word.replace("{}", items[number]) for word in command]
        sink = outputs[number].sink
        process = local.start_task({"argv": words}, environment={"PROGRESS_MARKS": "1"}, stdout=sink)
        os.close(sink)
        return process

    def forward() -> None:
        for output in outputs.values():
            output.forward()

    board = display.Board("all", len(items), lambda number: outputs[number].status, each=True)
    gpus = GpuPool(0, frontend.warn)
    codes = local.run_all(outputs, start, limit=limit, gpus=gpus, board=board, step=forward, last_code=BUSY)
    for output in outputs.values():
        output.close()
    return {items[number]: code for number, code in sorted(codes.items()) if code}


def main(argv: list[str]) -> int:
    """Run the commands; return 0, 1 if one failed, or BUSY."""
    limit, items, command = parse(argv)
    failed = run(items, command, limit or max(1, len(items)))
    if failed:
        named = ", ".join(f"{item} (code {code})" for item, code in failed.items())
        frontend.say(f"{len(failed)} / {len(items)} failed: {named}")
    return BUSY if BUSY in failed.values() else 1 if failed else 0


if __name__ == "__main__":
    os.environ.pop("JOB_STATUS", None)
    frontend.guarded(__doc__, main)

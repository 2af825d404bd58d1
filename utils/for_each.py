#!/usr/bin/env python3
"""Run a command once for each item, side by side, and wait for all of them.

Usage: for_each.py [--max-jobs-run N] "<item> <item> …" <command…>
 e.g.: for_each.py --max-jobs-run 2 "dnn1 dnn2" steps/train.sh --conf conf/synth/{}.conf exp/synth_{}

{} is replaced by the item in every argument. No shell is involved. Each line that the command prints
comes out behind "[item] ". If one fails, the others go on to their end; then the failed items are named
and the exit status is 1, or 75 if another run is at work on one.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from utils import cli, lock, progress
from utils.job_runner import frontend, local

STREAMS = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}


def pass_on(item: str, lines: Iterable[bytes]) -> None:
    """Write what a command prints, line by line, behind its item."""
    for line in lines:
        text = line.removesuffix(b"\n").decode(errors="backslashreplace")
        with contextlib.suppress(BrokenPipeError):  # the command must not wait for who has gone
            progress.write(f"[{item}] {text}", sys.stdout)


def run(items: list[str], command: list[str], limit: int, folder: Path) -> dict[str, int]:
    """Run the command for all items, which say in a folder where they stand; return the codes of failures."""
    readers = []

    def start(number: int) -> local.Process:
        words = [word.replace("{}", items[number]) for word in command]
        status = {"JOB_STATUS": str(progress.status_file(folder / f"{number}.log"))}
        process = local.start_session(words, status, **STREAMS)
        readers.append(threading.Thread(target=pass_on, args=(items[number], process.stdout), daemon=True))
        readers[-1].start()
        return process

    def look(number: int) -> progress.Status | None:
        status, item = progress.read(folder / f"{number}.log"), items[number]
        return status and status._replace(label=item if item in status.label else f"{item} {status.label}")

    board = progress.Board("all", len(items), look)
    try:
        codes = local.run_all(range(len(items)), start, limit, board)
    finally:
        for reader in readers:
            reader.join(timeout=5)
    return {items[number]: code for number, code in sorted(codes.items()) if code}


def main(argv: list[str]) -> int:
    """Run the commands; return 0, 1 if one failed, or 75."""
    parser = argparse.ArgumentParser(cli.PROGRAM, allow_abbrev=False)
    parser.add_argument("--max-jobs-run", type=cli.positive_int)
    parser.add_argument("items", type=str.split)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    if not args.command or len(set(args.items)) < len(args.items):
        raise cli.UsageError("expected a list of items, none of them repeated, and a command")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        failed = run(args.items, args.command, args.max_jobs_run or max(1, len(args.items)), Path(folder))
    if failed:
        named = ", ".join(f"{item} (code {code})" for item, code in failed.items())
        frontend.say(f"{len(failed)} / {len(args.items)} failed: {named}")
    busy = lock.HeldError.status
    return busy if busy in failed.values() else min(1, len(failed))


if __name__ == "__main__":
    frontend.guarded(__doc__, main)

"""How job runners show where their jobs stand.

On a terminal there is one line a running job, updated in place, and one for all of them; elsewhere a plain
line at most once a minute. A runner whose output for_each.py reads passes its lines on to it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from utils import progress
from utils.cli import PROGRAM
from utils.progress import Status, clock

MARK = "\x1e"  # begins a line that for_each.py takes as a status, not as text
PLAIN_SECONDS = 60.0
TERMINAL_SECONDS = 0.5
SILENT_SECONDS = 1.5  # what is done in a moment needs no line


class Board:
    """Shows where the ``count`` jobs of one call stand, which ``label`` names together.

    ``look`` returns where a running job stands, None if it does not say. With ``each`` there is a plain line
    for each job, not only for all of them.
    """

    def __init__(
        self, label: str, count: int, look: Callable[[int], Status | None], *, each: bool = False
    ) -> None:
        self.label, self.count, self.look, self.each = label, count, look, each
        self.stream = sys.stderr
        self.marks = bool(os.environ.get("PROGRESS_MARKS"))
        self.terminal = not self.marks and progress.is_terminal(self.stream)
        self.every = TERMINAL_SECONDS if self.terminal else 1.0 if self.marks else PLAIN_SECONDS
        self.next = time.monotonic() + max(self.every, SILENT_SECONDS)
        self.running: dict[int, float] = {}
        self.lengths: list[float] = []
        self.last: dict[int, Status] = {}
        self.note = ""  # what else is to be said of all of them

    def begin(self, job: int) -> None:
        """Note that a job runs."""
        self.running.setdefault(job, time.monotonic())

    def end(self, job: int) -> None:
        """Note that a job has ended."""
        began = self.running.pop(job, None)
        if began is not None:
            self.lengths.append(time.monotonic() - began)

    def step(self) -> None:
        """Show everything, if it is time."""
        if time.monotonic() < self.next or not (self.running or self.note):
            return
        self.next = time.monotonic() + self.every
        statuses = self.statuses()
        if self.marks:
            print(MARK + json.dumps(asdict(statuses[-1])), file=self.stream, flush=True)
        elif self.terminal:
            progress.open_terminal(self.stream).show(statuses)
        else:
            for status in statuses if self.each else statuses[-1:]:
                print(f"{PROGRAM}: {status}", file=self.stream, flush=True)

    def statuses(self) -> list[Status]:
        """Return where the running jobs stand, and behind them, if the call has several, all of them."""
        now = time.monotonic()
        running = []
        for job, began in self.running.items():
            status = self.look(job)
            if status is not None:
                self.last[job] = status
            running.append((status, now - began))
        told = [status for status, _ in running if status is not None]
        label = f"{self.label} ({self.note})" if self.note else self.label
        if self.count == 1 and running:
            return told or [Status(f"{label}, {clock(running[0][1])} so far")]
        ended = [status for job, status in self.last.items() if job not in self.running]
        return [*told, together(label, self.count, running, self.lengths, ended)]


def together(
    label: str,
    count: int,
    running: Sequence[tuple[Status | None, float]],
    lengths: Sequence[float],
    ended: Sequence[Status],
) -> Status:
    """Return one status for all ``count`` jobs of a call.

    ``running`` says where the running ones stand and how many seconds each has run, ``lengths`` how many
    seconds each of the ended ones ran, ``ended`` what those said last which said anything.
    """
    told = [status for status, _ in running if status is not None]
    left = time_left(count - len(running) - len(lengths), running, lengths)
    every = [*told, *ended]
    units = {status.unit for status in every}
    if len(every) == count and len(units) == 1 and all(each.total and not each.epochs for each in every):
        done = sum(status.done for status in told) + sum(status.total for status in ended)
        total, speed = sum(status.total for status in every), sum(status.speed for status in told)
        return Status(label, done, total, units.pop(), speed=speed, left=left)
    share = sum(status.share for status in told)
    return Status(label, len(lengths) + share, count, "jobs", left=left)


def time_left(
    waiting: int, running: Sequence[tuple[Status | None, float]], lengths: Sequence[float]
) -> float | None:
    """Return in how many seconds all jobs will be done, as far as those that are known tell; else None.

    The waiting ones are taken to need as long as the others on the average, as many at once as now.
    """
    known = [(status.left, ran) for status, ran in running if status is not None and status.left is not None]
    whole = [*lengths, *(ran + left for left, ran in known)]
    if not whole:
        return None
    average = sum(whole) / len(whole)
    silent = [average - ran for status, ran in running if status is None or status.left is None]
    if any(left <= 0 for left in silent):
        return None
    lefts = [left for left, _ in known] + silent
    return max([*lefts, (sum(lefts) + waiting * average) / max(1, len(running))])

"""Where work stands: programs report it, job runners and terminals show it.

:func:`report` writes it to the small file that the environment variable ``JOB_STATUS`` names, which a job
runner puts beside the job's log, so that it is seen wherever the log is; it is gone when the job has ended.
A program that is run by hand shows the same on its terminal, drawn by tqdm.
"""

import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from utils import cli

PLAIN_SECONDS = 60.0
TERMINAL_SECONDS = 0.5
SECONDS_BETWEEN = 1.0


class Status(NamedTuple):
    """How far some work is."""

    label: str  # what it is, such as lstm_512
    share: float = 0.0  # of all of it that is done, from 0 to 1
    left: float | None = None  # seconds until all is done
    text: str = ""  # where it stands and how well it goes

    def __str__(self) -> str:
        """Return all of it as one line, in which nothing is a control character."""
        left = "" if self.left is None else f"done in {timedelta(seconds=round(self.left))}"
        said = ", ".join(filter(None, (self.text, left)))
        return "".join(c for c in ": ".join(filter(None, (self.label, said))) if c.isprintable())


_bars: list[Any] = []


def is_terminal() -> bool:
    """Tell whether lines can be updated in place, by tqdm, which a Kaldi recipe's Python need not have."""
    at_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return at_terminal and importlib.util.find_spec("tqdm") is not None


def show(statuses: Sequence[Status]) -> None:
    """Show these at the bottom of the terminal, as far as there is room; the last one speaks for all."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    size = shutil.get_terminal_size()
    shown = [*statuses[:-1][: max(1, size.lines - 3)], statuses[-1]]
    close(len(shown))
    for position, status in enumerate(shown):
        if position == len(_bars):
            look: dict[str, Any] = {"total": 1.0, "bar_format": "{bar:6} {desc}", "leave": False}
            _bars.append(tqdm(file=sys.stderr, position=position, ncols=1, desc=" ", **look))
        _bars[position].n, _bars[position].ncols = status.share, size.columns - 1
        _bars[position].set_description_str(str(status))


def close(keep: int = 0) -> None:
    """Take the terminal's lines away, but the first ``keep``."""
    while len(_bars) > keep:
        _bars.pop().close()


cli.CLEAR.append(close)


def write(text: str, stream: TextIO | None = None) -> None:
    """Write a line of text, above what a terminal shows; to stderr unless it is said otherwise."""
    stream = stream or sys.stderr
    if _bars:
        from tqdm import tqdm

        tqdm.write(text, file=stream)
    else:
        stream.write(f"{text}\n")
        stream.flush()


def publish(statuses: Sequence[Status]) -> bool:
    """Write the last status where the job runner looks for it, or show all; return whether one can."""
    if name := os.environ.get("JOB_STATUS"):
        path = Path(name)
        temporary = path.with_name(f".{path.name}.tmp{os.getpid()}")
        with suppress(OSError):  # no job fails for this
            temporary.write_text(json.dumps(statuses[-1]), encoding="utf-8")
            temporary.replace(path)
        return True
    if at_terminal := is_terminal():
        show(statuses)
    return at_terminal


_first: dict[str, tuple[float, float]] = {}  # of each label, when it was reported first, and its work then
_said = [-SECONDS_BETWEEN]  # when something was reported last


def report(
    done: float, total: float, unit: str, *, label: str = "", epoch: int = 0, epochs: int = 0, **how: float
) -> None:
    """Say how far this process is; costs next to nothing more often than once a second.

    ``done`` of ``total`` (0 is not known) are so many tracks or frames (``unit``), of this of several epochs,
    counted from 1; ``train_loss=0.5`` is shown as "train loss 0.5"; the ``label`` is by default the log's.
    """
    now = time.monotonic()
    if now - _said[0] < SECONDS_BETWEEN:
        return
    _said[0] = now
    work, all_work = max(epoch - 1, 0) * total + done, max(epochs, 1) * total
    began, before = _first.setdefault(label, (now, work))
    left = max(0.0, all_work - work) * (now - began) / (work - before) if total and work > before else None
    count = f"{done:.3g} of {total:.0f} {unit}" if total else f"{done:.3g} {unit}"
    said = [f"epoch {epoch} of {epochs}" if epochs else count]
    said += [f"{name.replace('_', ' ')} {value:.3g}" for name, value in how.items() if value is not None]
    publish([Status(label, min(1.0, work / all_work) if total else 0.0, left, ", ".join(said))])


def status_file(log: str | Path) -> Path:
    """Return the file beside a job's log in which the job says how far it is."""
    path = Path(log)
    return path.with_name(f"{path.name.removesuffix('.log')}.status")


def read(log: str | Path) -> Status | None:
    """Return how far the job with this log is, None if it does not say."""
    try:
        status = Status(*json.loads(status_file(log).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return status._replace(label=status.label or Path(log).name.removesuffix(".log"))


class Board:
    """Shows where the ``count`` jobs of one call stand; ``look`` returns it of a running one that says it.

    On a terminal there is one line a running job and one for all of them, which ``label`` names; elsewhere
    one line a minute, for three running jobs and for all.
    """

    def __init__(self, label: str, count: int, look: Callable[[int], Status | None]) -> None:
        self.label, self.count, self.look = label, count, look
        in_place = os.environ.get("JOB_STATUS") or is_terminal()
        self.every = TERMINAL_SECONDS if in_place else PLAIN_SECONDS
        self.first = time.monotonic()
        self.next = self.first + max(self.every, 1.5)  # what is done in a moment needs no line
        self.running: dict[int, float] = {}
        self.ended = 0
        self.note = ""  # what else is to be said of all of them

    def begin(self, job: int) -> None:
        """Note that a job runs."""
        self.running.setdefault(job, time.monotonic())

    def end(self, job: int) -> None:
        """Note that a job has ended."""
        self.ended += self.running.pop(job, None) is not None

    def step(self) -> None:
        """Show everything, if it is time."""
        now = time.monotonic()
        if now < self.next or not (self.running or self.note):
            return
        self.next = now + self.every
        statuses = self.statuses(now)
        if not publish(statuses):
            write(f"{cli.PROGRAM}: {'; '.join(map(str, statuses[-4:]))}")

    def statuses(self, now: float) -> list[Status]:
        """Return where the running jobs stand, and behind them, if the call has several, all of them.

        What is left takes as long as the running jobs say if none waits, else as their share so far did.
        """
        told = [status for job in self.running if (status := self.look(job)) is not None]
        label = f"{self.label} ({self.note})" if self.note else self.label
        if self.count == 1 and self.running:
            ran = timedelta(seconds=round(now - min(self.running.values())))
            return told or [Status(label, text=f"{ran} so far")]
        jobs = self.ended + sum(status.share for status in told)
        lefts = [status.left for status in told if status.left is not None]
        left = max(lefts, default=None)
        if len(lefts) + self.ended < self.count:
            left = (now - self.first) * (self.count - jobs) / jobs if jobs else None
        return [*told, Status(label, jobs / self.count, left, f"{jobs:.3g} of {self.count} jobs")]

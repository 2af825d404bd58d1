"""Where a program's work stands: programs report it, job runners and terminals show it.

A job runner tells each of its jobs, in the environment variable ``JOB_STATUS``, the file in which to say
how far it is: beside its log, so that it is seen wherever the log is. Nothing else reads this file, and it
is gone when the job has ended. A program that is run by hand shows the same on the terminal itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

SECONDS_BETWEEN = 1.0


@dataclass
class Status:
    """How far some work is."""

    label: str = ""  # what it is, such as lstm_512
    done: float = 0.0
    total: float = 0.0  # in this epoch; 0 is not known
    unit: str = ""  # what is counted, in the plural: tracks, frames
    epoch: int = 0  # which pass over the data this is, counted from 1
    epochs: int = 0  # of how many at most; 0 where there is just one
    numbers: dict[str, float] = field(default_factory=dict)  # how well it goes: {"train_loss": 0.5}
    speed: float = 0.0  # units a second; 0 is not known
    left: float | None = None  # seconds until all is done

    @property
    def work(self) -> float:
        """Units that are done in all epochs."""
        return max(self.epoch - 1, 0) * self.total + self.done

    @property
    def share(self) -> float:
        """Share of all the work that is done, from 0 to 1."""
        return min(1.0, self.work / (self.total * max(self.epochs, 1))) if self.total else 0.0

    def __str__(self) -> str:
        """Return all of it as one line."""
        parts = []
        if self.epochs:
            parts.append(f"epoch {self.epoch} of {self.epochs}")
            if self.total:
                parts.append(f"{100 * self.done / self.total:.0f} % of {self.unit}")
        elif self.unit:
            total = f" of {grouped(self.total)}" if self.total else ""
            parts.append(f"{grouped(int(self.done))}{total} {self.unit}")
        if self.left is not None:
            parts.append(f"done in {clock(self.left)}")
        parts += [f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.numbers.items()]
        if self.speed:
            parts.append(f"{grouped(self.speed)} {self.unit}/s")
        return f"{self.label}: {', '.join(parts)}" if parts else self.label


def grouped(number: float) -> str:
    """Write a number with its thousands apart; small ones with a digit behind the point."""
    return f"{number:.1f}" if number < 10 and number != int(number) else f"{number:,.0f}".replace(",", " ")


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Terminal:
    """Lines at the bottom of a terminal, drawn by tqdm, above which text is written."""

    def __init__(self, stream: TextIO) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0
        self.tqdm, self.stream, self.bars = tqdm, stream, list[Any]()

    def show(self, statuses: Sequence[Status]) -> None:
        """Show these, as far as there is room; the last one speaks for all."""
        size = shutil.get_terminal_size()
        room = max(2, size.lines - 2)
        shown = [*statuses[: room - 1], statuses[-1]] if len(statuses) > room else statuses
        while len(self.bars) > len(shown):
            self.bars.pop().close()
        for position, status in enumerate(shown):
            if position == len(self.bars):
                look = {"total": 1.0, "bar_format": "{bar:6} {desc}", "leave": False}
                self.bars.append(self.tqdm(file=self.stream, position=position, ncols=1, desc=" ", **look))
            bar = self.bars[position]
            bar.n, bar.ncols = status.share, size.columns - 1
            bar.set_description_str(str(status))


_terminal: Terminal | None = None


def is_terminal(stream: TextIO) -> bool:
    """Tell whether lines can be updated in place, by tqdm, which a Kaldi recipe's Python need not have."""
    at_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return at_terminal and importlib.util.find_spec("tqdm") is not None


def open_terminal(stream: TextIO) -> Terminal:
    """Return the terminal above whose lines :func:`write` writes from now on."""
    global _terminal  # noqa: PLW0603
    _terminal = _terminal or Terminal(stream)
    return _terminal


def write(text: str, stream: TextIO | None = None) -> None:
    """Write a line of text, above what a terminal shows; to stderr unless it is said otherwise."""
    stream = stream or sys.stderr
    if _terminal is not None and _terminal.bars:
        _terminal.tqdm.write(text, file=stream)
    else:
        print(text, file=stream, flush=True)


def close() -> None:
    """Take the terminal's lines away."""
    if _terminal is not None:
        while _terminal.bars:
            _terminal.bars.pop().close()


class _Reporter:
    """What this process has said so far."""

    def __init__(self) -> None:
        self.said = -SECONDS_BETWEEN
        self.label: str | None = None
        self.began = self.first = 0.0

    def due(self) -> bool:
        """Tell whether a second has passed."""
        now = time.monotonic()
        if now - self.said < SECONDS_BETWEEN:
            return False
        self.said = now
        return True

    def complete(self, status: Status) -> Status:
        """Add the speed, from the first report with this label on, and the time left."""
        if status.label != self.label:
            self.label, self.began, self.first = status.label, time.monotonic(), status.work
        elapsed, work = time.monotonic() - self.began, status.work - self.first
        if elapsed > 0 and work > 0:
            status.speed = work / elapsed
            if status.total:
                status.left = max(0.0, status.total * max(status.epochs, 1) - status.work) / status.speed
        return status

    def publish(self, status: Status) -> None:
        """Write the status where the job runner looks for it, or show it on the terminal."""
        name = os.environ.get("JOB_STATUS")
        if name:
            path = Path(name)
            temporary = path.with_name(f".{path.name}.tmp{os.getpid()}")
            with suppress(OSError):  # no job fails for this
                temporary.write_text(json.dumps(asdict(status)), encoding="utf-8")
                temporary.replace(path)
        elif is_terminal(sys.stderr):
            open_terminal(sys.stderr).show([status])


_reporter = _Reporter()


def report(
    done: float,
    total: float,
    unit: str,
    *,
    label: str = "",
    epoch: int = 0,
    epochs: int = 0,
    **numbers: float,
) -> None:
    """Say how far this process is; costs next to nothing more often than once a second.

    The arguments are those of :class:`Status`; without a ``label`` it is that of the job's log.
    ``train_loss=0.5`` is shown as "train loss 0.5".
    """
    if _reporter.due():
        known = {name: float(value) for name, value in numbers.items() if value is not None}
        _reporter.publish(_reporter.complete(Status(label, done, total, unit, epoch, epochs, known)))


def status_file(log: str | Path) -> Path:
    """Return the file beside a job's log in which the job says how far it is."""
    path = Path(log)
    return path.with_name(f"{path.name.removesuffix('.log')}.status")


def parse(text: str) -> Status | None:
    """Return the status that a text holds, None if it holds none."""
    try:
        facts = json.loads(text)
        numbers = {str(name): float(value) for name, value in facts["numbers"].items()}
        left = None if facts["left"] is None else float(facts["left"])
        counts = [float(facts[name]) for name in ("done", "total", "speed")]
        label, unit = ("".join(c for c in str(facts[name]) if c.isprintable()) for name in ("label", "unit"))
        epoch, epochs = int(facts["epoch"]), int(facts["epochs"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return Status(label, counts[0], counts[1], unit, epoch, epochs, numbers, counts[2], left)


def read(log: str | Path) -> Status | None:
    """Return how far the job with this log is, None if it does not say."""
    try:
        status = parse(status_file(log).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if status is not None and not status.label:
        status.label = Path(log).name.removesuffix(".log")
    return status

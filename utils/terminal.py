"""Lines at the bottom of a terminal, above which text is written."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Protocol, TextIO


class Line(Protocol):
    """What one line says, as text, and the share of the work that is done, from 0 to 1."""

    @property
    def share(self) -> float:
        """Share of the work."""


_terminal: Terminal | None = None


class Terminal:
    """Lines at the bottom of a terminal, drawn by tqdm."""

    def __init__(self, stream: TextIO) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0
        self.tqdm, self.stream, self.bars = tqdm, stream, list[Any]()

    def show(self, statuses: Sequence[Line]) -> None:
        """Show these, as far as there is room; the last one speaks for all."""
        size = shutil.get_terminal_size()
        room = max(2, size.lines - 2)
        shown = [*statuses[: room - 1], statuses[-1]] if len(statuses) > room else statuses
        while len(self.bars) > len(shown):
            self.bars.pop().close()
        for position, status in enumerate(shown):
            if position == len(self.bars):
                look = {"total": 1.0, "bar_format": "{bar:6} {desc}", "leave": False}
                bar = self.tqdm(file=self.stream, position=position, ncols=1, desc=" ", **look)
                self.bars.append(bar)
            bar = self.bars[position]
            bar.n, bar.ncols = status.share, size.columns - 1
            bar.set_description_str(str(status))

    def close(self) -> None:
        """Take the lines away."""
        while self.bars:
            self.bars.pop().close()


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
    """Take the lines away."""
    if _terminal is not None:
        _terminal.close()

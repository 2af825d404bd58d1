"""When must a runner give up: on a signal, or because the recipe that called it is gone.

``RECIPE_PID`` names the process of the whole recipe (run.sh sets it), ``RECIPE_PID_START`` its start time
in clock ticks since boot. A runner that finds this process dead stops its jobs: whoever kills run.sh,
even with SIGKILL, leaves nothing working behind.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

POLL_SECONDS = 1.0


class InterruptedRunError(Exception):
    """The runner has to stop: ``reason`` says why, ``exit_code`` how it ends."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


def raise_on_signals() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into :class:`InterruptedRunError` in the main thread."""

    def interrupt(number: int, _frame: object) -> NoReturn:
        code = 130 if number == signal.SIGINT else 1
        raise InterruptedRunError(f"interrupted by {signal.Signals(number).name}", code)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Let nothing interrupt the stopping itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def start_time(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot, None if it does not run (or no /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def is_alive(pid: int, started: str | None) -> bool:
    """Tell whether the process lives, and is the one that started then."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    found = start_time(pid)
    return found is not None and (not started or found == started)


class Watch:
    """Looks once a second whether the recipe's process still lives."""

    def __init__(self) -> None:
        pid = os.environ.get("RECIPE_PID", "")
        self.pid = int(pid) if pid.isascii() and pid.isdigit() else None
        self.started = os.environ.get("RECIPE_PID_START")
        if self.pid is not None and not self.started:
            self.started = start_time(self.pid)
        self.last = 0.0

    def check(self) -> None:
        """Raise :class:`InterruptedRunError` if the recipe is gone."""
        now = time.monotonic()
        if self.pid is None or now - self.last < POLL_SECONDS:
            return
        self.last = now
        if not is_alive(self.pid, self.started):
            raise InterruptedRunError(f"the recipe (process {self.pid}) is gone", 1)

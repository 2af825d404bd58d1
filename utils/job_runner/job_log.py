"""Header and trailer of a job's log, as Kaldi's runners write them."""

from __future__ import annotations

import os
import time


def date() -> str:
    """Return the time as ``date`` prints it."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def status_text(status: int) -> str:
    """Describe a wait status: ``code 1`` or ``code 0; signal 9``."""
    code, signal = os.waitstatus_to_exitcode(status), 0
    if code < 0:
        code, signal = 0, -code
    return f"code {code}; signal {signal}" if signal else f"code {code}"


def exit_code(status: int) -> int:
    """Return what a shell makes of a wait status: 128 and the signal, or the code."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def header(command: str, notes: list[str]) -> str:
    """Return the lines that open a log: the command, ``notes`` and the date."""
    lines = ["# " + command.replace("\n", "\n# ")]
    lines += [f"# {note}" for note in notes]
    lines.append(f"# Started at {date()}")
    return "\n".join(lines) + "\n#\n"


def trailer(status: int, seconds: int, threads: int, peak_mb: int | None, *, cluster: bool = False) -> str:
    """Return the lines that close a log, in the words of run.pl, or of slurm.pl and queue.pl.

    Seconds are elapsed time, ``peak_mb`` is of the largest process.
    """
    lines = [f"# Accounting: time={seconds} threads={threads}"]
    if peak_mb is not None:
        lines.append(f"# Peak memory: {peak_mb} MB")
    if cluster:
        lines.append(f"# Finished at {date()} with status {exit_code(status)}")
    else:
        lines.append(f"# Ended ({status_text(status)}) at {date()}, elapsed time {seconds} seconds")
    return "\n".join(lines) + "\n"

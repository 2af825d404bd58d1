"""Header and trailer of a job's log, as Kaldi's runners write them."""

import os
import time

DATE = "%a %b %e %H:%M:%S %Z %Y"  # as ``date`` prints it


def status_text(status: int) -> str:
    """Describe a wait status: ``code 1`` or ``code 0; signal 9``."""
    code = os.waitstatus_to_exitcode(status)
    return f"code {code}" if code >= 0 else f"code 0; signal {-code}"


def exit_code(status: int) -> int:
    """Return what a shell makes of a wait status: 128 and the signal, or the code."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def header(command: str, notes: list[str]) -> str:
    """Return the lines that open a log: the command, ``notes`` and the date."""
    lines = [command.replace("\n", "\n# "), *notes, f"Started at {time.strftime(DATE)}"]
    return "".join(f"# {line}\n" for line in lines) + "#\n"


def trailer(status: int, seconds: int, threads: int, peak_mb: int | None, *, cluster: bool = False) -> str:
    """Return the lines that close a log, in the words of run.pl, or of slurm.pl and queue.pl.

    Seconds are elapsed time, ``peak_mb`` is of the largest process.
    """
    end = f"Ended ({status_text(status)}) at {time.strftime(DATE)}, elapsed time {seconds} seconds"
    if cluster:
        end = f"Finished at {time.strftime(DATE)} with status {exit_code(status)}"
    peak = [f"Peak memory: {peak_mb} MB"] if peak_mb is not None else []
    lines = [f"Accounting: time={seconds} threads={threads}", *peak, end]
    return "".join(f"# {line}\n" for line in lines)

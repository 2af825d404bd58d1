"""What every runner's main program does: parse, run, report as Kaldi's runners do, and know when to give up.

``RECIPE_PID`` names the process of the whole recipe (run.sh sets it). A runner that does not find it among
its parents and theirs any more stops its jobs: whoever kills run.sh or something between, even with SIGKILL,
leaves nothing working behind.
"""

import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from utils import cli, lock, progress
from utils.job_runner.request import Request, parse

MAX_NAMED = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a program says from an ERROR line on, as far as it is the program's, and not too much of it.
ERROR = re.compile(r"^ERROR \(.*(?:\n(?!#|ERROR \(|LOG \(|WARNING \().*){0,29}", re.MULTILINE)


class InterruptedRunError(cli.UserError):
    """The runner has to stop: why, and with which exit code."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(f"{why}; stopped the jobs that ran")
        self.status = status


def check_recipe() -> None:
    """Raise :class:`InterruptedRunError` if the recipe that called is gone."""
    pid = os.environ.get("RECIPE_PID", "")
    if pid.isascii() and pid.isdigit() and not lock.is_ancestor(int(pid)):
        raise InterruptedRunError(f"the recipe (process {pid}) is gone", 1)


def ignore_signals() -> None:
    """Let nothing interrupt the stopping itself."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def say(text: str) -> None:
    """Write one of Kaldi's plain messages to stderr."""
    progress.write(f"{cli.PROGRAM}: {text}")


def warn(text: str) -> None:
    """Write a warning to stderr."""
    progress.write(f"WARNING ({cli.PROGRAM}) {text}")


def number(name: str, default: float) -> float:
    """Return a number from the environment."""
    try:
        return float(os.environ.get(name, default))
    except ValueError:
        raise cli.UserError(f"{name}: expected a number, got '{os.environ[name]}'") from None


def report(request: Request, failed: dict[int, str]) -> None:
    """Name the failed jobs and show the first one's error, Kaldi's line last."""
    with suppress(OSError):
        said = ERROR.findall(Path(request.log_of(min(failed))).read_text(errors="replace"))
        for line in said[-1].split("\n") if said else ():
            say(f"| {line}")
    if len(request.jobs) == 1:
        say(f"the job ended with {failed[request.jobs[0]]}")
        say(f"job failed, log is in {request.log_of(request.jobs[0])}")
        if request.job_name is None and "JOB" in request.log:
            say("probably you forgot to put JOB=1:$nj in your script")
        return
    for job in sorted(failed)[:MAX_NAMED]:
        say(f"job {job} ended with {failed[job]}, log is in {request.log_of(job)}")
    say(f"{len(failed)} / {len(request.jobs)} failed, log is in {request.same_log}")


def guarded(documentation: str | None, main: Callable[[list[str]], int]) -> NoReturn:
    """Run ``main`` and exit with what it returns, or 1 (an error), 2 (usage) or 130 (Ctrl-C)."""

    def interrupt(number: int, _frame: object) -> NoReturn:
        code = 130 if number == signal.SIGINT else 1
        raise InterruptedRunError(f"interrupted by {signal.Signals(number).name}", code)

    if sys.argv[1:2] in (["--help"], ["-h"]):
        print(documentation)
        raise SystemExit(0)
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(each, interrupt)
    cli.run(main, echo=False, tidy=False)


def run(documentation: str | None, run_jobs: Callable[[Request], dict[int, str]]) -> NoReturn:
    """Run a runner's main program, which ends with 1 if ``run_jobs`` says why jobs failed, by number."""

    def main(argv: list[str]) -> int:
        request = parse(argv)
        failed = run_jobs(request)
        if failed:
            report(request, failed)
        return 1 if failed else 0

    guarded(documentation, main)

"""What every runner has: Kaldi's command line ``[options] [JOB=1:N] LOG command…``, messages, its end.

``RECIPE_PID`` names the process of the whole recipe (run.sh sets it). A runner that does not find it among
its parents and theirs any more stops its jobs: whoever kills run.sh or something between, even with SIGKILL,
leaves nothing working behind.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from utils import cli, lock, progress
from utils.cli import UsageError

MAX_NAMED = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a program says from an ERROR line on, as far as it is the program's, and not too much of it.
ERROR = re.compile(r"^ERROR \(.*(?:\n(?!#|ERROR \(|LOG \(|WARNING \().*){0,29}", re.MULTILINE)


def join(words: Sequence[str]) -> str:
    """Join arguments to a line for bash as Kaldi's runners do: ``|``, ``>``, ``&&``, ``$x`` and globs act.

    One with blanks (or an empty one) is put between double quotes, where ``$x`` still acts, or between single
    quotes if it holds a double quote.
    """

    def quote(word: str) -> str:
        if word and not any(c.isspace() for c in word):
            return word
        return "'" + word.replace("'", "'\\''") + "'" if '"' in word else f'"{word}"'

    return " ".join(map(quote, words))


def substitute(text: str, job_name: str | None, job: int | str) -> str:
    """Replace every occurrence of the job's name by its number, inside words too, as Kaldi does."""
    return text if job_name is None else text.replace(job_name, str(job))


@dataclass(frozen=True)
class Request:
    """One call of a runner; ``log`` and ``command`` (for bash) hold the job's name, such as JOB."""

    options: dict[str, str]  # --name value, with underscores for the dashes inside
    native: list[str]  # the scheduler's own, with one dash: -q, -l, -p …
    job_name: str | None
    jobs: list[int]
    log: str
    command: str
    threads: int  # of one job: --num-threads, default 1
    max_jobs_run: int | None  # jobs that may run at once: --max-jobs-run or Grid Engine's -tc
    gpus: int  # of one job: --gpu, default 0

    @property
    def name(self) -> str:
        """What the jobs are called: as their log, without the job's number."""
        name = substitute(self.log.rpartition("/")[2].removesuffix(".log"), self.job_name, "")
        return (name.strip(".-_") if self.job_name else name) or "job"

    def log_of(self, job: int | str) -> str:
        """Log file of one job."""
        return substitute(self.log, self.job_name, job)

    def board(self) -> progress.Board:
        """Return what shows where the jobs stand."""
        return progress.Board(self.name, len(self.jobs), lambda job: progress.read(self.log_of(job)))


def parse(argv: list[str]) -> Request:
    """Parse a runner's command line; raises UsageError."""
    words = list(argv)
    options: dict[str, str] = {}
    native: list[str] = []
    job_name, jobs = None, [1]
    _take_options(words, options, native)
    if words and (match := re.fullmatch(r"([A-Za-z_]\w*)=(?:(\d+)(?::(\d+))?|\S*:\S*)", words[0], re.ASCII)):
        job_name, jobs = match[1], [*range(int(match[2] or 0), int(match[3] or match[2] or 0) + 1)]
        if not jobs or jobs[0] == 0:
            raise UsageError(f"invalid job range {words[0]}: expected for example JOB=1:4, from 1 on")
        del words[0]
        _take_options(words, options, native)
    if len(words) < 2 or not words[0]:
        raise UsageError("expected a log file and a command, as in: JOB=1:4 log/decode.JOB.log decode.sh JOB")
    if job_name is not None and len(jobs) > 1 and job_name not in words[0]:
        raise UsageError(
            "you are trying to run a parallel job but you are putting the output into just one log file"
            f" ({words[0]}); put {job_name} into its name"
        )
    for name in ("num_threads", "max_jobs_run"):
        if not re.fullmatch(r"0*[1-9]\d*", options.get(name, "1"), re.ASCII):
            option = f"--{name.replace('_', '-')} {options[name]}"
            raise UsageError(f"invalid option {option}: expected an integer of at least 1")
    threads, most = int(options.get("num_threads", 1)), int(options.get("max_jobs_run", 0)) or None
    gpus = int(options["gpu"]) if options.get("gpu", "").isdecimal() else int("gpu" in options)
    return Request(options, native, job_name, jobs, words[0], join(words[1:]), threads, most, gpus)


def _take_options(words: list[str], options: dict[str, str], native: list[str]) -> None:
    """Move the options at the front of ``words`` to ``options`` and ``native``."""
    while words and words[0].startswith("-"):
        switch = words.pop(0)
        name, equals, value = switch.partition("=")
        if switch.startswith("--") and equals:
            options[name[2:].replace("-", "_")] = value
            continue
        count = {"-V": 0, "-pe": 2}.get(switch, 1)
        if len(words) < count:
            raise UsageError(f"option {switch} lacks its value")
        values, words[:count] = words[:count], []
        if switch.startswith("--") or switch == "-tc":
            options["max_jobs_run" if switch == "-tc" else switch[2:].replace("-", "_")] = values[0]
        elif switch != "-sync":  # we wait in any case
            native += [switch, *values]


class InterruptedRunError(cli.UserError):
    """The runner has to stop."""

    def __init__(self, why: str, status: int = 1) -> None:
        super().__init__(f"{why}; stopped the jobs that ran")
        self.status = status


def check_recipe() -> None:
    """Raise :class:`InterruptedRunError` if the recipe that called is gone."""
    pid = os.environ.get("RECIPE_PID", "")
    if pid.isascii() and pid.isdigit() and not lock.is_ancestor(int(pid)):
        raise InterruptedRunError(f"the recipe (process {pid}) is gone")


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


def report(request: Request, failed: dict[int, str]) -> None:
    """Name the failed jobs and show the first one's error, Kaldi's line last."""
    with suppress(OSError):
        said = ERROR.findall(Path(request.log_of(min(failed))).read_text(errors="replace"))
        for line in said[-1].split("\n") if said else ():
            say(f"| {line}")
    if len(request.jobs) == 1:
        say(f"the job ended with {failed[request.jobs[0]]}")
        say(f"job failed, log is in {request.log_of(request.jobs[0])}")
        return
    for job in sorted(failed)[:MAX_NAMED]:
        say(f"job {job} ended with {failed[job]}, log is in {request.log_of(job)}")
    say(f"{len(failed)} / {len(request.jobs)} failed, log is in {request.log_of('*')}")


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

"""The command line of Kaldi's job runners as a value: ``[options] [JOB=1:N] LOG command…``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

JOB_RANGE = re.compile(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", re.ASCII)
FLAGS_WITHOUT_VALUE = ("-V",)


class UsageError(Exception):
    """The runner was called wrongly."""


def quote(word: str) -> str:
    """Quote one argument as Kaldi's runners do.

    One without blanks stays as it is, so that ``|``, ``>``, ``&&``, ``$x`` and globs act in the job's
    shell. One with blanks (or an empty one) is put between double quotes, where ``$x`` still acts, or
    between single quotes if it holds a double quote.
    """
    if word and not any(c.isspace() for c in word):
        return word
    if '"' in word:
        return "'" + word.replace("'", "'\\''") + "'"
    return f'"{word}"'


def join(words: Sequence[str]) -> str:
    """Join arguments to a bash command line."""
    return " ".join(map(quote, words))


def substitute(text: str, job_name: str | None, job: int) -> str:
    """Replace every occurrence of the job's name by its number, inside words too, as Kaldi does."""
    return text if job_name is None else text.replace(job_name, str(job))


@dataclass(frozen=True)
class Request:
    """One call of a runner.

    Attributes
    ----------
    options : dict of str to str
        ``--name value`` options, dashes inside the name as underscores.
    native : tuple of str
        Options with one dash, in order: the scheduler's own (``-q``, ``-l``, ``-p``, …).
    job_name : str or None
        What stands for the job number in ``log`` and ``command``, usually ``JOB``.
    jobs : tuple of int
        Job numbers; ``(1,)`` if there is no ``JOB=``.
    log : str
        Log file, still with the job name.
    command : str
        Bash command line, still with the job name.
    """

    options: dict[str, str]
    native: tuple[str, ...]
    job_name: str | None
    jobs: tuple[int, ...]
    log: str
    command: str

    @property
    def threads(self) -> int:
        """Threads of one job (``--num-threads``, default 1)."""
        return self._count("num_threads") or 1

    @property
    def max_jobs_run(self) -> int | None:
        """Jobs that may run at once (``--max-jobs-run`` or Grid Engine's ``-tc``), None if not said."""
        return self._count("max_jobs_run")

    @property
    def gpus(self) -> int:
        """GPUs of one job (``--gpu``, default 0)."""
        value = self.options.get("gpu", "0")
        return int(value) if value.isascii() and value.isdigit() else 1

    def log_of(self, job: int) -> str:
        """Log file of one job."""
        return substitute(self.log, self.job_name, job)

    def command_of(self, job: int) -> str:
        """Command line of one job."""
        return substitute(self.command, self.job_name, job)

    @property
    def name(self) -> str:
        """What the jobs are called: as their log, without the job's number."""
        name = self.log.rpartition("/")[2].removesuffix(".log")
        return (name if self.job_name is None else name.replace(self.job_name, "")).strip(".-_") or "job"

    def all_logs(self) -> str:
        """Log files of the whole array as a glob pattern, for messages."""
        if self.job_name is None or len(self.jobs) == 1:
            return self.log_of(self.jobs[0])
        return self.log.replace(self.job_name, "*")

    def _count(self, name: str) -> int | None:
        value = self.options.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"invalid option {option} {value}: expected an integer of at least 1")
        return int(value)


def parse(argv: list[str]) -> Request:
    """Parse a runner's command line.

    Raises
    ------
    UsageError
        If an option lacks its value, the job range is invalid, log or command are missing, or an array
        would write into one log file.
    """
    words = list(argv)
    options: dict[str, str] = {}
    native: list[str] = []
    job_name: str | None = None
    jobs: tuple[int, ...] = (1,)
    _take_options(words, options, native)
    if words and (match := JOB_RANGE.fullmatch(words[0])):
        job_name, jobs = match[1], _job_range(words.pop(0), match)
        _take_options(words, options, native)
    elif words and re.fullmatch(r"[A-Za-z_]\w*=\S*:\S*", words[0]):
        raise UsageError(f"invalid job range {words[0]}: expected for example JOB=1:4")
    if len(words) < 2 or not words[0]:
        raise UsageError("expected a log file and a command, as in: JOB=1:4 log/decode.JOB.log decode.sh JOB")
    request = Request(options, tuple(native), job_name, jobs, words[0], join(words[1:]))
    if job_name is not None and len(jobs) > 1 and job_name not in request.log:
        raise UsageError(
            f"you are trying to run a parallel job but you are putting the output into just one log file"
            f" ({request.log}); put {job_name} into its name"
        )
    _ = request.threads, request.max_jobs_run
    return request


def _job_range(text: str, match: re.Match[str]) -> tuple[int, ...]:
    first = int(match[2])
    last = int(match[3] or match[2])
    if first > last:
        raise UsageError(f"invalid job range {text}: the first job comes after the last")
    if first < 1:
        raise UsageError(f"invalid job range {text}: jobs count from 1 (Grid Engine's rule)")
    return tuple(range(first, last + 1))


def _take_options(words: list[str], options: dict[str, str], native: list[str]) -> None:
    """Move the options at the front of ``words`` to ``options`` and ``native``."""
    while words and words[0].startswith("-"):
        switch = words.pop(0)
        if switch in FLAGS_WITHOUT_VALUE:
            native.append(switch)
            continue
        name, equals, value = switch.partition("=")
        if switch.startswith("--") and equals:
            values = [value]
        else:
            name = switch
            values = [words.pop(0) for _ in range(2 if switch == "-pe" else 1) if words]
        if len(values) < (2 if switch == "-pe" else 1):
            raise UsageError(f"option {switch} lacks its value")
        if name.startswith("--"):
            options[name[2:].replace("-", "_")] = values[0]
        elif name == "-tc":
            options["max_jobs_run"] = values[0]
        elif name != "-sync":  # we wait in any case
            native += [name, *values]

"""The command line of Kaldi's job runners as a value: ``[options] [JOB=1:N] LOG command…``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from utils import progress
from utils.cli import UsageError
from utils.progress import Status


def quote(word: str) -> str:
    """Quote one argument as Kaldi's runners do.

    One without blanks stays as it is, so that ``|``, ``>``, ``&&``, ``$x`` and globs act in the job's
    shell. One with blanks (or an empty one) is put between double quotes, where ``$x`` still acts, or
    between single quotes if it holds a double quote.
    """
    if word and not any(c.isspace() for c in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'" if '"' in word else f'"{word}"'


def join(words: Sequence[str]) -> str:
    """Join arguments to a bash command line."""
    return " ".join(map(quote, words))


def substitute(text: str, job_name: str | None, job: int | str) -> str:
    """Replace every occurrence of the job's name by its number, inside words too, as Kaldi does."""
    return text if job_name is None else text.replace(job_name, str(job))


@dataclass(frozen=True)
class Request:
    """One call of a runner; ``log`` and ``command`` (for bash) hold the job's name, such as JOB."""

    options: dict[str, str]  # --name value, with underscores for the dashes inside
    native: tuple[str, ...]  # the scheduler's own, with one dash: -q, -l, -p …
    job_name: str | None
    jobs: tuple[int, ...]
    log: str
    command: str
    threads: int  # of one job: --num-threads, default 1
    max_jobs_run: int | None  # jobs that may run at once: --max-jobs-run or Grid Engine's -tc
    gpus: int  # of one job: --gpu, default 0

    @property
    def same_log(self) -> str:
        """The log files with an asterisk for the job's number."""
        return substitute(self.log, self.job_name, "*")

    @property
    def name(self) -> str:
        """What the jobs are called: as their log, without the job's number."""
        name = substitute(self.log.rpartition("/")[2].removesuffix(".log"), self.job_name, "")
        return (name.strip(".-_") if self.job_name else name) or "job"

    def log_of(self, job: int) -> str:
        """Log file of one job."""
        return substitute(self.log, self.job_name, job)

    def status_of(self, job: int) -> Status | None:
        """Where one job stands, None if it does not say."""
        return progress.read(self.log_of(job))

    def command_of(self, job: int) -> str:
        """Command line of one job."""
        return substitute(self.command, self.job_name, job)


def parse(argv: list[str]) -> Request:
    """Parse a runner's command line; raises UsageError."""
    words = list(argv)
    options: dict[str, str] = {}
    native: list[str] = []
    job_name: str | None = None
    jobs: tuple[int, ...] = (1,)
    _take_options(words, options, native)
    if words and (match := re.fullmatch(r"([A-Za-z_]\w*)=(\S*:\S*|\d+)", words[0], re.ASCII)):
        job_name, jobs = match[1], _job_range(words.pop(0), match[2])
        _take_options(words, options, native)
    if len(words) < 2 or not words[0]:
        raise UsageError("expected a log file and a command, as in: JOB=1:4 log/decode.JOB.log decode.sh JOB")
    if job_name is not None and len(jobs) > 1 and job_name not in words[0]:
        raise UsageError(
            "you are trying to run a parallel job but you are putting the output into just one log file"
            f" ({words[0]}); put {job_name} into its name"
        )
    threads, most = (_count(options, name) for name in ("num_threads", "max_jobs_run"))
    gpus = int(options["gpu"]) if options.get("gpu", "").isdecimal() else int("gpu" in options)
    command = join(words[1:])
    return Request(options, tuple(native), job_name, jobs, words[0], command, threads or 1, most, gpus)


def _count(options: dict[str, str], name: str) -> int | None:
    value = options.get(name)
    if value is not None and not re.fullmatch(r"0*[1-9]\d*", value, re.ASCII):
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"invalid option {option} {value}: expected an integer of at least 1")
    return int(value) if value is not None else None


def _job_range(word: str, text: str) -> tuple[int, ...]:
    match = re.fullmatch(r"(\d+)(?::(\d+))?", text, re.ASCII)
    jobs = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
    if not jobs or jobs[0] == 0:
        raise UsageError(f"invalid job range {word}: expected for example JOB=1:4, from 1 on and upwards")
    return tuple(jobs)


def _take_options(words: list[str], options: dict[str, str], native: list[str]) -> None:
    """Move the options at the front of ``words`` to ``options`` and ``native``."""
    while words and words[0].startswith("-"):
        switch = words.pop(0)
        name, equals, value = switch.partition("=")
        if switch == "-V":
            native.append(switch)
        elif switch.startswith("--") and equals:
            options[name[2:].replace("-", "_")] = value
        else:
            count = 2 if switch == "-pe" else 1
            if len(words) < count:
                raise UsageError(f"option {switch} lacks its value")
            values, words[:count] = words[:count], []
            if switch.startswith("--"):
                options[switch[2:].replace("-", "_")] = values[0]
            elif switch == "-tc":
                options["max_jobs_run"] = values[0]
            elif switch != "-sync":  # we wait in any case
                native += [switch, *values]

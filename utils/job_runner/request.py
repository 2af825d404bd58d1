"""The command line of Kaldi's job runners as a value: ``[options] [JOB=1:N] LOG command…``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from utils.cli import UsageError


def join(words: Sequence[str]) -> str:
    """Join arguments to a line for bash as Kaldi's runners do.

    One without blanks stays as it is, so that ``|``, ``>``, ``&&``, ``$x`` and globs act in the job's
    shell. One with blanks (or an empty one) is put between double quotes, where ``$x`` still acts, or
    between single quotes if it holds a double quote.
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
    def same_log(self) -> str:
        """The log files with an asterisk for the job's number."""
        return self.log_of("*")

    @property
    def name(self) -> str:
        """What the jobs are called: as their log, without the job's number."""
        name = substitute(self.log.rpartition("/")[2].removesuffix(".log"), self.job_name, "")
        return (name.strip(".-_") if self.job_name else name) or "job"

    def log_of(self, job: int | str) -> str:
        """Log file of one job."""
        return substitute(self.log, self.job_name, job)


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
            text = "expected for example JOB=1:4, from 1 on and upwards"
            raise UsageError(f"invalid job range {words[0]}: {text}")
        del words[0]
        _take_options(words, options, native)
    if len(words) < 2 or not words[0]:
        raise UsageError("expected a log file and a command, as in: JOB=1:4 log/decode.JOB.log decode.sh JOB")
    if job_name is not None and len(jobs) > 1 and job_name not in words[0]:
        raise UsageError(
            "you are trying to run a parallel job but you are putting the output into just one log file"
            f" ({words[0]}); put {job_name} into its name"
        )
    counts = {}
    for name in ("num_threads", "max_jobs_run"):
        counts[name] = value = options.get(name)
        if value is not None and not re.fullmatch(r"0*[1-9]\d*", value, re.ASCII):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"invalid option {option} {value}: expected an integer of at least 1")
    threads, most = int(counts["num_threads"] or 1), int(counts["max_jobs_run"] or 0) or None
    gpus = int(options["gpu"]) if options.get("gpu", "").isdecimal() else int("gpu" in options)
    return Request(options, native, job_name, jobs, words[0], join(words[1:]), threads, most, gpus)


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

"""How one talks to a scheduler, and the site's file that says how it is called.

A site's configuration has the syntax of Kaldi's queue.conf and slurm.conf::

    command qsub -v PATH -cwd          # how jobs are submitted
    option mem=* -l mem_free=$0        # --mem 2G becomes -l mem_free=2G
    option mem=0                       # --mem 0 becomes nothing
    default gpu=0                      # without --gpu, --gpu 0 is meant

An exact ``option`` goes before one with ``*``; of two that are equal the later counts. An option of the
command line that the file does not describe is an error.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from utils.cli import UsageError, UserError
from utils.job_runner.frontend import Request

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 120  # for one call of a scheduler's program
# What users have set there for their own eyes would hide jobs from ours.
DEFAULTS_OF_USERS = ("SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_")
DOWN = re.compile("connection refused|connect failure|unable to (contact|send message to qmaster)", re.I)
FULL = re.compile("submitjob|job submit limit|jobs are allowed per", re.I)
RULE = re.compile(r"(\w+)=(\S+)(?:\s+(.*))?", re.ASCII)

Task = tuple[str, int]  # id of the submitted array, index in it


class SchedulerError(UserError):
    """The scheduler does not answer now, while its jobs may well be running; or it refuses."""

    def __init__(self, text: str, *, down: bool = False, full: bool = False) -> None:
        super().__init__(text)
        self.down = down  # the controller is: what was asked has not been done and may be asked again
        self.full = full  # a job was refused because there are as many in the queue as the site allows


class State(NamedTuple):
    """What the scheduler knows of a task that it has not forgotten."""

    text: str  # for messages
    stuck: bool = False  # will not run without help
    unheard: str = ""  # the task's node if that does not answer and the scheduler leaves it at that
    running: bool = False


class Verdict(NamedTuple):
    """How a task ended according to the scheduler."""

    failed: bool
    reason: str
    out_of_memory: bool = False


class Array(NamedTuple):
    """What is to be submitted: tasks from 1 on; a dot and its index follow where each prints."""

    command: list[str]  # how, with all options
    gpu: list[str]  # what --gpu has become
    script: Path
    output: Path
    tasks: int
    limit: int | None  # tasks at once
    name: str


class SiteConf:
    """A site's configuration, which messages call ``name``; raises UsageError with file and line."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.command: list[str] = []
        self.rules: dict[tuple[str, str], list[str]] = {}
        self.defaults: dict[str, str] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                if line := re.sub(r"(^|\s)#.*", "", line).strip():
                    self._take(line)
            except ValueError as error:
                raise UsageError(f"{name}:{number}: {error}, got '{line}'") from error
        if not self.command:
            raise UsageError(f"{name}: expected a line 'command …' that says how jobs are submitted")

    def _take(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        match = RULE.fullmatch(rest.strip())
        if kind == "command":
            self.command = shlex.split(rest)
        elif kind not in ("option", "default"):
            raise ValueError("expected 'command', 'option' or 'default'")
        elif match is None or (kind == "default" and match[3]):
            raise ValueError(f"expected '{kind} name=value'")
        elif kind == "option":
            self.rules[match[1], match[2]] = shlex.split(match[3] or "")
        else:
            self.defaults[match[1]] = match[2]

    def words_of(self, name: str, value: str) -> list[str]:
        """Return what one option becomes; raises UsageError. ``--max-jobs-run`` need not be described."""
        rule = self.rules.get((name, value), self.rules.get((name, "*")))
        if rule is None and name != "max_jobs_run":
            option = f"--{name.replace('_', '-')} {value}"
            raise UsageError(f"option {option} is not described in {self.name}, or not with this value")
        return [word.replace("$0", value) for word in rule or ()]

    def arguments(self, request: Request) -> list[str]:
        """Return the submission command of a request: fixed arguments, its options, the scheduler's own."""
        options = {**self.defaults, **request.options}
        options.pop("config", None)
        words = [word for name, value in sorted(options.items()) for word in self.words_of(name, value)]
        return [*self.command, *words, *request.native]


def read_site_conf(path: str | None, standard: str) -> SiteConf:
    """Read the file of ``--config``; without one the ``standard`` file, here or else the recipe's."""
    name = path or (standard if Path(standard).exists() else str(ROOT / standard))
    try:
        return SiteConf(Path(name).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {name}: {getattr(error, 'strerror', 'not UTF-8')}") from error


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what one of the scheduler's programs said, for messages."""
    return f"{done.args[0]} said: {(done.stderr or done.stdout).strip()}"


def ask(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of the scheduler's programs; raises :class:`SchedulerError` if it hangs or is missing."""
    variables = {name: os.environ[name] for name in os.environ if not name.startswith(DEFAULTS_OF_USERS)}
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "errors": "replace"}
    try:
        return subprocess.run(words, env=variables, timeout=COMMAND_SECONDS, check=False, **options)
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(f"{words[0]} does not answer") from error
    except OSError as error:
        raise SchedulerError(f"{words[0]}: {error.strerror}") from error


def ask_controller(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program that needs the controller; raises :class:`SchedulerError` if that is down."""
    done = ask(words)
    if done.returncode != 0 and DOWN.search(done.stderr + done.stdout):
        raise SchedulerError(said(done), down=True)
    return done


def submitted_id(words: list[str]) -> str:
    """Submit a job; return its id, which stands on a line of its own before an array's range or a cluster."""
    done = ask_controller(words)
    found = re.findall(r"^(\d+)(?:[.;]\S*)?\s*$", done.stdout, re.MULTILINE)
    if done.returncode == 0 and found:
        return found[-1]
    raise SchedulerError(said(done), full=FULL.search(said(done)) is not None)

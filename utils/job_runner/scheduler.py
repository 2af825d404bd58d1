"""How one talks to a scheduler, and the site's file that says how it is called.

A site's configuration has the syntax of Kaldi's queue.conf and slurm.conf::

    command qsub -v PATH -cwd          # how jobs are submitted
    option mem=* -l mem_free=$0        # --mem 2G becomes -l mem_free=2G
    option mem=0                       # --mem 0 becomes nothing
    default gpu=0                      # without --gpu, --gpu 0 is meant

An exact ``option`` goes before one with ``*``. One of the command line that is not described is an error.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from utils import tables
from utils.cli import UsageError, UserError
from utils.job_runner.frontend import Request

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 120  # for one call of a scheduler's program
# What users have set there for their own eyes would hide jobs from ours.
DEFAULTS_OF_USERS = ("SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_")
DOWN = re.compile("connection refused|connect failure|unable to (contact|send message to qmaster)", re.I)
RULE = re.compile(r"(\w+)=(\S+)(?:\s+(.*))?", re.ASCII)


class SchedulerError(UserError):
    """The scheduler does not answer now, while its jobs may well be running; or it refuses."""

    def __init__(self, text: str, *, down: bool = False) -> None:
        super().__init__(text)
        self.down = down  # the controller is: what was asked has not been done and may be asked again


class State(NamedTuple):
    """What the scheduler knows of a task that it has not forgotten."""

    text: str  # for messages
    stuck: bool  # will not run without help
    running: bool


class Verdict(NamedTuple):
    """How a task ended according to the scheduler."""

    failed: bool
    reason: str


def submission(request: Request, standard: str) -> list[str]:
    """Return how jobs are submitted, by the file of ``--config`` or the ``standard`` one (the recipe's).

    Raises UsageError with file and line. ``--max-jobs-run`` need not be described.
    """
    name = request.options.get("config") or (standard if Path(standard).exists() else str(ROOT / standard))
    command: list[str] = []
    rules: dict[tuple[str, str], list[str]] = {("max_jobs_run", "*"): [], ("config", "*"): []}
    options: dict[str, str] = {}
    for number, line in enumerate(tables.read_text(name, "how jobs are submitted").split("\n"), start=1):
        kind, _, rest = re.sub(r"(^|\s)#.*", "", line).strip().partition(" ")
        match = RULE.fullmatch(rest.strip())
        try:
            if kind == "command":
                command = shlex.split(rest)
            elif kind == "option" and match:
                rules[match[1], match[2]] = shlex.split(match[3] or "")
            elif kind == "default" and match and not match[3]:
                options[match[1]] = match[2]
            elif kind:
                raise ValueError("expected 'command …', 'option name=value …' or 'default name=value'")
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}, got '{line}'") from error
    if not command:
        raise UsageError(f"{name}: expected a line 'command …' that says how jobs are submitted")
    for option, value in sorted({**options, **request.options}.items()):
        rule = rules.get((option, value), rules.get((option, "*")))
        if rule is None:
            switch = f"--{option.replace('_', '-')} {value}"
            raise UsageError(f"option {switch} is not described in {name}, or not with this value")
        command += [word.replace("$0", value) for word in rule]
    return [*command, *request.native]


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


def submitted_id(words: list[str]) -> str:
    """Submit a job; return its id, which stands on a line of its own before an array's range or a cluster."""
    done = ask(words)
    found = re.findall(r"^(\d+)(?:[.;]\S*)?\s*$", done.stdout, re.MULTILINE)
    if done.returncode == 0 and found:
        return found[-1]
    raise SchedulerError(said(done), down=DOWN.search(said(done)) is not None)

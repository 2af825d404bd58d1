"""What a cluster's scheduler must be able to do for :mod:`utils.job_runner.cluster`."""

import os
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.job_runner import frontend

# What users have set there for their own eyes would hide jobs from ours.
DEFAULTS_OF_USERS = ("SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_")
REFUSED = re.compile("connection refused|connect failure|unable to (contact|send message to qmaster)", re.I)
FULL = re.compile("submitjob|job submit limit|jobs are allowed per", re.I)

Task = tuple[str, int]  # id of the submitted array, index in it


class UnreachableError(Exception):
    """The scheduler does not answer now; its jobs may well be running."""


class RefusedError(UnreachableError):
    """The controller is down: what was asked has certainly not been done and may be asked again."""


class SubmitError(Exception):
    """A job was refused; says what the scheduler said."""


class FullError(SubmitError):
    """A job was refused because there are as many in the queue as the site allows."""


@dataclass(frozen=True)
class State:
    """What the scheduler knows of a task that it has not forgotten.

    ``text`` is for messages. A ``stuck`` task will not run without help. ``unheard`` names the task's node
    if that does not answer and the scheduler leaves it at that.
    """

    text: str
    stuck: bool = False
    unheard: str = ""
    running: bool = False


@dataclass(frozen=True)
class Verdict:
    """How a task ended according to the scheduler: whether it failed, why, and if for want of memory."""

    failed: bool
    reason: str
    out_of_memory: bool = False


class Scheduler(ABC):
    """Slurm or Grid Engine by their commands."""

    index_variable: str  # in which it tells a task its index
    site_file: str
    built_in: str  # what counts where there is no such file
    accounting = False  # whether it knows of tasks that ended well what they lost on the way

    def __init__(self) -> None:
        self.gpu_words: list[str] = []  # what --gpu becomes

    @abstractmethod
    def array_limit(self) -> int:
        """Return the largest index of an array. Raises :class:`RefusedError`."""

    @abstractmethod
    def submit(
        self, command: list[str], script: Path, output: Path, count: int, limit: int | None, name: str
    ) -> str:
        """Submit ``script`` as array 1-``count``, at most ``limit`` tasks at once; return the job's id.

        What a task prints goes to ``output``, with a dot and the index behind. Raises :class:`SubmitError`,
        and :class:`RefusedError` if the controller is down.
        """

    @abstractmethod
    def active(self, ids: list[str]) -> dict[Task, State]:
        """Return the tasks that wait or run. Raises :class:`UnreachableError`."""

    @abstractmethod
    def verdicts(self, job_id: str) -> dict[int, Verdict]:
        """Return how the tasks of an array ended, by index, as far as this is known (yet)."""

    @abstractmethod
    def cancel_command(self, ids: list[str], tasks: Sequence[Task] = ()) -> list[str]:
        """Return the command that cancels jobs and single tasks."""


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what one of the scheduler's programs said, for messages."""
    return f"{done.args[0]} said: {(done.stderr or done.stdout).strip()}"


def ask(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of the scheduler's programs; raises :class:`UnreachableError` if it hangs or is missing."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            env={name: os.environ[name] for name in os.environ if not name.startswith(DEFAULTS_OF_USERS)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=frontend.COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"{words[0]} does not answer") from error
    except OSError as error:
        raise UnreachableError(f"{words[0]}: {error.strerror}") from error


def ask_controller(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program that needs the controller; raises :class:`RefusedError` if that is down."""
    done = ask(words)
    if done.returncode != 0 and REFUSED.search(done.stderr + done.stdout):
        raise RefusedError(said(done))
    return done


def submitted_id(words: list[str]) -> str:
    """Submit a job; return its id, which stands on a line of its own before an array's range or a cluster."""
    done = ask_controller(words)
    found = re.findall(r"^(\d+)(?:[.;]\S*)?\s*$", done.stdout, re.MULTILINE)
    if done.returncode == 0 and found:
        return found[-1]
    raise (FullError if FULL.search(said(done)) else SubmitError)(said(done))


def cancel(scheduler: Scheduler, ids: list[str]) -> None:
    """Cancel jobs and wait (bounded) until the scheduler does not know them any more."""
    done = ask(scheduler.cancel_command(ids))
    if done.returncode != 0:
        frontend.warn(f"cancelling {' '.join(ids)}: {said(done)}")
    wait_until_gone(scheduler, ids)


def wait_until_gone(scheduler: Scheduler, ids: list[str]) -> None:
    """Wait (bounded) until the scheduler does not list the jobs any more."""
    deadline = time.monotonic() + frontend.number("RUNNER_LATE_SECONDS", 60.0)
    pause, longest = 0.2, frontend.number("RUNNER_POLL_SECONDS", 5.0)
    while scheduler.active(ids):
        if time.monotonic() > deadline:
            raise UnreachableError(f"job {' '.join(ids)} is still in the queue")
        time.sleep(min(pause, longest))
        pause *= 1.5

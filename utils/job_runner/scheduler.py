"""What a cluster's scheduler must be able to do for :mod:`utils.job_runner.cluster`."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

COMMAND_SECONDS = 120

Task = tuple[str, int]  # id of the submitted array, index in it


class UnreachableError(Exception):
    """The scheduler does not answer now; its jobs may well be running."""


class RefusedError(UnreachableError):
    """The controller is down: what was asked has certainly not been done and may be asked again."""


class SubmitError(Exception):
    """A job was refused; says what the scheduler said."""


@dataclass(frozen=True)
class State:
    """What the scheduler knows of a task that it has not forgotten.

    ``text`` is for messages. A ``stuck`` task will not run without help. ``unheard`` names the task's node
    if that does not answer and the scheduler leaves it at that.
    """

    text: str
    stuck: bool = False
    unheard: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a task ended according to the scheduler: whether it failed, and why."""

    failed: bool
    reason: str


class Scheduler(Protocol):
    """Slurm or Grid Engine."""

    def array_limit(self) -> int:
        """Return the largest index of an array; 1 means that there are no arrays.

        Raises :class:`RefusedError`.
        """

    def submit(self, command: list[str], script: Path, count: int, limit: int | None, name: str) -> str:
        """Submit ``script`` as array 1-``count``, at most ``limit`` tasks at once; return the job's id.

        With ``count`` 0 it is a job of its own, not an array. Raises :class:`SubmitError`, and
        :class:`RefusedError` if the controller is down.
        """

    def active(self, ids: list[str]) -> dict[Task, State]:
        """Return the tasks that wait or run. Raises :class:`UnreachableError`."""

    def verdict(self, task: Task) -> Verdict | None:
        """Return how a task ended, None if this is not known (yet)."""

    def cancel_task_command(self, task: Task) -> list[str]:
        """Return the command that cancels one task."""

    def cancel_command(self, ids: list[str]) -> list[str]:
        """Return the command that cancels jobs."""


def is_refused(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a program failed because no controller took its call."""
    words = (
        "connection refused",
        "connect failure",
        "unable to contact",
        "unable to send message to qmaster",
    )
    said = (done.stderr + done.stdout).lower()
    return done.returncode != 0 and any(word in said for word in words)


def ask(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of the scheduler's programs; raises :class:`UnreachableError` if it hangs or is missing."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"{words[0]} does not answer") from error
    except OSError as error:
        raise UnreachableError(f"{words[0]}: {error.strerror}") from error

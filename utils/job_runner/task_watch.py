"""How the tasks of a cluster run end: by their own word, by the scheduler's, or in silence.

A task's own word is its ``end.<job>``. One that a signal ended may be queued again, so its word counts only
when the scheduler does not list it any more. A task that the scheduler has forgotten and that wrote no word
within a bounded time has failed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from utils import cli, progress
from utils.job_runner import frontend
from utils.job_runner.job_folder import JobFolder
from utils.job_runner.request import Request
from utils.job_runner.scheduler import Scheduler, State, Task, UnreachableError, Verdict, ask
from utils.progress import Board

MAX_ASKED = 20
REASON_SECONDS = 20.0


class TaskWatch:
    """Watches over the tasks that were submitted."""

    def __init__(self, request: Request, folder: JobFolder, scheduler: Scheduler) -> None:
        self.request, self.folder, self.scheduler = request, folder, scheduler
        self.poll = frontend.seconds("RUNNER_POLL_SECONDS", 5.0)
        self.late = frontend.seconds("RUNNER_LATE_SECONDS", 60.0)
        self.patience = frontend.seconds("RUNNER_UNREACHABLE_SECONDS", 1800.0)
        self.ids: list[str] = []  # of arrays, in the order of their submission
        self.tasks: dict[int, Task] = {}
        self.pending: set[int] = set()  # jobs that have not ended yet
        self.listed: dict[Task, State] = {}  # what the scheduler said last
        self.failed: dict[int, str] = {}  # why
        self.gone: dict[int, float] = {}  # since when the scheduler has forgotten a job
        self.unheard: dict[int, float] = {}  # since when its node has not been heard of
        self.recipe = frontend.RecipeWatch()
        self.pause = self.asked = self.answered = self.read = 0.0
        self.questions = MAX_ASKED
        self.board = Board(request.name, len(request.jobs), lambda job: progress.read(request.log_of(job)))

    def add(self, job_id: str, jobs: list[int]) -> None:
        """Watch over an array, too."""
        self.ids.append(job_id)
        tasks = {job: (job_id, index) for index, job in enumerate(jobs, start=1)}
        self.tasks |= tasks
        self.pending |= tasks.keys()
        self.listed |= dict.fromkeys(tasks.values(), State("submitted"))
        self.pause, self.asked = 0.05, 0.0
        self.answered = self.read = time.monotonic()

    def wait(self) -> None:
        """Wait until every task has ended one way or the other."""
        while self.pending:
            self._look()
            if self.pending:
                self._rest()

    def wait_for_room(self) -> bool:
        """Wait until the scheduler lists fewer tasks of this run than now; return False if it lists none."""
        self.pause, self.asked = 0.05, 0.0
        self._look()
        before = len(self.listed)
        while self.listed and len(self.listed) >= before:
            self._rest()
            self._look()
        return before > 0

    def take_killed(self) -> None:
        """Fail the tasks that said they succeeded, but lost a process for want of memory: in ``a | b``, a."""
        killed = self.scheduler.out_of_memory(self.ids)
        for job, task in self.tasks.items():
            if task in killed and job not in self.failed:
                self.failed[job] = f"code 0, but {killed[task]}"
                with contextlib.suppress(OSError), Path(self.request.log_of(job)).open("a") as log:
                    log.write(f"# {killed[task]}\n")  # the log of a job that is to run again

    def _rest(self) -> None:
        time.sleep(min(self.pause, self.poll))
        self.pause = min(self.pause * 1.3, 60.0)

    def _look(self) -> None:
        """Ask the scheduler, if it is time, and read what tasks have said."""
        self.recipe.check()
        self.board.step()
        if time.monotonic() - self.asked >= min(self.poll, max(0.5, self.pause)):
            self._ask()
        try:
            ends = self.folder.ends(self.pending)
        except OSError as error:
            self._bear(f"{error.filename}: {error.strerror}", "the folder cannot be read", self.read)
            return
        self.read = time.monotonic()
        for job, end in ends.items():
            self._take_end(job, end)
        self._take_lost(self.pending - ends.keys())

    def _ask(self) -> None:
        self.asked, self.questions = time.monotonic(), MAX_ASKED
        try:
            self.listed = self.scheduler.active(self.ids)
        except UnreachableError as error:
            self._bear(str(error), "the scheduler has not answered", self.answered)
            return
        self.answered = time.monotonic()
        counts = Counter(state.text for state in self.listed.values())
        self.board.note = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        self._note_gone()

    def _bear(self, error: str, what: str, since: float) -> None:
        """Go on for a while without the scheduler or the folder: running tasks do not need us."""
        if time.monotonic() - since > self.patience:
            raise cli.UserError(
                f"{what} for {self.patience:.0f} s ({error}); job {' '.join(self.ids)} may still be running:"
                " look after it before you start again"
            )
        frontend.warn(f"{error}; trying again")

    def _end(self, job: int, reason: str = "") -> None:
        """Take a job off the list; it has failed if there is a reason."""
        if reason:
            self.failed[job] = reason
        self.pending.discard(job)
        self.board.end(job)

    def _note_gone(self) -> None:
        """Remember since when the scheduler does not know a task any more; fail those it will not end."""
        now, hopeless = time.monotonic(), []
        for job in sorted(self.pending):
            state = self.listed.get(self.tasks[job])
            if state is None:
                self.gone.setdefault(job, now)
                continue
            self.gone.pop(job, None)
            if state.running:
                self.board.begin(job)
            if not state.unheard:
                self.unheard.pop(job, None)
            silence = now - self.unheard.setdefault(job, now) if state.unheard else 0.0
            if state.stuck:
                self._end(job, f"state {state.text}: it would never run")
            elif silence > self.patience:
                self._end(job, f"state {state.text}: {state.unheard} is not heard of for {silence:.0f} s")
            else:
                continue
            hopeless.append(job)
        self._cancel(hopeless)

    def _take_end(self, job: int, end: dict[str, Any]) -> None:
        """Take a task's own word, with the scheduler's if it failed: of a signal it may know the reason."""
        if end["status"] == 0:
            self._end(job)
            return
        code = os.waitstatus_to_exitcode(end["status"])
        by_signal = code < 0 or code > 128
        if by_signal and job not in self.gone:
            return
        verdict = self._verdict(job)
        if by_signal and verdict is None and len(self.failed) < MAX_ASKED:
            waited = time.monotonic() - self.gone[job]
            if waited < min(self.late, REASON_SECONDS):
                return
        more = f" ({verdict.reason})" if verdict is not None and verdict.failed else ""
        self._end(job, end["text"] + more)

    def _take_lost(self, silent: set[int]) -> None:
        """Fail the jobs that ended without a word, once that is certain."""
        given_up = []
        for job in sorted(silent & self.gone.keys()):
            waited = time.monotonic() - self.gone[job]
            if waited <= self.poll:
                continue
            verdict = self._verdict(job)
            if waited > self.late:
                given_up.append(job)
            elif verdict is None or not verdict.failed:
                continue
            reason = verdict.reason if verdict is not None else "the scheduler does not say why"
            self._end(job, f"no word of its own, it is gone from the queue: {reason}")
        self._cancel(given_up)

    def _verdict(self, job: int) -> Verdict | None:
        """Ask the scheduler how a task ended; of many that failed it need not say everything."""
        if self.questions <= 0 or len(self.failed) >= MAX_ASKED:
            return None
        self.questions -= 1
        return self.scheduler.verdict(self.tasks[job])

    def _cancel(self, jobs: list[int]) -> None:
        """Cancel tasks that have failed for us, should they be alive after all."""
        if not jobs:
            return
        try:
            ask(self.scheduler.cancel_command([], [self.tasks[job] for job in jobs]))
        except UnreachableError as error:
            frontend.warn(f"cannot cancel {len(jobs)} tasks of job {' '.join(self.ids)}: {error}")

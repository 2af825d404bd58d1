"""Jobs on a cluster: submit arrays, wait until every task has said how it ended, lose none.

Each call makes a folder ``<log's folder>/q/<name>.<random>`` that the nodes see:

=============  ===================================================================
spec.json      the jobs, for :mod:`utils.job_runner.task`
job.sh         what the scheduler starts, once a task
end.<job>      written by a task as its last act: how it ended
submitted      which process submitted which ids; who finds it later cancels those
=============  ===================================================================

A task that the scheduler has forgotten and that wrote no ``end`` within a bounded time has failed. The
folder is removed if all went well.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from utils.job_runner import frontend, recipe_process, shell_line
from utils.job_runner.job_script import job_name, job_script
from utils.job_runner.leftovers import cancel_leftovers, remove_if_empty, wait_until_gone
from utils.job_runner.request import Request
from utils.job_runner.scheduler import (
    RefusedError,
    Scheduler,
    State,
    SubmitError,
    Task,
    UnreachableError,
    ask,
)

T = TypeVar("T")

LAST_WILL = Path(__file__).with_name("last_will.py")
MAX_ASKED = 20
SILENCE_SECONDS = 30.0
REASON_SECONDS = 20.0


class ClusterRun:
    """One call of a cluster runner.

    Parameters
    ----------
    request : Request
        The call.
    jobs : list of int
        Job numbers to run.
    command : list of str
        How to submit, from the site's configuration.
    scheduler : Scheduler
        Slurm or Grid Engine.
    """

    def __init__(self, request: Request, jobs: list[int], command: list[str], scheduler: Scheduler) -> None:
        self.request, self.jobs, self.command, self.scheduler = request, jobs, command, scheduler
        self.poll = frontend.seconds("RUNNER_POLL_SECONDS", 5.0)
        self.late = frontend.seconds("RUNNER_LATE_SECONDS", 60.0)
        self.patience = frontend.seconds("RUNNER_UNREACHABLE_SECONDS", 1800.0)
        self.tasks: dict[int, Task] = {}
        self.ids: list[str] = []
        self.failed: dict[int, str] = {}
        self.ended: dict[int, float] = {}
        self.unheard: dict[int, float] = {}
        self.spoke = -SILENCE_SECONDS
        self.name = job_name(request)
        queue_dir = Path(request.log_of(jobs[0])).absolute().parent / "q"
        queue_dir.mkdir(parents=True, exist_ok=True)
        cancel_leftovers(queue_dir, self.name, scheduler)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=queue_dir))
        self.folder.chmod(0o755)
        self.will = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAST_WILL)], stdin=subprocess.PIPE, start_new_session=True
        )

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        try:
            for chunk in self._chunks():
                self._submit(chunk)
                if self.request.max_jobs_run is not None:
                    self._wait()
            self._wait()
        except BaseException as error:
            recipe_process.ignore_signals()
            self._cancel()
            if isinstance(error, UnreachableError):
                raise frontend.RunnerError(str(error)) from error
            raise
        finally:
            self._make_will([])
        if not self.failed:
            shutil.rmtree(self.folder, ignore_errors=True)
            remove_if_empty(self.folder.parent)
        return self.failed

    def _chunks(self) -> Iterator[list[int]]:
        """Cut the jobs into arrays that the site allows."""
        size = max(1, self._patiently(self.scheduler.array_limit))
        for begin in range(0, len(self.jobs), size):
            yield self.jobs[begin : begin + size]

    def _submit(self, chunk: list[int]) -> None:
        request = self.request
        number = len(self.ids) + 1
        spec = self.folder / f"spec.{number}.json"
        outputs = {
            "tasks": chunk,
            "job_name": request.job_name,
            "command": request.command,
            "log": str(Path(request.log).absolute()),
            "threads": request.threads,
            "markers": str(self.folder),
            "gpus": request.gpus,
            "resume_state": os.environ.get("RUNNER_RESUME_STATE"),
        }
        spec.write_text(json.dumps(outputs))
        script = self.folder / f"job.{number}.sh"
        script.write_text(job_script(spec))
        script.chmod(0o755)
        count = len(chunk) if request.job_name is not None and self.scheduler.array_limit() > 1 else 0
        try:
            job_id = self._patiently(
                lambda: self.scheduler.submit(self.command, script, count, request.max_jobs_run, self.name)
            )
        except (SubmitError, UnreachableError) as error:
            raise frontend.RunnerError(f"cannot submit {self.name}: {error}") from error
        self.ids.append(job_id)
        self.tasks.update({job: (job_id, index) for index, job in enumerate(chunk, start=1)})
        self._make_will(self.scheduler.cancel_command(self.ids))
        facts = {"host": os.uname().nodename, "pid": os.getpid(), "ids": self.ids}
        facts["start"] = recipe_process.start_time(os.getpid())
        (self.folder / "submitted").write_text(json.dumps(facts))

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something that a controller that is down refuses, again and again until it is up."""
        deadline, watch = time.monotonic() + self.patience, recipe_process.Watch()
        while True:
            watch.check()
            try:
                return action()
            except RefusedError as error:
                if time.monotonic() > deadline:
                    raise
                frontend.warn(f"{error}; trying again")
            time.sleep(self.poll)

    def _wait(self) -> None:
        """Wait until every submitted task has ended one way or the other."""
        watch = recipe_process.Watch()
        pending, gone = set(self.tasks) - set(self.failed), dict[int, float]()
        pending -= self._take_ends(pending)
        pause, asked, answered, said = 0.05, 0.0, time.monotonic(), ""
        while pending:
            watch.check()
            now = time.monotonic()
            if now - asked >= min(self.poll, max(0.5, pause)):
                asked = now
                try:
                    active = self.scheduler.active(self.ids)
                    answered = time.monotonic()
                    said = self._say_states(active, said)
                    self._note_gone(pending, active, gone)
                except UnreachableError as error:
                    self._bear_silence(error, answered, now)
            pending -= self._take_ends(pending)
            pending -= self._take_lost(pending, gone)
            if pending:
                time.sleep(min(pause, self.poll))
                pause = min(pause * 1.3, 60.0)
        self._wait_for_logs()

    def _say_states(self, active: dict[Task, State], said: str) -> str:
        """Tell the user, but not too often, when the kinds of states of our jobs change."""
        counts = Counter(state.text for state in active.values())
        kinds = ", ".join(sorted(counts))
        if not kinds or kinds == said or time.monotonic() - self.spoke < SILENCE_SECONDS:
            return said
        self.spoke = time.monotonic()
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        frontend.say(f"job {' '.join(self.ids)}: {states}")
        return kinds

    def _bear_silence(self, error: Exception, answered: float, now: float) -> None:
        """Go on without the scheduler for a while: running tasks do not need it."""
        if now - answered > self.patience:
            raise frontend.RunnerError(
                f"the scheduler has not answered for {self.patience:.0f} s ({error}); job"
                f" {' '.join(self.ids)} may still be running: look after it before you start again"
            )
        frontend.warn(f"{error}; trying again")

    def _note_gone(self, pending: set[int], active: dict[Task, State], gone: dict[int, float]) -> None:
        """Remember since when the scheduler does not know a task any more; fail those it will not end."""
        hopeless = []
        for job in sorted(pending):
            state = active.get(self.tasks[job])
            if state is None:
                gone.setdefault(job, time.monotonic())
                continue
            gone.pop(job, None)
            silence = self._silence(job, state)
            if state.stuck:
                self.failed[job] = f"state {state.text}: it would never run"
            elif silence > self.patience:
                self.failed[job] = f"state {state.text}: {state.unheard} is not heard of for {silence:.0f} s"
            else:
                continue
            hopeless.append(job)
        pending -= set(hopeless)
        for job in hopeless:
            ask(self.scheduler.cancel_task_command(self.tasks[job]))

    def _silence(self, job: int, state: State) -> float:
        """Return for how many seconds a task's node has not been heard of."""
        if not state.unheard:
            self.unheard.pop(job, None)
            return 0.0
        since = self.unheard.setdefault(job, time.monotonic())
        return time.monotonic() - since

    def _take_ends(self, pending: set[int]) -> set[int]:
        """Return the jobs whose tasks have said how they ended; note the failed ones."""
        names = [path.name for path in self.folder.iterdir()]
        ended = {int(name[4:]) for name in names if re.fullmatch(r"end\.\d+", name)}
        taken: set[int] = set()
        for job in sorted(ended & pending):
            end = json.loads((self.folder / f"end.{job}").read_bytes())
            if end["status"] != 0:
                verdict = self.scheduler.verdict(self.tasks[job])
                if verdict is None and self._may_be_told_why(job, end["status"]):
                    continue
                more = f" ({verdict.reason})" if verdict is not None and verdict.failed else ""
                self.failed[job] = end["text"] + more
            taken.add(job)
        return taken

    def _may_be_told_why(self, job: int, status: int) -> bool:
        """Tell whether to wait for the scheduler's word on a task that a signal ended: it may know why."""
        code = os.waitstatus_to_exitcode(status)
        waited = time.monotonic() - self.ended.setdefault(job, time.monotonic())
        by_signal = code < 0 or code > 128
        return by_signal and len(self.failed) < MAX_ASKED and waited < min(self.late, REASON_SECONDS)

    def _take_lost(self, pending: set[int], gone: dict[int, float]) -> set[int]:
        """Return the jobs that ended without a word, once that is certain."""
        lost: set[int] = set()
        for job in sorted(set(gone) & pending):
            waited = time.monotonic() - gone[job]
            if waited <= self.poll or (len(lost) > MAX_ASKED and waited <= self.late):
                continue
            verdict = self.scheduler.verdict(self.tasks[job]) if len(lost) <= MAX_ASKED else None
            if (verdict is not None and verdict.failed) or waited > self.late:
                reason = verdict.reason if verdict is not None else "the scheduler does not say why"
                self.failed[job] = f"no word of its own, it is gone from the queue: {reason}"
                lost.add(job)
        return lost

    def _wait_for_logs(self) -> None:
        """Wait for what the jobs wrote to appear here; shared file systems may show it late."""
        names = [self.request.log, *os.environ.get("RUNNER_OUTPUTS", "").split()]
        deadline = time.monotonic() + self.late
        for job in sorted(set(self.tasks) - set(self.failed)):
            for name in names:
                path = Path(shell_line.substitute(name, self.request.job_name, job))
                while not path.exists() and time.monotonic() < deadline:
                    time.sleep(min(0.2, self.poll))
                    refresh(path.parent)
                if not path.exists():
                    self.failed[job] = f"code 0, but {path} has not appeared within {self.late:.0f} s"

    def _make_will(self, command: list[str]) -> None:
        """Say what has to be done if this process dies now; an empty list ends the matter."""
        if self.will.stdin is None or self.will.stdin.closed:
            return
        self.will.stdin.write(json.dumps(command).encode() + b"\n")
        self.will.stdin.flush()
        if not command:
            self.will.stdin.close()
            self.will.wait()

    def _cancel(self) -> None:
        """Cancel everything that was submitted and wait a little for its end."""
        if not self.ids:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        try:
            done = ask(self.scheduler.cancel_command(self.ids))
            if done.returncode != 0:
                frontend.warn(f"cancelling {' '.join(self.ids)}: {(done.stderr or done.stdout).strip()}")
            wait_until_gone(self.scheduler, self.ids)
            shutil.rmtree(self.folder, ignore_errors=True)
        except (UnreachableError, OSError) as error:
            frontend.warn(f"cannot cancel {' '.join(self.ids)}: {error}")


def refresh(folder: Path) -> None:
    """Read a folder, which makes network file systems look at it again."""
    if folder.is_dir():
        for _ in folder.iterdir():
            break

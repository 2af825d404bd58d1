"""Jobs on a cluster: submit arrays, wait until every task has said how it ended, lose none.

Each call has a :class:`~utils.job_runner.job_folder.JobFolder` that the nodes see. It is removed if all
went well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from utils.job_runner import frontend, recipe_process, shell_line
from utils.job_runner.job_folder import JobFolder
from utils.job_runner.leftovers import cancel_leftovers, wait_until_gone
from utils.job_runner.request import Request
from utils.job_runner.scheduler import (
    FullError,
    RefusedError,
    Scheduler,
    SubmitError,
    UnreachableError,
    ask,
    environment,
)
from utils.job_runner.task_watch import TaskWatch

T = TypeVar("T")

LAST_WILL = Path(__file__).with_name("last_will.py")


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
        self.folder = JobFolder(request)
        self.watch = TaskWatch(request, self.folder, scheduler)
        words = [LAST_WILL, self.folder.submitted, self.watch.poll]
        self.will = subprocess.Popen(
            [sys.executable, "-I", "-S", *map(str, words)],
            stdin=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        try:
            self.folder.record([], self.watch.poll)
            cancel_leftovers(self.folder, self.scheduler)
            self._remove_old_logs()
            for number, chunk in enumerate(self._chunks(), start=1):
                self._submit_when_allowed(number, chunk)
                if self.request.max_jobs_run is not None:
                    self.watch.wait()
            self.watch.wait()
            self.watch.take_killed()
            self._wait_for_files()
        except BaseException as error:
            recipe_process.ignore_signals()
            self._cancel()
            if isinstance(error, UnreachableError):
                raise frontend.RunnerError(str(error)) from error
            raise
        finally:
            self._make_will([])
        if not self.watch.failed:
            self.folder.remove()
        return {job: reason + self._without_log(job) for job, reason in self.watch.failed.items()}

    def _remove_old_logs(self) -> None:
        """Remove the logs of an earlier run, which say nothing about this one."""
        for job in self.jobs:
            log = Path(self.request.log_of(job))
            if log.is_file():
                log.unlink()

    def _chunks(self) -> Iterator[list[int]]:
        """Cut the jobs into arrays that the site allows."""
        size = max(1, self._patiently(self.scheduler.array_limit))
        for begin in range(0, len(self.jobs), size):
            yield self.jobs[begin : begin + size]

    def _submit_when_allowed(self, number: int, chunk: list[int]) -> None:
        """Submit an array; where the site allows no more jobs, wait for tasks of the earlier ones."""
        room, said = bool(self.watch.ids), False
        while True:
            try:
                self._submit(number, chunk)
                return
            except (SubmitError, UnreachableError) as error:
                if not (room and isinstance(error, FullError)):
                    raise frontend.RunnerError(f"cannot submit {self.folder.name}: {error}") from error
                if not said:
                    frontend.say(f"{error}; waiting for the jobs before")
            said = True
            room = self.watch.wait_for_room()

    def _submit(self, number: int, chunk: list[int]) -> None:
        """Submit an array, and tell its tasks what to do when they are known here."""
        array = self.request.job_name is not None and self.scheduler.array_limit() > 1
        index = f"${self.scheduler.index_variable}" if array else "1"
        script, output = self.folder.write_script(number, index), self.folder.output(number)
        count, limit = len(chunk) if array else 0, self.request.max_jobs_run
        job_id = self._patiently(
            lambda: self.scheduler.submit(self.command, script, output, count, limit, self.folder.name)
        )
        self.watch.add(job_id, chunk)
        self._make_will(self.scheduler.cancel_command(self.watch.ids))
        self.folder.record(self.watch.ids, self.watch.poll)
        self.folder.write_spec(number, chunk)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something that a controller that is down refuses, again and again until it is up."""
        deadline, recipe = time.monotonic() + self.watch.patience, recipe_process.Watch()
        while True:
            recipe.check()
            try:
                return action()
            except RefusedError as error:
                if time.monotonic() > deadline:
                    raise
                frontend.warn(f"{error}; trying again")
            time.sleep(self.watch.poll)

    def _wait_for_files(self) -> None:
        """Wait for what the jobs wrote to appear here; shared file systems may show it late."""
        names = [self.request.log, *os.environ.get("RUNNER_OUTPUTS", "").split()]
        late = self.watch.late
        deadline = time.monotonic() + late
        for job in sorted(set(self.jobs) - set(self.watch.failed)):
            for name in names:
                path = Path(shell_line.substitute(name, self.request.job_name, job))
                while not is_there(path) and time.monotonic() < deadline:
                    time.sleep(min(0.2, self.watch.poll))
                if not is_there(path):
                    self.watch.failed[job] = f"code 0, but {path} has not appeared within {late:.0f} s"

    def _without_log(self, job: int) -> str:
        """Name what the scheduler or the node said instead of a log, if there is none."""
        array, index = self.watch.tasks[job]
        output = self.folder.output(self.watch.ids.index(array) + 1)
        output = output.with_name(f"{output.name}.{index}")
        missing = not is_there(Path(self.request.log_of(job))) and is_there(output)
        return f", before it had a log: see {output}" if missing else ""

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
        ids = self.watch.ids
        if not ids:
            self.folder.remove()
            return
        try:
            done = ask(self.scheduler.cancel_command(ids))
            if done.returncode != 0:
                frontend.warn(f"cancelling {' '.join(ids)}: {(done.stderr or done.stdout).strip()}")
            wait_until_gone(self.scheduler, ids)
            self.folder.remove()
        except (UnreachableError, OSError) as error:
            frontend.warn(f"cannot cancel {' '.join(ids)}: {error}")


def is_there(path: Path) -> bool:
    """Tell whether a file exists; its folder is read, which makes network file systems look at it again."""
    try:
        with os.scandir(path.parent) as entries:
            next(entries, None)
        return path.exists()
    except OSError:
        return False

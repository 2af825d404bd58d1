"""Jobs on a cluster: submit arrays, wait until every task has said how it ended, lose none.

Each call has a :class:`~utils.job_runner.job_folder.JobFolder` that the nodes see. It is removed if all
went well.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from utils import cli, progress
from utils.job_runner import frontend
from utils.job_runner.job_folder import JobFolder
from utils.job_runner.request import Request, substitute
from utils.job_runner.scheduler import (
    FullError,
    RefusedError,
    Scheduler,
    SubmitError,
    UnreachableError,
    ask,
    said,
    wait_until_gone,
)
from utils.job_runner.task_watch import TaskWatch
from utils.process import is_alive

T = TypeVar("T")

SILENT_SECONDS = 60.0
SILENT_POLLS = 10


class ClusterRun:
    """One call of a cluster runner; ``command`` is how to submit, from the site's configuration."""

    def __init__(self, request: Request, command: list[str], scheduler: Scheduler) -> None:
        self.request, self.command, self.scheduler = request, command, scheduler
        self.folder = JobFolder(request)
        self.watch = TaskWatch(request, self.folder, scheduler)
        self.ids = self.watch.ids

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        self.folder.record(self.ids, self.watch.poll)
        with survived(self.folder, self.scheduler, self.watch.poll):
            try:
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
                frontend.ignore_signals()
                self._cancel()
                if isinstance(error, UnreachableError):
                    raise cli.UserError(str(error)) from error
                raise
            finally:
                progress.close()
        if not self.watch.failed:
            self.folder.remove()
        return {job: reason + self._without_log(job) for job, reason in self.watch.failed.items()}

    def _remove_old_logs(self) -> None:
        """Remove the logs of an earlier run, which say nothing about this one."""
        for job in self.request.jobs:
            log = Path(self.request.log_of(job))
            if log.is_file():
                log.unlink()

    def _chunks(self) -> Iterator[list[int]]:
        """Cut the jobs into arrays that the site allows."""
        size = max(1, self._patiently(self.scheduler.array_limit))
        for begin in range(0, len(self.request.jobs), size):
            yield list(self.request.jobs[begin : begin + size])

    def _submit_when_allowed(self, number: int, chunk: list[int]) -> None:
        """Submit an array; where the site allows no more jobs, wait for tasks of the earlier ones."""
        room, said = bool(self.ids), False
        while True:
            try:
                self._submit(number, chunk)
                return
            except (SubmitError, UnreachableError) as error:
                if not (room and isinstance(error, FullError)):
                    raise cli.UserError(f"cannot submit {self.folder.name}: {error}") from error
                if not said:
                    frontend.say(f"{error}; waiting for the jobs before")
            said = True
            room = self.watch.wait_for_room()

    def _submit(self, number: int, chunk: list[int]) -> None:
        """Submit an array, and tell its tasks what to do when their id is written down."""
        array = self.request.job_name is not None and self.scheduler.array_limit() > 1
        index = f"${self.scheduler.index_variable}" if array else "1"
        script, output = self.folder.write_script(number, index), self.folder.output(number)
        count, limit = len(chunk) if array else 0, self.request.max_jobs_run
        job_id = self._patiently(
            lambda: self.scheduler.submit(self.command, script, output, count, limit, self.folder.name)
        )
        self.watch.add(job_id, chunk)
        self.folder.record(self.ids, self.watch.poll)
        self.folder.write_spec(number, chunk)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something that a controller that is down refuses, again and again until it is up."""
        deadline, recipe = time.monotonic() + self.watch.patience, frontend.RecipeWatch()
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
        for job in sorted(set(self.request.jobs) - set(self.watch.failed)):
            for name in names:
                path = Path(substitute(name, self.request.job_name, job))
                while not is_there(path) and time.monotonic() < deadline:
                    time.sleep(min(0.2, self.watch.poll))
                if not is_there(path):
                    self.watch.failed[job] = f"code 0, but {path} has not appeared within {late:.0f} s"

    def _without_log(self, job: int) -> str:
        """Name what the scheduler or the node said instead of a log, if there is none."""
        array, index = self.watch.tasks[job]
        output = self.folder.output(self.ids.index(array) + 1)
        output = output.with_name(f"{output.name}.{index}")
        missing = not is_there(Path(self.request.log_of(job))) and is_there(output)
        return f", before it had a log: see {output}" if missing else ""

    def _cancel(self) -> None:
        """Cancel everything that was submitted and wait a little for its end."""
        try:
            if self.ids:
                done = ask(self.scheduler.cancel_command(self.ids))
                if done.returncode != 0:
                    frontend.warn(f"cancelling {' '.join(self.ids)}: {said(done)}")
                wait_until_gone(self.scheduler, self.ids)
            self.folder.remove()
        except (UnreachableError, OSError) as error:
            frontend.warn(f"cannot cancel {' '.join(self.ids)}: {error}")


@contextlib.contextmanager
def survived(folder: JobFolder, scheduler: Scheduler, poll: float) -> Iterator[None]:
    """Have a second process until the block ends, which cancels what was submitted if this one is killed.

    It also renews the time of the folder's ``submitted``, by which other hosts see that this runner lives.
    """
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            frontend.ignore_signals()
            os.close(sink)
            while not select.select([source], [], [], poll)[0]:
                with contextlib.suppress(OSError):
                    os.utime(folder.submitted)
            ids = [] if os.read(source, 1) else json.loads(folder.submitted.read_bytes())["ids"]
            if ids:
                ask(scheduler.cancel_command(ids))
        finally:
            os._exit(0)
    os.close(source)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(sink, b".")
        os.close(sink)
        os.waitpid(child, 0)


def cancel_leftovers(folder: JobFolder, scheduler: Scheduler) -> None:
    """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
    now = folder.submitted.stat().st_mtime  # by the file server's clock, as the times of the others
    for path in folder.path.parent.glob("*/submitted"):
        if path == folder.submitted:
            continue
        try:
            with path.open("rb") as file:
                facts = json.load(file)
                silence = now - os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError):
            continue
        if facts.get("logs") != folder.logs:
            continue
        refuse_if_alive(path, facts, silence)
        try:
            left = sorted({task[0] for task in scheduler.active(facts["ids"])} if facts["ids"] else ())
            if left:
                frontend.say(f"cancelling job {' '.join(left)} of an earlier runner that is gone")
                ask(scheduler.cancel_command(left))
                wait_until_gone(scheduler, left)
        except UnreachableError as error:
            raise cli.UserError(
                f"{error}; cannot tell whether jobs of an earlier runner still run"
            ) from error
        shutil.rmtree(path.parent, ignore_errors=True)


def refuse_if_alive(path: Path, facts: dict[str, Any], silence: float) -> None:
    """Raise an error if the other runner lives: here by its process, elsewhere by the time of its file."""
    if facts["host"] == os.uname().nodename:
        who, alive = f"process {facts['pid']}", is_alive(facts["pid"], facts["start"])
    else:
        who = f"process {facts['pid']} on {facts['host']}"
        alive = silence < max(SILENT_SECONDS, SILENT_POLLS * facts["poll"])
    if alive:
        raise cli.UserError(f"{who} is running the same jobs ({path.parent}); wait for it, or stop it")


def is_there(path: Path) -> bool:
    """Tell whether a file exists; its folder is read, which makes network file systems look at it again."""
    try:
        with os.scandir(path.parent) as entries:
            next(entries, None)
        return path.exists()
    except OSError:
        return False

"""Jobs on a cluster: submit arrays, wait until every task has said how it ended, lose none.

A task's own word is ``end.<job>`` in the call's :class:`~utils.job_runner.job_folder.JobFolder`, which is
removed if all went well. One that a signal ended may be queued again, so its word counts only when the
scheduler does not list it any more. A task that the scheduler has forgotten and that wrote no word within
a bounded time has failed.
"""

import contextlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from utils import cli, lock, progress
from utils.job_runner import frontend, site_conf
from utils.job_runner.job_folder import JobFolder
from utils.job_runner.request import Request, substitute
from utils.job_runner.scheduler import (
    FullError,
    RefusedError,
    Scheduler,
    State,
    SubmitError,
    Task,
    UnreachableError,
    Verdict,
    ask,
    cancel,
    wait_until_gone,
)

T = TypeVar("T")

REASON_SECONDS = 20.0


def run(request: Request, scheduler: Scheduler) -> dict[int, str]:
    """Run jobs on a cluster; return why jobs failed, by number.

    While this process lives, or the one that cancels its jobs, another runner of the same jobs is refused.
    """
    conf = site_conf.read(request.options.get("config"), scheduler.site_file, scheduler.built_in)
    command = conf.arguments(request)
    scheduler.gpu_words = conf.words_of("gpu", request.options["gpu"]) if request.gpus else []
    queue = Path(request.log_of(request.jobs[0])).absolute().parent / "q"
    name = request.same_log.rpartition("/")[2]
    try:
        with lock.held(queue / f"{name}.lock", f"the jobs with the logs {request.same_log}"):
            return ClusterRun(request, command, scheduler, queue).run()
    except UnreachableError as error:
        raise cli.UserError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            queue.rmdir()


class ClusterRun:
    """One call of a cluster runner; ``command`` is how to submit, from the site's configuration."""

    def __init__(self, request: Request, command: list[str], scheduler: Scheduler, queue: Path) -> None:
        self.request, self.command, self.scheduler = request, command, scheduler
        self.poll = frontend.number("RUNNER_POLL_SECONDS", 5.0)
        self.late = frontend.number("RUNNER_LATE_SECONDS", 60.0)
        self.patience = frontend.number("RUNNER_UNREACHABLE_SECONDS", 1800.0)
        self.folder = JobFolder(request, queue)
        self.ids: list[str] = []  # of arrays, in the order of their submission
        self.tasks: dict[int, Task] = {}
        self.pending: set[int] = set()  # jobs that have not ended yet
        self.listed: dict[Task, State] = {}  # what the scheduler said last
        self.verdicts: dict[str, dict[int, Verdict]] = {}  # what it said since of those that ended
        self.failed: dict[int, str] = {}  # why
        self.gone: dict[int, float] = {}  # since when the scheduler has forgotten a job
        self.unheard: dict[int, float] = {}  # since when its node has not been heard of
        self.worked: dict[str, float] = {}  # when the scheduler and the folder answered last
        self.pause = self.asked = 0.0
        self.board = progress.Board(request.name, len(request.jobs), request.status_of)

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        with survived(self.folder, self.scheduler):
            try:
                self._cancel_leftovers()
                for log in map(Path, map(self.request.log_of, self.request.jobs)):
                    if log.is_file():  # of an earlier run, which says nothing about this one
                        log.unlink()
                size = max(1, self._patiently(self.scheduler.array_limit))
                for number, begin in enumerate(range(0, len(self.request.jobs), size), start=1):
                    self._submit(number, list(self.request.jobs[begin : begin + size]))
                    if self.request.max_jobs_run is not None:
                        self._wait()
                self._wait()
                self._take_killed()
                self._wait_for_files()
            except BaseException:
                frontend.ignore_signals()
                self._cancel_all()
                raise
            finally:
                progress.close()
        if not self.failed:
            self.folder.remove()
        return {job: reason + self._without_log(job) for job, reason in self.failed.items()}

    def _cancel_leftovers(self) -> None:
        """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
        for folder, ids in self.folder.earlier():
            if left := sorted({task[0] for task in self.scheduler.active(ids)} if ids else ()):
                frontend.say(f"cancelling job {' '.join(left)} of an earlier runner that is gone")
                cancel(self.scheduler, left)
            shutil.rmtree(folder, ignore_errors=True)

    def _submit(self, number: int, jobs: list[int]) -> None:
        """Submit an array; where the site allows no more jobs, wait for tasks of the earlier ones.

        The tasks are told what to do when their id is written down.
        """
        script = self.folder.write_script(number, self.scheduler.index_variable)
        what = (self.command, script, self.folder.output(number), len(jobs), self.request.max_jobs_run)
        room, told, job_id = bool(self.ids), False, ""
        while not job_id:
            try:
                job_id = self._patiently(lambda: self.scheduler.submit(*what, self.folder.name))
            except (SubmitError, UnreachableError) as error:
                if not (room and isinstance(error, FullError)):
                    raise cli.UserError(f"cannot submit {self.folder.name}: {error}") from error
                if not told:
                    frontend.say(f"{error}; waiting for the jobs before")
                told, room = True, self._wait_for_room()
        self.ids.append(job_id)
        tasks = {job: (job_id, index) for index, job in enumerate(jobs, start=1)}
        self.tasks |= tasks
        self.pending |= tasks.keys()
        self.listed |= dict.fromkeys(tasks.values(), State("submitted"))
        self.pause, self.asked = 0.05, 0.0
        self.folder.record(self.ids)
        self.folder.write_spec(number, jobs)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something that a controller that is down refuses, again and again until it is up."""
        deadline = time.monotonic() + self.patience
        while True:
            frontend.check_recipe()
            try:
                return action()
            except RefusedError as error:
                if time.monotonic() > deadline:
                    raise
                frontend.warn(f"{error}; trying again")
            time.sleep(self.poll)

    def _wait(self) -> None:
        """Wait until every task has ended one way or the other."""
        while self.pending:
            self._look()
            if self.pending:
                self._rest()

    def _wait_for_room(self) -> bool:
        """Wait until the scheduler lists fewer tasks of this run than now; return False if it lists none."""
        self.pause, self.asked = 0.05, 0.0
        self._look()
        before = len(self.listed)
        while self.listed and len(self.listed) >= before:
            self._rest()
            self._look()
        return before > 0

    def _rest(self) -> None:
        time.sleep(min(self.pause, self.poll))
        self.pause = min(self.pause * 1.3, 60.0)

    def _look(self) -> None:
        """Ask the scheduler, if it is time, and read what tasks have said."""
        frontend.check_recipe()
        self.board.step()
        if time.monotonic() - self.asked >= min(self.poll, max(0.5, self.pause)):
            self.asked, self.verdicts = time.monotonic(), {}
            with self._borne("the scheduler has not answered"):
                self._note(self.scheduler.active(self.ids))
        with self._borne("the folder cannot be read"):
            ends = self.folder.ends(self.pending)
            for job in sorted(self.pending):
                self._judge(job, ends.get(job))

    @contextlib.contextmanager
    def _borne(self, what: str) -> Iterator[None]:
        """Go on for a while without the scheduler or the folder: running tasks do not need us."""
        try:
            yield
            self.worked[what] = time.monotonic()
        except (UnreachableError, OSError) as error:
            text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            if time.monotonic() - self.worked.setdefault(what, time.monotonic()) > self.patience:
                raise cli.UserError(
                    f"{what} for {self.patience:.0f} s ({text}); job {' '.join(self.ids)} may still be"
                    " running: look after it before you start again"
                ) from error
            frontend.warn(f"{text}; trying again")

    def _note(self, listed: dict[Task, State]) -> None:
        """Remember what the scheduler says, and since when it does not know a task any more."""
        self.listed, now = listed, time.monotonic()
        counts = Counter(state.text for state in listed.values())
        self.board.note = ", ".join(f"{count} {text}" for text, count in sorted(counts.items()))
        states = {job: listed[self.tasks[job]] for job in self.pending if self.tasks[job] in listed}
        self.gone = {job: self.gone.get(job, now) for job in self.pending - states.keys()}
        self.unheard = {job: self.unheard.get(job, now) for job, state in states.items() if state.unheard}
        for job in (job for job, state in states.items() if state.running):
            self.board.begin(job)

    def _judge(self, job: int, end: dict[str, Any] | None) -> None:
        """End a job by its own word, by the scheduler's, or because neither will come any more."""
        now, state = time.monotonic(), self.listed.get(self.tasks[job])
        waited = now - self.gone.get(job, now)
        if end is not None:
            code = os.waitstatus_to_exitcode(end["status"])
            by_signal = code < 0 or code > 128
            if by_signal and job not in self.gone:
                return
            verdict = self._verdict(job) if code else None
            if by_signal and verdict is None and waited < min(self.late, REASON_SECONDS):
                return  # the scheduler may know the reason soon
            more = f" ({verdict.reason})" if verdict is not None and verdict.failed else ""
            self._end(job, end["text"] + more if code else "")
        elif state is not None:
            silence = now - self.unheard.get(job, now)
            if state.stuck:
                self._give_up(job, f"state {state.text}: it would never run")
            elif silence > self.patience:
                self._give_up(job, f"state {state.text}: {state.unheard} is not heard of for {silence:.0f} s")
        elif waited > self.poll:
            verdict = self._verdict(job)
            reason = verdict.reason if verdict is not None else "the scheduler does not say why"
            reason = f"no word of its own, it is gone from the queue: {reason}"
            if waited > self.late:
                self._give_up(job, reason)
            elif verdict is not None and verdict.failed:
                self._end(job, reason)

    def _verdict(self, job: int) -> Verdict | None:
        """Return how a task ended by the scheduler's word, for which it is asked at most once a poll."""
        job_id, index = self.tasks[job]
        if job_id not in self.verdicts:
            self.verdicts[job_id] = self.scheduler.verdicts(job_id)
        return self.verdicts[job_id].get(index)

    def _end(self, job: int, reason: str = "") -> None:
        """Take a job off the list; it has failed if there is a reason."""
        if reason:
            self.failed[job] = reason
        self.pending.discard(job)
        self.board.end(job)

    def _give_up(self, job: int, reason: str) -> None:
        """Fail a task, and cancel it, should it be alive after all."""
        self._end(job, reason)
        try:
            ask(self.scheduler.cancel_command([], [self.tasks[job]]))
        except UnreachableError as error:
            frontend.warn(f"cannot cancel job {job}: {error}")

    def _take_killed(self) -> None:
        """Fail the tasks that said they succeeded, but lost a process for want of memory: in ``a | b``, a."""
        if not self.scheduler.accounting:
            return
        self.verdicts = {}
        with contextlib.suppress(UnreachableError):
            wait_until_gone(self.scheduler, self.ids)
            for job in sorted(self.tasks.keys() - self.failed.keys()):
                verdict = self._verdict(job)
                if verdict is not None and verdict.out_of_memory:
                    self.failed[job] = f"code 0, but {verdict.reason}"
                    with contextlib.suppress(OSError), Path(self.request.log_of(job)).open("a") as log:
                        log.write(f"# {verdict.reason}\n")  # the log of a job that is to run again

    def _wait_for_files(self) -> None:
        """Wait for what the jobs wrote to appear here; shared file systems may show it late."""
        names = [self.request.log, *os.environ.get("RUNNER_OUTPUTS", "").split()]
        deadline = time.monotonic() + self.late
        for job in sorted(set(self.request.jobs) - set(self.failed)):
            for path in (Path(substitute(name, self.request.job_name, job)) for name in names):
                while not is_there(path) and time.monotonic() < deadline:
                    time.sleep(min(0.2, self.poll))
                if not is_there(path):
                    self.failed[job] = f"code 0, but {path} has not appeared within {self.late:.0f} s"

    def _without_log(self, job: int) -> str:
        """Name what the scheduler or the node said instead of a log, if there is none."""
        array, index = self.tasks[job]
        output = self.folder.output(self.ids.index(array) + 1)
        output = output.with_name(f"{output.name}.{index}")
        missing = not is_there(Path(self.request.log_of(job))) and is_there(output)
        return f", before it had a log: see {output}" if missing else ""

    def _cancel_all(self) -> None:
        """Cancel everything that was submitted and wait a little for its end."""
        try:
            if self.ids:
                cancel(self.scheduler, self.ids)
            self.folder.remove()
        except (UnreachableError, OSError) as error:
            frontend.warn(f"cannot cancel {' '.join(self.ids)}: {error}")


@contextlib.contextmanager
def survived(folder: JobFolder, scheduler: Scheduler) -> Iterator[None]:
    """Have a second process until the block ends, which cancels what was submitted if this one is killed."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            frontend.ignore_signals()
            os.close(sink)
            killed = not os.read(source, 1)
            if killed and (ids := json.loads(folder.submitted.read_bytes())["ids"]):
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


def is_there(path: Path) -> bool:
    """Tell whether a file exists; its folder is read, which makes network file systems look at it again."""
    with contextlib.suppress(OSError):
        next(path.parent.iterdir(), None)
        return path.exists()
    return False

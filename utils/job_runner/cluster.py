"""Jobs on a cluster: submit arrays, wait until every task has said how it ended, lose none.

One call has a folder ``<log's folder>/q/<name>.<random>``, which the nodes see:

===============  ====================================================================
submitted        which ids were submitted for which logs: the next runner of the same
                 jobs cancels what a dead one has left
job.<n>.sh       what the scheduler starts, once a task of the n-th array
spec.<n>.json    the jobs, for :mod:`utils.job_runner.task`; written when the array's id
                 is in ``submitted``: without it, a task ends and has done nothing
out.<n>.<index>  what a task printed before it had a log
end.<job>        written by a task as its last act: how it ended
===============  ====================================================================

A task that a signal ended may be queued again, so its word counts only when the scheduler does not list it
any more. One that the scheduler has forgotten and that wrote no word within a bounded time has failed.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from utils import atomic, cli, lock, progress
from utils.job_runner import frontend, scheduler
from utils.job_runner.frontend import Request, substitute
from utils.job_runner.scheduler import SchedulerError, State, Task, Verdict

T = TypeVar("T")

REASON_SECONDS = 20.0
TASK = Path(__file__).with_name("task.py")
CARRIED = ("PATH", "PYTHONPATH", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "RECIPE_PYTHON", "WITHOUT_LOCKS")
NAME_LENGTH = 60


def run(request: Request, engine: ModuleType) -> dict[int, str]:
    """Run jobs by ``engine``, which is utils.slurm or utils.sge; return why jobs failed, by number.

    While this process lives, or the one that cancels its jobs, another runner of the same jobs is refused.
    """
    conf = scheduler.read_site_conf(request.options.get("config"), engine.SITE_FILE)
    conf.arguments(request)  # complains of options that it does not describe
    queue = Path(request.log_of(request.jobs[0])).absolute().parent / "q"
    name = request.same_log.rpartition("/")[2]
    try:
        with lock.held(queue / f"{name}.lock", f"the jobs with the logs {request.same_log}"):
            return ClusterRun(request, conf, engine, queue).run()
    finally:
        with contextlib.suppress(OSError):
            queue.rmdir()


def job_script(spec: Path, index_variable: str) -> str:
    """Return what the scheduler starts for each task.

    The spec appears when the runner knows the job's id, and may be seen here even later.
    """
    late = round(frontend.number("RUNNER_LATE_SECONDS", 60.0))
    exports = [f"export {name}={shlex.quote(os.environ[name])}\n" for name in CARRIED if name in os.environ]
    words = (sys.executable, TASK, spec, spec.parent, Path.cwd())
    python, task, where, folder, here = (shlex.quote(str(word)) for word in words)
    return f"""#!/usr/bin/env bash
{"".join(exports)}unset RECIPE_PID RUNNER_OUTPUTS
cd {here} || exit 1
[ ! -f path.sh ] || . ./path.sh
for second in $(seq 0 {late + scheduler.COMMAND_SECONDS}); do
  ls {folder} >/dev/null 2>&1 # network file systems look again
  [ ! -f {where} ] || exec {python} -I -S {task} {where} "${index_variable}"
  [ -d {folder} ] || [ "$second" -lt {late} ] || break
  sleep 1
done
echo "ERROR (job.sh) no" {where}": the runner that submitted this job gave it up" >&2
exit 1
"""


class ClusterRun:
    """One call of a cluster runner."""

    def __init__(self, request: Request, conf: scheduler.SiteConf, engine: ModuleType, queue: Path) -> None:
        self.request, self.conf, self.engine = request, conf, engine
        self.poll = frontend.number("RUNNER_POLL_SECONDS", 5.0)
        self.late = frontend.number("RUNNER_LATE_SECONDS", 60.0)
        self.patience = frontend.number("RUNNER_UNREACHABLE_SECONDS", 1800.0)
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.name).strip(".-_") or "job"
        self.name = (name if name[0].isalpha() else f"j{name}")[:NAME_LENGTH]  # which every scheduler takes
        self.logs = str(Path(request.same_log).absolute())
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=queue))
        self.folder.chmod(0o755)
        self.submitted = self.folder / "submitted"
        self.ids: list[str] = []  # of arrays, in the order of their submission
        self.tasks: dict[int, Task] = {}
        self.pending: set[int] = set()  # jobs that have not ended yet
        self.listed: dict[Task, State] = {}  # what the scheduler said last
        self.verdicts: dict[str, dict[int, Verdict]] = {}  # what it said since of those that ended
        self.failed: dict[int, str] = {}  # why
        self.gone: dict[int, float] = {}  # since when the scheduler has forgotten a job
        self.unheard: dict[int, float] = {}  # since when its node has not been heard of
        self.pause = self.asked = 0.0
        self.board = request.board()

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        self._record()
        with survived(self.submitted, self.engine):
            try:
                self._cancel_leftovers()
                for log in map(Path, map(self.request.log_of, self.request.jobs)):
                    if log.is_file():  # of an earlier run, which says nothing about this one
                        log.unlink()
                size, accounting = self._patiently(self.engine.limits)
                size = max(1, size)
                for number, begin in enumerate(range(0, len(self.request.jobs), size), start=1):
                    self._submit(number, self.request.jobs[begin : begin + size])
                    if self.request.max_jobs_run is not None:
                        self._wait(lambda: not self.pending)
                self._wait(lambda: not self.pending)
                if accounting:
                    self._take_killed()
                self._wait_for_files()
            except BaseException:
                frontend.ignore_signals()
                try:
                    if self.ids:
                        self._cancel(self.ids)
                    self._remove_folder()
                except (SchedulerError, OSError) as error:
                    frontend.warn(f"cannot cancel {' '.join(self.ids)}: {error}")
                raise
            finally:
                progress.close()
        if not self.failed:
            self._remove_folder()
        return {job: reason + self._without_log(job) for job, reason in self.failed.items()}

    def _record(self) -> None:
        atomic.write_json(self.submitted, {"logs": self.logs, "ids": self.ids})

    def _remove_folder(self) -> None:
        """Remove the folder; for the nodes it is gone at once, even if a task begins just now."""
        gone = self.folder.with_name(f".{self.folder.name}")
        with contextlib.suppress(OSError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _cancel_leftovers(self) -> None:
        """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
        for path in self.folder.parent.glob("*/submitted"):
            facts = {}
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(path.read_bytes())
            if path != self.submitted and facts.get("logs") == self.logs:
                ids = facts["ids"]
                if left := sorted({task[0] for task in self.engine.active(ids)} if ids else ()):
                    frontend.say(f"cancelling job {' '.join(left)} of an earlier runner that is gone")
                    self._cancel(left)
                shutil.rmtree(path.parent, ignore_errors=True)

    def _cancel(self, ids: list[str]) -> None:
        """Cancel jobs and wait (bounded) until the scheduler does not know them any more."""
        done = scheduler.ask(self.engine.cancel_command(ids))
        if done.returncode != 0:
            frontend.warn(f"cancelling {' '.join(ids)}: {scheduler.said(done)}")
        self._wait_until_gone(ids)

    def _wait_until_gone(self, ids: list[str]) -> None:
        deadline, pause = time.monotonic() + self.late, 0.2
        while self.engine.active(ids):
            if time.monotonic() > deadline:
                raise SchedulerError(f"job {' '.join(ids)} is still in the queue")
            time.sleep(min(pause, self.poll))
            pause *= 1.5

    def _submit(self, number: int, jobs: list[int]) -> None:
        """Submit an array; where the site allows no more jobs, wait for tasks of the earlier ones.

        The tasks are told what to do when their id is written down.
        """
        script, spec = self.folder / f"job.{number}.sh", self.folder / f"spec.{number}.json"
        script.write_text(job_script(spec, self.engine.INDEX_VARIABLE))
        script.chmod(0o755)
        words = self.conf.arguments(self.request)
        gpu = self.conf.words_of("gpu", self.request.options["gpu"]) if self.request.gpus else []
        output, most = self.folder / f"out.{number}", self.request.max_jobs_run
        array = scheduler.Array(words, gpu, script, output, len(jobs), most, self.name)
        told, job_id = False, ""
        while not job_id:
            try:
                job_id = self._patiently(lambda: self.engine.submit(array))
            except SchedulerError as error:
                self.pause, self.asked, before = 0.05, 0.0, len(self.listed)
                if not (before and error.full):
                    raise cli.UserError(f"cannot submit {self.name}: {error}") from error
                if not told:
                    frontend.say(f"{error}; waiting for the jobs before")
                told = True
                self._wait(lambda: len(self.listed) < before)  # noqa: B023
        self.ids.append(job_id)
        for index, job in enumerate(jobs, start=1):
            self.tasks[job] = (job_id, index)
            self.listed[self.tasks[job]] = State("submitted")
        self.pending.update(jobs)
        self.pause, self.asked = 0.05, 0.0
        self._record()
        facts = {**vars(self.request), "tasks": jobs, "markers": str(self.folder)}
        atomic.write_json(spec, facts)

    def _patiently(self, action: Callable[[], T], what: str = "") -> T:
        """Do something again and again while the controller is down, or, where ``what`` says it, anything is.

        Tasks that run do not need us meanwhile.
        """
        deadline = time.monotonic() + self.patience
        while True:
            frontend.check_recipe()
            try:
                return action()
            except (SchedulerError, OSError) as error:
                text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
                if not what and not getattr(error, "down", False):
                    raise
                if time.monotonic() > deadline:
                    what = f"{what or 'the scheduler has refused'} for {self.patience:.0f} s ({text})"
                    left = f"; job {' '.join(self.ids)} may still be running: look after it"
                    raise cli.UserError(what + left * bool(self.ids)) from error
                frontend.warn(f"{text}; trying again")
            time.sleep(self.poll)

    def _wait(self, until: Callable[[], object]) -> None:
        """Look again and again until something is so."""
        self._look()
        while not until():
            time.sleep(min(self.pause, self.poll))
            self.pause = min(self.pause * 1.3, 60.0)
            self._look()

    def _look(self) -> None:
        """Ask the scheduler, if it is time, and read what tasks have said."""
        self.board.step()
        if time.monotonic() - self.asked >= min(self.poll, max(0.5, self.pause)):
            listed = self._patiently(lambda: self.engine.active(self.ids), "the scheduler has not answered")
            self.asked, self.verdicts = time.monotonic(), {}
            self._note(listed)
        ends = self._patiently(self._ends, "the folder cannot be read")
        for job in sorted(self.pending):
            self._judge(job, ends.get(job))

    def _ends(self) -> dict[int, dict[str, Any]]:
        """Return what has been said of the ends of jobs."""
        names = {path.name for path in self.folder.iterdir()}
        found = {}
        for job in (job for job in self.pending if f"end.{job}" in names):
            # A second run of the task removes the word of the first.
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[job] = json.loads((self.folder / f"end.{job}").read_bytes())
        return found

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
            by_signal = end["code"] < 0 or end["code"] > 128
            if by_signal and job not in self.gone:
                return
            verdict = self._verdict(job) if end["code"] else None
            if by_signal and verdict is None and waited < min(self.late, REASON_SECONDS):
                return  # the scheduler may know the reason soon
            more = f" ({verdict.reason})" if verdict is not None and verdict.failed else ""
            self._end(job, end["text"] + more if end["code"] else "")
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
            self.verdicts[job_id] = self.engine.verdicts(job_id)
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
            scheduler.ask(self.engine.cancel_command([], self.tasks[job]))
        except SchedulerError as error:
            frontend.warn(f"cannot cancel job {job}: {error}")

    def _take_killed(self) -> None:
        """Fail the tasks that said they succeeded, but lost a process for want of memory: in ``a | b``, a."""
        self.verdicts = {}
        with contextlib.suppress(SchedulerError):
            self._wait_until_gone(self.ids)
            for job in sorted(self.tasks.keys() - self.failed.keys()):
                verdict = self._verdict(job)
                if verdict is not None and verdict.out_of_memory:
                    self.failed[job] = f"code 0, but {verdict.reason}"

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
        output = self.folder / f"out.{self.ids.index(array) + 1}.{index}"
        missing = not is_there(Path(self.request.log_of(job))) and is_there(output)
        return f", before it had a log: see {output}" if missing else ""


@contextlib.contextmanager
def survived(submitted: Path, engine: ModuleType) -> Iterator[None]:
    """Have a second process until the block ends, which cancels what was submitted if this one is killed."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            frontend.ignore_signals()
            os.close(sink)
            killed = not os.read(source, 1)
            if killed and (ids := json.loads(submitted.read_bytes())["ids"]):
                scheduler.ask(engine.cancel_command(ids))
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

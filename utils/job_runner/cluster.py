"""Jobs on a cluster: submit an array, wait until every task has said how it ended, lose none.

One call has a folder ``<log's folder>/q/<name>.<random>``, which the nodes see:

=============  ====================================================================
submitted      which id was submitted for which logs: the next runner of the same
               jobs cancels what a dead one has left
job.sh         what the scheduler starts, once a task
spec.json      the jobs, for :mod:`utils.job_runner.task`
out.<index>    what a task printed before it had a log
end.<job>      written by a task as its last act: how it ended
=============  ====================================================================

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
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from utils import atomic, cli, lock, progress
from utils.job_runner import frontend, scheduler
from utils.job_runner.frontend import Request
from utils.job_runner.scheduler import SchedulerError, State, Verdict

T = TypeVar("T")

REASON_SECONDS = 20.0
TASK = Path(__file__).with_name("task.py")
CARRIED = ("PATH", "PYTHONPATH", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "RECIPE_PYTHON", "WITHOUT_LOCKS")
NAME_LENGTH = 60


def run(request: Request, engine: ModuleType) -> dict[int, str]:
    """Run jobs by ``engine``, which is utils.slurm or utils.sge; return why jobs failed, by number.

    While this process lives, another runner of the same jobs is refused.
    """
    words = scheduler.submission(request, engine.SITE_FILE)
    queue = Path(request.log_of(request.jobs[0])).absolute().parent / "q"
    logs = request.log_of("*")
    try:
        with lock.held(queue / f"{logs.rpartition('/')[2]}.lock", f"the jobs with the logs {logs}"):
            return ClusterRun(request, words, engine, queue).run()
    finally:
        with contextlib.suppress(OSError):
            queue.rmdir()


def job_script(spec: Path, index_variable: str) -> str:
    """Return what the scheduler starts for each task."""
    exports = [f"export {name}={shlex.quote(os.environ[name])}\n" for name in CARRIED if name in os.environ]
    here, *words = (shlex.quote(str(word)) for word in (Path.cwd(), sys.executable, "-I", "-S", TASK, spec))
    return f"""#!/usr/bin/env bash
{"".join(exports)}unset RECIPE_PID
cd {here} || exit 1
[ ! -f path.sh ] || . ./path.sh
exec {" ".join(words)} "${index_variable}"
"""


class ClusterRun:
    """One call of a cluster runner; ``words`` is the command that submits its jobs."""

    def __init__(self, request: Request, words: list[str], engine: ModuleType, queue: Path) -> None:
        self.request, self.words, self.engine = request, words, engine
        self.poll = float(os.environ.get("RUNNER_POLL_SECONDS", "5"))
        self.late = float(os.environ.get("RUNNER_LATE_SECONDS", "60"))
        self.patience = float(os.environ.get("RUNNER_UNREACHABLE_SECONDS", "1800"))
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.name).strip(".-_") or "job"
        self.name = (name if name[0].isalpha() else f"j{name}")[:NAME_LENGTH]  # which every scheduler takes
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=queue))
        self.folder.chmod(0o755)
        self.logs = str(Path(request.log_of("*")).absolute())
        self.id = ""  # of the array
        self.indices = {job: index for index, job in enumerate(request.jobs, start=1)}
        self.pending = set(request.jobs)  # jobs that have not ended yet
        self.listed: dict[int, State] = {}  # what the scheduler said last, by index
        self.verdicts: dict[int, Verdict] | None = None  # what it said since of those that ended
        self.failed: dict[int, str] = {}  # why
        self.gone: dict[int, float] = {}  # since when the scheduler has forgotten a job
        self.pause, self.asked = 0.05, 0.0
        self.board = request.board()

    def run(self) -> dict[int, str]:
        """Submit and wait; return why jobs failed, by number."""
        try:
            self._record()
            self._cancel_leftovers()
            for log in map(Path, map(self.request.log_of, self.request.jobs)):
                if log.is_file():  # of an earlier run, which says nothing about this one
                    log.unlink()
            self._submit()
            while self.pending:
                self._look()
        except BaseException:
            frontend.ignore_signals()
            try:
                if self.id:
                    self._cancel(self.id)
                shutil.rmtree(self.folder, ignore_errors=True)
            except SchedulerError as error:
                frontend.warn(f"cannot cancel {self.id}: {error}")
            raise
        finally:
            progress.close()
        if not self.failed:
            shutil.rmtree(self.folder, ignore_errors=True)
        return {job: reason + self._without_log(job) for job, reason in self.failed.items()}

    def _record(self) -> None:
        atomic.write_json(self.folder / "submitted", {"logs": self.logs, "id": self.id})

    def _cancel_leftovers(self) -> None:
        """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
        for path in self.folder.parent.glob("*/submitted"):
            facts = {}
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(path.read_bytes())
            if path.parent != self.folder and facts.get("logs") == self.logs:
                if facts["id"] and self.engine.active(facts["id"]):
                    frontend.say(f"cancelling job {facts['id']} of an earlier runner that is gone")
                    self._cancel(facts["id"])
                shutil.rmtree(path.parent, ignore_errors=True)

    def _cancel(self, job_id: str) -> None:
        """Cancel an array and wait (bounded) until the scheduler does not know it any more."""
        done = scheduler.ask(self.engine.cancel_command(job_id))
        if done.returncode != 0:
            frontend.warn(f"cancelling {job_id}: {scheduler.said(done)}")
        deadline = time.monotonic() + self.late
        while self.engine.active(job_id):
            if time.monotonic() > deadline:
                raise SchedulerError(f"job {job_id} is still in the queue")
            time.sleep(min(0.5, self.poll))

    def _submit(self) -> None:
        script, spec = self.folder / "job.sh", self.folder / "spec.json"
        atomic.write_json(spec, {**vars(self.request), "markers": str(self.folder)})
        script.write_text(job_script(spec, self.engine.INDEX_VARIABLE))
        script.chmod(0o755)
        tasks, most = len(self.request.jobs), self.request.max_jobs_run
        words = self.engine.submission(self.words, self.name, self.folder, tasks, most)
        try:
            self.id = self._patiently(lambda: scheduler.submitted_id(words))
        except SchedulerError as error:
            raise cli.UserError(f"cannot submit {self.name}: {error}") from error
        self._record()

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
                if not what and not getattr(error, "down", False):
                    raise
                if time.monotonic() > deadline:
                    what = f"{what or 'the scheduler has refused'} for {self.patience:.0f} s ({error})"
                    left = f"; job {self.id} may still be running: look after it" if self.id else ""
                    raise cli.UserError(what + left) from error
                frontend.warn(f"{error}; trying again")
            time.sleep(self.poll)

    def _look(self) -> None:
        """Wait a while, ask the scheduler, if it is time, and read what tasks have said."""
        time.sleep(min(self.pause, self.poll))
        self.pause = min(self.pause * 1.3, 60.0)
        self.board.step()
        if time.monotonic() - self.asked >= min(self.poll, max(0.5, self.pause)):
            self.listed = self._patiently(
                lambda: self.engine.active(self.id), "the scheduler has not answered"
            )
            self.asked, self.verdicts = time.monotonic(), None
            counts = Counter(state.text for state in self.listed.values())
            self.board.note = ", ".join(f"{count} {text}" for text, count in sorted(counts.items()))
            gone = {job for job in self.pending if self.indices[job] not in self.listed}
            self.gone = {job: self.gone.get(job, self.asked) for job in gone}
            for job in self.pending - gone:
                if self.listed[self.indices[job]].running:
                    self.board.begin(job)
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

    def _judge(self, job: int, end: dict[str, Any] | None) -> None:
        """End a job by its own word, by the scheduler's, or because neither will come any more."""
        state = self.listed.get(self.indices[job])
        waited = time.monotonic() - self.gone[job] if job in self.gone else 0.0
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
            if state.stuck:
                self._give_up(job, f"state {state.text}: it would never run")
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
        if self.verdicts is None:
            self.verdicts = self.engine.verdicts(self.id)
        return self.verdicts.get(self.indices[job])

    def _end(self, job: int, reason: str) -> None:
        """Take a job off the list; it has failed if there is a reason."""
        if reason:
            self.failed[job] = reason
        self.pending.discard(job)
        self.board.end(job)

    def _give_up(self, job: int, reason: str) -> None:
        """Fail a task, and cancel it, should it be alive after all."""
        self._end(job, reason)
        try:
            scheduler.ask(self.engine.cancel_command(self.id, self.indices[job]))
        except SchedulerError as error:
            frontend.warn(f"cannot cancel job {job}: {error}")

    def _without_log(self, job: int) -> str:
        """Name what the scheduler or the node said instead of a log, if there is none."""
        output = self.folder / f"out.{self.indices[job]}"
        missing = not is_there(Path(self.request.log_of(job))) and is_there(output)
        return f", before it had a log: see {output}" if missing else ""


def is_there(path: Path) -> bool:
    """Tell whether a file exists; its folder is read, which makes network file systems look at it again."""
    with contextlib.suppress(OSError):
        next(path.parent.iterdir(), None)
        return path.exists()
    return False

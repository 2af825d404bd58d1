"""The folder ``<log's folder>/q/<name>.<random>`` of one call of a cluster runner, which the nodes see.

===============  ====================================================================
submitted        which process submitted which ids for which logs; its time is renewed
                 while that process lives, and who finds it later cancels those ids
job.<n>.sh       what the scheduler starts, once a task of the n-th array
spec.<n>.json    the jobs, for :mod:`utils.job_runner.task`; written when the array's id
                 is in ``submitted``: without it, a task ends and has done nothing
out.<n>.<index>  what a task printed before it had a log
end.<job>        written by a task as its last act: how it ended
===============  ====================================================================
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils import atomic
from utils.job_runner import recipe_process
from utils.job_runner.job_script import job_name, job_script
from utils.job_runner.request import Request


class JobFolder:
    """The folder of one call.

    Attributes
    ----------
    path : Path
        The folder.
    name : str
        Name of the call's jobs in the queue.
    logs : str
        Its log files, with an asterisk for the job number: calls that agree in it are for the same jobs.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.name = job_name(request)
        logs = request.log if request.job_name is None else request.log.replace(request.job_name, "*")
        self.logs = str(Path(logs).absolute())
        queue_dir = Path(request.log_of(request.jobs[0])).absolute().parent / "q"
        queue_dir.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=queue_dir))
        self.path.chmod(0o755)

    @property
    def submitted(self) -> Path:
        """The file that says what was submitted."""
        return self.path / "submitted"

    def record(self, ids: list[str], poll: float) -> None:
        """Write down this process and what it has submitted."""
        facts = {
            "logs": self.logs,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "start": recipe_process.start_time(os.getpid()),
            "poll": poll,
            "ids": ids,
        }
        with atomic.replacing(self.submitted) as file:
            json.dump(facts, file)

    def write_script(self, number: int, index: str) -> Path:
        """Write what the tasks of an array start; ``index`` is the shell's word for a task's own."""
        script = self.path / f"job.{number}.sh"
        script.write_text(job_script(self._spec(number), index))
        script.chmod(0o755)
        return script

    def write_spec(self, number: int, jobs: list[int]) -> None:
        """Write what the tasks of an array are to do, for which they wait."""
        facts = {
            "tasks": jobs,
            "job_name": self.request.job_name,
            "command": self.request.command,
            "log": self.request.log,
            "threads": self.request.threads,
            "markers": str(self.path),
            "gpus": self.request.gpus,
            "resume_state": os.environ.get("RUNNER_RESUME_STATE"),
        }
        with atomic.replacing(self._spec(number)) as file:
            json.dump(facts, file)

    def output(self, number: int) -> Path:
        """Return where the tasks of an array print; a dot and the task's index follow."""
        return self.path / f"out.{number}"

    def ends(self, jobs: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return what has been said of the ends of these jobs. Raises OSError if it cannot be read now."""
        names = [path.name for path in self.path.iterdir()]
        ended = {int(name[4:]) for name in names if re.fullmatch(r"end\.\d+", name)}
        found = {}
        for job in sorted(ended.intersection(jobs)):
            # A second run of the task removes the word of the first.
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[job] = json.loads((self.path / f"end.{job}").read_bytes())
        return found

    def remove(self) -> None:
        """Remove the folder, and the folder of folders if this was the last one."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()

    def _spec(self, number: int) -> Path:
        return self.path / f"spec.{number}.json"

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
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils import atomic
from utils.job_runner import frontend
from utils.job_runner.request import Request
from utils.process import start_time

TASK = Path(__file__).with_name("task.py")
CARRIED = ("PATH", "PYTHONPATH", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "RECIPE_PYTHON", "WITHOUT_LOCKS")
NAME_LENGTH = 60


def job_name(request: Request) -> str:
    """Return a name that every scheduler takes: the log's, without the job number."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.name).strip(".-_") or "job"
    return (name if name[0].isalpha() else f"j{name}")[:NAME_LENGTH]


def job_script(spec: Path, index: str) -> str:
    """Return what the scheduler starts for each task, whose index is the shell's word ``index``.

    The spec appears when the runner knows the job's id, and may be seen here even later.
    """
    late = round(frontend.seconds("RUNNER_LATE_SECONDS", 60.0))
    exports = [f"export {name}={shlex.quote(os.environ[name])}" for name in CARRIED if name in os.environ]
    words = (sys.executable, TASK, spec, spec.parent, Path.cwd())
    python, task, where, folder, here = (shlex.quote(str(word)) for word in words)
    lines = [
        "#!/usr/bin/env bash",
        *exports,
        "unset RECIPE_PID RUNNER_OUTPUTS",
        f"cd {here} || exit 1",
        "[ ! -f path.sh ] || . ./path.sh",
        f"for second in $(seq 0 {late + frontend.COMMAND_SECONDS}); do",
        f"  ls {folder} >/dev/null 2>&1 # network file systems look again",
        f'  [ ! -f {where} ] || exec {python} -I -S {task} {where} "{index}"',
        f'  [ -d {folder} ] || [ "$second" -lt {late} ] || break',
        "  sleep 1",
        "done",
        f'echo "ERROR (job.sh) no" {where}": the runner that submitted this job gave it up" >&2',
        "exit 1",
    ]
    return "\n".join(lines) + "\n"


class JobFolder:
    """The folder of one call: its path, and the ``name`` of its jobs in the queue.

    Calls that agree in ``logs``, their log files with an asterisk for the number, are for the same jobs.
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
            "start": start_time(os.getpid()) or "0",
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

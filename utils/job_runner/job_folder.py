"""The folder ``<log's folder>/q/<name>.<random>`` of one call of a cluster runner, which the nodes see.

===============  ====================================================================
submitted        which ids were submitted for which logs: the next runner of the same
                 jobs cancels what a dead one has left
job.<n>.sh       what the scheduler starts, once a task of the n-th array
spec.<n>.json    the jobs, for :mod:`utils.job_runner.task`; written when the array's id
                 is in ``submitted``: without it, a task ends and has done nothing
out.<n>.<index>  what a task printed before it had a log
end.<job>        written by a task as its last act: how it ended
===============  ====================================================================
"""

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

TASK = Path(__file__).with_name("task.py")
CARRIED = ("PATH", "PYTHONPATH", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "RECIPE_PYTHON", "WITHOUT_LOCKS")
NAME_LENGTH = 60


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
for second in $(seq 0 {late + frontend.COMMAND_SECONDS}); do
  ls {folder} >/dev/null 2>&1 # network file systems look again
  [ ! -f {where} ] || exec {python} -I -S {task} {where} "${index_variable}"
  [ -d {folder} ] || [ "$second" -lt {late} ] || break
  sleep 1
done
echo "ERROR (job.sh) no" {where}": the runner that submitted this job gave it up" >&2
exit 1
"""


class JobFolder:
    """The folder of one call: its path, and the ``name`` of its jobs, which every scheduler takes.

    Calls that agree in ``logs``, their log files with an asterisk for the number, are for the same jobs.
    """

    def __init__(self, request: Request, queue: Path) -> None:
        self.request = request
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.name).strip(".-_") or "job"
        self.name = (name if name[0].isalpha() else f"j{name}")[:NAME_LENGTH]
        self.logs = str(Path(request.same_log).absolute())
        self.path = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=queue))
        self.path.chmod(0o755)
        self.submitted = self.path / "submitted"
        self.record([])

    def record(self, ids: list[str]) -> None:
        """Write down what was submitted."""
        with atomic.replacing(self.submitted) as file:
            json.dump({"logs": self.logs, "ids": ids}, file)

    def write_script(self, number: int, index_variable: str) -> Path:
        """Write what the tasks of an array start."""
        script = self.path / f"job.{number}.sh"
        script.write_text(job_script(self.path / f"spec.{number}.json", index_variable))
        script.chmod(0o755)
        return script

    def write_spec(self, number: int, jobs: list[int]) -> None:
        """Write what the tasks of an array are to do, for which they wait."""
        facts = {
            name: getattr(self.request, name) for name in ("job_name", "command", "log", "threads", "gpus")
        }
        atomic.write_json(
            self.path / f"spec.{number}.json", {**facts, "tasks": jobs, "markers": str(self.path)}
        )

    def output(self, number: int) -> Path:
        """Return where the tasks of an array print; a dot and the task's index follow."""
        return self.path / f"out.{number}"

    def ends(self, jobs: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return what has been said of the ends of these jobs. Raises OSError if it cannot be read now."""
        names = {path.name for path in self.path.iterdir()}
        found = {}
        for job in (job for job in jobs if f"end.{job}" in names):
            # A second run of the task removes the word of the first.
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[job] = json.loads((self.path / f"end.{job}").read_bytes())
        return found

    def earlier(self) -> Iterable[tuple[Path, list[str]]]:
        """Yield the folders that runners of the same jobs have left, and what these had submitted."""
        for path in self.path.parent.glob("*/submitted"):
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(path.read_bytes())
                if path != self.submitted and facts["logs"] == self.logs:
                    yield path.parent, facts["ids"]

    def remove(self) -> None:
        """Remove the folder; for the nodes it is gone at once, even if a task begins just now."""
        gone = self.path.with_name(f".{self.path.name}")
        with contextlib.suppress(OSError):
            self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

"""Name and script of a cluster's job."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from utils.job_runner import frontend
from utils.job_runner.request import Request
from utils.job_runner.scheduler import COMMAND_SECONDS

TASK = Path(__file__).with_name("task.py")
CARRIED = ("PATH", "PYTHONPATH", "PYTHONUTF8", "LC_ALL", "OMP_NUM_THREADS", "RECIPE_PYTHON")
NAME_LENGTH = 60


def job_name(request: Request) -> str:
    """Return a name that every scheduler takes: the log's, without the job number."""
    name = Path(request.log).name.removesuffix(".log")
    if request.job_name is not None:
        name = name.replace(request.job_name, "")
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name).strip(".-_") or "job"
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
        "unset RECIPE_PID RECIPE_PID_START RUNNER_OUTPUTS",
        f"cd {here} || exit 1",
        "[ ! -f path.sh ] || . ./path.sh",
        f"for second in $(seq 0 {late + COMMAND_SECONDS}); do",
        f"  ls {folder} >/dev/null 2>&1 # network file systems look again",
        f'  [ ! -f {where} ] || exec {python} -I -S {task} {where} "{index}"',
        f'  [ -d {folder} ] || [ "$second" -lt {late} ] || break',
        "  sleep 1",
        "done",
        f'echo "ERROR (job.sh) no" {where}": the runner that submitted this job gave it up" >&2',
        "exit 1",
    ]
    return "\n".join(lines) + "\n"

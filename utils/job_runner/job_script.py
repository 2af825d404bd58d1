"""Name and script of a cluster's job."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from utils.job_runner.request import Request

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


def job_script(spec: Path) -> str:
    """Return what the scheduler starts for each task."""
    exports = [f"export {name}={shlex.quote(os.environ[name])}" for name in CARRIED if name in os.environ]
    python, task, where = (shlex.quote(str(word)) for word in (sys.executable, TASK, spec))
    lines = [
        "#!/usr/bin/env bash",
        *exports,
        "unset RECIPE_PID RECIPE_PID_START",
        f"cd {shlex.quote(str(Path.cwd()))} || exit 1",
        "[ ! -f path.sh ] || . ./path.sh",
        f"for _ in $(seq 60); do [ -f {where} ] && break; sleep 1; done",
        "index=${SLURM_ARRAY_TASK_ID:-${SGE_TASK_ID:-1}}",
        '[ "$index" != undefined ] || index=1',
        f'exec {python} -I -S {task} {where} "$index"',
    ]
    return "\n".join(lines) + "\n"

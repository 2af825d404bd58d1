#!/usr/bin/env python3
"""Run jobs on this machine, with the command line, logs and exit status of Kaldi's run.pl.

Usage: run.py [options] [JOB=1:N] <log-file> <command…>
 e.g.: run.py --max-jobs-run 4 JOB=1:8 exp/log/convert.JOB.log steps/convert_audio.py scp:wav.JOB.scp

JOB (any name) is replaced by 1 … N in the log's name and in the command, which bash runs; arguments like
'|' and '>' act there. Waits for all jobs; if one fails, names the logs and exits with 1.

Options:
  --max-jobs-run R    run at most R jobs at once (default: cores / num-threads)
  --num-threads N     threads of one job (default 1)
  --gpu G             GPUs of one job: gives each job its own out of CUDA_VISIBLE_DEVICES
  --mem M, --config F, -V, -q Q, …    for cluster runners; ignored here

Environment: RECIPE_PID names the process of the recipe, with whose end the jobs end. RUNNER_JOBS_PER_GPU (1)
jobs share a GPU. A job finds in JOB_STATUS where to say how far it is (utils/progress.py).
"""

import contextlib
import subprocess
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import frontend, job_log, local
from utils.job_runner.gpus import GpuPool
from utils.job_runner.request import Request
from utils.progress import Board

IGNORED = {"mem", "config", "num_threads", "max_jobs_run", "gpu"}


def run_jobs(request: Request) -> dict[int, str]:
    """Run the jobs; return why jobs failed, by number."""
    ignored = [f"--{name} {value}" for name, value in request.options.items() if name not in IGNORED]
    if ignored:
        frontend.warn(f"ignoring options {' '.join(ignored)}")

    def start(number: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        log, command = request.log_of(number), request.command_of(number)
        job = {"command": command, "log": log, "threads": request.threads}
        return local.start_task(job, environment=environment)

    limit = request.max_jobs_run or max(1, local.cores() // request.threads)
    shared = max(1, int(frontend.number("RUNNER_JOBS_PER_GPU", 1)))
    gpus = GpuPool(request.gpus, frontend.warn, jobs_per_gpu=shared)
    board = Board(request.name, len(request.jobs), request.status_of)
    codes = local.run_all(request.jobs, start, limit=limit, gpus=gpus, board=board)
    return {number: explain(code, request.log_of(number)) for number, code in codes.items() if code}


def explain(code: int, log: str) -> str:
    """Say how a job ended; finish the log of one that was killed with its supervisor."""
    if code >= 0:
        return f"code {code}"
    with contextlib.suppress(OSError), Path(log).open("a") as stream:
        stream.write(job_log.trailer(-code, 0, 1, None))
    return f"signal {-code}"


if __name__ == "__main__":
    frontend.run(__doc__, run_jobs)

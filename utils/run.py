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

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import frontend, local
from utils.job_runner.frontend import Request, substitute

KNOWN = {"mem", "config", "num_threads", "max_jobs_run", "gpu"}


def run_jobs(request: Request) -> dict[int, str]:
    """Run the jobs; return why jobs failed, by number."""
    ignored = [f"--{name} {value}" for name, value in request.options.items() if name not in KNOWN]
    if ignored:
        frontend.warn(f"ignoring options {' '.join(ignored)}")

    def start(job: int, environment: dict[str, str]) -> local.Process:
        command = substitute(request.command, request.job_name, job)
        facts = {"command": command, "log": request.log_of(job), "threads": request.threads}
        return local.start_task(facts, environment)

    limit = request.max_jobs_run or max(1, len(os.sched_getaffinity(0)) // request.threads)
    gpus = local.GpuPool(request.gpus, jobs_per_gpu=int(os.environ.get("RUNNER_JOBS_PER_GPU", "1")))
    codes = local.run_all(request.jobs, start, limit=limit, gpus=gpus, board=request.board())
    return {job: f"code {code}" if code > 0 else f"signal {-code}" for job, code in codes.items() if code}


if __name__ == "__main__":
    frontend.run(__doc__, run_jobs)

#!/usr/bin/env python3
"""Run jobs on this machine, with the command line, logs and exit status of Kaldi's run.pl.

Usage: run.py [options] [JOB=1:N] <log-file> <command…>
 e.g.: run.py --max-jobs-run 4 JOB=1:8 exp/log/convert.JOB.log steps/convert_audio.py scp:wav.JOB.scp

JOB (any name) is replaced by 1 … N in the log's name and in the command, which bash runs; arguments like
'|' and '>' act there.

Options:
  --max-jobs-run R    run at most R jobs at once (default: cores / num-threads)
  --num-threads N     threads of one job (default 1)
  --gpu G             GPUs of one job: each waits for its own out of CUDA_VISIBLE_DEVICES
  --mem M, --config F, -V, -q Q, …    all others are for cluster runners, and ignored here

Environment: RECIPE_PID names the process of the recipe, with whose end the jobs end. RUNNER_JOBS_PER_GPU (1)
jobs share a GPU. A job finds in JOB_STATUS where to say how far it is (utils/progress.py).
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import frontend, local
from utils.job_runner.frontend import Request, substitute

TASK = Path(local.__file__).with_name("task.py")


def run_jobs(request: Request) -> dict[int, str]:
    """Run the jobs; return why jobs failed, by number."""

    def start(job: int) -> local.Process:
        command = substitute(request.command, request.job_name, job)
        facts = {"command": command, "log": request.log_of(job), "parent": os.getpid()}
        facts |= {"threads": request.threads, "gpus": request.gpus}
        process = local.start_session([sys.executable, "-I", "-S", str(TASK), "-"], {}, stdin=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as stream:
            stream.write(json.dumps(facts).encode())
        return process

    limit = request.max_jobs_run or max(1, len(os.sched_getaffinity(0)) // request.threads)
    codes = local.run_all(request.jobs, start, limit, request.board())
    return {job: f"code {code}" if code > 0 else f"signal {-code}" for job, code in codes.items() if code}


if __name__ == "__main__":
    frontend.run(__doc__, run_jobs)

"""Jobs on this machine: some at a time, each supervised by :mod:`utils.job_runner.task`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from utils import progress
from utils.job_runner import frontend
from utils.job_runner.gpus import GpuPool
from utils.progress import Board

TASK = Path(__file__).with_name("task.py")
STOP_SECONDS = 5.0

Process = subprocess.Popen[bytes]


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def start_task(
    job: dict[str, Any], *, environment: dict[str, str] | None = None, stdout: int | None = None
) -> Process:
    """Start one supervised job (see :mod:`utils.job_runner.task`) in a session of its own.

    Variables of ``environment`` differ from this process's own; what a job without a log prints goes to
    ``stdout``.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(TASK), "-"],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=None if stdout is None else subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        close_fds=False,  # the lock under which this runs is the jobs', too
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps({**job, "parent": os.getpid()}).encode())
    return process


def stop_all(processes: Iterable[Process]) -> None:
    """Stop supervised jobs and everything they started: SIGTERM, then SIGKILL."""
    alive = [process for process in processes if process.poll() is None]
    for process in alive:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in alive:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        kill_group(process.pid)
        process.wait()


def kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def run_all(
    jobs: Iterable[int],
    start: Callable[[int, dict[str, str]], Process],
    *,
    limit: int,
    board: Board,
    gpus: GpuPool | None = None,
    last_code: int | None = None,
) -> dict[int, int]:
    """Run jobs, at most ``limit`` at once, and wait for all; return the exit code of each.

    They are started in this order by ``start``, which is told their variables. After a job that ends with
    ``last_code`` no other is started. A code is negative if the job's supervisor was killed by a signal.
    Raises InterruptedRunError when all are stopped.
    """
    waiting, running, codes = list(jobs), dict[int, tuple[Process, dict[str, Path]]](), dict[int, int]()
    pause, gpus = 0.005, gpus or GpuPool(0, frontend.warn)
    try:
        while waiting or running:
            frontend.check_recipe()
            while waiting and len(running) < limit and (held := gpus.acquire()) is not None:
                job = waiting.pop(0)
                running[job] = start(job, gpus.environment(held)), held
                board.begin(job)
                pause = 0.005
            board.step()
            for job, (process, held) in list(running.items()):
                if process.poll() is not None:
                    kill_group(process.pid)
                    gpus.release(held)
                    board.end(job)
                    codes[job] = process.returncode
                    if process.returncode == last_code:
                        waiting.clear()
                    del running[job]
                    pause = 0.005
            if running or waiting:
                time.sleep(pause)
                pause = min(0.1, pause * 1.5)
    except BaseException:
        frontend.ignore_signals()
        stop_all(process for process, _ in running.values())
        raise
    finally:
        progress.close()
    return codes

"""Processes on this machine: some at a time, each with all that it starts in a session of its own."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any

from utils import progress
from utils.job_runner import frontend

STOP_SECONDS = 5.0

Process = subprocess.Popen[bytes]


def start_session(words: list[str], environment: dict[str, str], **streams: Any) -> Process:
    """Start a process in a session of its own, which has our lock, too; its ``environment`` adds to ours."""
    variables = {**os.environ, **environment}
    return subprocess.Popen(words, env=variables, start_new_session=True, close_fds=False, **streams)


def signal_group(process: Process, number: int) -> None:
    """Send a signal to a process and all that it started, as far as they live."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def stop_all(processes: Iterable[Process]) -> None:
    """Stop processes, each a session, and everything they started: SIGTERM, then SIGKILL."""
    alive = [process for process in processes if process.poll() is None]
    for process in alive:
        signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in alive:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        signal_group(process, signal.SIGKILL)
        process.wait()


def run_all(
    jobs: Iterable[int], start: Callable[[int], Process], limit: int, board: progress.Board
) -> dict[int, int]:
    """Run jobs, at most ``limit`` at once, and wait for all; return the exit code of each.

    They are started in this order by ``start``, in a session each. Codes of those that signals ended are
    negative. Raises InterruptedRunError when all are stopped.
    """
    waiting, running, codes = list(jobs), dict[int, Process](), dict[int, int]()
    pause = 0.005
    try:
        while waiting or running:
            frontend.check_recipe()
            while waiting and len(running) < limit:
                job = waiting.pop(0)
                running[job] = start(job)
                board.begin(job)
                pause = 0.005
            board.step()
            for job, process in list(running.items()):
                if process.poll() is not None:
                    signal_group(process, signal.SIGKILL)
                    board.end(job)
                    codes[job] = process.returncode
                    del running[job]
                    pause = 0.005
            time.sleep(pause if running else 0)
            pause = min(0.1, pause * 1.5)
    except BaseException:
        frontend.ignore_signals()
        stop_all(running.values())
        raise
    finally:
        progress.close()
    return codes

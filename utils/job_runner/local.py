"""Jobs on this machine: some at a time, each with GPUs of its own, each supervised by task.py."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from utils import lock, progress
from utils.job_runner import frontend

TASK = Path(__file__).with_name("task.py")
STOP_SECONDS = 5.0

Process = subprocess.Popen[bytes]


def visible_devices() -> list[str]:
    """Return the GPUs that jobs may use: ``CUDA_VISIBLE_DEVICES`` if it is set, else all of the machine."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in chosen.split(",") if name.strip()]
        return [] if "-1" in names else names
    with contextlib.suppress(OSError):
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        return [str(number) for number in range(len(re.findall("^GPU ", done.stdout, re.MULTILINE)))]
    return []


class GpuPool:
    """Gives each job its GPUs by locking one file a place; a lock ends with the process that holds it.

    Where there are fewer GPUs than one job wants (0: none), each job gets what there is. Every device has
    places for ``jobs_per_gpu`` jobs. The locks are in the system's folder for temporary files, if not
    ``where``; if that has no locks, :meth:`acquire` raises cli.UserError, or, where this is permitted, the
    pool knows of its own jobs only.
    """

    def __init__(self, per_job: int, where: str | None = None, jobs_per_gpu: int = 1) -> None:
        self.devices = visible_devices() if per_job else []
        self.places = range(jobs_per_gpu)
        self.per_job = min(per_job, len(self.devices))
        self.folder = Path(where or tempfile.gettempdir()) / f"job_runner_gpus_{os.getuid()}"
        self.used: dict[Path, int] = {}
        if self.per_job < per_job:
            going = f"going on with {self.per_job}" if self.per_job else "going on without"
            frontend.warn(f"--gpu {per_job} was asked for, but there are {len(self.devices)} here; {going}")

    def acquire(self) -> dict[str, Path] | None:
        """Return the devices for one job (with their locks), or None if not enough are free now."""
        held: dict[str, Path] = {}
        for place in self.places:  # a first job on each device before a second on any
            for device in self.devices:
                path = self.folder / (f"{device}.{place}" if place else device).replace("/", "_")
                if len(held) < self.per_job and device not in held and path not in self.used:
                    self.folder.mkdir(mode=0o700, exist_ok=True)
                    if (descriptor := lock.try_open(path)) is not None:
                        self.used[path] = descriptor
                        held[device] = path
        if len(held) == self.per_job:
            return held
        self.release(held)
        return None

    def release(self, held: dict[str, Path]) -> None:
        """Give devices back."""
        for path in held.values():
            os.close(self.used.pop(path))

    def environment(self, held: dict[str, Path]) -> dict[str, str]:
        """Return the variables that make a job use its devices only."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(held)} if held else {}


def start_session(words: list[str], environment: dict[str, str], **streams: Any) -> Process:
    """Start a process in a session of its own, which has our lock, too; its ``environment`` adds to ours."""
    variables = {**os.environ, **environment}
    return subprocess.Popen(words, env=variables, start_new_session=True, close_fds=False, **streams)


def start_task(job: dict[str, Any], environment: dict[str, str]) -> Process:
    """Start a job under task.py."""
    words = [sys.executable, "-I", "-S", str(TASK), "-"]
    process = start_session(words, environment, stdin=subprocess.PIPE)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps({**job, "parent": os.getpid()}).encode())
    return process


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
    jobs: Iterable[int],
    start: Callable[[int, dict[str, str]], Process],
    *,
    limit: int,
    board: progress.Board,
    gpus: GpuPool | None = None,
) -> dict[int, int]:
    """Run jobs, at most ``limit`` at once, and wait for all; return the exit code of each.

    They are started in this order by ``start``, in a session each, which is told their variables. Codes of
    those that signals ended are negative. Raises InterruptedRunError when all are stopped.
    """
    waiting, running, codes = list(jobs), dict[int, tuple[Process, dict[str, Path]]](), dict[int, int]()
    pause, gpus = 0.005, gpus or GpuPool(0)
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
                    signal_group(process, signal.SIGKILL)
                    gpus.release(held)
                    board.end(job)
                    codes[job] = process.returncode
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

"""Which job may use which GPU of this machine: one job a GPU, or a few, over all runners that run at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path


def visible_devices() -> list[str]:
    """Return the GPUs that jobs may use: ``CUDA_VISIBLE_DEVICES`` if it is set, else all of the machine."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",") if name.strip()]
        return [] if "-1" in names else names
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))] if done.returncode == 0 else []


class GpuPool:
    """Gives each job its GPUs by locking one file a place; a lock ends with the process that holds it.

    Parameters
    ----------
    per_job : int
        GPUs of one job; 0 means that the jobs use none.
    warn : callable
        Told if there are fewer GPUs than one job wants: each job then gets what there is.
    where : str, optional
        Folder of the locks, by default the system's for temporary files.
    jobs_per_gpu : int
        Places on a device.
    """

    def __init__(
        self,
        per_job: int,
        warn: Callable[[str], object],
        where: str | None = None,
        jobs_per_gpu: int = 1,
    ) -> None:
        self.devices = visible_devices() if per_job else []
        self.jobs_per_gpu = jobs_per_gpu
        self.per_job = min(per_job, len(self.devices))
        self.folder = Path(where or tempfile.gettempdir()) / f"job_runner_gpus_{os.getuid()}"
        if self.per_job < per_job:
            going = f"going on with {self.per_job}" if self.per_job else "going on without"
            warn(f"--gpu {per_job} was asked for, but there are {len(self.devices)} here; {going}")

    def acquire(self) -> list[tuple[str, int]] | None:
        """Return the devices for one job (with their locks), or None if not enough are free now."""
        held: dict[str, int] = {}
        for place in range(self.jobs_per_gpu):  # a first job on each device before a second on any
            for device in self.devices:
                if len(held) < self.per_job and device not in held:
                    lock = self._lock(f"{device}.{place}" if place else device)
                    if lock is not None:
                        held[device] = lock
        if len(held) < self.per_job:
            self.release(list(held.items()))
            return None
        return list(held.items())

    def release(self, held: list[tuple[str, int]]) -> None:
        """Give devices back."""
        for _, lock in held:
            os.close(lock)

    def environment(self, held: list[tuple[str, int]]) -> dict[str, str]:
        """Return the variables that make a job use its devices only."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(name for name, _ in held)} if held else {}

    def _lock(self, place: str) -> int | None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(self.folder / place.replace("/", "_"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock

"""Which job may use which GPU of this machine: one job a GPU, or a few, over all runners that run at once."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from utils import lock


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

    Where there are fewer GPUs than one job wants (0: none), ``warn`` is told and each job gets what there is.
    Every device has places for ``jobs_per_gpu`` jobs. The locks are in the system's folder for temporary
    files, if not ``where``; if that has no locks, :meth:`acquire` raises cli.UserError, or, where this is
    permitted, the pool knows of its own jobs only.
    """

    def __init__(
        self, per_job: int, warn: Callable[[str], object], where: str | None = None, jobs_per_gpu: int = 1
    ) -> None:
        self.devices = visible_devices() if per_job else []
        self.places = range(jobs_per_gpu)
        self.per_job = min(per_job, len(self.devices))
        self.folder = Path(where or tempfile.gettempdir()) / f"job_runner_gpus_{os.getuid()}"
        self.used: dict[Path, int] = {}
        if self.per_job < per_job:
            going = f"going on with {self.per_job}" if self.per_job else "going on without"
            warn(f"--gpu {per_job} was asked for, but there are {len(self.devices)} here; {going}")

    def acquire(self) -> dict[str, Path] | None:
        """Return the devices for one job (with their locks), or None if not enough are free now."""
        held: dict[str, Path] = {}
        for place in self.places:  # a first job on each device before a second on any
            for device in self.devices:
                path = self.folder / (f"{device}.{place}" if place else device).replace("/", "_")
                if len(held) < self.per_job and device not in held and path not in self.used:
                    self.folder.mkdir(mode=0o700, exist_ok=True)
                    if (descriptor := lock.try_open(path, self.folder)) is not None:
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

"""What runners that died have left in the queue and on disk."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from utils.job_runner import frontend, recipe_process
from utils.job_runner.scheduler import Scheduler, UnreachableError, ask


def cancel_leftovers(queue_dir: Path, name: str, scheduler: Scheduler) -> None:
    """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
    for path in queue_dir.glob(f"{name}.*/submitted"):
        try:
            facts = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        here = facts["host"] == os.uname().nodename
        if here and recipe_process.is_alive(facts["pid"], facts["start"]):
            raise frontend.RunnerError(
                f"process {facts['pid']} is running the same jobs ({path.parent}); wait for it, or stop it"
            )
        try:
            left = {task[0] for task in scheduler.active(facts["ids"])}
            if left:
                frontend.say(f"cancelling job {' '.join(sorted(left))} of an earlier runner that is gone")
                ask(scheduler.cancel_command(sorted(left)))
                wait_until_gone(scheduler, sorted(left))
        except UnreachableError as error:
            raise frontend.RunnerError(
                f"{error}; cannot tell whether jobs of an earlier runner still run"
            ) from error
        shutil.rmtree(path.parent, ignore_errors=True)


def wait_until_gone(scheduler: Scheduler, ids: list[str]) -> None:
    """Wait (bounded) until the scheduler does not know the jobs any more."""
    deadline = time.monotonic() + frontend.seconds("RUNNER_LATE_SECONDS", 60.0)
    while scheduler.active(ids):
        if time.monotonic() > deadline:
            raise UnreachableError(f"job {' '.join(ids)} was cancelled but is still in the queue")
        time.sleep(0.2)


def remove_if_empty(queue_dir: Path) -> None:
    """Remove the folder of folders if this was the last one."""
    try:
        queue_dir.rmdir()
    except OSError:
        return

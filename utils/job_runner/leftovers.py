"""What runners that died have left in the queue and on disk."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from utils.job_runner import frontend, recipe_process
from utils.job_runner.job_folder import JobFolder
from utils.job_runner.scheduler import Scheduler, UnreachableError, ask

SILENT_SECONDS = 60.0
SILENT_POLLS = 10


def cancel_leftovers(folder: JobFolder, scheduler: Scheduler) -> None:
    """Cancel what an earlier, dead runner of the same jobs has left in the queue."""
    now = folder.submitted.stat().st_mtime  # by the file server's clock, as the times of the others
    for path in folder.path.parent.glob("*/submitted"):
        if path == folder.submitted:
            continue
        try:
            with path.open("rb") as file:
                facts = json.load(file)
                silence = now - os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError):
            continue
        if facts.get("logs") != folder.logs:
            continue
        refuse_if_alive(path, facts, silence)
        try:
            left = {task[0] for task in scheduler.active(facts["ids"])} if facts["ids"] else set()
            if left:
                frontend.say(f"cancelling job {' '.join(sorted(left))} of an earlier runner that is gone")
                ask(scheduler.cancel_command(sorted(left)))
                wait_until_gone(scheduler, sorted(left))
        except UnreachableError as error:
            raise frontend.RunnerError(
                f"{error}; cannot tell whether jobs of an earlier runner still run"
            ) from error
        shutil.rmtree(path.parent, ignore_errors=True)


def refuse_if_alive(path: Path, facts: dict[str, Any], silence: float) -> None:
    """Raise an error if the other runner lives: here by its process, elsewhere by the time of its file."""
    if facts["host"] == os.uname().nodename:
        who, alive = f"process {facts['pid']}", recipe_process.is_alive(facts["pid"], facts["start"])
    else:
        who = f"process {facts['pid']} on {facts['host']}"
        alive = silence < max(SILENT_SECONDS, SILENT_POLLS * facts["poll"])
    if alive:
        raise frontend.RunnerError(f"{who} is running the same jobs ({path.parent}); wait for it, or stop it")


def wait_until_gone(scheduler: Scheduler, ids: list[str]) -> None:
    """Wait (bounded) until the scheduler does not know the jobs any more."""
    deadline = time.monotonic() + frontend.seconds("RUNNER_LATE_SECONDS", 60.0)
    pause, longest = 0.2, frontend.seconds("RUNNER_POLL_SECONDS", 5.0)
    while scheduler.active(ids):
        if time.monotonic() > deadline:
            raise UnreachableError(f"job {' '.join(ids)} is still in the queue")
        time.sleep(min(pause, longest))
        pause *= 1.5

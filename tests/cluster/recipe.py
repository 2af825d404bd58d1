#!/usr/bin/env python3
"""Run the recipe's feature and training stages on a scheduler, disturbed, and compare with a local run.

Usage: recipe.py <slurm|sge> <folder> <hosts> [<option of run.sh> …]

A first run on the scheduler loses a task of stage 2 to SIGKILL and must fail and name its log. A second
one resumes, while whoever called this restarts the controller as soon as <folder>/middle appears, and
must end with the files of an undisturbed run on this machine, bit for bit. Tasks must have run on as many
hosts as there are (<hosts>).
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.workspace import compare, environment, make_workspace, results

STAGES = ["--nj", "4", "--stop-stage", "5", "--dnns", "dnn1", "--lstms", "lstm_512"]
SECONDS = 600


def start(folder: Path, backend: str, options: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start run.sh with one of the backends of cmd.sh."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            ["./run.sh", *STAGES, *options],
            cwd=folder,
            env={**environment(), "cmd_backend": backend},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def tasks(folder: Path, stage_word: str) -> Iterator[int]:
    """Yield the process groups of tasks of this copy whose specification has a name with ``stage_word``."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        spec = next((word for word in words if word.startswith(str(folder)) and "/q/" in word), "")
        if stage_word in spec and any(word.endswith("/task.py") for word in words):
            yield os.getpgid(int(path.parent.name))


def kill_one_task(folder: Path, stage_word: str, run: subprocess.Popen[bytes]) -> None:
    """Kill the first task that turns up, with everything that it started."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and run.poll() is None:
        for group in tasks(folder, stage_word):
            os.killpg(group, signal.SIGKILL)
            return
        time.sleep(0.01)
    raise SystemExit("no task of stage 2 was seen")


def fail(message: str, log: Path) -> None:
    """End with a message and the end of a log."""
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise SystemExit(f"{message}; the end of {log}:\n{tail}")


def disturb(folder: Path, backend: str, options: list[str], where: Path) -> None:
    """Run the recipe on the scheduler twice: with a killed task, and with a controller that is down."""
    log = where / "killed.log"
    run = start(folder, backend, options, log)
    kill_one_task(folder, "make_scattering", run)
    status = run.wait(SECONDS)
    if status == 0 or "make_scattering" not in log.read_text(errors="replace"):
        fail(f"expected a failure that names the killed task's log, got exit status {status}", log)

    log = where / "resumed.log"
    run = start(folder, backend, options, log)
    while run.poll() is None and "Stage 3" not in log.read_text(errors="replace"):
        time.sleep(0.05)
    (where / "middle").touch()
    if run.wait(SECONDS) != 0:
        fail("the resumed run failed", log)


def hosts(folder: Path) -> set[str]:
    """Return the hosts that the logs of a run on a scheduler name."""
    logs = [path.read_text(errors="replace") for path in folder.rglob("log/*.log")]
    return {name for text in logs for name in re.findall(r"^# Running on (.*)", text, re.MULTILINE)}


def main(argv: list[str]) -> int:
    """Run the recipe three times and compare."""
    backend, where, num_hosts, options = argv[0], Path(argv[1]).resolve(), int(argv[2]), argv[3:]
    local, cluster = make_workspace(where / "local"), make_workspace(where / "cluster")
    undisturbed = start(local, "local", options, where / "local.log")
    try:
        disturb(cluster, backend, options, where)
        if undisturbed.wait(SECONDS) != 0:
            fail("the undisturbed run on this machine failed", where / "local.log")
    finally:
        undisturbed.terminate()
    wrong = compare(results(local), results(cluster))
    if wrong:
        raise SystemExit(f"{len(wrong)} files differ from the undisturbed run: {wrong[:10]}")
    if len(hosts(cluster)) != num_hosts:
        raise SystemExit(f"expected tasks on {num_hosts} hosts, got {hosts(cluster)}")
    print(f"{len(results(cluster))} files agree bit for bit; hosts: {' '.join(sorted(hosts(cluster)))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

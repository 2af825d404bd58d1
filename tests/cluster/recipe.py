#!/usr/bin/env python3
"""Run the recipe's feature and training stages on a scheduler, and compare with a run on this machine.

Usage: recipe.py <slurm|sge> <folder> [<option of run.sh> …]

Whoever called this restarts the controller as soon as <folder>/middle appears. The run must end with the
files of the other one, bit for bit.
"""

import subprocess
import sys
import time
from pathlib import Path

from tests.workspace import compare, environment, make_workspace, results

STAGES = ("--nj", "4", "--stop-stage", "5", "--dnns", "dnn1", "--lstms", "lstm_512")


def start(folder: Path, backend: str, options: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """Start run.sh with one of the backends of cmd.sh; return the process and its log."""
    log = folder.with_suffix(".log")
    with log.open("wb") as stream:
        variables = {**environment(), "cmd_backend": backend}
        words = ["./run.sh", *STAGES, *options]
        return subprocess.Popen(words, cwd=folder, env=variables, stdout=stream, stderr=stream), log


def main(argv: list[str]) -> int:
    """Run the recipe twice and compare."""
    backend, where, options = argv[0], Path(argv[1]).resolve(), argv[2:]
    local, cluster = make_workspace(where / "local"), make_workspace(where / "cluster")
    runs = [start(local, "local", options), start(cluster, backend, options)]
    while runs[1][0].poll() is None and "Stage 3" not in runs[1][1].read_text(errors="replace"):
        time.sleep(0.05)
    (where / "middle").touch()
    for process, log in runs:
        if process.wait(600) != 0:
            raise SystemExit(f"the run of {log} failed; its end:\n{log.read_text(errors='replace')[-3000:]}")
    if wrong := compare(results(local), results(cluster)):
        raise SystemExit(f"{len(wrong)} files differ from the run on this machine: {wrong[:10]}")
    print(f"{len(results(cluster))} files agree bit for bit")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

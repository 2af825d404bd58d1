#!/usr/bin/env python3
"""Fill the disk under every stage, make room again, go on, and compare with a run that had room.

The copy of the recipe lies on a small tmpfs in a mount namespace of its own, so that nothing has to be
unmounted whatever happens; that needs root. Before each stage all but a few kilobytes are filled: the run
must fail with a message about the disk, without a traceback and without leaving a temporary file. Then the
room is given back, and the stage must succeed.

e.g. tests/reliability/disk_full.py --stop-stage 10
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.workspace import compare, make_workspace, results, run_recipe
from utils import cli

MODELS = ("--dnns", "dnn1", "--lstms", "lstm_512", "--systems", "lee2009")
LEFT = (0, 8192, 100_000)
SAID = ("No space left", "will be written", "disk not full", "space")


def stage_of(folder: Path, stage: int) -> subprocess.CompletedProcess:
    return run_recipe(folder, "--stage", str(stage), "--stop-stage", str(stage), *MODELS)


def fill(path: Path, left: int) -> None:
    """Write a file that leaves so many bytes of its disk."""
    with path.open("wb") as file:
        room = shutil.disk_usage(path.parent).free
        os.posix_fallocate(file.fileno(), 0, max(1, room - left))


def check_failed(done: subprocess.CompletedProcess, folder: Path, what: str) -> None:
    """Make sure that a run said that the disk is full, and left no temporary file."""
    logs = [path for path in folder.rglob("log/*.log") if path.is_file()]
    text = done.stderr + "".join(path.read_text(errors="replace") for path in logs)
    left = [str(path) for path in folder.rglob(".*.tmp[0-9]*")]
    if "Traceback" in text or left or not any(word in text for word in SAID):
        raise cli.UserError(f"{what}: left behind: {left}; said:\n{text[-3000:]}")


def inside(folder: Path, stop_stage: int) -> int:
    """Do the work, on a tmpfs that only this process and its children see."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", str(folder)], check=True)
    quiet, copy = make_workspace(folder / "quiet"), make_workspace(folder / "copy")
    done = run_recipe(quiet, "--stop-stage", str(stop_stage), *MODELS)
    if done.returncode != 0:
        raise cli.UserError(f"the undisturbed run failed:\n{done.stderr[-3000:]}")
    ballast, failures = folder / "ballast", 0
    for stage in range(stop_stage + 1):
        for left in LEFT:
            fill(ballast, left)
            done = stage_of(copy, stage)
            if done.returncode != 0:
                failures += 1
                check_failed(done, copy, f"stage {stage} with {left} bytes left")
            ballast.unlink()
            cli.log(f"stage {stage} with {left} bytes left: exit status {done.returncode}")
        done = stage_of(copy, stage)
        if done.returncode != 0:
            raise cli.UserError(f"stage {stage} failed with room enough:\n{done.stderr[-3000:]}")
    wanted = results(quiet)
    if lines := compare(wanted, results(copy)):
        raise cli.UserError("a run on a full disk made something else:\n" + "\n".join(lines[:30]))
    if failures < stop_stage + 1:
        raise cli.UserError(f"only {failures} runs failed; the disk was not full enough to test anything")
    cli.log(f"{failures} runs on a full disk failed cleanly; all {len(wanted)} files are the same to the bit")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.KaldiParser("disk_full.py [options]", __doc__)
    parser.add_argument("--stop-stage", type=int, default=10, help="last stage to try (default: 10)")
    parser.add_argument("--inside", metavar="FOLDER", help="for the program itself, in its namespace")
    options = parser.parse_args(argv)
    if options.inside:
        return inside(Path(options.inside), options.stop_stage)
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise cli.UserError("only root can mount a small disk; run this as root, on Linux with unshare")
    folder = tempfile.mkdtemp(prefix="disk_full_")
    try:
        namespace = ["unshare", "--mount", "--propagation", "private"]
        again = [sys.executable, __file__, f"--stop-stage={options.stop_stage}", f"--inside={folder}"]
        return subprocess.run([*namespace, *again], check=False).returncode
    finally:
        Path(folder).rmdir()


if __name__ == "__main__":
    cli.run(main)

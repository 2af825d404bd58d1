#!/usr/bin/env python3
"""Kill the recipe at moments spread over all its stages, resume it, and compare what it made.

One copy of the recipe runs undisturbed on a tiny corpus. A second one is killed with SIGKILL, in turn the
whole process group, run.sh alone, and a single job, each time in another stage or at another moment of it,
and is started again. In the end every archive, network, result and table must be the same to the bit.

e.g. tests/reliability/kill_resume.py --num-kills 20
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.workspace import compare, environment, make_workspace, results
from utils import cli

STAGES = 11
SECONDS = 4.0  # after the beginning of a stage, at most
MODELS = ("--dnns", "dnn1", "--lstms", "lstm_512", "--systems", "lee2009")


class Run:
    """A ``./run.sh`` in a session of its own, whose stages are watched in its log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder.resolve(), folder.with_suffix(".log")
        pipes = {"stdout": subprocess.DEVNULL, "stderr": self.log.open("wb"), "start_new_session": True}
        self.process = subprocess.Popen(["./run.sh", *MODELS], cwd=folder, env=environment(), **pipes)

    def wait_for(self, stage: int) -> None:
        """Wait until a stage begins."""
        while f" Stage {stage}: " not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None:
                raise cli.UserError(f"ended before stage {stage}:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.01)

    def finish(self) -> None:
        if self.process.wait() != 0:
            raise cli.UserError(f"the run failed:\n{self.log.read_text(errors='replace')[-3000:]}")

    def jobs(self) -> list[int]:
        """Return the processes in the recipe's folder that run one of its Python programs."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                ours = any(word.startswith((b"local/", b"steps/")) for word in words[1:2])
                if ours and (folder / "cwd").resolve() == self.folder:
                    found.append(int(folder.name))
        return found

    def kill(self, how: str, rng: random.Random) -> None:
        """Kill all of it (``group``), run.sh alone (``script``) or one of its jobs (``job``)."""
        with contextlib.suppress(ProcessLookupError):
            if how == "group":
                os.killpg(self.process.pid, signal.SIGKILL)
            elif how == "job" and (jobs := self.jobs()):
                os.kill(rng.choice(jobs), signal.SIGKILL)
            else:
                self.process.kill()


def disturb(folder: Path, num_kills: int, seed: int) -> None:
    """Kill and resume ``num_kills`` times at moments spread over the stages, then run to the end."""
    rng = random.Random(seed)
    for number in range(num_kills):
        stage, how = number * STAGES // num_kills, ("group", "script", "job")[number % 3]
        run, delay = Run(folder), rng.random() * SECONDS
        run.wait_for(stage)
        time.sleep(delay)
        run.kill(how, rng)
        status = run.process.wait()
        cli.log(f"kill {number + 1}: {how} after {delay:.2f} s of stage {stage}: exit status {status}")
    Run(folder).finish()


def main(argv: list[str] | None = None) -> int:
    parser = cli.KaldiParser("kill_resume.py [options]", __doc__)
    parser.add_argument("--num-kills", type=cli.positive_int, default=20, help="how often to kill")
    parser.add_argument("--seed", type=int, default=777, help="of the moments")
    options = parser.parse_args(argv)
    base = Path(tempfile.mkdtemp(prefix="kill_resume_"))
    try:
        quiet, killed = make_workspace(base / "quiet"), make_workspace(base / "killed")
        Run(quiet).finish()
        disturb(killed, options.num_kills, options.seed)
        wanted = results(quiet)
        if lines := compare(wanted, results(killed)):
            raise cli.UserError("the resumed run made something else:\n" + "\n".join(lines[:30]))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    cli.log(f"{options.num_kills} kills; all {len(wanted)} files are the same to the bit")
    return 0


if __name__ == "__main__":
    cli.run(main)

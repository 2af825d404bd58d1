#!/usr/bin/env python3
"""Kill the recipe at moments spread over all its stages, resume it, and compare what it made.

One copy of the recipe runs undisturbed on a tiny corpus. A second one is killed with SIGKILL, in
turn the whole process group, run.sh alone, and a single job, each time in another stage or at
another moment of it, and is started again. In the end every archive, network, result and table
must be the same to the bit.

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
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.workspace import compare, environment, make_workspace, results
from utils import cli

STAGES = 11
MODELS = ("--dnns", "dnn1", "--lstms", "lstm_512", "--systems", "lee2009")


def get_parser() -> cli.KaldiParser:
    parser = cli.KaldiParser("kill_resume.py [options]", __doc__)
    parser.add_argument("--num-kills", type=cli.positive_int, default=20, help="how often to kill")
    parser.add_argument("--seed", type=int, default=777, help="of the moments")
    parser.add_argument("--keep", type=cli.boolean, default=False, help="keep the two folders")
    return parser


class Run:
    """A ``./run.sh`` whose stages are watched on its stderr."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.started: dict[int, float] = {}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            ["./run.sh", *MODELS],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line)
            words = line.split()
            if words[1:2] == ["Stage"]:
                self.started[int(words[2].rstrip(":"))] = time.monotonic()

    def wait_for(self, stage: int) -> bool:
        """Wait until a stage begins; false if the run ended before."""
        while stage not in self.started:
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        return True

    def finish(self) -> int:
        status = self.process.wait()
        self._reader.join(timeout=5)
        return status

    def jobs(self) -> list[int]:
        """Return the processes in the recipe's folder that run one of its Python programs."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and (folder / "cwd").resolve() == self.folder:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if any(word.startswith((b"local/", b"steps/")) for word in words[1:2]):
                        found.append(int(folder.name))
        return found


def kill(run: Run, how: str, rng: random.Random) -> None:
    """Kill a run as a whole (``group``), run.sh alone (``script``) or one of its jobs (``job``)."""
    with contextlib.suppress(ProcessLookupError):
        if how == "group":
            os.killpg(run.process.pid, signal.SIGKILL)
        elif how == "job" and (jobs := run.jobs()):
            os.kill(rng.choice(jobs), signal.SIGKILL)
        else:
            run.process.kill()


def measure(folder: Path) -> list[float]:
    """Run undisturbed and return the seconds that each stage took."""
    run = Run(folder)
    if run.finish() != 0:
        raise cli.UserError("the undisturbed run failed:\n" + "".join(run.lines[-20:]))
    times = [run.started[stage] for stage in range(STAGES)] + [time.monotonic()]
    return [after - before for before, after in zip(times[:-1], times[1:], strict=True)]


def disturb(folder: Path, seconds: list[float], num_kills: int, seed: int) -> None:
    """Kill and resume ``num_kills`` times at moments spread over the stages, then run to the end."""
    rng = random.Random(seed)  # noqa: S311
    for number in range(num_kills):
        stage = number * STAGES // num_kills
        how = ("group", "script", "job")[number % 3]
        run = Run(folder)
        if not run.wait_for(stage):
            raise cli.UserError(f"the run failed before stage {stage}:\n" + "".join(run.lines[-20:]))
        delay = rng.random() * seconds[stage]
        time.sleep(delay)
        kill(run, how, rng)
        status = run.finish()
        cli.log(f"kill {number + 1}: {how} after {delay:.2f} s of stage {stage}: exit status {status}")
    run = Run(folder)
    if run.finish() != 0:
        raise cli.UserError("the last run failed:\n" + "".join(run.lines[-20:]))


def main(argv: list[str] | None = None) -> int:
    options = get_parser().parse_args(argv)
    base = Path(tempfile.mkdtemp(prefix="kill_resume_"))
    try:
        quiet, killed = make_workspace(base / "quiet"), make_workspace(base / "killed")
        seconds = measure(quiet)
        disturb(killed, seconds, options.num_kills, options.seed)
        wanted = results(quiet)
        lines = compare(wanted, results(killed))
        if lines:
            raise cli.UserError("the resumed run made something else:\n" + "\n".join(lines[:30]))
    finally:
        if options.keep:
            cli.log(f"the two folders are in {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
    cli.log(f"{options.num_kills} kills; all {len(wanted)} files are the same to the bit")
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Time every stage of the recipe on corpora of several sizes, with the peak memory of its largest process.

The corpus of so many hours is the embedded one with tracks of 4 minutes (shorter where the hours are too few
for 12 a side), which stage 0 plays. ./run.sh runs stage by stage on a copy of the recipe, in a temporary
folder that is removed. Models are dnn1 and lstm_512 of conf/paper with --epochs epochs in place of 100 and
50. Prints a table in Markdown; the exit status is 1 if a job takes 2 GB of memory. Needs 0.6 GB of disk an
hour of music.

e.g. tests/bench/bench_scaling.py --hours 1,5,20
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import rmtree

from tests.bench.alone import alone
from tests.workspace import environment, make_workspace, set_options
from utils import cli, tables

SECONDS, LIMIT, STAGES = 240.0, 2e9, 11


def hours_list(text: str) -> list[float]:
    """Parse increasing numbers of hours, separated by commas."""
    values = [cli.finite_float(word) for word in text.split(",")]
    if min(values) < 0.05 or values != sorted(set(values)):
        raise argparse.ArgumentTypeError(f"expected increasing numbers of at least 0.05, got '{text}'")
    return values


def get_parser() -> cli.KaldiParser:
    parser = cli.KaldiParser("bench_scaling.py [options]", __doc__)
    parser.add_argument("--hours", type=hours_list, default=[1.0, 5.0, 20.0], help="sizes (1,5,20)")
    parser.add_argument("--nj", type=cli.positive_int, default=os.cpu_count() or 1, help="jobs side by side")
    parser.add_argument("--epochs", type=cli.positive_int, default=2, help="of each network (2)")
    parser.add_argument("--dir", default=None, metavar="DIR", help="where to put the temporary folder")
    return parser


def prepare(folder: Path, hours: float, epochs: int) -> None:
    """Make the copy of the recipe that a size is run in."""
    make_workspace(folder)
    (folder / "conf/scaling").mkdir()
    for model in ("dnn1", "lstm_512"):
        path = folder / f"conf/scaling/{model}.conf"
        path.write_text((folder / f"conf/paper/{model}.conf").read_text())
        set_options(path, {"max-iters": str(epochs)})
    side = max(12, round(hours * 1800 / SECONDS))
    length = f"{hours * 1800 / side:.3f}"
    counts = {"num-train": str(side), "num-test": str(side)}
    set_options(folder / "conf/synth_corpus.conf", {**counts, "min-seconds": length, "max-seconds": length})


def run_stage(folder: Path, stage: int, nj: int) -> tuple[int, float, float]:
    """Return the exit status of a stage, its seconds, and the bytes of its largest process."""
    words = [
        "./run.sh",
        "--stage",
        f"{stage}",
        "--stop-stage",
        f"{stage}",
        "--conf",
        "conf/scaling",
        "--nj",
        f"{nj}",
    ]
    words += ["--dnns", "dnn1", "--lstms", "lstm_512"]
    start = time.monotonic()
    with (folder / f"stage_{stage}.log").open("wb") as log:
        code = subprocess.call(words, cwd=folder, env=environment(), stdout=log, stderr=log)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return code, time.monotonic() - start, peak


def facts(folder: Path) -> dict[str, str]:
    """Count the frames and the gigabytes of what a run wrote."""
    counts = [tables.read_table(folder / f"data/synth/{part}/utt2num_frames") for part in ("train", "test")]
    sizes = {
        "22 050 Hz WAV, GB": (folder / "data/synth/wav").iterdir(),
        "features, GB": (folder / "data/synth/feats").glob("*.ark"),
    }
    shown = {name: f"{sum(path.stat().st_size for path in paths) / 1e9:.3f}" for name, paths in sizes.items()}
    return {"frames": str(sum(int(count) for table in counts for count in table.values())), **shown}


def main(argv: list[str] | None = None) -> int:
    """Measure every size, print the table and check the limit."""
    args = get_parser().parse_args(argv)
    os.environ["LC_ALL"] = "C"
    rows: dict[str, list[str]] = {}
    largest = 0.0
    with tempfile.TemporaryDirectory(prefix="scaling.", dir=args.dir) as name:
        for hours in args.hours:
            folder = Path(name) / f"hours_{hours:g}"
            prepare(folder, hours, args.epochs)
            for stage in range(STAGES):
                code, seconds, peak = alone(run_stage, folder, stage, args.nj)
                if code != 0:
                    raise cli.UserError(
                        f"stage {stage} failed, see:\n{(folder / f'stage_{stage}.log').read_text()}"
                    )
                cli.log(f"stage {stage}: {seconds:.1f} s, {peak / 1e9:.2f} GB")
                rows.setdefault(str(stage), []).append(f"{seconds:.1f} | {peak / 1e9:.2f}")
                largest = max(largest, peak)
            for fact, value in facts(folder).items():
                rows.setdefault(fact, []).append(f"{value} | ")
            rmtree(folder)
    print(f"| stage | {' | '.join(f'{hours:g} h: s | GB' for hours in args.hours)} |")
    print("|---" * (2 * len(args.hours) + 1) + "|")
    for title, cells in rows.items():
        print(f"| {title} | {' | '.join(cells)} |")
    print(f"\n{args.nj} jobs side by side. Largest job: {largest / 1e9:.2f} GB (limit {LIMIT / 1e9:g}).")
    return int(largest >= LIMIT)


if __name__ == "__main__":
    cli.run(main)

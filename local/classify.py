#!/usr/bin/env python3
"""Ask a trained system for the genres of recordings.

The system is a trained experiment (exp/<corpus>_<model>, its svm_lstm or svm_fusion, exp/<corpus>_sc,
exp/<corpus>_best, exp/<corpus>_<system of Table 4>) or a zip of export_system.sh; files are of any format
that stage 1 reads. On the standard output a line a track: path, genre, its probability, and the probability
of every class, separated by tabs. Those of `best` are calibrated; those of a network come from its frames
(--rule vote: the share of frames that vote for a class, mean: the mean posterior); SVMs and the systems of
Table 4 give the softmax of their scores, which nobody has calibrated. What cannot be read is told on stderr;
the others go on, and the exit status is 1. Frames of a long track lie in a file of $TMPDIR, 11 kB a second.

Usage: local/classify.sh [options] <exp-dir|system.zip> <file|folder>...
e.g.:  local/classify.sh exp/ismir04_lstm_512/svm_fusion ~/new_music track.mp3
"""

import json
import os
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

from steps.audio import EXTENSIONS
from steps.classify.decide import SIDE_BY_SIDE, Classifier, Decision
from steps.classify.parts import TrainedSystem, collect, unpack
from utils import atomic, cli, progress

_worker: dict[str, Classifier] = {}


def find_recordings(paths: list[Path]) -> Iterator[Path]:
    """Yield the files among the paths, and what is in folders, sorted: recordings and locked folders."""
    for path in paths:
        failed: list[OSError] = []
        tree = os.walk(path, onerror=failed.append)
        below = (Path(folder, name) for folder, _, names in tree for name in names)
        wanted = (item for item in below if item.suffix.lower().lstrip(".") in EXTENSIONS)
        found = sorted([*filter(Path.is_file, wanted), *(Path(error.filename) for error in failed)])
        yield from found if path.is_dir() else [path]


def _start_worker(*settings: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # the pool would take what a handler raises for a result
    _worker["classifier"] = Classifier(*settings)


def _classify_some(recordings: list[Path]) -> list[Decision | str]:
    return list(_worker["classifier"].classify(recordings))


def decisions(recordings: list[Path], system: TrainedSystem, args: Namespace) -> Iterator[Decision | str]:
    """Yield the decision about each recording, or why there is none."""
    nj = min(args.nj, len(recordings))
    threads = max(1, len(os.sched_getaffinity(0)) // nj)
    settings = (system, args.rule, args.use_gpu, threads, args.allow_truncated)
    if nj < 2:
        yield from Classifier(*settings).classify(recordings)
        return
    size = max(1, min(SIDE_BY_SIDE + 1, len(recordings) // nj))
    groups = [recordings[first : first + size] for first in range(0, len(recordings), size)]
    with ProcessPoolExecutor(nj, get_context("spawn"), _start_worker, settings) as pool:
        try:
            for found in pool.map(_classify_some, groups):
                yield from found
        except BrokenProcessPool:
            raise cli.UserError("a process of --nj ended; see above, or use --nj 1") from None
        finally:  # a signal must not wait for what is under way
            for process in active_children():
                process.terminate()


def line(recording: Path, decision: Decision, classes: tuple[str, ...], how: str) -> str:
    """Return the line of a track."""
    chances = dict(zip(classes, decision.probabilities.tolist(), strict=True))
    genre = classes[decision.genre]
    path, probability = str(recording), chances[genre]
    if how == "json":
        facts = {"path": path, "genre": genre, "probability": probability, "probabilities": chances}
        return json.dumps(facts, ensure_ascii=False)
    path = path.translate(dict.fromkeys(map(ord, "\t\n\r"), " "))
    return "\t".join([path, genre, *(f"{value:.6f}" for value in (probability, *chances.values()))])


def write_timeline(target: Path, decision: Decision, classes: Sequence[str]) -> None:
    """Write CSV, a row a frame with its time in seconds, and a picture of at most some thousand points."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    posteriors, shift = decision.posteriors, decision.frame_shift
    with atomic.replacing(f"{target}.csv") as file:
        rows = np.column_stack([np.arange(len(posteriors)) * shift, posteriors])
        head, digits = ",".join(["seconds", *classes]), ["%.3f", *["%.6f"] * len(classes)]
        np.savetxt(file, rows, digits, ",", header=head, comments="")
    step = max(1, len(posteriors) // 2000)
    usable = len(posteriors) // step * step
    heights = posteriors[:usable].reshape(-1, step, len(classes)).mean(axis=1)
    minutes = np.arange(len(heights)) * step * shift / 60
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.stackplot(minutes, heights.T, labels=list(classes), colors=colormaps["tab20"](np.arange(20)))
    axes.set(xlabel="time (minutes)", ylabel="posterior", ylim=(0, 1), xlim=(0, max(minutes[-1], shift / 60)))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with atomic.replacing(f"{target}.png", "wb") as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": ""})


def main(argv: list[str] | None = None) -> int:
    """Classify all recordings; returns 1 if any of them failed."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--rule", choices=("vote", "mean"), default="vote", help="how a network's frames decide")
    add("--format", choices=("tsv", "json"), default="tsv", help="json: one object a line")
    add("--header", type=cli.boolean, default=False, help="name the columns first")
    add("--timeline", type=Path, metavar="DIR", help="write posteriors over time, CSV and PNG a track")
    add("--nj", type=cli.positive_int, default=1, help="tracks side by side")
    add("--use-gpu", choices=("yes", "no", "optional"), default="no", help="for networks")
    add("--allow-truncated", type=cli.boolean, default=False, help="use what decodes of files that end early")
    args = parser.parse_args(argv)
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # any name of a file
    if not args.exp_dir.exists():
        raise cli.UserError(f"{args.exp_dir}: no such experiment or zip")
    recordings = list(find_recordings(args.files))
    if not recordings:
        raise cli.UserError(f"there are no recordings in {' '.join(map(str, args.files))}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="system-") as folder:
        os.environ["TMPDIR"] = folder  # of the processes of --nj, so that one that is killed leaves nothing
        is_zip = not args.exp_dir.is_dir()
        system = unpack(args.exp_dir, Path(folder)) if is_zip else collect(args.exp_dir)
        if "rounded" in system.provenance:
            cli.log(f"{args.exp_dir}: {system.provenance['rounded']}")
        if args.timeline and not system.networks:
            raise cli.UserError("--timeline: this system has no posteriors of frames; use one with a network")
        if args.rule != "vote" and system.kind != "network":
            raise cli.UserError(f"--rule {args.rule}: this system does not decide by a network's frames")
        classes = system.classes
        if args.header and args.format == "tsv":
            print("\t".join(["path", "genre", "probability", *classes]), flush=True)
        found = zip(recordings, decisions(recordings, system, args), strict=True)
        for number, (recording, decision) in enumerate(found, start=1):
            if isinstance(decision, str):
                failed += 1
                why = decision.removeprefix(f"{recording}: ")
                print(f"ERROR ({cli.PROGRAM}) {recording}: {why}", file=sys.stderr, flush=True)
            else:
                print(line(recording, decision, classes, args.format), flush=True)
                if args.timeline:  # the number keeps apart tracks of the same name
                    target = args.timeline / f"{number:04d}_{recording.stem[:50]}"
                    write_timeline(target, decision, classes)
            progress.report(number, len(recordings), "tracks")
    if failed:
        cli.warn(f"{failed} of {len(recordings)} tracks could not be classified")
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main, echo=False)

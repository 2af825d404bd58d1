#!/usr/bin/env python3
"""Ask a trained system for the genres of recordings.

The system is a trained experiment (exp/<corpus>_<model>, its svm_lstm or svm_fusion, exp/<corpus>_sc,
exp/<corpus>_best, exp/<corpus>_<system of Table 4>) or a zip of export_system.sh; files are of any format
that stage 1 reads. On the standard output a line a track: path, genre, its probability, and the probability
of every class, separated by tabs. Those of `best` are calibrated; those of a network come from its frames
(--rule vote: the share of frames that vote for a class, mean: the mean posterior); SVMs and the systems of
Table 4 give the softmax of their scores, which nobody has calibrated. What cannot be read is told on stderr;
the others go on, and the exit status is 1. A track lies in $TMPDIR meanwhile, up to 55 kB a second.

Usage: local/classify.sh [options] <exp-dir|system.zip> <file|folder>...
e.g.:  local/classify.sh exp/ismir04_lstm_512/svm_fusion ~/new_music track.mp3
"""

import ctypes
import json
import os
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

from steps.audio import EXTENSIONS
from steps.classify.decide import SIDE_BY_SIDE, Classifier, Decision
from steps.classify.parts import TrainedSystem, collect, unpack
from utils import atomic, cli, progress

_worker: dict[str, Any] = {}
BLANK = dict.fromkeys([*range(32), *range(127, 160)], " ")
"""Control characters, which no line shows."""


def find_recordings(paths: list[Path]) -> Iterator[Path]:
    """Yield the files among the paths, and what is in folders, sorted: recordings and locked folders.

    Hidden files and folders are passed over, and links to folders, as in stage 1.
    """
    for path in paths:
        found, failed = list[Path](), list[OSError]()
        for folder, folders, names in os.walk(path, onerror=failed.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for link in filter(Path.is_symlink, (Path(folder, name) for name in folders)):
                cli.warn(f"{link}: a link to a folder, passed over".translate(BLANK))
            seen = (Path(folder, name) for name in names if not name.startswith("."))
            found += [item for item in seen if item.suffix.lower().lstrip(".") in EXTENSIONS]
        found += [Path(error.filename) for error in failed]
        yield from sorted(found) if path.is_dir() else [path]


def _start_worker(parent: int, *settings: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # the pool would take what a handler raises for a result
    with suppress(AttributeError):  # Linux: nobody outlives a parent that is killed
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        _worker["classifier"] = Classifier(*settings)
    except (cli.UserError, OSError, SystemExit) as error:
        _worker["error"] = error


def _classify_some(recordings: list[Path]) -> list[Decision | str]:
    if "error" in _worker:
        raise _worker["error"]
    return list(_worker["classifier"].classify(recordings, len(recordings)))


def groups(recordings: list[Path], nj: int, most: int) -> Iterator[list[Path]]:
    """Yield what a process takes at a time: one at first, for the first answers, then up to so many."""
    first, size = 0, 1
    while first < len(recordings):
        for _ in range(nj):
            yield recordings[first : first + size]
            first += size
        size = max(1, min(2 * size, most, (len(recordings) - first) // nj))


def decisions(recordings: list[Path], system: TrainedSystem, args: Namespace) -> Iterator[Decision | str]:
    """Yield the decision about each recording, or why there is none."""
    nj = min(args.nj, len(recordings))
    threads = max(1, len(os.sched_getaffinity(0)) // nj)
    settings = (system, args.rule, args.use_gpu, threads, args.allow_truncated)
    if nj < 2:
        yield from Classifier(*settings).classify(recordings)
        return
    most = SIDE_BY_SIDE if system.networks else 1
    start = (os.getpid(), *settings)
    with ProcessPoolExecutor(nj, get_context("spawn"), _start_worker, start) as pool:
        try:
            for found in pool.map(_classify_some, filter(None, groups(recordings, nj, most))):
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
        return json.dumps(facts)
    return "\t".join(
        [path.translate(BLANK), genre, *(f"{value:.6f}" for value in (probability, *chances.values()))]
    )


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


def classify(recordings: list[Path], folder: Path, args: Namespace) -> int:
    """Print and draw what the system, unpacked into a folder if need be, says of all recordings."""
    failed, is_zip = 0, not args.exp_dir.is_dir()
    system = unpack(args.exp_dir, folder) if is_zip else collect(args.exp_dir)
    if "rounded" in system.provenance:
        cli.log(f"{args.exp_dir}: {system.provenance['rounded']}".translate(BLANK))
    if args.timeline and not system.networks:
        raise cli.UserError("--timeline: this system has no posteriors of frames; use one with a network")
    if args.rule != "vote" and system.kind != "network":
        raise cli.UserError(f"--rule {args.rule}: this system does not decide by a network's frames")
    if args.timeline:
        args.timeline.mkdir(parents=True, exist_ok=True)
    classes = system.classes
    if args.header and args.format == "tsv":
        print("\t".join(["path", "genre", "probability", *classes]), flush=True)
    found = zip(recordings, decisions(recordings, system, args), strict=True)
    for number, (recording, decision) in enumerate(found, start=1):
        if isinstance(decision, str):
            failed += 1
            why = decision.removeprefix(f"{recording}: ")
            progress.write(f"ERROR ({cli.PROGRAM}) {recording}: {why}".translate(BLANK))
        else:
            progress.write(line(recording, decision, classes, args.format), sys.stdout)
            if args.timeline:  # the number keeps apart tracks of the same name
                target = args.timeline / f"{number:04d}_{recording.stem[:50]}"
                write_timeline(target, decision, classes)
        progress.report(number, len(recordings), "tracks")
    if failed:
        cli.warn(f"{failed} of {len(recordings)} tracks could not be classified")
    return 1 if failed else 0


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
    if sys.stdout is None:
        raise cli.UserError("the standard output is closed")
    sys.stdout.reconfigure(errors="surrogateescape", line_buffering=True)  # type: ignore[union-attr]  # any name
    if not args.exp_dir.exists():
        raise cli.UserError(f"{args.exp_dir}: no such experiment or zip")
    recordings = list(find_recordings(args.files))
    if not recordings:
        raise cli.UserError(f"there are no recordings in {' '.join(map(str, args.files))}")
    with tempfile.TemporaryDirectory(prefix="system-") as folder:
        os.environ["TMPDIR"] = folder  # of the processes of --nj, so that one that is killed leaves nothing
        try:
            return classify(recordings, Path(folder), args)
        except cli.UserError as error:
            raise cli.UserError(str(error).replace(f"{folder}/", f"{args.exp_dir}: ")) from error


if __name__ == "__main__":
    cli.run(main, echo=False)

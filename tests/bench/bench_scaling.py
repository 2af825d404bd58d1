#!/usr/bin/env python3
"""Time every stage of the recipe on corpora of several sizes, with the peak memory of its largest process.

Makes a corpus of so many hours: tracks of 4 minutes (shorter where the hours are too few for 72 of them, but
for one a genre), 44.1 kHz stereo FLAC, six genres, two tracks an artist. 48 pieces of 20 s that
local/synth.py plays are shifted, scaled and mixed, no track like another. Then runs ./run.sh stage by stage
on a copy of the recipe, in a temporary folder that is removed, each stage below a process of its own whose
children's largest resident set is the stage's. Models are dnn1 and lstm_512 of conf/paper with --epochs
epochs in place of 100 and 50. Prints a table in Markdown. The exit status is 1 if a job takes 2 GB of memory,
or the features of one track of 4 minutes 1 GB. Needs 0.6 GB of disk an hour of music.

e.g. tests/bench/bench_scaling.py --hours 1,5,20
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import soundfile
import soxr

from local import synth
from local.synth import GENRES
from steps import archive
from tests.workspace import environment, make_workspace, set_options
from utils import cli, tables

RATE = 44100
SECONDS, PIECE, PIECES, LEAST = 240.0, 20.0, 8, 72
JOB_LIMIT, TRACK_LIMIT = 2e9, 1e9
STAGES = (
    "corpus",
    "audio to 22 050 Hz",
    "scattering",
    "training data",
    "DNN",
    "LSTM",
    "posteriors",
    "votes",
    "segment features, SVMs",
    "systems",
    "report",
)
#: Runs a command and says how long it took and what its largest process held, in a process without others.
WATCH = """
import json, resource, subprocess, sys, time
start = time.monotonic()
code = subprocess.call(sys.argv[2:], stdout=open(sys.argv[1], "wb"), stderr=subprocess.STDOUT)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(json.dumps([code, time.monotonic() - start, cpu, used.ru_maxrss * 1024]))
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    cpu: float
    peak: float
    """Bytes of its largest process."""


def hours_list(text: str) -> list[float]:
    """Parse increasing numbers of hours, separated by commas."""
    values = [cli.finite_float(word) for word in text.split(",")]
    if min(values) < 0.1 or values != sorted(set(values)):
        raise argparse.ArgumentTypeError(f"expected increasing numbers of at least 0.1, got '{text}'")
    return values


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("bench_scaling.py [options]", __doc__)
    parser.add_argument("--hours", type=hours_list, default=[1.0, 5.0, 20.0], help="sizes (1,5,20)")
    parser.add_argument("--nj", type=cli.positive_int, default=os.cpu_count() or 1, help="jobs side by side")
    parser.add_argument("--epochs", type=cli.positive_int, default=2, help="of each network (2)")
    parser.add_argument("--dir", default=None, metavar="DIR", help="where to put the temporary folder")
    parser.add_argument("--part", default="", help="sources, tracks or compress: in this process")
    parser.add_argument("--job", type=int, default=0, help="of --part")
    parser.add_argument("words", nargs="*", help="of --part")
    return parser


# The corpus.


def lengths(hours: float) -> list[float]:
    """Return the seconds of each track: whole artists of two tracks in each of six genres."""
    count = 12 * -(-max(LEAST, round(hours * 3600 / SECONDS)) // 12)
    total = hours * 3600
    rest = (total - 6 * SECONDS) / (count - 6)
    return [total / count] * count if rest < 10 else [SECONDS] * 6 + [rest] * (count - 6)


def make_sources(folder: Path, job: int, num_jobs: int) -> None:
    """Play this job's share of the pieces that all tracks are made of."""
    names = [(genre, number) for genre in GENRES for number in range(PIECES)]
    for genre, number in names[job::num_jobs]:
        artist = f"{genre}{number}"
        track = synth.Track(genre, artist, "train", 1, f"{artist}-01", "wav", RATE, 2, PIECE)
        mono = soxr.resample(synth.make_sound(777, track), synth.RATE, RATE)[: round(PIECE * RATE)]
        sound = np.stack([mono, np.roll(mono, 200)], axis=1)
        np.save(folder / f"{genre}_{number}.npy", np.round(sound * 20000).astype(np.int16))


def compose(sources: Sequence[np.ndarray], artist: int, number: int, seconds: float) -> np.ndarray:
    """Return a track of int16 [shape=(samples, 2)]; the artist has four of the eight sources."""
    own = np.random.default_rng([1, artist]).permutation(len(sources))[: len(sources) // 2]
    rng = np.random.default_rng([2, number])
    parts, missing = [], round(seconds * RATE)
    while missing > 0:
        mixed = np.zeros(sources[0].shape, dtype=np.float32)
        for source in rng.choice(own, 2, replace=False):
            part = np.roll(sources[source], rng.integers(len(mixed)), axis=0)
            mixed += rng.uniform(0.3, 1.0) * (part if rng.random() < 0.5 else part[:, ::-1])
        parts.append(np.clip(mixed[:missing], -32768, 32767).astype(np.int16))
        missing -= len(mixed)
    return np.concatenate(parts)


def make_tracks(sources: Path, corpus: Path, hours: float, job: int, num_jobs: int) -> None:
    """Write this job's share of the tracks, or with 0 hours one track of 4 minutes."""
    plan = lengths(hours) if hours else [SECONDS]
    for number in range(job, len(plan), num_jobs):
        genre = list(GENRES)[number % 6]
        artist = number // 12
        loaded = [np.load(sources / f"{genre}_{n}.npy") for n in range(PIECES)]
        path = corpus / genre / f"{genre}_{artist:03d}" / f"{number:04d}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = compose(loaded, 6 * artist + number % 6, number, plan[number])
        soundfile.write(path, sound, RATE, "PCM_16", compression_level=0.0)


# The measurements.


def watch(command: Sequence[object], folder: Path, name: str) -> Cost:
    """Run a command in ``folder``; raises UserError with the end of its output if it fails."""
    log = folder / f"{name}.log"
    words = [sys.executable, "-c", WATCH, str(log), *map(str, command)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=folder, env={**environment(), "PATH": path}, capture_output=True, text=True, check=True
    )
    code, seconds, cpu, peak = json.loads(done.stdout)
    if code:
        raise cli.UserError(f"{name} failed with status {code}:\n{log.read_text(errors='replace')[-3000:]}")
    cli.log(f"{name}: {seconds:.1f} s, {cpu:.1f} s of processors, {peak / 1e9:.3f} GB")
    return Cost(seconds, cpu, peak)


def in_parts(part: str, num_jobs: int, *words: object) -> float:
    """Run a part of this program in several processes and return the seconds that it took."""
    start = time.monotonic()
    jobs = [
        subprocess.Popen([sys.executable, __file__, f"--part={part}", f"--job={job}", *map(str, words)])
        for job in range(num_jobs)
    ]
    if any([job.wait() for job in jobs]):
        raise cli.UserError(f"--part {part} failed")
    return time.monotonic() - start


def prepare(folder: Path, epochs: int) -> None:
    """Make the copy of the recipe that a size is run in."""
    make_workspace(folder)
    (folder / "conf/scaling").mkdir()
    for model in ("dnn1", "lstm_512"):
        path = folder / f"conf/scaling/{model}.conf"
        path.write_text((folder / f"conf/paper/{model}.conf").read_text())
        set_options(path, {"max-iters": str(epochs)})
    (folder / "conf/prepare_folder.conf").write_text(
        "--artist-pattern=^[^/]+/(?P<artist>[^/]+)/\n--test-percent=50\n"
    )


def one_track(folder: Path, sources: Path) -> dict[str, Cost]:
    """Convert and transform one track of 4 minutes, which also fills the caches before the stages."""
    in_parts("tracks", 1, sources, folder / "music", 0, 1)
    path = next((folder / "music").rglob("*.flac"))
    (folder / "one.scp").write_text(f"one {path}\n")
    audio = ("steps/convert_audio.py", "--config", "conf/audio.conf", "one.scp", "wav", "one22k.scp")
    feats = (
        "steps/compute_scattering.py",
        "--config",
        "conf/scattering.conf",
        "scp:one22k.scp",
        "ark:one.ark",
    )
    return {"audio": watch(audio, folder, "audio"), "features": watch(feats, folder, "features")}


def measure(folder: Path, sources: Path, hours: float, nj: int) -> dict[str, Any]:
    """Run all stages on a corpus of so many hours."""
    music = folder / "music"
    made = in_parts("tracks", nj, sources, music, hours, nj)
    source_bytes = sum(path.stat().st_size for path in music.rglob("*.flac"))
    cli.log(f"made {hours:g} hours of music in {made:.0f} s, {source_bytes / 1e9:.2f} GB")
    options = ["--corpus", "folder", "--corpus-root", music, "--conf", "conf/scaling", "--nj", nj]
    options += ["--dnns", "dnn1", "--lstms", "lstm_512"]
    costs = [
        watch(["./run.sh", "--stage", s, "--stop-stage", s, *options], folder, f"stage_{s}")
        for s in range(len(STAGES))
    ]
    counts = [tables.read_table(folder / f"data/folder/{x}/utt2num_frames") for x in ("train", "test")]
    command = [sys.executable, __file__, "--part=compress", folder / "data/folder", folder / "compressed.ark"]
    packing = watch(command, folder, "compress")
    return {
        "costs": costs,
        "tracks": sum(len(table) for table in counts),
        "frames": sum(int(count) for table in counts for count in table.values()),
        "source": source_bytes,
        "wav": sum(path.stat().st_size for path in (folder / "data/folder/wav").iterdir()),
        "features": sum(path.stat().st_size for path in (folder / "data/folder/feats").glob("*.ark")),
        "compressed": (folder / "compressed.ark").stat().st_size,
        "packing": packing,
    }


def compress(data: Path, target: Path) -> None:
    """Write the features of both sets once more, compressed as steps/make_scattering.sh --compress does."""
    with archive.Writer(f"ark:{target}", compress=True) as writer:
        for name in ("train", "test"):
            for utt, feats in archive.read_matrices(f"scp:{data / name}/feats.scp"):
                writer.write(utt, feats)


# The table.


def table(sizes: Sequence[float], found: Sequence[dict[str, Any]], epochs: int) -> list[str]:
    """Return the table; the last column says how much longer the largest size takes than the one before."""
    names = [f"{hours:g} h: s | GB" for hours in sizes]
    last = f"time × ({sizes[-1] / sizes[-2]:.3g} × the hours)" if len(sizes) > 1 else "time ×"
    lines = [f"| stage | {' | '.join(names)} | {last} |", "|---" * (2 * len(sizes) + 2) + "|"]
    totals = [sum(item["costs"][s].seconds for s in range(len(STAGES))) for item in found]
    for number, name in enumerate(STAGES):
        note = f", {epochs} epochs" if number in (4, 5) else ""
        costs = [item["costs"][number] for item in found]
        cells = [f"{cost.seconds:.1f} | {cost.peak / 1e9:.2f}" for cost in costs]
        growth = f"{costs[-1].seconds / costs[-2].seconds:.1f}" if len(costs) > 1 else ""
        lines.append(f"| {number} {name}{note} | {' | '.join(cells)} | {growth} |")
    growth = f"{totals[-1] / totals[-2]:.1f}" if len(totals) > 1 else ""
    peaks = [max(cost.peak for cost in item["costs"]) / 1e9 for item in found]
    cells = [f"{total:.0f} | {peak:.2f}" for total, peak in zip(totals, peaks, strict=True)]
    lines.append(f"| all | {' | '.join(cells)} | {growth} |")
    facts = {"tracks": 1, "frames": 1, "source": 1e9, "wav": 1e9, "features": 1e9, "compressed": 1e9}
    labels = ("tracks", "frames", "FLAC, GB", "22 050 Hz WAV, GB", "features, GB", "features --compress, GB")
    for (key, unit), label in zip(facts.items(), labels, strict=True):
        cells = [f"{item[key] / unit:.3f}" if unit > 1 else str(item[key]) for item in found]
        lines.append(f"| {label} | {' | | '.join(cells)} | | |")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Measure every size, print the table and check the limits."""
    args = get_parser().parse_args(argv)
    if args.part:
        words = args.words
        if args.part == "sources":
            make_sources(Path(words[0]), args.job, int(words[1]))
        elif args.part == "tracks":
            make_tracks(Path(words[0]), Path(words[1]), float(words[2]), args.job, int(words[3]))
        else:
            compress(Path(words[0]), Path(words[1]))
        return 0
    os.environ.update({"OMP_NUM_THREADS": "1", "LC_ALL": "C"})
    found = []
    with tempfile.TemporaryDirectory(prefix="scaling.", dir=args.dir) as name:
        top = Path(name)
        (top / "sources").mkdir()
        seconds = in_parts("sources", args.nj, top / "sources", args.nj)
        cli.log(f"played {len(GENRES) * PIECES} pieces in {seconds:.0f} s")
        prepare(top / "one", args.epochs)
        track = one_track(top / "one", top / "sources")
        for hours in args.hours:
            folder = top / f"hours_{hours:g}"
            prepare(folder, args.epochs)
            found.append(measure(folder, top / "sources", hours, args.nj))
            rmtree(folder)
    print("\n".join(table(args.hours, found, args.epochs)))
    size, largest = track["features"].peak, max(cost.peak for item in found for cost in item["costs"])
    convert = track["audio"].peak
    print(
        f"\n{args.nj} jobs side by side. One track of 4 minutes: {convert / 1e9:.2f} GB to convert, "
        f"{size / 1e9:.2f} GB for its features (limit 1). Largest job: {largest / 1e9:.2f} GB (limit 2)."
    )
    kept = size < TRACK_LIMIT and largest < JOB_LIMIT
    print("Both limits are kept." if kept else "A limit is exceeded.")
    return 0 if kept else 1


if __name__ == "__main__":
    cli.run(main, echo=not any(word.startswith("--part") for word in sys.argv))

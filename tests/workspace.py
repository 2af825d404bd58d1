"""A copy of the recipe in a folder of its own, with a corpus and models of a size for tests."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

REPO = Path(__file__).resolve().parents[1]
_PARTS = ("run.sh", "path.sh", "cmd.sh", "conf", "local", "steps", "utils", "requirements.txt")
TINY_CORPUS = {"num-train": "14", "num-test": "12", "min-seconds": "4", "max-seconds": "6"}
TINY_DNN = {"hid-dim": "16", "max-iters": "3", "minibatch-size": "32"}
# An LSTM so small learns from so few frames only with large weights and steps, and less momentum than usual.
TINY_LSTM = {
    "cell-dim": "12",
    "proj-dim": "8",
    "param-scale": "0.5",
    "learn-rate": "0.01",
    "momentum": "0.5",
    "batch-size": "5",
    "max-iters": "3",
}
TINY_MODELS = ("--dnns", "dnn1", "--lstms", "lstm_512")
TINY_SYSTEMS = {
    "hol2008": {"num-gauss": "4", "num-init": "1"},
    "sig2014": {"num-units": "16", "max-epochs": "3", "num-trees": "20", "frames-per-track": "50"},
}


def set_options(path: Path, options: dict[str, str]) -> None:
    """Set options of a configuration file, whether it has them or not."""
    lines = [line for line in path.read_text().splitlines() if line[2:].partition("=")[0] not in options]
    lines += [f"--{name}={value}" for name, value in options.items()]
    path.write_text("\n".join(lines) + "\n")


def make_workspace(folder: Path) -> Path:
    """Copy the recipe's own files into ``folder`` and make its synthetic corpus and models tiny."""
    folder.mkdir(parents=True)
    for name in _PARTS:
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    set_options(folder / "conf" / "synth_corpus.conf", TINY_CORPUS)
    for path in (folder / "conf" / "synth").glob("*.conf"):
        set_options(path, TINY_DNN if path.name.startswith("dnn") else TINY_LSTM)
    for name, options in TINY_SYSTEMS.items():
        set_options(folder / "conf" / "systems" / f"{name}.conf", options)
    set_options(folder / "conf/best/best.conf", {"folds": "3"})
    set_options(folder / "conf/best/attention.conf", {"max-updates": "40", "hidden": "16"})
    return folder


def write_track(path: Path, genre: int, number: int, seconds: float) -> None:
    """Write a chord of a genre in noise, another for each number, with 22 050 Hz and 16 bits."""
    clock = np.arange(round(seconds * 22050)) / 22050
    tones = sum(np.sin(2 * np.pi * 110 * (genre + 1) * k * clock) / k for k in (1, 2, 3, 4))
    noise = np.random.default_rng([genre, number]).standard_normal(len(clock))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.round(6000 * tones + 1500 * noise).astype(np.int16), 22050, "PCM_16")


def environment() -> dict[str, str]:
    """Return the environment in which the copy uses the Python that runs the tests, or one that forks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECIPE_")}
    kept.pop("PYTHONPATH", None)
    return {**kept, "RECIPE_PYTHON": os.environ.get("TESTS_PYTHON", sys.executable)}


def run_in(folder: Path, *words: object, timeout: float = 900) -> subprocess.CompletedProcess:
    """Run a command in the copy, and return the completed process (text)."""
    pipes = {"capture_output": True, "text": True, "timeout": timeout, "check": False}
    return subprocess.run([str(word) for word in words], cwd=folder, env=environment(), **pipes)


def run_recipe(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run ``./run.sh``, saying which stamps it does, without the systems of stage 9 and best."""
    lean = ("--systems", "", "--best-config", "", "--scattering-config", "conf/scattering.conf")
    return run_in(folder, "./run.sh", "--verbose", "true", *lean, *options)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for a condition, and fail if it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def doing(done: subprocess.CompletedProcess) -> list[str]:
    """Return the stamps whose commands a verbose run ran; fail if it did not end well."""
    assert done.returncode == 0, done.stderr[-3000:]
    return re.findall(r"LOG \(once\.py\) doing (\S+):", done.stderr)


def results(folder: Path) -> dict[str, bytes]:
    """Map what a run made to its content, but for logs, stamps and what tells of the run itself."""
    found = {}
    for top in ("corpora", "data", "exp"):
        for path in sorted((folder / top).rglob("*")):
            name = path.relative_to(folder)
            if not path.is_file() or {"log", ".done"} & set(name.parts):
                continue
            if name.parts[0] == "corpora" and path.suffix == ".ogg":
                continue  # whose stream gets a random number; the decoded audio is compared
            content = path.read_bytes().replace(str(folder).encode(), b"WORKSPACE")
            if name.name == "iters.tsv":
                rows = [line.split(b"\t") for line in content.splitlines()]
                seconds = rows[0].index(b"seconds")
                content = b"\n".join(b"\t".join(row[:seconds] + row[seconds + 1 :]) for row in rows)
            found[str(name)] = content
    return found


def compare(wanted: dict[str, bytes], got: dict[str, bytes]) -> list[str]:
    """Return a line for each file that is missing, left over, or different."""
    lines = [f"missing: {name}" for name in wanted if name not in got]
    lines += [f"left over: {name}" for name in got if name not in wanted]
    lines += [f"different: {name}" for name in wanted if name in got and wanted[name] != got[name]]
    return lines

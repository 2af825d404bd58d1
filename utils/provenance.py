"""What made a result: the checkout's commit, and the record that a training leaves beside what it made."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from utils import atomic, tables
from utils.cli import UserError

ROOT = Path(__file__).resolve().parents[1]
RECORD = "training.json"


def git_commit(folder: Path = ROOT) -> str:
    """Return the commit of the checkout at ``folder``, with a note if tracked files differ from it."""
    words = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, errors="replace")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git checkout or no git)"
    return done.stdout.strip().replace("-dirty", " with local changes")


def hash_texts(texts: Mapping[str, str]) -> str:
    """Return the sha256 over file names (without folders) and contents."""
    parts = [part.encode() for path, text in texts.items() for part in (Path(path).name, text)]
    return hashlib.sha256(b"".join(b"%d %b" % (len(part), part) for part in parts)).hexdigest()


def read_texts(paths: Sequence[str | Path]) -> dict[str, str]:
    """Read configuration files as path to content."""
    return {str(path): tables.read_text(path, "the configuration") for path in paths}


def training_record(
    configuration: Sequence[str | Path], seed: int | str, machines: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """Return what a training leaves in ``training.json``, from which alone results.txt takes it.

    ``configuration`` are the files that it read; ``machines`` device, kernels and threads of what took part.
    """
    facts = {"commit": git_commit(), "configuration": read_texts(configuration), "seed": seed}
    return {**facts, "machines": list(machines), **more}


def write_record(exp_dir: Path, record: Mapping[str, Any]) -> None:
    """Write ``training.json``."""
    atomic.write_json(exp_dir / RECORD, record)


def read_record(exp_dir: Path) -> dict[str, Any]:
    """Read ``training.json``; empty where nothing was trained but what was scored."""
    path = exp_dir / RECORD
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not the record of a training ({error}); train the model again") from error

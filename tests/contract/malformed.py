"""The runner of the suite of malformed inputs, and the bytes that its cases are made of.

A case is a command, the files that it finds, and what it must answer. Whatever the input is, the program
ends with status 1 or 2 and exactly one message, ``ERROR …``, that names the file and the place, without a
traceback, leaves no file behind that was not there before (logs excepted), runs nothing that it read, and
neither takes long nor allocates what a header merely claims.
"""

import re
import shlex
import struct
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.contract.forkserver import REPO

CANARY = "canary"
BIG = 2**31 - 1
PICKLE = b"cos\nsystem\n(S'touch canary'\ntR."
Files = Mapping[str, "str | bytes"]


class Case(NamedTuple):
    """One malformed input.

    ``command`` is split as a shell does; ``@`` at the start of a path in it stands for the folder that holds
    ``files``, in which Python programs run (shell scripts run in the recipe's root). ``message`` is found in
    what begins with ERROR; with ``many`` every problem has such a line of its own. Files may not grow beyond
    ``file_bytes``, as on a full disk.
    """

    name: str
    command: str
    files: Files
    message: str
    status: int = 1
    many: bool = False
    file_bytes: int = 0


def cases(command: str, *rows: tuple, file: str = "", base: Files | None = None, **more) -> list[Case]:
    """Return a case for each row: name, message, what ``file`` holds or more files, words for the command."""
    found = []
    for name, message, *rest in rows:
        content = rest[0] if rest else {}
        files = content if isinstance(content, Mapping) else {file: content}
        found.append(Case(name, command.format(*rest[1:]), {**(base or {}), **files}, message, **more))
    return found


def write_files(folder: Path, files: Files) -> None:
    """Write the inputs of a case; text as UTF-8 with its line ends as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def listing(folder: Path) -> set[str]:
    """Return the files (not the folders) below a folder, logs left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {str(path) for path in found if "log" not in path.parts}


def execute(command: str, folder: Path, run_cli, file_bytes: int = 0):
    """Run a command: a Python program in the folder under limits, a shell script in the recipe's root."""
    words = [word.replace("@", str(folder), 1) if "@" in word else word for word in shlex.split(command)]
    if words[0].endswith(".py"):
        return run_cli(*words, cwd=folder, seconds=20, extra_mib=768, file_bytes=file_bytes)
    return run_cli(*words, seconds=20)


def check_refused(case: Case, folder: Path, run_cli) -> None:
    """Run a case and assert all that holds for every malformed input."""
    write_files(folder, case.files)
    before = listing(folder)
    done = execute(case.command, folder, run_cli, case.file_bytes)
    errors = done.stderr.count("\nERROR ") + done.stderr.startswith("ERROR ")
    message = done.stderr[done.stderr.find("ERROR ") :]
    said = f"got status {done.returncode} and {done.stderr[-1500:]!r}"
    assert "Traceback" not in done.stderr, said
    assert done.returncode == case.status, said
    assert errors == 1 or (case.many and errors > 1), said
    assert re.search(case.message, message), f"expected /{case.message}/, {said}"
    assert "out of memory" not in message, said
    left = listing(folder) - before
    assert not left, f"left behind: {sorted(left)}; {said}"
    assert not [path for path in (folder, REPO) if (path / CANARY).exists()], said


def refusal(*tables: list[Case]) -> Callable[..., None]:
    @pytest.mark.parametrize("case", sum(tables, []), ids=lambda case: case.name)
    def test(case, tmp_path, run_cli):
        check_refused(case, tmp_path, run_cli)

    return test


def check_works(command: str, folder: Path, run_cli) -> None:
    """Run a command on unusual but legal input, and assert that it succeeds and runs nothing."""
    done = execute(command, folder, run_cli)
    assert done.returncode == 0, done.stderr
    assert not [path for path in (folder, REPO) if (path / CANARY).exists()]


# Kaldi's bytes, put together here and not by the code under test.


def int32(value: int) -> bytes:
    return b"\4" + struct.pack("<i", value)


def matrix(values: object, token: bytes = b"FM ", dims: tuple[int, int] | None = None) -> bytes:
    """Return a binary matrix; ``dims`` may lie about its shape."""
    array = np.asarray(values, dtype="<f8" if token == b"DM " else "<f4")
    rows, cols = dims or array.shape
    return b"\0B" + token + int32(rows) + int32(cols) + array.tobytes()


def vector(values: object, size: int | None = None) -> bytes:
    """Return a binary float vector; ``size`` may lie about its length."""
    array = np.asarray(values, dtype="<f4")
    return b"\0BFV " + int32(len(array) if size is None else size) + array.tobytes()


def posterior(classes: list[int], weight: float = 1.0) -> bytes:
    """Return a binary posterior with one class a frame."""
    frames = (int32(1) + int32(label) + b"\4" + struct.pack("<f", weight) for label in classes)
    return b"\0B" + int32(len(classes)) + b"".join(frames)


def as_lists(posterior) -> list[list[tuple[int, float]]]:
    """Return a posterior that was read in the form that is written."""
    pairs = list(zip(posterior.classes.tolist(), posterior.weights.tolist(), strict=True))
    return [pairs[a:b] for a, b in pairwise(posterior.offsets)]


def ark(*entries: tuple[str, bytes]) -> bytes:
    return b"".join(key.encode() + b" " + value for key, value in entries)


def rows(num_frames: int = 4, dim: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_frames, dim)).astype(np.float32)


def posteriors(num_frames: int = 4, num_classes: int = 3) -> np.ndarray:
    values = np.exp(rows(num_frames, num_classes))
    return values / values.sum(axis=1, keepdims=True)


# Networks in text, today's layout.

SOFTMAX = "<Softmax> 3 3 \n<!EndOfComponent> \n"


def affine(num_out: int = 3, num_in: int = 3, value: str = "0.5") -> str:
    weights = "".join("  " + f"{value} " * num_in + "\n" for _ in range(num_out)).rstrip("\n")
    head = f"<AffineTransform> {num_out} {num_in} \n<LearnRateCoef> 1 <BiasLearnRateCoef> 1 <MaxNorm> 0 \n"
    return f"{head} [\n{weights}]\n [ {'0 ' * num_out}]\n<!EndOfComponent> \n"


def nnet(*components: str) -> str:
    return "<Nnet> \n" + "".join(components) + "</Nnet> \n"

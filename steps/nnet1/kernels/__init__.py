"""The recurrence of the LSTM, and what goes row by row, in C; without a compiler the libraries do the work.

What ``products`` measured to be fastest is kept beside the compiled library.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from steps import native

PAD = 16
FEW = 16  # columns of a product that is made row by row
HERE = Path(__file__).parent
LSTM, ROWS, HEADER = (HERE / name for name in ("lstm.c", "rows.c", "vectors.h"))
_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_LSTM_SIGNATURES: dict[str, list[Any]] = {
    "lstm_inputs": [_INT] * 4 + [_POINTER] * 4,
    "lstm_forward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] + [_POINTER] * 5,
    "lstm_backward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] * 2 + [_POINTER] * 7,
    "lstm_vectors": [_INT] * 3 + [_POINTER] * 2 + [_FLOAT] + [_POINTER] * 4,
}
_ROWS_SIGNATURES: dict[str, list[Any]] = {
    "add_bias": [_INT] * 4 + [_POINTER] * 2,
    "bias_gradient": [_INT] * 3 + [_POINTER] * 3,
    "few_columns": [_INT] * 4 + [_POINTER] * 3,
    "network_end": [_INT] * 5 + [_FLOAT] * 3 + [_POINTER] * 12,
}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the recurrence, or None where it cannot be had; the log says why."""
    return _load("recurrence", LSTM, _LSTM_SIGNATURES)


@functools.cache
def rows() -> ctypes.CDLL | None:
    """Return what goes row by row, or None where it cannot be had; the log says why."""
    return _load("passes over rows", ROWS, _ROWS_SIGNATURES)


def padded_dim(size: int) -> int:
    """Return the next odd multiple of 16: rows of whole cache lines that do not all fall on the same few."""
    return PAD * (-(-size // PAD) | 1)


def _load(what: str, source: Path, signatures: dict[str, list[Any]]) -> ctypes.CDLL | None:
    # Their threads are torch's: two teams on the same cores would wait for each other.
    torch = importlib.util.find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        for path in Path(folder, "lib").glob("libgomp*"):
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    return native.load(what, (source, HEADER), signatures, "-fopenmp")


def kept_choice(kind: str) -> str:
    """Return what was found to be fastest on this machine before, or ''."""
    try:
        return _choice_file(kind).read_text(encoding="utf-8")
    except OSError:
        return ""


def keep_choice(kind: str, name: str) -> str:
    """Keep what was found to be fastest, and return what is kept: of processes at once, the first decides."""
    target = _choice_file(kind)
    with suppress(OSError):  # there is no room, or it is there already
        handle, temporary = tempfile.mkstemp(dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(name)
            os.link(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return kept_choice(kind) or name


def _choice_file(kind: str) -> Path:
    texts = (path.read_text(encoding="utf-8") for path in (LSTM, ROWS, HEADER))
    facts = (importlib.metadata.version("torch"), *texts, native.processor())
    return native.cache() / f"{native.hash_of(*facts)}.{kind}"

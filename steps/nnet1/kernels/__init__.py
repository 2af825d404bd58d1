"""The recurrence of the LSTM in C; without a compiler the libraries do the work.

What ``products`` measured to be fastest is kept beside the compiled library.
"""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from steps import native

SOURCE = Path(__file__).with_name("lstm.c")
HEADER = Path(__file__).with_name("vectors.h")
_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "lstm_inputs": [_INT] * 4 + [_POINTER] * 4,
    "lstm_forward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] + [_POINTER] * 5,
    "lstm_backward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] * 2 + [_POINTER] * 7,
    "lstm_vectors": [_INT] * 3 + [_POINTER] * 2 + [_FLOAT] + [_POINTER] * 4,
}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where they cannot be had; the log says why."""
    # Their threads are torch's: two teams on the same cores would wait for each other.
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*"):
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    return native.load("recurrence", (SOURCE, HEADER), _SIGNATURES, "-fopenmp")


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
    sources = (path.read_text(encoding="utf-8") for path in (SOURCE, HEADER))
    return native.cache() / f"{native.hash_of(torch.__version__, *sources, native.processor())}.{kind}"

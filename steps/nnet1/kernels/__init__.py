"""The recurrence of the LSTM, and what goes row by row, in C; without a compiler the libraries do the work.

What ``products`` measured to be fastest is kept beside the compiled library.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import Any

from steps import native

PAD = 16
FEW = 16  # columns of a product that is faster in C
HERE = Path(__file__).parent
SOURCES = [HERE / name for name in ("lstm.c", "rows.c", "vectors.h")]
_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "lstm_inputs": [_INT] * 4 + [_POINTER] * 4,
    "lay_out": [_INT] * 2 + [_POINTER] * 2,
    "lstm_forward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] + [_POINTER] * 7,
    "lstm_backward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] * 2 + [_POINTER] * 7,
    "add_bias": [_INT] * 4 + [_POINTER] * 2,
    "network_end": [_INT] * 5 + [_FLOAT] + [_POINTER] * 12,
}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the kernels, or None where they cannot be had; the log says why."""
    # Their threads are torch's: two teams on the same cores would wait for each other.
    torch = importlib.util.find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        for path in Path(folder, "lib").glob("libgomp*"):
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    return native.load("kernels of networks", SOURCES, _SIGNATURES, "-fopenmp")


def padded_dim(size: int) -> int:
    """Return the next odd multiple of 16: rows of whole cache lines that do not all fall on the same few."""
    return PAD * (-(-size // PAD) | 1)


def kept_choice(kind: str, name: str = "") -> str:
    """Return what was found fastest on this machine, or '': ``name``, unless another process was first."""
    with suppress(OSError):
        texts = (path.read_text(encoding="utf-8") for path in SOURCES)
        facts = (importlib.metadata.version("torch"), *texts, native.processor())
        path = native.cache() / f"{native.hash_of(*facts)}.{kind}"
        if name:
            with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
                file.write(name)
        return path.read_text(encoding="utf-8")
    return name

"""Writing archives and the script files that point into them."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from steps.archive.objects import write_object
from steps.archive.specifiers import ArchiveError, parse_wspecifier
from utils import atomic

_DIMENSIONS = {"matrix": 2, "vector": 1, "int_vector": 1}


class Writer:
    """Write ``(key, object)`` to an archive that appears only when it is complete.

    The wspecifier is ``ark:FILE``, ``ark,t:FILE`` (text) or ``ark,scp:ARK,SCP``; ``-`` is the standard
    output. The kind is ``matrix``, ``vector``, ``int_vector`` or ``posterior`` (lists of pairs);
    ``compress`` writes matrices as ``CM``.

    >>> with Writer("ark,scp:feats.ark,feats.scp") as writer:  # doctest: +SKIP
    ...     writer.write("utt1", matrix)
    """

    def __init__(self, wspecifier: str, kind: str = "matrix", *, compress: bool = False) -> None:
        self._spec = parse_wspecifier(wspecifier)
        if self._spec.ark.startswith("|"):
            raise ArchiveError(f"'{wspecifier}': writing to a command is not supported; write a file or '-'")
        if self._spec.scp and self._spec.ark == "-":
            raise ArchiveError(f"'{wspecifier}': a script file cannot point into the standard output")
        self._kind, self._compress = kind, compress
        self._keys: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Writer":
        to_stdout = self._spec.ark == "-"
        self._file: IO[bytes] = (
            sys.stdout.buffer
            if to_stdout
            else self._stack.enter_context(atomic.replacing(self._spec.ark, "wb"))
        )
        return self

    def write(self, key: str, value: Any) -> None:
        """Append one object under a key that is new, not empty and without blanks."""
        if not key or any(c.isspace() for c in key):
            raise ArchiveError(f"{self._spec.ark}: '{key}' cannot be a key: empty or with blanks")
        if key in self._keys:
            raise ArchiveError(f"{self._spec.ark}: duplicate key '{key}'")
        wanted = _DIMENSIONS.get(self._kind)
        if wanted is not None and np.ndim(value) != wanted:
            raise ArchiveError(
                f"{self._spec.ark}: '{key}': a {self._kind} has {wanted} dimensions, got {np.shape(value)}"
            )
        self._file.write(f"{key} ".encode())
        self._keys[key] = 0 if self._spec.ark == "-" else self._file.tell()
        write_object(self._file, self._kind, value, text=self._spec.text, compress=self._compress)

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)
        if self._spec.ark == "-":
            self._file.flush()
        if self._spec.scp and exception[0] is None:
            with atomic.replacing(self._spec.scp) as file:
                file.writelines(f"{key} {self._spec.ark}:{offset}\n" for key, offset in self._keys.items())


def write_matrix_file(path: str | Path, matrix: np.ndarray) -> None:
    """Write one matrix without a key, such as CMVN statistics, atomically; float64 stays float64."""
    with atomic.replacing(path, "wb") as file:
        write_object(file, "any_matrix", matrix, text=False)

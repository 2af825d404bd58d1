"""Writing archives and the script files that point into them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from steps.archive import objects
from steps.archive.kaldi import kaldi_io
from steps.archive.specifiers import ArchiveError, parse_wspecifier
from utils import atomic


class Writer:
    """Write ``(key, object)`` to an archive that appears only when it is complete.

    The wspecifier is ``ark:FILE``, ``ark,t:FILE`` (text) or ``ark,scp:ARK,SCP``; ``-`` is the standard
    output. The kind is ``matrix``, ``vector``, ``int_vector`` or ``posterior``; ``compress`` writes matrices
    as ``CM``.

    >>> with Writer("ark,scp:feats.ark,feats.scp") as writer:  # doctest: +SKIP
    ...     writer.write("utt1", matrix)
    """

    def __init__(self, wspecifier: str, kind: str = "matrix", *, compress: bool = False) -> None:
        self._spec = parse_wspecifier(wspecifier)
        if self._spec.ark.startswith("|"):
            raise ArchiveError(f"'{wspecifier}': writing to a command is not supported; write a file or '-'")
        if self._spec.scp and self._spec.ark == "-":
            raise ArchiveError(f"'{wspecifier}': a script file cannot point into the standard output")
        if kind not in ("matrix", "vector", "int_vector", "posterior"):
            raise ValueError(f"unknown kind of object '{kind}'")
        self._kind, self._compress = kind, compress
        self._keys: dict[str, int] = {}

    def __enter__(self) -> Writer:
        self._file: IO[bytes]
        if self._spec.ark == "-":
            self._file = sys.stdout.buffer
        else:
            self._path = Path(self._spec.ark)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = atomic.temporary_name(self._path)
            self._file = self._temporary.open("wb")
        return self

    def write(self, key: str, value: Any) -> None:
        """Append one object under a key that is new, not empty and without blanks."""
        if not key or any(c.isspace() for c in key):
            raise ArchiveError(f"{self._spec.ark}: '{key}' cannot be a key: empty or with blanks")
        if key in self._keys:
            raise ArchiveError(f"{self._spec.ark}: duplicate key '{key}'")
        wanted = {"matrix": 2, "vector": 1, "int_vector": 1}.get(self._kind)
        if wanted is not None and np.ndim(value) != wanted:
            raise ArchiveError(
                f"{self._spec.ark}: '{key}': a {self._kind} has {wanted} dimensions, got {np.shape(value)}"
            )
        self._file.write(f"{key} ".encode())
        self._keys[key] = 0 if self._spec.ark == "-" else self._file.tell()
        objects.write_object(self._file, self._kind, value, text=self._spec.text, compress=self._compress)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spec.ark == "-":
            self._file.flush()
            return
        try:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if error is None:
                self._temporary.replace(self._path)
                self._write_scp()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _write_scp(self) -> None:
        if self._spec.scp:
            with atomic.replacing(self._spec.scp) as file:
                for key, offset in self._keys.items():
                    file.write(f"{key} {self._spec.ark}:{offset}\n")


def write_matrix_file(path: str | Path, matrix: np.ndarray, *, binary: bool = True) -> None:
    """Write one matrix without a key, such as CMVN statistics, atomically; float64 stays float64."""
    with atomic.replacing(path, "wb") as file:
        if binary:
            kaldi_io.write_mat(_Named(file), np.ascontiguousarray(matrix))
        else:
            objects.write_object(file, "matrix", matrix, text=True, compress=False)


class _Named:
    """A file that is open for writing bytes, under the mode that ``kaldi_io`` asks for."""

    mode = "wb"

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write

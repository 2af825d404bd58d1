"""Kaldi archives and script files: the one place where they are read and written.

Every error names file and byte; dimensions are checked before memory is taken, commands run only on request
and their failure is noticed, and files appear whole or not at all.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from steps.archive.objects import Posterior, as_compressed, read_object, write_object
from steps.archive.stream import ArchiveError, ReadSpec, Stream, open_input, parse_rspecifier, parse_specifier
from utils import atomic, tables
from utils.cli import UserError, warn

__all__ = [
    "ArchiveError",
    "Posterior",
    "RandomReader",
    "Writer",
    "as_compressed",
    "open_input",
    "parse_rspecifier",
    "read_matrices",
    "read_matrix_file",
    "read_objects",
    "write_matrix_file",
]

_RANGE = re.compile(r"(.+)\[([0-9:,]*)\]", re.DOTALL)
_SPAN = re.compile(r"([0-9]{1,9}):([0-9]{1,9})|:")
_TOLERANCE = 3  # rows


def read_objects(rspecifier: str, kind: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield ``(key, object)`` in the order of an archive or script file, ``ark:FILE`` or ``scp:FILE``.

    ``kind`` is ``matrix``, ``vector`` or ``posterior``; ``-`` is the standard input, and ``command |`` is run
    if ``allow_pipes``. A truncated archive, a duplicate key, a wrong header, a failed command is an
    ArchiveError.
    """
    spec = parse_rspecifier(rspecifier)
    seen: set[str] = set()
    previous = ""
    for key, value in (_read_scp if spec.type == "scp" else _read_ark)(spec, kind, allow_pipes):
        if key in seen:
            raise ArchiveError(f"{spec.path}: duplicate key '{key}'")
        if spec.is_sorted and key.encode() < previous.encode():
            raise ArchiveError(
                f"{spec.path}: '{key}' comes after '{previous}', but the rspecifier says sorted"
            )
        seen.add(key)
        previous = key
        yield key, value


def read_matrices(rspecifier: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(key, matrix)``, each matrix [shape=(rows, cols), float32]; see :func:`read_objects`."""
    return read_objects(rspecifier, "matrix", allow_pipes=allow_pipes)


def read_matrix_file(path: str | Path) -> np.ndarray:
    """Read a file that holds one matrix and no key, such as CMVN statistics; float64 stays float64."""
    with open_input(str(path)) as file:
        stream = Stream(file, str(path))
        matrix = read_object(stream, "any_matrix")
        if stream.peek():
            raise stream.fail("expected the end of the file after one matrix")
        return matrix


def _read_ark(spec: ReadSpec, kind: str, allow_pipes: bool) -> Iterator[tuple[str, Any]]:
    with open_input(spec.path, allow_pipes=allow_pipes) as file:
        stream = Stream(file, spec.path)
        try:
            while (key := stream.key()) is not None:
                yield key, read_object(stream, kind)
        except ArchiveError:
            if not spec.permissive:
                raise


def _read_scp(spec: ReadSpec, kind: str, allow_pipes: bool) -> Iterator[tuple[str, Any]]:
    for key, name, where in _scp_entries(spec, allow_pipes):
        value = _read_entry(name, where, spec.permissive, kind, allow_pipes)
        if value is not None:
            yield key, value


def _scp_entries(spec: ReadSpec, allow_pipes: bool) -> Iterator[tuple[str, str, str]]:
    """Yield ``(key, extended file name, path:line)`` for each line of a script file."""
    if spec.path == "-" or spec.path.endswith("|"):
        with open_input(spec.path, allow_pipes=allow_pipes) as file:
            lines = file.read().decode("utf-8", errors="replace").removesuffix("\n").split("\n")
    else:
        lines = tables.read_lines(spec.path)
    for number, line in enumerate(lines, start=1):
        key, name = tables.split_line(line)
        where = f"{spec.path}:{number}"
        if not name:
            raise ArchiveError(f"{where}: expected '<key> <file>:<offset>', got '{line[:80]}'")
        yield key, name, where


def _read_entry(name: str, where: str, permissive: bool, kind: str, allow_pipes: bool) -> Any:
    """Read the object behind an extended file name of the line ``where``; ``None`` if one may and cannot."""
    wanted, offset = None, None
    if not name.endswith("|"):
        if match := _RANGE.fullmatch(name):
            name, wanted = match.groups()
        name, offset = tables.split_offset(name)
    try:
        with open_input(name, allow_pipes=allow_pipes) as file:
            stream = Stream(file, name)
            if offset is not None:
                stream.seek(offset)
            value = read_object(stream, kind)
        return value if wanted is None else _cut(value, wanted, where)
    except UserError as error:
        if permissive and isinstance(error, ArchiveError):
            return None
        raise type(error)(f"{where}: {error}") from error


def _cut(value: Any, wanted: str, where: str) -> Any:
    """Apply Kaldi's range ``r0:r1,c0:c1`` (ends included); like Kaldi, allow three rows too many."""
    shape = value.shape if isinstance(value, np.ndarray) else ()
    spans = [_SPAN.fullmatch(part) for part in wanted.split(",")]
    if not all(spans) or len(spans) > len(shape):
        raise ArchiveError(f"[{wanted}] is no range of the shape {shape}; expected [0:9] or [:,0:9]")
    slices = []
    for axis, (span, size) in enumerate(zip(spans, shape, strict=False)):
        low, high = (int(span[1]), int(span[2])) if span and span[1] else (0, size - 1)
        if not low <= high < size + (_TOLERANCE if axis == 0 else 0) or low >= size:
            raise ArchiveError(f"the range [{wanted}] lies outside the shape {shape}")
        if high >= size:
            warn(f"{where}: the range [{wanted}] goes beyond the shape {shape}: cut")
        slices.append(slice(low, high + 1))
    return value[tuple(slices)]


class RandomReader:
    """Objects by key; with the option ``p`` one that cannot be read is not there."""

    def __init__(self, rspecifier: str, kind: str = "matrix", *, allow_pipes: bool = False) -> None:
        spec = parse_rspecifier(rspecifier)
        self._read = lambda name, where: _read_entry(name, where, spec.permissive, kind, allow_pipes)
        self._passed: dict[str, Any] = {}  # of an archive
        self._rest: Iterator[tuple[str, Any]] = iter(())
        self._entries: dict[str, tuple[str, str]] = {}  # of a script file
        if spec.type == "ark":
            self._rest = read_objects(rspecifier, kind, allow_pipes=allow_pipes)
            return
        for key, name, where in _scp_entries(spec, allow_pipes):
            if key in self._entries:
                raise ArchiveError(f"{where}: duplicate key '{key}'")
            self._entries[key] = (name, where)

    def get(self, key: str) -> Any:
        """Return the object of a key, ``None`` if there is none."""
        if entry := self._entries.get(key):
            return self._read(*entry)
        while key not in self._passed and (pair := next(self._rest, None)):
            self._passed[pair[0]] = pair[1]
        return self._passed.get(key)


class Writer:
    """Write ``(key, object)`` to an archive that appears only when it is complete.

    The wspecifier is ``ark:FILE``, ``ark,t:FILE`` (text) or ``ark,scp:ARK,SCP``; ``-`` is the standard
    output. The kind is ``matrix``, ``vector`` or ``posterior`` (lists of pairs); ``compress`` writes ``CM``.
    """

    def __init__(self, wspecifier: str, kind: str = "matrix", *, compress: bool = False) -> None:
        types, words, path = parse_specifier(wspecifier, "t b f nf p np")
        self._ark, _, self._scp = map(str.strip, path.partition(",")) if len(types) > 1 else (path, "", "")
        points_at_file = self._ark not in ("", "-") and self._scp
        if self._ark.startswith("|") or types != ["ark"] and (types != ["ark", "scp"] or not points_at_file):
            expected = "'ark:FILE', 'ark,t:FILE' or 'ark,scp:ARK,SCP'"
            raise UserError(f"'{wspecifier}' is no wspecifier; expected {expected}; '-', alone, is stdout")
        self._how: dict[str, Any] = {"text": "t" in words, "compress": compress}
        self._kind = kind
        self._offsets: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Writer":
        target = atomic.replacing(self._ark, "wb")
        self._file: IO[bytes] = sys.stdout.buffer if self._ark == "-" else self._stack.enter_context(target)
        return self

    def write(self, key: str, value: Any) -> None:
        """Append one object under a key that is new, not empty and without blanks."""
        if key.split() != [key] or key in self._offsets:
            raise ArchiveError(f"{self._ark}: '{key}' cannot be a key: empty, with blanks or a duplicate")
        self._file.write(f"{key} ".encode())
        self._offsets[key] = self._file.tell() if self._scp else 0
        write_object(self._file, self._kind, value, **self._how)

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)
        if self._ark == "-":
            self._file.flush()
        if self._scp and exception[0] is None:
            with atomic.replacing(self._scp) as file:
                file.writelines(f"{key} {self._ark}:{offset}\n" for key, offset in self._offsets.items())


def write_matrix_file(path: str | Path, matrix: np.ndarray) -> None:
    """Write one matrix without a key, such as CMVN statistics, atomically; float64 stays float64."""
    with atomic.replacing(path, "wb") as file:
        write_object(file, "any_matrix", matrix, text=False)

"""Reading archives and script files: in sequence, or by key."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from steps.archive.objects import read_object
from steps.archive.specifiers import ArchiveError, ReadSpec, open_input, parse_rspecifier
from steps.archive.stream import Stream
from utils import tables
from utils.cli import warn

_RANGE = re.compile(r"^(?P<file>.+)\[(?P<range>[0-9:,]*)\]$")
_SPAN = re.compile(r"([0-9]{1,9}):([0-9]{1,9})|:")
_TOLERANCE = 3  # rows


def read_objects(rspecifier: str, kind: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield ``(key, object)`` in the order of an archive or script file, ``ark:FILE`` or ``scp:FILE``.

    ``kind`` is ``matrix``, ``vector``, ``int_vector`` or ``posterior``; ``-`` is the standard input, and
    ``command |`` is run if ``allow_pipes``. Raises ArchiveError with file and byte for a truncated archive, a
    duplicate key, a wrong header, a failed command.
    """
    spec = parse_rspecifier(rspecifier)
    pairs = _read_scp(spec, kind, allow_pipes) if spec.type == "scp" else _read_ark(spec, kind, allow_pipes)
    seen: set[str] = set()
    previous = ""
    for key, value in pairs:
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


def read_vectors(rspecifier: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(key, vector)``, each vector [shape=(n,), float32]; see :func:`read_objects`."""
    return read_objects(rspecifier, "vector", allow_pipes=allow_pipes)


def read_matrix_file(path: str | Path) -> np.ndarray:
    """Read a file that holds one matrix and no key, such as CMVN statistics; float64 stays float64."""
    with open_input(str(path)) as file:
        stream = Stream(file, str(path))
        matrix = read_object(stream, "any_matrix")
        if stream.peek(1):
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
    with _Opener(kind, allow_pipes) as opener:
        for key, name, where in _scp_entries(spec, allow_pipes):
            try:
                value = opener.read(name, where)
            except ArchiveError:
                if spec.permissive:
                    continue
                raise
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


class _Opener(ExitStack):
    """Reads extended file names, keeping the archive of the last one open."""

    def __init__(self, kind: str, allow_pipes: bool) -> None:
        super().__init__()
        self._kind, self._allow_pipes = kind, allow_pipes
        self._path = ""
        self._stream: Stream

    def read(self, name: str, where: str) -> Any:
        wanted = None
        if not name.endswith("|") and (match := _RANGE.match(name)):
            name, wanted = match["file"], match["range"]
        path, offset = tables.split_offset(name)
        if name.endswith("|") or offset is None:
            with open_input(name, allow_pipes=self._allow_pipes, where=where) as file:
                value = read_object(Stream(file, name), self._kind)
        else:
            if path != self._path:
                self.close()
                self._path = ""
                self._stream = Stream(self.enter_context(open_input(path, where=where)), path)
                self._path = path
            try:
                self._stream.seek(offset)
                value = read_object(self._stream, self._kind)
            except ArchiveError as error:
                raise ArchiveError(f"{where}: {error}") from error
        return value if wanted is None else _cut(value, wanted, where)


def _cut(value: Any, wanted: str, where: str) -> Any:
    """Apply Kaldi's range ``r0:r1,c0:c1`` (ends included); like Kaldi, allow three rows too many."""
    shape = value.shape if isinstance(value, np.ndarray) else ()
    spans = [_SPAN.fullmatch(part) for part in wanted.split(",")]
    if not all(spans) or len(spans) > len(shape):
        raise ArchiveError(f"{where}: [{wanted}] is no range of the shape {shape}; expected [0:9] or [:,0:9]")
    slices = []
    for axis, (span, size) in enumerate(zip(spans, shape, strict=False)):
        low, high = (int(span[1]), int(span[2])) if span and span[1] else (0, size - 1)
        if not low <= high < size + (_TOLERANCE if axis == 0 else 0) or low >= size:
            raise ArchiveError(f"{where}: the range [{wanted}] lies outside the shape {shape}")
        if high >= size:
            warn(f"{where}: the range [{wanted}] goes beyond the shape {shape}: cut")
        slices.append(slice(low, high + 1))
    return value[tuple(slices)]


class RandomReader:
    """Objects by key; with the option ``p`` one that cannot be read is not there."""

    def __init__(self, rspecifier: str, kind: str = "matrix", *, allow_pipes: bool = False) -> None:
        spec = parse_rspecifier(rspecifier)
        self._cache: dict[str, Any] = {}
        self._permissive = spec.permissive
        self._opener = _Opener(kind, allow_pipes)
        self._rest: Iterator[tuple[str, Any]] = iter(())
        self._entries: dict[str, tuple[str, str]] = {}
        if spec.type == "ark":
            self._rest = read_objects(rspecifier, kind, allow_pipes=allow_pipes)
            return
        for key, name, where in _scp_entries(spec, allow_pipes):
            if key in self._entries:
                raise ArchiveError(f"{where}: duplicate key '{key}'")
            self._entries[key] = (name, where)

    def __contains__(self, key: str) -> bool:
        if key in self._entries:
            return not self._permissive or self._is_readable(key)
        while key not in self._cache:
            pair = next(self._rest, None)
            if pair is None:
                return False
            self._cache[pair[0]] = pair[1]
        return True

    def _is_readable(self, key: str) -> bool:
        """Read the object of a script file and keep it, the last one alone, for who asks for it next."""
        try:
            if key not in self._cache:
                self._cache = {key: self._opener.read(*self._entries[key])}
        except ArchiveError:
            return False
        return True

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return self._cache[key] if key in self._cache else self._opener.read(*self._entries[key])

"""Kaldi archives and script files: the one place where they are read and written.

Every error names file and byte; dimensions are checked before memory is taken, commands run only on request
and their failure is noticed, and files appear whole or not at all.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from steps.archive.objects import ArchiveError, Stream, read_object, write_object
from steps.archive.objects import Posterior as Posterior
from utils import atomic, tables
from utils.cli import UserError, warn

_RANGE = re.compile(r"(.+)\[([0-9:,]*)\]", re.DOTALL)
_SPAN = re.compile(r"([0-9]{1,9}):([0-9]{1,9})|:")

Entries = Iterator[tuple[str, Callable[[], Any]]]


def _parse(specifier: str, options: str) -> tuple[list[str], list[str], str]:
    """Return ``ark`` and ``scp`` as they occur (nothing if it is wrong), all words, and the path."""
    head, _, path = specifier.partition(":")
    words = head.split(",")
    is_known = path.strip() and {*words} <= {"ark", "scp", *options.split()}
    return [word for word in words if is_known and word in ("ark", "scp")], words, path.strip()


def parse_rspecifier(rspecifier: str) -> tuple[str, str]:
    """Return ``ark`` or ``scp``, and the file, of ``[opts,]ark:FILE``; Kaldi's options change nothing."""
    types, _, path = _parse(rspecifier, "o no s ns cs ncs p np bg b t")
    if len(types) != 1:
        raise UserError(f"'{rspecifier}' is no rspecifier; expected 'ark:FILE' or 'scp:FILE'")
    return types[0], path


@contextmanager
def open_input(name: str, *, allow_pipes: bool = False) -> Iterator[IO[bytes]]:
    """Open a file, ``-``, or ``command |``, whose failure is an error."""
    name = name.strip()
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        if not allow_pipes:
            raise UserError(f"'{name}' is a command; commands run only with --allow-pipes=true")
        command = ["bash", "-o", "pipefail", "-c", name[:-1].strip()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            yield process.stdout  # type: ignore[misc]
            process.communicate()
        if process.returncode != 0:
            raise ArchiveError(f"'{name}' failed with exit status {process.returncode}")
    else:
        try:
            opened = Path(name).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise ArchiveError(f"cannot open '{name}': {getattr(error, 'strerror', error)}") from error
        with opened as file:
            yield file


def read_objects(rspecifier: str, kind: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield ``(key, object)`` in the order of an archive or script file, ``ark:FILE`` or ``scp:FILE``.

    ``kind`` is ``matrix``, ``vector`` or ``posterior``; ``-`` is the standard input, and ``command |`` is run
    if ``allow_pipes``. A truncated archive, a duplicate key, a wrong header, a failed command is an
    ArchiveError.
    """
    for key, read in _entries(rspecifier, kind, allow_pipes):
        yield key, read()


def read_matrices(rspecifier: str, *, allow_pipes: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(key, matrix)``, each matrix [shape=(rows, cols), float32]; see :func:`read_objects`."""
    return read_objects(rspecifier, "matrix", allow_pipes=allow_pipes)


def read_matrix_file(path: str | Path) -> np.ndarray:
    """Read a file that holds one matrix and no key, such as CMVN statistics; float64 stays float64."""
    with open_input(str(path)) as file:
        return read_object(Stream(file, str(path)), "any_matrix")


def _entries(rspecifier: str, kind: str, allow_pipes: bool) -> Entries:
    """Yield each key with what returns its object."""
    form, path = parse_rspecifier(rspecifier)
    seen: set[str] = set()
    with open_input(path, allow_pipes=allow_pipes) as file:
        found = _of_scp(file, path, kind, allow_pipes) if form == "scp" else _of_ark(file, path, kind)
        for key, read in found:
            if key in seen:
                raise ArchiveError(f"{path}: duplicate key '{key}'")
            seen.add(key)
            yield key, read


def _of_ark(file: IO[bytes], path: str, kind: str) -> Entries:
    stream = Stream(file, path)
    while (key := stream.key()) is not None:
        yield key, partial(lambda value: value, read_object(stream, kind))


def _of_scp(file: IO[bytes], path: str, kind: str, allow_pipes: bool) -> Entries:
    for number, line in enumerate(file, start=1):
        where = f"{path}:{number}"
        try:
            key, name = tables.split_line(line.decode())
        except UnicodeDecodeError as error:
            raise ArchiveError(f"{where}: not UTF-8; convert the file (iconv)") from error
        if not name:
            raise ArchiveError(f"{where}: expected '<key> <file>:<offset>', got '{key[:80]}'")
        yield key, partial(_read_entry, name, where, kind, allow_pipes)


def _read_entry(name: str, where: str, kind: str, allow_pipes: bool) -> Any:
    """Read the object behind an extended file name of the line ``where``."""
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
        if not low <= high < size + (3 if axis == 0 else 0) or low >= size:
            raise ArchiveError(f"the range [{wanted}] lies outside the shape {shape}")
        if high >= size:
            warn(f"{where}: the range [{wanted}] goes beyond the shape {shape}: cut")
        slices.append(slice(low, high + 1))
    return value[tuple(slices)]


class RandomReader:
    """Objects by key."""

    def __init__(self, rspecifier: str, kind: str = "matrix", *, allow_pipes: bool = False) -> None:
        self._rest = _entries(rspecifier, kind, allow_pipes)
        self._passed: dict[str, Callable[[], Any]] = {}

    def get(self, key: str) -> Any:
        """Return the object of a key, ``None`` if there is none."""
        while key not in self._passed and (entry := next(self._rest, None)):
            self._passed[entry[0]] = entry[1]
        return self._passed[key]() if key in self._passed else None


class Writer:
    """Write ``(key, object)`` to an archive that appears only when it is complete.

    The wspecifier is ``ark:FILE``, ``ark,t:FILE`` (text) or ``ark,scp:ARK,SCP``; ``-`` is the standard
    output. The kind is ``matrix``, ``vector`` or ``posterior`` (lists of pairs).
    """

    def __init__(self, wspecifier: str, kind: str = "matrix") -> None:
        types, words, path = _parse(wspecifier, "t b f nf p np")
        self._ark, _, self._scp = map(str.strip, path.partition(",")) if len(types) > 1 else (path, "", "")
        points_at_file = self._ark not in ("", "-") and self._scp
        if self._ark.startswith("|") or types != ["ark"] and (types != ["ark", "scp"] or not points_at_file):
            expected = "'ark:FILE', 'ark,t:FILE' or 'ark,scp:ARK,SCP'"
            raise UserError(f"'{wspecifier}' is no wspecifier; expected {expected}; '-', alone, is stdout")
        self._kind, self._text = kind, "t" in words
        self._offsets: dict[str, int] = {}
        self._target = (
            nullcontext(sys.stdout.buffer) if self._ark == "-" else atomic.replacing(self._ark, "wb")
        )

    def __enter__(self) -> "Writer":
        self._file = self._target.__enter__()
        return self

    def write(self, key: str, value: Any) -> None:
        """Append one object under a key that is new, not empty and without blanks."""
        if key.split() != [key] or key in self._offsets:
            raise ArchiveError(f"{self._ark}: '{key}' cannot be a key: empty, with blanks or a duplicate")
        self._file.write(f"{key} ".encode())
        self._offsets[key] = self._file.tell() if self._scp else 0
        write_object(self._file, self._kind, value, text=self._text)

    def __exit__(self, *exception: Any) -> None:
        self._target.__exit__(*exception)
        if self._scp and exception[0] is None:
            with atomic.replacing(self._scp) as file:
                file.writelines(f"{key} {self._ark}:{offset}\n" for key, offset in self._offsets.items())


def write_matrix_file(path: str | Path, matrix: np.ndarray) -> None:
    """Write one matrix without a key, such as CMVN statistics, atomically; float64 stays float64."""
    with atomic.replacing(path, "wb") as file:
        write_object(file, "any_matrix", matrix, text=False)

"""What archives are read from: Kaldi's specifiers, extended file names, and a stream of bytes."""

import math
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from utils.cli import UserError

_PIECE = 1 << 20
_SIZE = struct.Struct("<bi")


class ArchiveError(UserError):
    """An archive or table cannot be read: the message gives its path and the byte offset or line."""


class ReadSpec(NamedTuple):
    """A parsed rspecifier: ``ark`` or ``scp``, the file, and the options that change reading."""

    type: str
    path: str
    permissive: bool
    is_sorted: bool


def parse_specifier(specifier: str, known: str) -> tuple[list[str], list[str], str]:
    """Return ``ark`` and ``scp`` as they occur (nothing if it is wrong), all words, and the path."""
    head, _, path = specifier.partition(":")
    words = head.split(",")
    is_known = path.strip() and {*words} <= {"ark", "scp", *known.split()}
    return [word for word in words if is_known and word in ("ark", "scp")], words, path.strip()


def parse_rspecifier(rspecifier: str) -> ReadSpec:
    """Parse ``[opts,]ark:rxfilename`` or ``[opts,]scp:rxfilename``; of the options ``s`` and ``p`` count."""
    types, words, path = parse_specifier(rspecifier, "o no s ns cs ncs p np bg b t")
    if len(types) != 1:
        raise UserError(f"'{rspecifier}' is no rspecifier; expected 'ark:FILE' or 'scp:FILE'")
    return ReadSpec(types[0], path, "p" in words, "s" in words)


@contextmanager
def open_input(name: str, *, allow_pipes: bool = False, where: str = "") -> Iterator[IO[bytes]]:
    """Open a file, ``-``, or ``command |``, whose failure is an error; ``where`` begins messages."""
    name, prefix = name.strip(), where and f"{where}: "
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        if not allow_pipes:
            raise UserError(f"{prefix}'{name}' is a command; commands run only with --allow-pipes=true")
        command = ["bash", "-o", "pipefail", "-c", name[:-1].strip()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            stdout: IO[bytes] = process.stdout  # type: ignore[assignment]
            yield stdout
            stdout.read()
        if process.returncode != 0:
            raise ArchiveError(f"{prefix}'{name}' failed with exit status {process.returncode}")
    else:
        try:
            opened = Path(name).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ArchiveError(f"{prefix}cannot open '{name}': {reason}") from error
        with opened as file:
            yield file


class Stream:
    """A binary file read in sequence: failures name path and byte, and no memory is taken in vain."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name, self.offset = name, 0
        self._file: Any = file
        self._size = math.inf  # known of a plain file
        with suppress(OSError, AttributeError, ValueError):
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                self._size, self.offset = status.st_size, file.tell()

    @property
    def left(self) -> float:
        """How many bytes follow; infinite where that is not known."""
        return self._size - self.offset

    def fail(self, message: str, offset: int | None = None) -> ArchiveError:
        """Return an error that names this stream and the byte offset."""
        return ArchiveError(f"{self.name}: byte {self.offset if offset is None else offset}: {message}")

    def seek(self, offset: int) -> None:
        """Go to a byte offset."""
        if not 0 <= offset < self._size:
            raise self.fail(f"offset {offset} lies outside the file of {self._size} bytes", offset)
        self._file.seek(offset)
        self.offset = offset

    def peek(self) -> bytes:
        """Return the next byte without taking it; nothing at the end."""
        return self._file.peek(1)[:1]

    def take(self, count: int) -> bytearray:
        """Take exactly ``count`` bytes, or raise that the archive is truncated."""
        if count > self.left:
            raise self.fail(f"truncated or wrong header: it announces {count} bytes, {self.left} are left")
        data = bytearray(count if self.left < math.inf else 0)  # a plain file has so many
        del data[self._file.readinto(data) if data else 0 :]
        while len(data) < count and (piece := self._file.read(min(count - len(data), _PIECE))):
            data += piece
        if len(data) < count:
            raise self.fail(f"truncated: expected {count} bytes, got {len(data)}")
        self.offset += count
        return data

    def array(self, dtype: DTypeLike, count: int) -> np.ndarray:
        """Take a new array [shape=(count,)]."""
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def size(self) -> int:
        """Take a dimension of an object, an int32 behind a byte 4."""
        data = self.take(_SIZE.size)
        four, value = _SIZE.unpack(data)
        if four != 4 or value < 0:
            start = self.offset - _SIZE.size
            raise self.fail(f"expected dimensions (an int32 behind a byte 4), got {bytes(data)!r}", start)
        return value

    def words(self) -> list[str]:
        """Take the rest of the line."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise self.fail("truncated: the last line has no end")
        self.offset += len(line)
        return line.decode("utf-8", errors="replace").split()

    def key(self) -> str | None:
        """Take an utterance id and the blank or tab behind it; ``None`` at the end of the archive."""
        start, taken = self.offset, b""
        while (byte := self._file.read(1)) and (not taken or byte not in b" \t"):
            self.offset += 1
            if not taken and byte.isspace():
                start = self.offset
                continue
            if byte in b"\n\0" or len(taken) > 4096:
                raise self.fail("expected an utterance id and a blank; is this an archive?", start)
            taken += byte
        if not taken:
            return None
        if not byte:
            raise self.fail(f"truncated after the key {taken!r}", start)
        self.offset += 1
        try:
            return taken.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("the utterance id is not UTF-8; is this an archive?", start) from error

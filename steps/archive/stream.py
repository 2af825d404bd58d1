"""A byte stream that knows its name, its offset and, for a plain file, how much is left."""

from __future__ import annotations

import os
import stat
import zlib
from typing import IO

import numpy as np

from steps.archive.specifiers import ArchiveError

_PIECE = 1 << 20


class Stream:
    """Sequential reader over an open binary file, in the form that ``kaldi_io`` takes as a file.

    Every failure to read becomes an :class:`ArchiveError` with path and byte offset, and nothing is
    allocated for bytes that the file does not have.
    """

    mode = "rb"

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.offset = 0
        self._file = file
        self._ahead = b""
        self._size: int | None = None
        try:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and not name.endswith(".gz"):
                self._size = status.st_size
                self.offset = file.tell()
        except (OSError, AttributeError, ValueError):
            self._size = None

    def fail(self, message: str, offset: int | None = None) -> ArchiveError:
        """Return an error that names this stream and the byte offset."""
        return ArchiveError(f"{self.name}: byte {self.offset if offset is None else offset}: {message}")

    def seek(self, offset: int) -> None:
        """Go to a byte offset; the stream must be a plain file."""
        if self._size is None or not 0 <= offset < self._size:
            raise self.fail(f"offset {offset} lies outside the file of {self._size} bytes", offset)
        self._file.seek(offset)
        self._ahead = b""
        self.offset = offset

    def _fetch(self, count: int) -> bytes:
        pieces = []
        while count > 0:
            try:
                piece = self._file.read(min(count, _PIECE))
            except (OSError, EOFError, zlib.error) as error:
                raise self.fail(f"cannot read: {error}") from error
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def peek(self, count: int) -> bytes:
        """Return up to ``count`` bytes without taking them."""
        if len(self._ahead) < count:
            self._ahead += self._fetch(count - len(self._ahead))
        return self._ahead[:count]

    def read(self, count: int) -> bytes:
        """Take exactly ``count`` bytes, or raise that the archive is truncated."""
        self.need(count)
        data = self._ahead[:count]
        self._ahead = self._ahead[count:]
        if len(data) < count:
            data += self._fetch(count - len(data))
        if len(data) < count:
            raise self.fail(f"truncated: expected {count} bytes, got {len(data)}")
        self.offset += count
        return data

    def read_matrix(self, rows: int, columns: int, dtype: str) -> np.ndarray:
        """Take the elements of a matrix; those of a plain file go straight to their place."""
        array = np.empty(0, dtype)
        count = rows * columns * array.itemsize
        if self._size is None or self._ahead:
            return np.frombuffer(bytearray(self.read(count)), dtype).reshape(rows, columns)
        self.need(count)
        array.resize(rows, columns)
        try:
            got = self._file.readinto(array.reshape(-1).view(np.uint8))  # type: ignore[attr-defined]
        except OSError as error:
            raise self.fail(f"cannot read: {error}") from error
        if got < count:
            raise self.fail(f"truncated: expected {count} bytes, got {got}")
        self.offset += count
        return array

    def need(self, count: int) -> None:
        """Raise if the file cannot hold ``count`` more bytes (checked before any allocation)."""
        if count < 0 or (self._size is not None and count > self._size - self.offset):
            left = "" if self._size is None else f", {self._size - self.offset} are left"
            raise self.fail(f"truncated or wrong header: it announces {count} bytes{left}")

    def readline(self) -> bytes:
        """Take the rest of the line, with its end."""
        line, self._ahead = self._ahead, b""
        if b"\n" in line:
            line, _, rest = line.partition(b"\n")
            line, self._ahead = line + b"\n", rest
        else:
            try:
                line += self._file.readline()
            except (OSError, EOFError, zlib.error) as error:
                raise self.fail(f"cannot read: {error}") from error
        self.offset += len(line)
        return line

    def read_key(self) -> str | None:
        """Take an utterance id and the blank or tab behind it; ``None`` at the end of the archive."""
        start = self.offset
        while self.peek(1) in (b"\n", b" ", b"\t", b"\r"):
            self.read(1)
        taken = bytearray()
        while (character := self.peek(1)) not in (b" ", b"\t", b""):
            if character in (b"\n", b"\0") or len(taken) > 4096:
                raise self.fail("expected an utterance id and a blank; is this an archive?", start)
            taken += self.read(1)
        if not taken:
            return None
        if not self.peek(1):
            raise self.fail(f"truncated after the key '{taken.decode(errors='replace')}'", start)
        self.read(1)
        try:
            return taken.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("the utterance id is not UTF-8; is this an archive?", start) from error

    def close(self) -> None:
        """Leave the file open; whoever opened it closes it."""

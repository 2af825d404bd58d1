"""A byte stream that knows its name, its offset and, for a plain file, how much is left."""

import os
import stat
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

from steps.archive.specifiers import ArchiveError

_PIECE = 1 << 20


class Stream:
    """A binary file read in sequence: failures name path and byte, and no memory is taken in vain."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.offset = 0
        self._file: Any = file
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

    def _fetch(self, read: str, argument: Any) -> Any:
        try:
            return getattr(self._file, read)(argument)
        except (OSError, EOFError, zlib.error) as error:
            raise self.fail(f"cannot read: {error}") from error

    def peek(self, count: int) -> bytes:
        """Return up to ``count`` bytes without taking them."""
        while len(self._ahead) < count:
            piece = self._fetch("read", min(count - len(self._ahead), _PIECE))
            if not piece:
                break
            self._ahead += piece
        return self._ahead[:count]

    def read(self, count: int) -> bytes:
        """Take exactly ``count`` bytes, or raise that the archive is truncated."""
        self.need(count)
        data = self.peek(count)
        if len(data) < count:
            raise self.fail(f"truncated: expected {count} bytes, got {len(data)}")
        self._ahead = self._ahead[count:]
        self.offset += count
        return data

    def array(self, dtype: DTypeLike, count: int) -> np.ndarray:
        """Take a new array [shape=(count,)]; elements in a plain file go straight to their place."""
        size = count * np.dtype(dtype).itemsize
        self.need(size)
        if self._size is None or self._ahead:
            return np.frombuffer(bytearray(self.read(size)), dtype)
        array = np.empty(count, dtype)
        got = self._fetch("readinto", array.view(np.uint8)) if size else 0
        if got < size:
            raise self.fail(f"truncated: expected {size} bytes, got {got}")
        self.offset += size
        return array

    def sizes(self, count: int) -> list[int]:
        """Take the dimensions of an object, each an int32 behind a byte 4."""
        start = self.offset
        found = self.array([("s", "i1"), ("value", "<i4")], count)
        if np.any(found["s"] != 4) or np.any(found["value"] < 0):
            raise self.fail(f"expected dimensions (an int32 behind a byte 4), got {found.tobytes()!r}", start)
        return found["value"].tolist()

    def need(self, count: int) -> None:
        """Raise if the file cannot hold ``count`` more bytes (checked before any allocation)."""
        if self._size is not None and count > self._size - self.offset:
            left = f"it announces {count} bytes, {self._size - self.offset} are left"
            raise self.fail(f"truncated or wrong header: {left}")

    def words(self) -> list[str]:
        """Take the rest of the line."""
        line, end, rest = self._ahead.partition(b"\n")
        self._ahead = rest
        line += end or self._fetch("readline", -1)
        if not line.endswith(b"\n"):
            raise self.fail("truncated: the last line has no end")
        self.offset += len(line)
        return line.decode("utf-8", errors="replace").split()

    def key(self) -> str | None:
        """Take an utterance id and the blank or tab behind it; ``None`` at the end of the archive."""
        start, taken = self.offset, b""
        while self.peek(1).isspace():
            self.read(1)
        while (character := self.peek(1)) not in (b" ", b"\t", b""):
            if character in (b"\n", b"\0") or len(taken) > 4096:
                raise self.fail("expected an utterance id and a blank; is this an archive?", start)
            taken += self.read(1)
        if not taken:
            return None
        if not character:
            raise self.fail(f"truncated after the key {taken!r}", start)
        self.read(1)
        try:
            return taken.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("the utterance id is not UTF-8; is this an archive?", start) from error

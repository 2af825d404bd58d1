"""The bytes of a recording as a decoder sees them: nameless, a part of a file, its beginning replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


class SourceFile:
    """A file, or some of its bytes, opened for a decoder.

    It has no name, so that the extension has no say in what the content is, and a decoder that seeks to
    nowhere (as they do on corrupt headers) is left where it can read nothing.

    Parameters
    ----------
    path : str
        The file.
    start, end : int
        The bytes of the file that are seen; ``end`` is the file's own end if it is not given.

    Attributes
    ----------
    path : str
        The file.
    start, size : int
        Where in the file the bytes begin, and how many there are.
    is_whole : bool
        Whether that is all of the file.
    reached : int
        How many of the bytes have been read, from the first on.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """

    def __init__(self, path: str, start: int = 0, end: int | None = None) -> None:
        self.path, self.start = path, start
        self._raw: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        whole = os.fstat(self._raw.fileno()).st_size
        self.size = (whole if end is None else min(end, whole)) - start
        self.is_whole = self.size == whole
        self.reached = 0
        self._prefix = b""
        self._skip = 0
        self._position = 0

    def window(self, start: int, end: int) -> SourceFile:
        """Open some of these bytes anew."""
        return SourceFile(self.path, self.start + start, self.start + end)

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` of the original bytes from ``offset`` on."""
        if offset >= self.size:
            return b""  # also where a header leads beyond what a file system can seek
        self._raw.seek(self.start + max(0, offset))
        return self._raw.read(max(0, min(size, self.size - offset)))

    def replace_beginning(self, prefix: bytes, skip: int) -> None:
        """Put ``prefix`` in the place of the first ``skip`` bytes, and go to the start."""
        self._prefix, self._skip, self._position, self.reached = prefix, skip, 0, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the (edited) stream and return it; beyond its ends is its nearer end."""
        length = len(self._prefix) + self.size - self._skip
        base = (0, self._position, length)[whence]
        self._position = min(max(0, base + offset), length)
        return self._position

    def tell(self) -> int:
        """Return the place in the (edited) stream."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all that are left if it is negative."""
        if size < 0:
            size = self.size + len(self._prefix)
        data = self._prefix[self._position : self._position + size]
        if len(data) < size:
            offset = self._skip + max(0, self._position - len(self._prefix))
            more = self.at(offset, size - len(data))
            self.reached = offset + len(more)
            data += more
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

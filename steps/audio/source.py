"""The bytes of a recording as libsndfile sees them: nameless, and with a beginning that can be replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


class SourceFile:
    """A file opened for a decoder.

    It has no name, so that the extension has no say in what the content is, and a decoder that seeks to
    nowhere (as they do on corrupt headers) is left where it can read nothing.

    Parameters
    ----------
    path : str
        The file.

    Attributes
    ----------
    raw : binary file
        The file itself.
    size : int
        Its length in bytes.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.raw: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        self.size = os.fstat(self.raw.fileno()).st_size
        self._prefix = b""
        self._skip = 0
        self._position = 0

    def replace_beginning(self, prefix: bytes, skip: int) -> None:
        """Put ``prefix`` in the place of the first ``skip`` bytes, and go to the start."""
        self._prefix, self._skip, self._position = prefix, skip, 0

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
            self.raw.seek(self._skip + max(0, self._position - len(self._prefix)))
            data += self.raw.read(size - len(data))
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self.raw.close()

"""The bytes of a recording as a decoder sees them: nameless, and with another beginning where that helps."""

import os
from pathlib import Path


class SourceFile:
    """A file without a name for a decoder, who may seek anywhere; ``reached`` bytes have been read."""

    def __init__(self, path: str) -> None:
        self._raw = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        self.size = os.fstat(self._raw.fileno()).st_size
        self.replace_beginning(b"", 0)

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` of the original bytes from ``offset`` on."""
        if offset >= self.size:
            return b""  # also where a header leads beyond what a file system can seek
        self._raw.seek(max(0, offset))
        return self._raw.read(size)

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

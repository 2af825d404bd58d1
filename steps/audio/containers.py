"""The bytes of a recording: what its container states of its length, compared with what is there.

Decoders go by headers: they silently shorten a file whose tail is missing, never look at bytes behind what
a header counts, and stop where a second stream begins. Only headers, tails and page headers are read here.
"""

import io
import os
import re
import struct
from typing import Any, NamedTuple

#: Sizes that writers put into a header they could not go back to: "until the end of the file".
UNKNOWN_SIZES = frozenset({0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 8, (1 << 64) - 1})

_PIECE = 1 << 20
_TAGS = 1 << 24  # which may come before an MP3's first frame


class SourceFile(io.FileIO):
    """A recording for libsndfile, by its number or as it is; then it seems to end at ``end``."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.size = self.end = os.fstat(self.fileno()).st_size
        self.ones_at = self.size  # four bytes of 1 in place of what is there

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` on."""
        if offset >= self.size:
            return b""  # also where a header leads beyond what a file system can seek
        return os.pread(self.fileno(), size, max(0, offset))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place and return it."""
        if (offset, whence) == (0, os.SEEK_END):
            return super().seek(self.end)
        return super().seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes; with the four of 1."""
        place = self.tell()
        count = super().readinto(buffer) or 0
        low, high = (max(0, min(self.ones_at + n - place, count)) for n in (0, 4))
        buffer[low:high] = b"\1" * (high - low)
        return count

    def is_zero(self, start: int, end: int) -> bool:
        """Whether all bytes from ``start`` to ``end`` are zeros."""
        pieces = (self.at(offset, min(_PIECE, end - offset)) for offset in range(start, end, _PIECE))
        return not any(piece.strip(b"\0") for piece in pieces)


class Form(NamedTuple):
    """How chunks are headed: layout of name and size, padding, whether the size counts the header."""

    layout: str
    pad: int = 2
    counts_head: bool = False


LITTLE, BIG, CAF, W64 = Form("<4sI"), Form(">4sI"), Form(">4sQ", 1), Form("<16sQ", 8, True)
_CHUNKED = (
    (rb"(RIFF|RF64|BW64)....WAVE", 12, LITTLE, b"data", 0),
    (rb"RIFX....WAVE", 12, BIG, b"data", 0),
    (rb"FORM....AIF[FC]", 12, BIG, b"SSND", 8),
    (rb"caff", 8, CAF, b"data", 4),
    (rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", 40, W64, b"data", 0),
)
"""How a file begins; where its chunks do, and how; which has the samples, behind how many other bytes."""


class Data(NamedTuple):
    """Bytes of samples that a header counts (None: open), and those up to the next chunk or the end."""

    stated: int | None
    there: int


def find_data(file: SourceFile) -> Data | None:
    """Find the samples of a WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AU or CAF file; ``None`` of others."""
    head = file.at(0, 24)
    for beginning, position, form, name, inner in _CHUNKED:
        if re.match(beginning, head, re.DOTALL):
            return _data_chunk(file, position, form, name, inner)
    if head[:4] in (b".snd", b"dns.") and len(head) == 24:
        start, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return _measure(file, start, length, BIG)
    return None


def _chunk(file: SourceFile, position: int, form: Form) -> tuple[bytes, int, int] | None:
    """Return a chunk's name, where what it holds begins, and how long that is; None at the end."""
    data = file.at(position, struct.calcsize(form.layout))
    if len(data) < struct.calcsize(form.layout):
        return None
    name, length = struct.unpack(form.layout, data)
    return name[:4], position + len(data), length - (len(data) if form.counts_head else 0)


def _data_chunk(file: SourceFile, position: int, form: Form, wanted: bytes, inner: int) -> Data | None:
    """Walk chunks up to the one that holds the samples, which begin ``inner`` bytes after its header."""
    long_size: int | None = None
    while (chunk := _chunk(file, position, form)) and chunk[2] >= 0:
        name, start, length = chunk
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.at(start + 8, 8).ljust(8, b"\0"))[0]
        if name == wanted:
            if length == 0xFFFFFFFF and long_size is not None:
                length = long_size
            stated = length if length in UNKNOWN_SIZES else max(0, length - inner)
            return _measure(file, start + inner, stated, form)
        position = start + length + -length % form.pad
    return None


def _is_chunk(file: SourceFile, position: int, form: Form) -> bool:
    """Whether a chunk with a printable name begins at a place and ends within the file; no second file."""
    chunk = _chunk(file, position, form)
    if chunk is None or file.at(position, 4) == file.at(0, 4):
        return False
    name, start, length = chunk
    return name.isascii() and name.decode().isprintable() and start + length <= file.size


def _measure(file: SourceFile, start: int, length: int, form: Form) -> Data:
    """Say how many bytes of samples follow ``start``, whatever their header counts."""
    rest = max(0, file.size - start)
    end = start + length
    if length in UNKNOWN_SIZES or end >= file.size:
        return Data(None if length in UNKNOWN_SIZES else length, rest)
    is_next = _is_chunk(file, end, form) or _is_chunk(file, end + (end & 1), form)
    is_next |= file.at(end, 8).startswith((b"ID3", b"TAG", b"APETAGEX"))
    return Data(length, length if is_next or file.is_zero(end, file.size) else rest)


def ogg_fault(file: SourceFile) -> str:
    """Return what no decoder says: pages are missing or a second stream follows (RFC 3533, 6)."""
    if file.at(0, 4) != b"OggS":
        return ""
    position, ended = 0, False
    next_number: dict[bytes, int] = {}
    while position + 27 <= file.size:
        head = file.at(position, 27 + 255)
        if head[:5] != b"OggS\0":
            break
        if head[5] & 2 and ended:
            return f"another stream begins at byte {position}"
        ended = bool(head[5] & 4)
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        if number != next_number.get(serial, number):
            return f"pages are missing before byte {position}"
        next_number[serial] = number + 1
        position += 27 + head[26] + sum(head[27 : 27 + head[26]])
    if ended and position <= file.size:
        return ""
    return "the file ends before its last page, or pages are missing"


def trailing_tag_bytes(file: SourceFile) -> int:
    """Return the length in bytes of the APE and ID3v1 tags at the end of a file, which no decoder reads."""
    tags = 128 if file.at(file.size - 128, 3) == b"TAG" else 0
    footer = file.at(file.size - tags - 32, 32)
    if footer[:8] == b"APETAGEX":
        tags += int.from_bytes(footer[12:16], "little") + 32  # which counts the footer but not the header
    return min(tags, file.size)


def find_xing(file: SourceFile) -> tuple[int, bool]:
    """Return where an MP3 counts frames (the file's size: nowhere), and if the bytes it counts are there."""
    found = re.search(rb"(Xing|Info)\0{3}([\1-\x0f])(.{4})(.{4})", file.at(0, _TAGS), re.DOTALL)
    if not found or not found[2][0] & 1:
        return file.size, False
    num_bytes = int.from_bytes(found[4], "big") if found[2][0] & 2 else file.size
    return found.start(
        3
    ), found.start() - 36 + num_bytes <= file.size  # of a frame that begins 36 bytes before

"""What a container states of its length and where its samples lie, compared with the bytes that are there.

Decoders go by headers: they silently shorten a file whose tail is missing, never look at bytes behind what
a header counts, and stop where a second stream begins. Only headers, tails and page headers are read here.
"""

import struct
from dataclasses import dataclass

from steps.audio.source import SourceFile

#: Sizes that writers put into a header they could not go back to: "until the end of the file".
UNKNOWN_SIZES = frozenset({0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 8, (1 << 64) - 1})

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Form:
    """How chunks are headed: layout of name and size, padding, whether the size counts the header."""

    layout: str
    pad: int = 2
    counts_head: bool = False

    @property
    def head(self) -> int:
        """Bytes of a chunk's header."""
        return struct.calcsize(self.layout)


LITTLE, BIG, CAF, W64 = Form("<4sI"), Form(">4sI"), Form(">4sQ", 1), Form("<16sQ", 8, True)


@dataclass(frozen=True)
class Data:
    """Bytes of samples that a header counts (None: open), and those up to the next chunk or the end."""

    stated: int | None
    there: int


def find_data(file: SourceFile) -> Data | None:
    """Find the samples of a WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AU or CAF file; ``None`` of others."""
    head = file.at(0, 40)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _data_chunk(file, 12, BIG if head[:4] == b"RIFX" else LITTLE, b"data", 0)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _data_chunk(file, 12, BIG, b"SSND", 8)
    if head[:4] == b"caff":
        return _data_chunk(file, 8, CAF, b"data", 4)
    if head[:16] == _W64_RIFF:
        return _data_chunk(file, 40, W64, b"data", 0)
    if head[:4] in (b".snd", b"dns.") and len(head) >= 24:
        start, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return _measure(file, start, length, BIG)
    return None


def _data_chunk(file: SourceFile, position: int, form: Form, wanted: bytes, inner: int) -> Data | None:
    """Walk chunks up to the one that holds the samples, which begin ``inner`` bytes after its header."""
    long_size: int | None = None
    while len(data := file.at(position, form.head)) == form.head:
        name, length = struct.unpack(form.layout, data)
        length -= form.head if form.counts_head else 0
        start = position + form.head
        if length < 0:
            return None
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.at(start + 8, 8).ljust(8, b"\0"))[0]
        if name[:4] == wanted:
            if length == 0xFFFFFFFF and long_size is not None:
                length = long_size
            stated = length if length in UNKNOWN_SIZES else max(0, length - inner)
            return _measure(file, start + inner, stated, form)
        position = start + length + -length % form.pad
    return None


def _is_chunk(file: SourceFile, position: int, form: Form) -> bool:
    """Whether a chunk with a printable name begins at a place and ends within the file; no second file."""
    data = file.at(position, form.head)
    if len(data) < form.head or data[:4] == file.at(0, 4):
        return False
    name, length = struct.unpack(form.layout, data)
    return name[:4].isascii() and name[:4].decode().isprintable() and position + length <= file.size


def _measure(file: SourceFile, start: int, length: int, form: Form) -> Data:
    """Say how many bytes of samples follow ``start``, whatever their header counts."""
    rest = max(0, file.size - start)
    if length in UNKNOWN_SIZES:
        return Data(None, rest)
    end = start + length
    if end >= file.size:
        return Data(length, rest)
    is_more = not (_is_chunk(file, end, form) or _is_chunk(file, end + (end & 1), form))
    is_more &= file.at(end, 3) not in (b"ID3", b"TAG") and file.at(end, 8) != b"APETAGEX"
    return Data(length, rest if is_more and not _is_zero(file, end) else length)


def _is_zero(file: SourceFile, offset: int) -> bool:
    """Whether all bytes from ``offset`` on are zero: padding."""
    while piece := file.at(offset, _PIECE):
        if piece.strip(b"\0"):
            return False
        offset += len(piece)
    return True


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
    return (
        "" if ended and position <= file.size else "the file ends before its last page, or pages are missing"
    )


def flac_frames(file: SourceFile) -> tuple[int, bytes]:
    """Return the samples a FLAC header counts (0: open), and its 42 bytes without count and MD5 sum."""
    head = file.at(0, 42)
    count = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    return count, head[:21] + bytes((head[21] & 0xF0,)) + bytes(20)


def trailing_tag_bytes(file: SourceFile) -> int:
    """Return the length in bytes of the APE and ID3v1 tags at the end of a file, which no decoder reads."""
    tags = 128 if file.at(file.size - 128, 3) == b"TAG" else 0
    footer = file.at(file.size - tags - 32, 32)
    if footer[:8] == b"APETAGEX":
        (length,) = struct.unpack("<I", footer[12:16])
        tags += length + 32  # the length counts the footer but not the header
    return min(tags, file.size)

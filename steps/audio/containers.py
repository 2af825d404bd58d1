"""The bytes of a recording: what its container states of its length, compared with what is there.

Decoders go by headers: they silently shorten a file whose tail is missing, never look at bytes behind what
a header counts, and stop where a second stream begins. Only headers, tails and page headers are read here.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

#: Sizes that writers put into a header they could not go back to: "until the end of the file".
UNKNOWN_SIZES = frozenset({0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 8, (1 << 64) - 1})

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_PIECE = 1 << 20
_MIN_FRAME_BYTES = 24
_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, MPEG-1 layer III
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG-2 and 2.5 layer III
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_SEARCH = 1 << 17


class SourceFile:
    """A file without a name for a decoder, by its number or, with another beginning, as a stream."""

    def __init__(self, path: str) -> None:
        self._raw = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        self.number, self.close = self._raw.fileno(), self._raw.close
        self.size = os.fstat(self.number).st_size
        self._reached = 0

    @property
    def reached(self) -> int:
        """Bytes that a decoder has read."""
        return self._reached or os.lseek(self.number, 0, os.SEEK_CUR)

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` of the original bytes from ``offset`` on."""
        if offset >= self.size:
            return b""  # also where a header leads beyond what a file system can seek
        return os.pread(self.number, size, max(0, offset))

    def restart(self, prefix: bytes, skip: int) -> None:
        """Put ``prefix`` in the place of the first ``skip`` bytes, and go to the start."""
        self._prefix, self._skip, self._position, self._reached = prefix, skip, 0, 0
        self._length = len(prefix) + self.size - skip

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the (edited) stream and return it; beyond its ends is its nearer end."""
        base = (0, self._position, self._length)[whence]
        self._position = min(max(0, base + offset), self._length)
        return self._position

    def tell(self) -> int:
        """Return the place in the (edited) stream."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all that are left if it is negative."""
        if size < 0:
            size = self._length
        data = self._prefix[self._position : self._position + size]
        if len(data) < size:
            offset = self._skip + max(0, self._position - len(self._prefix))
            more = self.at(offset, size - len(data))
            self._reached = offset + len(more)
            data += more
        self._position += len(data)
        return data


class Form(NamedTuple):
    """How chunks are headed: layout of name and size, padding, whether the size counts the header."""

    layout: str
    pad: int = 2
    counts_head: bool = False


LITTLE, BIG, CAF, W64 = Form("<4sI"), Form(">4sI"), Form(">4sQ", 1), Form("<16sQ", 8, True)


class Data(NamedTuple):
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
    is_more = not (_is_chunk(file, end, form) or _is_chunk(file, end + (end & 1), form))
    is_more &= file.at(end, 3) not in (b"ID3", b"TAG") and file.at(end, 8) != b"APETAGEX"
    pieces = (file.at(offset, _PIECE) for offset in range(end, file.size, _PIECE))
    return Data(length, rest if is_more and any(piece.strip(b"\0") for piece in pieces) else length)


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


def flac_frames(file: SourceFile) -> tuple[int, bytes]:
    """Return the samples a FLAC header counts (0: open), and its 42 bytes without count and MD5 sum."""
    head = file.at(0, 42)
    counted = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    return counted, head[:21] + bytes((head[21] & 0xF0,)) + bytes(20)


def trailing_tag_bytes(file: SourceFile) -> int:
    """Return the length in bytes of the APE and ID3v1 tags at the end of a file, which no decoder reads."""
    tags = 128 if file.at(file.size - 128, 3) == b"TAG" else 0
    footer = file.at(file.size - tags - 32, 32)
    if footer[:8] == b"APETAGEX":
        tags += int.from_bytes(footer[12:16], "little") + 32  # which counts the footer but not the header
    return min(tags, file.size)


class Mp3(NamedTuple):
    """The beginning of an MPEG layer III stream: offset and 4-byte header of its first frame.

    A Xing or Info header there has its frame count at the offset ``count_at`` and states ``num_bytes`` from
    ``start`` on; None and 0 without. It survives cutting and joining. Without one libsndfile guesses the
    length from the first frame's bit rate; in either case it reads no further than what it believes.
    """

    start: int
    header: bytes
    count_at: int | None
    num_bytes: int

    def uncount(self, file: SourceFile) -> None:
        """Let a decoder read to the end of the file: its beginning claims more frames than can follow."""
        count = struct.pack(">I", file.size // _MIN_FRAME_BYTES + 1)
        if self.count_at is not None:
            file.restart(file.at(self.start, self.count_at - self.start) + count, self.count_at + 4)
            return
        is_first = self.header[1] >> 3 & 3 == 3  # MPEG-1
        bitrate = 9 if is_first else 8  # 128 or 64 kbit/s: a frame of at least 192 bytes
        # no checksum, no padding
        words = 0xFF, self.header[1] | 1, bitrate << 4 | self.header[2] & 0x0C, self.header[3]
        mono = self.header[3] >> 6 == 3
        side = (17 if mono else 32) if is_first else (9 if mono else 17)
        frame = bytes(words) + bytes(side) + b"Info" + struct.pack(">I", 1) + count
        file.restart(frame.ljust(_frame_size(frame[:4]), b"\0"), self.start)


def _frame_size(header: bytes) -> int:
    """Return the length in bytes of the layer III frame that begins with these 4 bytes, 0 if none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate == 3 or bitrate in (0, 15):
        return 0
    kilobits = (_BITRATES_1 if version == 3 else _BITRATES_2)[bitrate]
    return (144000 if version == 3 else 72000) * kilobits // _RATES[version][rate] + (header[2] >> 1 & 1)


def find_mp3(file: SourceFile, start: int = 0) -> Mp3 | None:
    """Find the first of two successive layer III frames in the 128 KiB from ``start`` on, past ID3v2 tags."""
    while (head := file.at(start, 10))[:3] == b"ID3" and len(head) == 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        start += 10 + size + (10 if head[5] & 0x10 else 0)
    data = file.at(start, _SEARCH)
    at = data.find(b"\xff")
    while at >= 0:
        size = _frame_size(data[at : at + 4])
        if size and _frame_size(data[at + size : at + size + 4]):
            return Mp3(start + at, data[at : at + 4], *_xing(data[at : at + size], start + at))
        at = data.find(b"\xff", at + 1)
    return None


def _xing(frame: bytes, start: int) -> tuple[int | None, int]:
    """Return where the frame count of a Xing or Info header lies, and its byte count."""
    at = max(frame.find(b"Xing", 0, 48), frame.find(b"Info", 0, 48))
    if at < 0 or at + 16 > len(frame):
        return None, 0
    flags, first, second = struct.unpack(">III", frame[at + 4 : at + 16])
    num_bytes = (second if flags & 1 else first) if flags & 2 else 0
    return (start + at + 8 if flags & 1 else None), 0 if num_bytes in UNKNOWN_SIZES else num_bytes

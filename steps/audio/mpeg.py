"""MP3 headers: where the stream begins, and how many frames it claims to have.

An MP3 file does not state its length, except in the optional Xing (or Info) frame at its beginning, and
that survives cutting and joining. Without one, libsndfile guesses the length from the first frame's bit
rate, and in either case it reads no further than the number it believes. :func:`uncounted` gives it a
stream that claims more frames than the file can hold, so that it reads to the end.
"""

import struct
from dataclasses import dataclass

from steps.audio.containers import UNKNOWN_SIZES
from steps.audio.source import SourceFile

_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, MPEG-1 layer III
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG-2 and 2.5 layer III
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_SEARCH = 1 << 17
_MIN_FRAME_BYTES = 24


@dataclass(frozen=True)
class Stream:
    """The beginning of an MPEG layer III stream: offset and 4-byte header of its first frame.

    A Xing or Info header there has its frame count at the offset ``count_at`` and states ``num_bytes`` from
    ``start`` on; None and 0 without.
    """

    start: int
    header: bytes
    count_at: int | None
    num_bytes: int


def _id3v2_size(head: bytes) -> int:
    """Return the length in bytes of the ID3v2 tag that ``head`` (10 bytes) begins, 0 if none."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | (byte & 0x7F)
    return 10 + size + (10 if head[5] & 0x10 else 0)


def frame_size(header: bytes) -> int:
    """Return the length in bytes of the layer III frame that begins with these 4 bytes, 0 if none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate == 3 or bitrate in (0, 15):
        return 0
    kilobits = (_BITRATES_1 if version == 3 else _BITRATES_2)[bitrate]
    return (144000 if version == 3 else 72000) * kilobits // _RATES[version][rate] + (header[2] >> 1 & 1)


def find_stream(file: SourceFile, start: int = 0) -> Stream | None:
    """Find the first of two successive layer III frames in the 128 KiB from ``start`` on, past ID3v2 tags."""
    while tag := _id3v2_size(file.at(start, 10)):
        start += tag
    data = file.at(start, _SEARCH)
    at = data.find(b"\xff")
    while at >= 0:
        size = frame_size(data[at : at + 4])
        if size and frame_size(data[at + size : at + size + 4]):
            count_at, num_bytes = _counts(data[at : at + size], start + at)
            return Stream(start + at, data[at : at + 4], count_at, num_bytes)
        at = data.find(b"\xff", at + 1)
    return None


def _counts(frame: bytes, start: int) -> tuple[int | None, int]:
    """Return where the frame count of a Xing or Info header lies, and its byte count."""
    for mark in (b"Xing", b"Info"):
        at = frame.find(mark, 0, 48)
        if at < 0 or at + 16 > len(frame):
            continue
        flags, first, second = struct.unpack(">III", frame[at + 4 : at + 16])
        has_frames, has_bytes = flags & 1, flags & 2
        num_bytes = (second if has_frames else first) if has_bytes else 0
        return (start + at + 8 if has_frames else None), 0 if num_bytes in UNKNOWN_SIZES else num_bytes
    return None, 0


def uncounted(stream: Stream, file: SourceFile) -> tuple[bytes, int]:
    """Return a beginning that claims more frames than fit, and how many first bytes it replaces."""
    count = struct.pack(">I", file.size // _MIN_FRAME_BYTES + 1)
    if stream.count_at is not None:
        return file.at(stream.start, stream.count_at - stream.start) + count, stream.count_at + 4
    version = stream.header[1] >> 3 & 3
    bitrate = 9 if version == 3 else 8  # 128 or 64 kbit/s: a frame of at least 192 bytes
    header = bytes(
        (0xFF, stream.header[1] | 1, bitrate << 4 | stream.header[2] & 0x0C, stream.header[3])
    )  # no checksum, no padding
    mono = stream.header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    frame = header + bytes(side) + b"Info" + struct.pack(">I", 1) + count
    return frame.ljust(frame_size(header), b"\0"), stream.start

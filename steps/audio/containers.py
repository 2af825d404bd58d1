"""What a sound file's own header promises, compared with the bytes that are there.

libsndfile silently shortens a WAV, AIFF or AU file whose tail is missing and reads an Ogg stream or an
MP3 file up to wherever it ends, so that a half-downloaded track looks like a short one. The functions
here read only headers and tails.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from steps.audio import mpeg

#: Sizes that writers put into a header they could not go back to: "until the end of the file".
UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 8})

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")


def missing_bytes(path: str | Path) -> int:
    """Return how many bytes of audio the header promises beyond the end of the file.

    Parameters
    ----------
    path : str or Path
        A sound file of any kind; the content decides, not the name.

    Returns
    -------
    int
        0 if the file is complete, if its header leaves the length open (as a pipe's does) or if its
        format states no length; the number of bytes that are missing otherwise. For an Ogg file that
        does not end with an end-of-stream page the number is not known and 1 is returned.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        head = file.read(40)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
            order = "<" if head[:4] == b"RIFF" else ">"
            return _missing_in_chunks(file, size, order, b"data")
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _missing_in_chunks(file, size, ">", b"SSND")
        if head[:4] in (b".snd", b"dns.") and len(head) >= 12:
            offset, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
            return _shortfall(offset, length, size)
        if head[:16] == _W64_RIFF and len(head) >= 24:
            return max(0, struct.unpack("<Q", head[16:24])[0] - size)
        if head[:4] == b"OggS":
            return 0 if _ogg_is_ended(file, size) else 1
        return _missing_in_mp3(file, size)


def _shortfall(start: int, length: int, size: int) -> int:
    return 0 if length in UNKNOWN_SIZES else max(0, start + length - size)


def _missing_in_chunks(file: BinaryIO, size: int, order: str, wanted: bytes) -> int:
    """Walk the chunks of a RIFF or IFF file up to the one that holds the samples."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == wanted:
            return _shortfall(position + 8, length, size)
        position += 8 + length + (length & 1)
    return 0


def _ogg_is_ended(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is whole and ends the stream (RFC 3533, section 6)."""
    file.seek(max(0, size - (1 << 17)))  # a page is at most 65 307 bytes
    tail = file.read()
    page = tail.rfind(b"OggS\0")
    while page > 0 and page + 6 > len(tail):
        page = tail.rfind(b"OggS\0", 0, page)
    if page < 0 or not tail[page + 5] & 4 or page + 27 > len(tail):
        return False
    sizes = tail[page + 27 : page + 27 + tail[page + 26]]
    return page + 27 + tail[page + 26] + sum(sizes) <= len(tail)


def _missing_in_mp3(file: BinaryIO, size: int) -> int:
    """Compare the byte count of a Xing or Info header with the file; 0 where there is none."""
    stream = mpeg.find_stream(file)
    if stream is None or stream.num_bytes is None:
        return 0
    return _shortfall(stream.start, stream.num_bytes, size)


def trailing_tag_bytes(path: str | Path) -> int:
    """Return the length in bytes of the APE and ID3v1 tags at the end of a file, which no decoder reads."""
    size = Path(path).stat().st_size
    tags = 0
    with Path(path).open("rb") as file:
        file.seek(max(0, size - 128))
        if file.read(3) == b"TAG":
            tags = 128
        file.seek(max(0, size - tags - 32))
        footer = file.read(32)
        if footer[:8] == b"APETAGEX":
            (length,) = struct.unpack("<I", footer[12:16])
            tags += length + 32  # the length counts the footer but not the header
    return min(tags, size)

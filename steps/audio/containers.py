"""What a container states of its length and where its samples lie, compared with the bytes that are there.

Decoders go by headers: they silently shorten a file whose tail is missing, never look at bytes behind what
a header counts, and stop where a second stream begins. Only headers, tails and page headers are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from steps.audio import mpeg
from steps.audio.source import SourceFile

#: Sizes that writers put into a header they could not go back to: "until the end of the file".
UNKNOWN_SIZES = frozenset({0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 8, (1 << 64) - 1})

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_FLAC = b"fLaC\0\0\0\x22"
_PIECE = 1 << 20
_SUBTYPES = {(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32"}
_SUBTYPES |= {(3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"}


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
    """Where the samples of a container without compression lie.

    Attributes
    ----------
    start : int
        Offset of the first sample in bytes.
    stated : int or None
        Bytes of samples that the header counts, ``None`` where it leaves that open.
    there : int
        Bytes of samples that are there: up to the next chunk, or to the end.
    """

    start: int
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
    for name, start, length in _chunks(file, position, form):
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.at(start + 8, 8).ljust(8, b"\0"))[0]
        if name[:4] == wanted:
            if length == 0xFFFFFFFF and long_size is not None:
                length = long_size
            stated = length if length in UNKNOWN_SIZES else max(0, length - inner)
            return _measure(file, start + inner, stated, form)
    return None


def chunks(file: SourceFile) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and size of the content of each chunk of a WAV or AIFF file."""
    head = file.at(0, 12)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        yield from _chunks(file, 12, BIG if head[:4] in (b"RIFX", b"FORM") else LITTLE)


def wav_format(file: SourceFile) -> tuple[str, int, int] | None:
    """Return libsndfile's name of the samples of a WAV file, their rate and channels; ``None`` of others."""
    if file.at(0, 4) != b"RIFF" or file.at(8, 4) != b"WAVE":
        return None
    for name, start, _ in _chunks(file, 12, LITTLE):
        body = file.at(start, 26)
        if name == b"fmt " and len(body) >= 16:
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if tag == 0xFFFE:  # extensible: the tag is the beginning of an identifier
                tag = struct.unpack("<H", body[24:26].ljust(2, b"\0"))[0]
            subtype = _SUBTYPES.get((tag, bits))
            fits = 0 < rate <= 655350 and 0 < channels <= 1024
            return (subtype, rate, channels) if subtype and fits else None
    return None


def _chunks(file: SourceFile, position: int, form: Form) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and size of the content of each chunk, also where a padding byte is missing."""
    while len(data := file.at(position, form.head)) == form.head:
        name, length = struct.unpack(form.layout, data)
        length -= form.head if form.counts_head else 0
        if length < 0:
            return
        yield name, position + form.head, length
        end = position + form.head + length
        position = end + -length % form.pad
        if not is_chunk(file, position, form) and is_chunk(file, end, form):
            position = end


def is_chunk(file: SourceFile, position: int, form: Form) -> bool:
    """Whether a chunk with a printable name begins at a place and ends within the file."""
    data = file.at(position, form.head)
    if len(data) < form.head:
        return False
    name, length = struct.unpack(form.layout, data)
    return name[:4].isascii() and name[:4].decode().isprintable() and position + length <= file.size


def _measure(file: SourceFile, start: int, length: int, form: Form) -> Data:
    """Say how many bytes of samples follow ``start``, whatever their header counts."""
    rest = max(0, file.size - start)
    if length in UNKNOWN_SIZES:
        return Data(start, None, rest)
    end = start + length
    if end >= file.size:
        return Data(start, length, rest)
    is_more = not (is_chunk(file, end, form) or is_chunk(file, end + (end & 1), form))
    is_more &= file.at(end, 3) not in (b"ID3", b"TAG") and file.at(end, 8) != b"APETAGEX"
    return Data(start, length, rest if is_more and not is_zero(file, end) else length)


def is_zero(file: SourceFile, offset: int) -> bool:
    """Whether all bytes from ``offset`` on are zero: padding."""
    while piece := file.at(offset, _PIECE):
        if piece.strip(b"\0"):
            return False
        offset += len(piece)
    return True


def split(file: SourceFile) -> list[tuple[int, int]]:
    """Return first and last byte of each stream of a file that holds several one after the other.

    These are chained Ogg streams, and files of one kind that were joined; otherwise it is the whole file.
    """
    head = file.at(0, 4)
    if head == b"OggS":
        starts = _ogg_links(file)
    elif head == b"fLaC":
        starts = _all(file, _FLAC)
    elif file.at(4, 4) == b"ftyp":
        starts = [start for name, start in _mp4_boxes(file) if name == b"ftyp"]
    elif (data := find_data(file)) is not None:
        starts = [0]
        if data.stated and data.stated + 12 < file.size - data.start:
            starts += _joined(file, data, head)
    else:
        starts = [0]
    ends = [*starts[1:], file.size]
    return list(zip(starts, ends, strict=True))


def _mp4_boxes(file: SourceFile) -> Iterator[tuple[bytes, int]]:
    """Yield name and offset of each box of an MP4 file that is in no other (ISO 14496-12, section 4.2)."""
    position = 0
    while len(head := file.at(position, 16)) >= 8:
        size, name = struct.unpack(">I4s", head[:8])
        yield name, position
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if size < 8:
            return
        position += size


def _joined(file: SourceFile, data: Data, head: bytes) -> list[int]:
    """Return where further files of the same kind begin behind a complete one."""
    magic = file.at(0, 4)
    after = data.start + (data.stated or 0)
    begins = after
    if head in (b"RIFF", b"RIFX", b"FORM"):
        order = "<" if head == b"RIFF" else ">"
        begins = 8 + struct.unpack(order + "I", file.at(4, 4))[0]
    for place in dict.fromkeys((begins, begins + (begins & 1), after, after + (after & 1))):
        if place >= after and file.at(place, 4) == magic and find_data(file.window(place, file.size)):
            rest = file.window(place, file.size)
            return [place + start for start, _ in split(rest)]
    return []


def _all(file: SourceFile, mark: bytes) -> list[int]:
    found, offset = [], 0
    while len(piece := file.at(offset, _PIECE + len(mark) - 1)) >= len(mark):
        at = piece.find(mark)
        while at >= 0:
            found.append(offset + at)
            at = piece.find(mark, at + 1)
        offset += _PIECE
    return sorted({0, *found})


def _ogg_pages(file: SourceFile) -> Iterator[tuple[int, int, int, bool]]:
    """Yield offset, flags and end of each page, and whether it follows the one before (RFC 3533, section 6).

    Of the flags, 2 is the first page of a stream and 4 the last.
    """
    position = 0
    follows = True
    next_number: dict[bytes, int] = {}
    while position + 27 <= file.size:
        head = file.at(position, 27 + 255)
        if head[:5] != b"OggS\0":
            found = file.at(position, 1 << 17).find(b"OggS\0", 1)
            if found < 0:
                return
            position += found
            follows = False
            continue
        end = position + 27 + head[26] + sum(head[27 : 27 + head[26]])
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        yield position, head[5], end, follows and number == next_number.get(serial, number)
        next_number[serial] = number + 1
        position, follows = end, True


def _ogg_links(file: SourceFile) -> list[int]:
    starts, was_first = [0], True
    for position, flags, _, _ in _ogg_pages(file):
        if flags & 2 and not was_first:
            starts.append(position)
        was_first = bool(flags & 2)
    return starts


def missing_bytes(file: SourceFile) -> int:
    """Return how many bytes the header of a compressed stream promises beyond its end.

    For an Ogg stream without an end-of-stream page or with pages missing the number is not known and 1 is
    returned; of an MP3 stream a Xing or Info header states it, if there is one.
    """
    if file.at(0, 4) == b"OggS":
        pages = list(_ogg_pages(file))
        is_whole = pages[-1][1] & 4 and pages[-1][2] <= file.size
        return 0 if is_whole and all(follows for *_, follows in pages) else 1
    stream = mpeg.find_stream(file)
    if stream is None or stream.num_bytes is None or stream.num_bytes in UNKNOWN_SIZES:
        return 0
    return max(0, stream.start + stream.num_bytes - file.size)


def flac_frames(file: SourceFile) -> tuple[int, bytes]:
    """Return the samples a FLAC header counts (0: open), and its first 42 bytes with nothing counted.

    The MD5 sum of the samples is left out as well: it is that of the stated length.
    """
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

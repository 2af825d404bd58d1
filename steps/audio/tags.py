"""The artist in a recording's tags, also where libsndfile does not look.

libsndfile reads RIFF INFO, Vorbis comments' ARTIST and an MP3 file's ID3. Read here are ID3v2 in a chunk of
WAV and AIFF files and before a stream (id3.org, versions 2.2 to 2.4), APEv2 at the end of MP3 files, and the
album's artist where that is all there is.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import soundfile

from steps.audio import containers, ffmpeg, mpeg
from steps.audio.source import SourceFile

_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
_COMMENT = re.compile(rb"(.{4})(album[ _]?artist)=", re.IGNORECASE | re.DOTALL)
_HEAD, _MAX_TEXT = 1 << 20, 1 << 12


def artist(path: str | Path) -> str:
    """Return the artist that a file's tags name, empty if there is none.

    Tags of what libsndfile does not open (m4a, wma …) are read by ffprobe, if it is there.
    """
    try:
        with soundfile.SoundFile(str(path)) as sound:
            found, is_open = sound.artist.strip(), True
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        found, is_open = "", False
    if found:
        return found
    try:
        file = SourceFile(str(path))
    except OSError:
        return ""
    try:
        found = _from_id3(file) or _from_ape(file) or _from_comments(file)
    finally:
        file.close()
    return found if found or is_open else ffmpeg.artist_tag(str(path))


def _from_id3(file: SourceFile) -> str:
    for name, start, length in containers.chunks(file):
        if name.lower() == b"id3 ":
            return id3_artist(file.at(start, min(length, _HEAD)))
    return id3_artist(file.at(0, min(_HEAD, mpeg.id3v2_size(file.at(0, 10)))))


def id3_artist(tag: bytes) -> str:
    """Return the artist, or else the album's artist, of an ID3v2 tag; empty if it is none."""
    if len(tag) < 10 or tag[:3] != b"ID3" or tag[3] not in (2, 3, 4):
        return ""
    version, position = tag[3], 10
    frames: dict[bytes, str] = {}
    head, name_size = (6, 3) if version == 2 else (10, 4)
    while position + head <= len(tag) and tag[position]:
        name = tag[position : position + name_size]
        size_bytes = tag[position + name_size : position + (6 if version == 2 else 8)]
        bits = 7 if version == 4 else 8
        size = sum(byte << bits * place for place, byte in enumerate(reversed(size_bytes)))
        body = tag[position + head : position + head + size]
        if len(body) < size:
            break
        if name in (b"TPE1", b"TPE2", b"TP1", b"TP2") and body:
            text = body[1:_MAX_TEXT].decode(_ENCODINGS.get(body[0], "latin-1"), "replace")
            frames[name[-1:]] = text.split("\0")[0].strip()
        position += head + size
    return frames.get(b"1") or frames.get(b"2") or ""


def _from_ape(file: SourceFile) -> str:
    """Return the artist of an APEv2 tag at the end (or before ID3v1 there)."""
    for end in (file.size, file.size - 128):
        footer = file.at(end - 32, 32)
        if footer[:8] != b"APETAGEX" or len(footer) < 32:
            continue
        size, count = struct.unpack("<II", footer[12:20])
        items = file.at(end - size, min(size, _HEAD))
        found: dict[str, str] = {}
        position = 0
        for _ in range(count):
            name_end = items.find(b"\0", position + 8)
            if name_end < 0:
                break
            (length,) = struct.unpack("<I", items[position : position + 4])
            name = items[position + 8 : name_end].decode("ascii", "replace").lower()
            found[name] = (
                items[name_end + 1 : name_end + 1 + length].decode("utf-8", "replace").split("\0")[0]
            )
            position = name_end + 1 + length
        return (found.get("artist") or found.get("album artist") or "").strip()
    return ""


def _from_comments(file: SourceFile) -> str:
    """Return the album's artist of the Vorbis comments of FLAC, Ogg Vorbis and Opus."""
    if file.at(0, 4) not in (b"fLaC", b"OggS"):
        return ""
    head = file.at(0, _HEAD)
    for match in _COMMENT.finditer(head):
        length = struct.unpack("<I", match[1])[0] - len(match[2]) - 1
        if 0 < length < _MAX_TEXT:
            return head[match.end() : match.end() + length].decode("utf-8", "replace").strip()
    return ""

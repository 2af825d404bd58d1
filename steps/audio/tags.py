"""The artist in a recording's tags."""

from pathlib import Path

import soundfile

from steps.audio import ffmpeg


def artist(path: str | Path) -> str:
    """Return the artist that a file's tags name, or else the album's artist; empty if there is none.

    libsndfile reads RIFF INFO, Vorbis comments' ARTIST and an MP3 file's ID3; the rest (ID3 in other files,
    APE, m4a, wma …) is read by ffprobe, if it is there.
    """
    try:
        with soundfile.SoundFile(str(path)) as sound:
            found = sound.artist.strip()
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        found = ""
    tags = {} if found else ffmpeg.tags(str(path))
    return found or tags.get("artist") or tags.get("album_artist") or ""

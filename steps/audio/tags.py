"""The artist in a recording's tags."""

from pathlib import Path

import soundfile

from steps.audio import ffmpeg


def artist(path: str | Path) -> str:
    """Return the artist, or else the album's, by libsndfile or else ffprobe; empty if there is none."""
    try:
        with soundfile.SoundFile(str(path)) as sound:
            found = sound.artist.strip()
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        found = ""
    tags = {} if found else ffmpeg.tags(str(path))
    return found or tags.get("artist") or tags.get("album_artist") or ""

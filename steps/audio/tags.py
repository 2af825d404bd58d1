"""What libsndfile and ffprobe say of a recording without decoding it."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import soundfile


def _probe(path: str, *words: str) -> dict:
    """Return what ffprobe says; the ``file:`` prefix keeps a name from being an option or a URL."""
    command = ["ffprobe", "-v", "error", *words, "-of", "json", "-i", f"file:{path}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def artist(path: str | Path) -> str:
    """Return the artist, or else the album's, by libsndfile or else ffprobe; empty if there is none."""
    try:
        with soundfile.SoundFile(str(path)) as sound:
            found = sound.artist.strip()
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        found = ""
    if found or shutil.which("ffprobe") is None:
        return found
    said = _probe(str(path), "-show_entries", "format_tags:stream_tags")
    parts = [*said.get("streams", []), said.get("format", {})]
    tags = {key.lower(): text.strip() for part in parts for key, text in part.get("tags", {}).items()}
    return tags.get("artist") or tags.get("album_artist") or ""


def stated_seconds(path: str) -> float | None:
    """Return the length that the container states for its first audio stream, ``None`` if it states none."""
    entries = "stream=duration:stream_tags=DURATION:format=duration"
    found = _probe(path, "-select_streams", "a:0", "-show_entries", entries)
    stream: dict = next(iter(found.get("streams", [])), {})
    said = [stream.get("duration"), stream.get("tags", {}).get("DURATION")]
    said.append(found.get("format", {}).get("duration"))
    return next((seconds for text in said if text and (seconds := _seconds(text))), None)


def _seconds(text: str) -> float | None:
    """Read ``12.5`` or ``00:00:12.5``."""
    seconds = 0.0
    try:
        for word in text.split(":"):
            seconds = 60 * seconds + float(word)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None

"""Tracks as sound and as files: composed, played, resampled, encoded, and stamped in their comment field."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from local.synth import (
    style_classical,
    style_electronic,
    style_jazz_blues,
    style_metal_punk,
    style_rock_pop,
    style_world,
)
from local.synth.artists import Artist, make_artist
from local.synth.mixing import render
from local.synth.plan import Track
from local.synth.rng import generator
from local.synth.score import Score
from local.synth.strings import RATE
from utils import atomic

COMPOSERS: dict[str, Callable[[Artist, np.random.Generator, float], Score]] = {
    "classical": style_classical.compose,
    "electronic": style_electronic.compose,
    "jazz_blues": style_jazz_blues.compose,
    "metal_punk": style_metal_punk.compose,
    "rock_pop": style_rock_pop.compose,
    "world": style_world.compose,
}

CODECS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def compose(seed: int, track: Track) -> Score:
    """Compose a track; the score depends on the seed, the artist and the track's name only."""
    artist = make_artist(seed, track.artist, track.genre)
    return COMPOSERS[track.genre](artist, generator(seed, "score", track.name), track.seconds)


def make_sound(seed: int, track: Track) -> np.ndarray:
    """Compose and play a track at its file's rate and channels [shape=(n, channels)], in -1..1."""
    studio = make_artist(seed, track.artist, track.genre).studio
    sound = render(compose(seed, track), studio, generator(seed, "sound", track.name))
    sound = sound.mean(axis=0, keepdims=True).T if track.channels == 1 else np.ascontiguousarray(sound.T)
    if track.rate != RATE:
        sound = soxr.resample(sound, RATE, track.rate)
    return sound


def encode(sound: np.ndarray, track: Track, comment: str) -> bytes:
    """Encode a sound in the track's format with its tags and a comment."""
    kind, subtype = CODECS[track.format]
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", samplerate=track.rate, channels=track.channels, format=kind, subtype=subtype
    ) as file:
        file.title, file.artist, file.comment = track.title, track.artist, comment
        file.write(sound)
    return buffer.getvalue()


def is_made(path: Path, track: Track, comment: str) -> bool:
    """Tell whether the track's file is there, with this comment and as long as planned."""
    try:
        with soundfile.SoundFile(path) as file:
            if file.comment != comment or abs(file.frames / file.samplerate - track.seconds) > 0.01:
                return False
            if track.format == "flac":  # the others' lengths are those of the data, FLAC's is its header's
                file.seek(file.frames - 1)
                return len(file.read(1)) == 1
            return True
    except (OSError, soundfile.LibsndfileError):
        return False


def make_track(folder: Path, seed: int, track: Track, stamp: str) -> bool:
    """Write a track below ``folder`` unless it is there already; return whether it was made.

    ``stamp`` is the fingerprint of the plan; it is kept in the file's comment field, so that a file made
    with other options or another version is made again.
    """
    path = folder / track.path
    comment = f"{stamp} {track.name}"
    if is_made(path, track, comment):
        return False
    data = encode(make_sound(seed, track), track, comment)
    with atomic.replacing(path, "wb") as file:
        file.write(data)
    return True

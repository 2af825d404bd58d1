"""What a composer hands to the players: a clock, and parts full of notes.

Beats are counted from 0. A percussion part uses the same :class:`Note`, its pitch being an index into
``drums.PIECES``, so that any pattern can be played by any kit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Note(NamedTuple):
    """A note: start and length in beats, MIDI pitch, velocity in 0..1."""

    beat: float
    length: float
    pitch: float
    velocity: float


@dataclass(frozen=True)
class Timbre:
    """How one player's instrument sounds; all numbers in 0..1 unless a unit is given."""

    brightness: float = 0.5
    decay: float = 0.5
    attack: float = 0.5
    vibrato: float = 0.3
    vibrato_hz: float = 5.5
    noise: float = 0.3
    detune: float = 0.3
    formants_hz: tuple[float, ...] = (500.0, 1500.0)


@dataclass(frozen=True)
class Player:
    """An instrument (a key of ``mixing.VOICES`` or of ``drums.KITS``) in somebody's hands."""

    instrument: str
    timbre: Timbre


@dataclass
class Part:
    """One player's notes and place in the mix."""

    player: Player
    notes: list[Note] = field(default_factory=list)
    gain_db: float = 0.0
    pan: float = 0.0
    send: float = 0.2
    effects: tuple[str, ...] = ()

    def add(self, notes: Iterable[Note]) -> None:
        """Append notes; their order does not matter."""
        self.notes.extend(notes)


class Clock:
    """Maps beats to seconds: a tempo, swung offbeats, and a slow breathing of the tempo (rubato).

    Parameters
    ----------
    tempo : float
        Beats a minute.
    beats : float
        How far the clock goes.
    swing : float
        Where in its beat the offbeat falls; 0.5 is straight, 2/3 is a triplet.
    rubato : float
        Depth of the tempo's variation; every ``phrase`` beats it slows down by this share.
    phrase : float
        Length of the breath, in beats.
    """

    def __init__(
        self, tempo: float, beats: float, *, swing: float = 0.5, rubato: float = 0.0, phrase: float = 16.0
    ) -> None:
        self.tempo, self.swing = tempo, swing
        self._grid = np.arange(0.0, beats + 64.0, 0.25)
        place = (self._grid % phrase) / phrase
        speed = tempo * (1.0 + 0.3 * rubato * np.sin(2 * np.pi * place) - rubato * place**6)
        steps = 0.25 * 60.0 / speed
        self._seconds = np.concatenate([[0.0], np.cumsum(steps)[:-1]])

    def seconds(self, beat: float) -> float:
        """Return the time of a beat in seconds."""
        whole, part = divmod(beat, 1.0)
        part = part * self.swing / 0.5 if part < 0.5 else self.swing + (part - 0.5) * (1 - self.swing) / 0.5
        return float(np.interp(whole + part, self._grid, self._seconds))

    def beats(self, seconds: np.ndarray) -> np.ndarray:
        """Return the beats that fall at the given times, swing aside."""
        return np.interp(seconds, self._seconds, self._grid)


SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "swell": ((0.0, 0.0), (0.5, 1.0), (1.0, 0.0)),
    "build": ((0.0, 0.0), (0.96, 1.0), (1.0, 0.0)),
    "fall": ((0.0, 1.0), (0.96, 0.0), (1.0, 1.0)),
    "terraces": ((0.0, 0.0), (0.48, 0.0), (0.5, 1.0), (0.98, 1.0), (1.0, 0.0)),
}
"""Gestures: place in the cycle, and loudness from 0 (soft) to 1 (loud)."""


@dataclass(frozen=True)
class Dynamics:
    """How the whole ensemble's loudness moves: a shape that repeats every ``beats`` beats from ``start``."""

    shape: str = "swell"
    beats: float = 16.0
    depth_db: float = 0.0
    start: float = 0.0

    def softness_db(self, beat: np.ndarray) -> np.ndarray:
        """Return how far below its loudest the ensemble plays at each beat, in dB, at most 0."""
        places, loudness = zip(*SHAPES[self.shape], strict=True)
        cycle = np.mod(beat - self.start, self.beats) / self.beats
        return self.depth_db * (np.interp(cycle, places, loudness) - 1.0)


@dataclass
class Score:
    """A composed excerpt: its clock, parts, length in seconds, and the tonality that it claims."""

    clock: Clock
    parts: list[Part]
    seconds: float
    tonic: int
    scale: tuple[int, ...]
    dynamics: Dynamics = Dynamics()

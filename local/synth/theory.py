"""Scales, chords and progressions. Pitches are MIDI note numbers (69 = 440 Hz), time is in beats."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from local.synth.rng import chance, pick

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian_dominant": (0, 1, 4, 5, 7, 8, 10),
    "double_harmonic": (0, 1, 4, 5, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor_pentatonic": (0, 3, 5, 7, 10),
    "hirajoshi": (0, 2, 3, 7, 8),
    "blues": (0, 3, 5, 6, 7, 10),
}

# Where a functional progression may go from each degree (0 = tonic).
FUNCTIONS: dict[int, tuple[int, ...]] = {0: (3, 4, 5, 1, 5, 3), 1: (4, 4, 6), 2: (5, 3), 3: (4, 1, 0, 4),
                                         4: (0, 5, 0), 5: (1, 3, 4), 6: (0, 2)}  # fmt: skip

QUALITIES: dict[str, tuple[int, ...]] = {
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "7": (0, 4, 7, 10),
    "9": (0, 4, 10, 14),
    "m7b5": (0, 3, 6, 10),
    "5": (0, 7, 12),
}


class Chord(NamedTuple):
    """A root (MIDI number, any octave) and the semitones of the chord's tones above it."""

    root: int
    intervals: tuple[int, ...]

    @property
    def classes(self) -> frozenset[int]:
        """The chord's pitch classes, 0 to 11."""
        return frozenset((self.root + step) % 12 for step in self.intervals)


class Harmony:
    """Chords in time: each lasts from its beat until the next one's."""

    def __init__(self, beats: Sequence[float], chords: Sequence[Chord]) -> None:
        self.beats, self.chords = list(beats), list(chords)

    def at(self, beat: float) -> Chord:
        """Return the chord that sounds at ``beat``."""
        return self.chords[max(0, bisect_right(self.beats, beat + 1e-9) - 1)]

    def spans(self, end: float) -> list[tuple[float, float, Chord]]:
        """Return ``(start, length, chord)`` for every chord that starts before ``end``, in beats."""
        stops = [*self.beats[1:], end]
        pairs = zip(self.beats, stops, self.chords, strict=True)
        return [(start, min(stop, end) - start, chord) for start, stop, chord in pairs if start < end]


def frequency(pitch: float) -> float:
    """Return the frequency in Hz of a MIDI pitch in equal temperament."""
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)


def degree_pitch(tonic: int, scale: Sequence[int], degree: int) -> int:
    """Return the pitch of a scale degree (0 = tonic; below 0 and above the octave it goes on)."""
    octave, step = divmod(degree, len(scale))
    return tonic + 12 * octave + scale[step]


def scale_pitches(tonic: int, scale: Sequence[int], low: int, high: int) -> list[int]:
    """Return every pitch of the scale from ``low`` to ``high``, both included, rising."""
    classes = {(tonic + step) % 12 for step in scale}
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]


def diatonic_chord(tonic: int, scale: Sequence[int], degree: int, size: int = 3) -> Chord:
    """Stack ``size`` thirds of a seven-note scale on a degree."""
    root = degree_pitch(tonic, scale, degree)
    tones = [degree_pitch(tonic, scale, degree + 2 * i) for i in range(size)]
    return Chord(root, tuple(tone - root for tone in tones))


def dominant(tonic: int) -> Chord:
    """Return the dominant seventh chord of a key."""
    return Chord(tonic + 7, QUALITIES["7"])


def voicing(chord: Chord, centre: float, size: int | None = None) -> list[int]:
    """Put each chord tone into the octave around ``centre``, rising: close position, nearest inversion."""
    low = round(centre) - 6
    pitches = sorted(low + (chord.root + step - low) % 12 for step in chord.intervals)
    return pitches[: size or len(pitches)]


def nearest(pool: Sequence[int], pitch: float, classes: frozenset[int] | None = None) -> int:
    """Return the index in ``pool`` of the pitch nearest to ``pitch``, of the given classes if any fits."""
    fits = [i for i, p in enumerate(pool) if classes is None or p % 12 in classes]
    return min(fits or range(len(pool)), key=lambda i: abs(pool[i] - pitch))


def period(rng: np.random.Generator, bars: int) -> list[int]:
    """Return a degree a bar for a musical period: a half cadence in the middle, a full one at the end."""
    degrees = [0]
    while len(degrees) < bars:
        degrees.append(pick(rng, FUNCTIONS[degrees[-1]]))
    if bars >= 4:
        degrees[bars // 2 - 1] = 4
        degrees[bars // 2] = pick(rng, (0, 0, 5))
    if bars >= 2:
        degrees[-2:] = [4, 0]
    return degrees


def two_five_ones(rng: np.random.Generator, tonic: int, bars: int) -> list[Chord]:
    """Return two chords a bar: ii-V-I cadences through related keys, with turnarounds."""
    chords: list[Chord] = []
    key = tonic
    while len(chords) < 2 * bars:
        two = QUALITIES["m7b5" if chance(rng, 0.2) else "m7"]
        one = QUALITIES["maj7"]
        chords += [Chord(key + 2, two), Chord(key + 7, QUALITIES["9"]), Chord(key, one)]
        chords.append(Chord(key, one) if chance(rng, 0.5) else Chord(key + 9, QUALITIES["7"]))
        key = tonic + pick(rng, (0, 0, -2, 5, -4))
    return chords[: 2 * bars]


def twelve_bar_blues(tonic: int, bars: int, start: int = 0) -> list[Chord]:
    """Return two chords a bar of the twelve-bar blues, entered at bar ``start``."""
    steps = (0, 5, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)
    chosen = [steps[(start + bar) % 12] for bar in range(bars)]
    return [Chord(tonic + step, QUALITIES["9"]) for step in chosen for _ in range(2)]

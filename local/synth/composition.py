"""Rhythm, melody and accompaniment that the six composers share.

Every function returns a list of :class:`~local.synth.score.Note` in beats; ``start`` and ``end`` are beats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from local.synth.drums import PIECES
from local.synth.rng import chance, pick
from local.synth.score import Note
from local.synth.theory import Harmony, nearest, voicing

Rhythm = Sequence[float]
"""Lengths in beats, one after the other; a negative one is a rest."""

STRESS = {"X": 1.0, "x": 0.75, "o": 0.45, ".": 0.0}
"""How loud each character of a drum pattern is."""


def pattern(tracks: dict[str, str], start: float, end: float, *, step: float = 0.25) -> list[Note]:
    """Repeat a drum pattern, one string a piece, one character a step, until ``end``."""
    notes = []
    for piece, text in tracks.items():
        strokes = [(i, STRESS[c]) for i, c in enumerate(text) if STRESS[c] > 0]
        length = step * len(text)
        for turn in range(int(np.ceil((end - start) / length))):
            for i, velocity in strokes:
                beat = start + turn * length + i * step
                if beat < end - 1e-9:
                    notes.append(Note(beat, step, PIECES.index(piece), velocity))
    return notes


def fill(rng: np.random.Generator, start: float, end: float) -> list[Note]:
    """Play a drum fill that runs down from the snare to the toms and opens a cymbal after it."""
    steps = int((end - start) / 0.25)
    half = steps // 2
    notes = []
    for i in range(steps):
        if chance(rng, 0.85):
            piece = "snare" if i < half else "tom"
            notes.append(Note(start + 0.25 * i, 0.25, PIECES.index(piece), 0.5 + 0.5 * i / max(steps, 1)))
    return [*notes, Note(end, 1.0, PIECES.index("open"), 1.0)]


def melody(
    rng: np.random.Generator,
    harmony: Harmony,
    pool: Sequence[int],
    start: float,
    end: float,
    *,
    cells: Sequence[Rhythm],
    bar: float = 4.0,
    leap: int = 2,
    repeat: float = 0.6,
) -> list[Note]:
    """Compose a melody from motifs: two bars of rhythm that come back, over a walk on ``pool``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Makes every choice.
    harmony : Harmony
        On the first beat of each half bar the walk snaps to a tone of the chord.
    pool : sequence of int
        The pitches that may be sung, rising.
    start, end : float
        Where the melody begins and ends.
    cells : sequence of Rhythm
        What a bar's rhythm is made of.
    bar : float
        Beats in a bar.
    leap : int
        Largest step, in places of ``pool``.
    repeat : float
        Probability that a bar repeats the motif's rhythm and contour.
    """
    motifs = [_motif(rng, cells, bar, leap) for _ in range(2)]
    notes: list[Note] = []
    place, beat, turn = len(pool) // 2, start, 0
    while beat < end - 1e-9:
        motif = motifs[turn % 2] if chance(rng, repeat) else _motif(rng, cells, bar, leap)
        at = beat
        for length, step in motif:
            if length > 0 and at < end - 1e-9:
                place = _reflect(place + step, len(pool))
                if (at - start) % (bar / 2) < 1e-9:
                    place = nearest(pool, pool[place], harmony.at(at).classes)
                accent = 0.85 if (at - start) % bar < 1e-9 else 0.65
                notes.append(Note(at, min(length, end - at), pool[place], accent + 0.1 * rng.random()))
            at += abs(length)
        beat, turn = beat + bar, turn + 1
    return notes


def _motif(
    rng: np.random.Generator, cells: Sequence[Rhythm], bar: float, leap: int
) -> list[tuple[float, int]]:
    lengths: list[float] = []
    while (filled := sum(abs(x) for x in lengths)) < bar - 1e-9:
        cell = list(pick(rng, cells))
        total = sum(abs(x) for x in cell)
        lengths += cell if filled + total <= bar + 1e-9 else [bar - filled]
    steps = rng.integers(-leap, leap + 1, len(lengths))
    return [(length, int(step)) for length, step in zip(lengths, steps, strict=True)]


def _reflect(place: int, size: int) -> int:
    place = abs(place)
    return place if place < size else max(0, 2 * (size - 1) - place)


def arpeggio(
    harmony: Harmony,
    start: float,
    end: float,
    *,
    order: Sequence[int],
    step: float,
    centre: float,
    gate: float = 1.0,
) -> list[Note]:
    """Break each chord: ``order`` picks its tones, those beyond the chord being an octave higher."""
    notes = []
    for i in range(round((end - start) / step)):
        beat = start + i * step
        tones = voicing(harmony.at(beat), centre)
        octave, index = divmod(order[i % len(order)], len(tones))
        velocity = 0.8 if i % len(order) == 0 else 0.6
        notes.append(Note(beat, gate * step, tones[index] + 12 * octave, velocity))
    return notes


def chords(
    harmony: Harmony,
    start: float,
    end: float,
    *,
    rhythm: Rhythm,
    centre: float,
    size: int = 4,
    gate: float = 0.95,
) -> list[Note]:
    """Strike whole chords in a rhythm that repeats."""
    notes, beat, i = [], start, 0
    while beat < end - 1e-9:
        length = rhythm[i % len(rhythm)]
        if length > 0:
            span = min(length, end - beat) * gate
            velocity = 0.8 if i % len(rhythm) == 0 else 0.65
            notes += [Note(beat, span, p, velocity) for p in voicing(harmony.at(beat), centre, size)]
        beat, i = beat + abs(length), i + 1
    return notes


def held(harmony: Harmony, start: float, end: float, *, centre: float, size: int = 4) -> list[Note]:
    """Hold every chord from its beginning to its end."""
    notes = []
    for at, length, chord in harmony.spans(end):
        first, last = max(at, start), at + length
        if last > first:
            notes += [Note(first, last - first, p, 0.7) for p in voicing(chord, centre, size)]
    return notes


def roots(
    harmony: Harmony, start: float, end: float, *, rhythm: Rhythm, low: int, fifths: bool = False
) -> list[Note]:
    """Play the chords' roots (and fifths in turn) as a bass at or above ``low`` in a repeating rhythm."""
    notes, beat, i = [], start, 0
    while beat < end - 1e-9:
        length = rhythm[i % len(rhythm)]
        if length > 0:
            pitch = low + (harmony.at(beat).root - low) % 12
            pitch += 7 if fifths and i % 2 == 1 else 0
            notes.append(Note(beat, min(length, end - beat) * 0.95, pitch, 0.9 if i == 0 else 0.75))
        beat, i = beat + abs(length), i + 1
    return notes


def walking(rng: np.random.Generator, harmony: Harmony, start: float, end: float, *, low: int) -> list[Note]:
    """Walk a bass in quarters: root on the chord's beat, chord tones, a semitone into the next root."""
    notes = []
    for i in range(round(end - start)):
        beat = start + i
        chord, following = harmony.at(beat), harmony.at(beat + 1)
        root = low + (chord.root - low) % 12
        if i == 0 or harmony.at(beat - 1) != chord:
            pitch = root
        elif following != chord:
            pitch = low + (following.root - low) % 12 + pick(rng, (-1, 1))
        else:
            pitch = root + pick(rng, chord.intervals)
        notes.append(Note(beat, 0.9, pitch, 0.85))
    return notes


def power(
    harmony: Harmony, start: float, end: float, *, rhythm: Rhythm, low: int, gate: float = 0.9
) -> list[Note]:
    """Strum power chords (root, fifth, octave); lengths of a quarter beat or less are muted by the palm."""
    notes, beat, i = [], start, 0
    while beat < end - 1e-9:
        length = rhythm[i % len(rhythm)]
        if length > 0:
            root = low + (harmony.at(beat).root - low) % 12
            muted = length <= 0.26
            span = min(length, end - beat) * (0.5 if muted else gate)
            tones = (root, root + 7) if muted else (root, root + 7, root + 12)
            notes += [Note(beat, span, p, 0.7 if muted else 0.85) for p in tones]
        beat, i = beat + abs(length), i + 1
    return notes


def shaped(notes: Sequence[Note], curve: Sequence[float], start: float, end: float) -> list[Note]:
    """Scale velocities along a curve from ``start`` to ``end``: crescendo and diminuendo."""
    places = np.linspace(start, end, len(curve))
    return [n._replace(velocity=n.velocity * float(np.interp(n.beat, places, curve))) for n in notes]

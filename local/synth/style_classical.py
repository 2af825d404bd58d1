"""Classical: periods with cadences, a melody over broken chords or four voices, rubato, dynamics."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import arpeggio, chords, held, melody, pattern, roots, shaped
from local.synth.rng import chance, pick
from local.synth.score import Part, Score
from local.synth.session import Session, open_session
from local.synth.theory import Chord, Harmony, diatonic_chord, dominant, period

CELLS = ((1.0, 0.5, 0.5), (1.5, 0.5), (0.5, 0.5, 0.5, 0.5), (2.0,), (1.0, 1.0), (0.75, 0.25, 1.0))
SLOW_CELLS = ((2.0, 1.0), (1.0, 1.0), (3.0,), (1.5, 0.5))
ALBERTI = (0, 2, 1, 2)
ROLLING = (0, 1, 2, 3, 4, 3, 2, 1)
CURVES = ((0.6, 1.0, 0.5), (1.0, 0.6, 0.8), (0.5, 0.7, 1.0), (1.0, 0.5, 0.45))


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose a movement's excerpt in one of three textures: solo, duo with bass, four voices."""
    bar = pick(rng, (3.0, 4.0, 4.0))
    song = open_session(artist, rng, seconds, bar=bar, rubato=float(rng.uniform(0.04, 0.16)))
    song.shape("swell", 3.0 if bar == 4.0 else 4.0)
    harmony = _harmony(song)
    form = artist.traits["form"] + float(rng.uniform(-0.15, 0.15))
    if form < 0.4:
        _solo(song, harmony)
    elif form < 0.7:
        _duo(song, harmony)
    else:
        _voices(song, harmony)
    if artist.traits["drums"] > 0.7:
        _percussion(song)
    return song.score()


def _harmony(song: Session) -> Harmony:
    """Return periods of eight bars, the second one in the dominant; some bars have two chords."""
    beats: list[float] = []
    built: list[Chord] = []
    key, scale = song.tonic, song.scale
    for first in range(0, song.bars(), 8):
        for i, degree in enumerate(period(song.rng, 8)):
            at = (first + i) * song.bar
            cadence = degree == 4 and i in (3, 6)
            beats.append(at)
            built.append(dominant(key) if cadence else diatonic_chord(key, scale, degree))
            if chance(song.rng, 0.35):
                beats.append(at + song.bar - (1.0 if song.bar == 3.0 else 2.0))
                built.append(dominant(key) if degree in (1, 3) else diatonic_chord(key, scale, degree + 2))
        key = song.tonic + 7 if key == song.tonic else song.tonic
    return Harmony(beats, built)


def _phrases(song: Session, part: Part, notes: list) -> None:
    for start, end in song.sections(4):
        phrase = [n for n in notes if start <= n.beat < end]
        part.add(shaped(phrase, pick(song.rng, CURVES), start, end))


def _figure(song: Session) -> tuple[tuple[int, ...], float]:
    slow = song.clock.tempo < 85
    order = (0, 1, 2) * 2 if song.bar == 3.0 else pick(song.rng, (ALBERTI, ROLLING))
    return order, 0.25 if slow and song.artist.traits["density"] > 0.4 else 0.5


def _cells(song: Session) -> tuple:
    return SLOW_CELLS if song.artist.traits["density"] < 0.35 else CELLS


def _solo(song: Session, harmony: Harmony) -> None:
    player = song.artist.comp
    right = song.part(player, gain_db=0.0, pan=0.2, send=0.5)
    left = song.part(player, gain_db=-5.0, pan=-0.2, send=0.5)
    order, step = _figure(song)
    _phrases(
        song,
        right,
        melody(song.rng, harmony, song.pool(player, 74), 0.0, song.end, cells=_cells(song), bar=song.bar),
    )
    _phrases(song, left, arpeggio(harmony, 0.0, song.end, order=order, step=step, centre=55))


def _duo(song: Session, harmony: Harmony) -> None:
    artist = song.artist
    voice = song.part(artist.lead, gain_db=0.0, send=0.5)
    below = song.part(artist.comp, gain_db=-5.0, send=0.5)
    bass = song.part(artist.bass, gain_db=-4.0, send=0.4)
    pool = song.pool(artist.lead, 74)
    _phrases(song, voice, melody(song.rng, harmony, pool, 0.0, song.end, cells=_cells(song), bar=song.bar))
    order, step = _figure(song)
    if chance(song.rng, 0.6):
        _phrases(song, below, arpeggio(harmony, 0.0, song.end, order=order, step=step, centre=60))
    else:
        rhythm = (-1.0, 1.0, 1.0) if song.bar == 3.0 else (-1.0, 1.0)
        _phrases(song, below, chords(harmony, 0.0, song.end, rhythm=rhythm, centre=60, size=3, gate=0.6))
    _phrases(song, bass, roots(harmony, 0.0, song.end, rhythm=(song.bar,), low=36))


def _voices(song: Session, harmony: Harmony) -> None:
    artist, rng = song.artist, song.rng
    top = song.part(artist.lead, gain_db=-1.0, pan=-0.5, send=0.6)
    second = song.part(artist.second, gain_db=-4.0, pan=0.5, send=0.6)
    inner = song.part(artist.comp, gain_db=-4.0, pan=0.1, send=0.6)
    bass = song.part(artist.bass, gain_db=-3.0, pan=0.3, send=0.5)
    tune = melody(rng, harmony, song.pool(artist.lead, 76), 0.0, song.end, cells=_cells(song), bar=song.bar)
    _phrases(song, top, tune)
    later = melody(
        rng, harmony, song.pool(artist.second, 69), song.bar, song.end, cells=SLOW_CELLS, bar=song.bar
    )
    _phrases(song, second, later)
    _phrases(song, inner, held(harmony, 0.0, song.end, centre=60, size=3))
    _phrases(song, bass, roots(harmony, 0.0, song.end, rhythm=(song.bar - 1.0, 1.0), low=36, fifths=True))


def _percussion(song: Session) -> None:
    """Let a drum mark the bars of every second phrase."""
    drum = song.part(song.artist.drums, gain_db=-9.0, send=0.5)
    text = {"kick": "x" + "." * int(song.bar * 4 - 1), "hat": "...." + "o..." * int(song.bar - 1)}
    for start, end in song.sections(4)[1::2]:
        drum.add(pattern(text, start, end))

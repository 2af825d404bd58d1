"""Jazz and blues: swing, ii-V-I or twelve bars, a walking bass, comping off the beat, solos in eighths."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import chords, fill, held, melody, pattern, walking
from local.synth.rng import chance, pick
from local.synth.score import Score
from local.synth.session import Session, open_session
from local.synth.theory import SCALES, Harmony, twelve_bar_blues, two_five_ones

HEAD = ((1.0, 0.5, 0.5), (1.5, 0.5), (-0.5, 0.5, 1.0), (-1.0, 0.5, 0.5), (2.0,), (0.5, 1.0, 0.5))
SOLO = ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 1.0), (-0.5, 0.5, 0.5, 0.5), (0.25, 0.25, 0.5, 0.5, 0.5))
COMPING = (
    (1.5, 2.5),
    (-0.5, 1.0, 2.5),
    (-1.5, 0.5, -1.0, 1.0),
    (0.5, -1.0, 0.5, -2.0),
    (-1.0, 1.0, -1.0, 1.0),
)
RIDE = {"ride": "x...X.oo"[:8], "hat": "....x..."}  # eighths: ding, ding-a
BALLAD = {"snare": "o...x...", "ride": "o.......", "kick": "o......."}
SHUFFLE = {"kick": "X...x...", "snare": "..X...X.", "hat": "xoxoxoxo"}


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose a head and solos of a trio or quartet."""
    blues = artist.traits["form"] < 0.45
    slow = artist.traits["drive"] < 0.35
    swing = float(rng.uniform(0.6, 0.68))
    song = open_session(artist, rng, seconds, swing=swing, factor=0.8 if slow else 1.0)
    song.shape("fall", 2.0)
    bars = song.bars() + 1
    built = (
        twelve_bar_blues(song.tonic, bars, int(rng.integers(12)))
        if blues
        else two_five_ones(rng, song.tonic, bars)
    )
    if blues:
        song.scale = SCALES["blues"]
    _band(song, song.harmony(built, 2.0), blues=blues, slow=slow)
    return song.score()


def _band(song: Session, harmony: Harmony, *, blues: bool, slow: bool) -> None:
    artist, rng = song.artist, song.rng
    voice = song.part(
        artist.lead, gain_db=0.0, effects=("crunch",) if artist.lead.instrument == "guitar" else ()
    )
    other = song.part(
        artist.second, gain_db=-1.0, effects=("crunch",) if artist.second.instrument == "guitar" else ()
    )
    comp = song.part(
        artist.comp, gain_db=-5.0, effects=("crunch",) if artist.comp.instrument == "guitar" else ()
    )
    bass = song.part(artist.bass, gain_db=-3.0, send=0.1, pan=0.0)
    drum = song.part(artist.drums, gain_db=-7.0, send=0.2)
    beat = SHUFFLE if blues and chance(rng, 0.6) else BALLAD if slow else RIDE
    drumless = artist.traits["drums"] < 0.35
    phase = int(rng.integers(3))
    for i, (start, end) in enumerate(song.sections(4)):
        scene = (i + phase) % 3
        cells = HEAD if scene == 0 else SOLO
        soloist = voice if scene < 2 else other
        pool = song.pool(soloist.player, 70)
        soloist.add(
            melody(rng, harmony, pool, start, end, cells=cells, leap=3, repeat=0.5 if scene == 0 else 0.15)
        )
        if slow and chance(rng, 0.5):
            comp.add(held(harmony, start, end, centre=60))
        else:
            comp.add(chords(harmony, start, end, rhythm=pick(rng, COMPING), centre=60, gate=0.7))
        bass.add(walking(rng, harmony, start, end, low=33))
        if not drumless:
            drum.add(pattern(beat, start, end, step=0.5))
            if chance(rng, 0.3):
                drum.add(fill(rng, end - 1.0, end))

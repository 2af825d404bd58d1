"""Electronic: loops that repeat exactly, layers that enter by fours, filter sweeps, four on the floor."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import arpeggio, chords, held, melody, pattern, roots
from local.synth.rng import chance, pick
from local.synth.score import Note, Score
from local.synth.session import Session, open_session
from local.synth.theory import Harmony

LOOPS = ([0, 0, 5, 5], [0, 0, 3, 3], [0, 5, 3, 6], [0, 0, 0, 0], [0, 3, 0, 4])
FLOOR = {
    "kick": "X...X...X...X...",
    "open": "..x...x...x...x.",
    "snare": "....x.......x...",
    "hat": "o.oxo.oxo.oxo.ox",
}
BREAK = {
    "kick": "X.....x...X.....",
    "snare": "....X..o.o..X...",
    "hat": "x.x.x.x.x.x.x.x.",
    "ride": "..........o.....",
}
SPARSE = {"kick": "X.........x.....", "snare": "........x.......", "hat": "..o...o...o..oo."}
CELLS = ((0.5, 0.5, 1.0), (0.75, 0.75, 0.5), (-1.0, 1.0), (0.25, 0.25, 0.5, 1.0))
LONG_CELLS = ((4.0,), (3.0, 1.0), (2.0, 2.0), (-2.0, 2.0))
ORDERS = ((0, 1, 2, 3), (0, 2, 1, 3, 2, 4, 3, 1), (0, 0, 3, 0, 2, 0, 1, 2), (0, 3, 1, 4))


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose a club track, or an ambient one without a beat."""
    ambient = artist.traits["drums"] + float(rng.uniform(-0.15, 0.15)) < 0.35
    song = open_session(artist, rng, seconds, factor=0.75 if ambient else 1.0)
    harmony = song.degrees(pick(rng, LOOPS), 8.0 if ambient else 4.0, size=pick(rng, (3, 4)))
    song.shape("build", 4.0)
    if ambient:
        _ambient(song, harmony)
    else:
        _club(song, harmony)
    return song.score()


def _looped(song: Session, notes: list[Note], beats: float, start: float, end: float) -> list[Note]:
    """Repeat the notes of the first ``beats`` beats, unchanged, from ``start`` to ``end``."""
    cell = [n for n in notes if n.beat < beats]
    out = []
    for turn in range(int(np.ceil((end - start) / beats))):
        out += [n._replace(beat=n.beat + start + turn * beats) for n in cell]
    return [n for n in out if n.beat < min(end, song.end)]


def _ambient(song: Session, harmony: Harmony) -> None:
    artist, rng = song.artist, song.rng
    bed = song.part(artist.comp, gain_db=-2.0, send=0.7, effects=("sweep",))
    figure = song.part(artist.second, gain_db=-5.0, send=0.8)
    voice = song.part(artist.lead, gain_db=-3.0, send=0.9)
    bass = song.part(artist.bass, gain_db=-6.0, send=0.2)
    bed.add(held(harmony, 0.0, song.end, centre=60))
    riff = arpeggio(harmony, 0.0, 16.0, order=pick(rng, ORDERS), step=pick(rng, (0.5, 0.5, 0.25)), centre=69)
    tune = melody(rng, harmony, song.pool(artist.lead, 74), 0.0, 16.0, cells=LONG_CELLS, repeat=0.9)
    for i, (start, end) in enumerate(song.sections(4)):
        if (i + int(artist.traits["form"] * 4)) % 4 != 0:
            figure.add(_looped(song, riff, 16.0, start, end))
        if i % 2 == 1 or artist.traits["density"] > 0.6:
            voice.add(_looped(song, tune, 16.0, start, end))
    bass.add(roots(harmony, 0.0, song.end, rhythm=(8.0,), low=33))


def _club(song: Session, harmony: Harmony) -> None:
    artist, rng = song.artist, song.rng
    bed = song.part(artist.comp, gain_db=-4.0, send=0.4, effects=("pump",))
    figure = song.part(artist.lead, gain_db=-4.0, send=0.5, effects=("sweep",) if chance(rng, 0.6) else ())
    voice = song.part(artist.second, gain_db=-4.0, send=0.6)
    bass = song.part(artist.bass, gain_db=-3.0, send=0.05, pan=0.0)
    drum = song.part(artist.drums, gain_db=-2.0, send=0.1, pan=0.0)
    beat = FLOOR if artist.traits["drive"] < 0.55 else pick(rng, (BREAK, SPARSE))
    riff = arpeggio(harmony, 0.0, 16.0, order=pick(rng, ORDERS), step=0.25, centre=67, gate=0.7)
    tune = melody(rng, harmony, song.pool(artist.second, 74), 0.0, 16.0, cells=CELLS, repeat=0.9)
    line = roots(harmony, 0.0, 16.0, rhythm=pick(rng, ((-0.5, 0.5), (0.75, 0.75, 0.5), (0.25,) * 4)), low=33)
    stabs = chance(rng, 0.4)
    phase = int(rng.integers(4))
    for i, (start, end) in enumerate(song.sections(4)):
        layer = (i + phase) % 4
        quiet = layer == 0
        if stabs and not quiet:
            bed.add(chords(harmony, start, end, rhythm=(-0.5, 0.25, -0.25, -0.5, 0.5), centre=64))
        else:
            bed.add(held(harmony, start, end, centre=62))
        names = ("kick", "hat") if layer == 1 else tuple(beat)
        drum.add([] if quiet else pattern({name: beat[name] for name in names if name in beat}, start, end))
        bass.add([] if quiet else _looped(song, line, 16.0, start, end))
        figure.add(_looped(song, riff, 16.0, start, end) if layer != 2 else [])
        voice.add(_looped(song, tune, 16.0, start, end) if layer in (0, 3) else [])

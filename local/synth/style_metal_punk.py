"""Metal and punk: riffs of muted sixteenths whose chords change by the beat, fast drums, half-time breaks."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import arpeggio, fill, held, melody, pattern, power, roots
from local.synth.rng import chance, pick
from local.synth.score import Score
from local.synth.session import Session, open_session, same_hands
from local.synth.theory import Chord, Harmony, degree_pitch

CHUGS = (
    (0.25, 0.25, 0.25, 0.25),
    (0.5, 0.25, 0.25),
    (0.25, 0.25, 0.5),
    (0.5, 0.5),
    (0.25, 0.25, 0.25, 0.25, 0.5, 0.5),
)
PUNK = ((0.5,) * 8, (0.5, 0.5, 0.5, 0.25, 0.25))
DOUBLE = {"kick": "xxxxxxxxxxxxxxxx", "snare": "....X.......X...", "ride": "x...x...x...x..."}
BLAST = {"kick": "x.x.x.x.x.x.x.x.", "snare": ".x.x.x.x.x.x.x.x", "ride": "x.x.x.x.x.x.x.x."}
DBEAT = {"kick": "X..xX..xX..xX..x", "snare": "..X...X...X...X.", "open": "x.x.x.x.x.x.x.x."}
HALF = {"kick": "X..x..x...x.....", "snare": "........X.......", "open": "x...x...x...x..."}
CELLS = ((0.5, 0.5, 1.0), (0.25, 0.25, 0.25, 0.25), (1.0, 1.0), (0.5, 0.5, 0.5, 0.5))


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose riffs, verses and breaks; some tracks begin with a clean, quiet section."""
    song = open_session(artist, rng, seconds)
    song.shape("terraces", 1.0)
    riffs = [_riff(song) for _ in range(3)]
    rhythm = song.part(
        same_hands(artist.comp, "guitar"), gain_db=0.0, send=0.1, effects=("distort",), pan=-0.6
    )
    double = song.part(
        same_hands(artist.second, "guitar"), gain_db=-2.0, send=0.1, effects=("distort",), pan=0.6
    )
    clean = song.part(artist.comp, gain_db=-2.0, send=0.4)
    lead = song.part(
        artist.lead, gain_db=-1.0, effects=("distort",) if artist.lead.instrument == "guitar" else ()
    )
    bass = song.part(artist.bass, gain_db=-4.0, send=0.0, pan=0.0)
    drum = song.part(artist.drums, gain_db=-2.0, send=0.15, pan=0.0)
    punk = artist.traits["form"] < 0.4
    grooves = (DBEAT, DBEAT, HALF) if punk else (DOUBLE, pick(rng, (BLAST, DBEAT)), HALF)
    chugs = [pick(rng, PUNK if punk else CHUGS) for _ in range(3)]
    quiet = int(rng.integers(5))
    for i, (start, end) in enumerate(song.sections(4 if song.clock.tempo > 130 else 2)):
        scene = (i + quiet) % 3
        harmony = riffs[scene]
        if (i + quiet) % 5 == 0 and artist.traits["density"] < 0.8:
            clean.add(arpeggio(harmony, start, end, order=(0, 1, 2, 3), step=0.5, centre=57))
            bass.add(roots(harmony, start, end, rhythm=(4.0,), low=31))
            continue
        rhythm.add(power(harmony, start, end, rhythm=chugs[scene], low=40))
        double.add(power(harmony, start, end, rhythm=chugs[scene], low=40))
        bass.add(roots(harmony, start, end, rhythm=chugs[scene], low=31))
        drum.add(pattern(grooves[scene], start, end))
        if scene == 1 and chance(rng, 0.7):
            pool = song.pool(artist.lead, 72)
            lead.add(melody(rng, harmony, pool, start, end, cells=CELLS, leap=3))
        if scene == 2 and chance(rng, 0.3):
            clean.add(held(harmony, start, end, centre=64, size=2))
        if chance(rng, 0.5):
            drum.add(fill(rng, end - 1.0, end))
    return song.score()


def _riff(song: Session) -> Harmony:
    """Return power chords that change every one or two beats and come back every two bars."""
    cell: list[tuple[float, Chord]] = []
    at = 0.0
    while at < 8.0:
        degree = int(song.rng.choice((0, 0, 0, 1, 2, 4, 5, 6)))
        cell.append((at, Chord(degree_pitch(song.tonic, song.seven(), degree), (0, 7, 12))))
        at += pick(song.rng, (1.0, 1.0, 2.0, 0.5))
    turns = int(np.ceil(song.end / 8.0))
    beats = [8.0 * turn + beat for turn in range(turns) for beat, _ in cell]
    return Harmony(beats, [chord for _ in range(turns) for _, chord in cell])

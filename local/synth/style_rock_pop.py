"""Rock and pop: four chords, one a bar, a backbeat, verses that grow into choruses."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import arpeggio, chords, fill, held, melody, pattern, power, roots
from local.synth.rng import chance, pick
from local.synth.score import Part, Score
from local.synth.session import Session, open_session, same_hands
from local.synth.theory import Harmony

LOOPS = ([0, 4, 5, 3], [5, 3, 0, 4], [0, 3, 4, 4], [0, 5, 3, 4], [0, 6, 3, 0], [0, 0, 3, 4])
VERSE_BEATS = (
    {"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    {"kick": "X.....x.X.......", "snare": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
)
CHORUS_BEAT = {"kick": "X..x....X.x.....", "snare": "....X.......X...", "open": "x...x...x...x..."}
CELLS = ((1.0, 0.5, 0.5), (0.5, 0.5, 1.0), (-0.5, 0.5, 0.5, 0.5), (1.5, 0.5), (2.0,), (-1.0, 1.0))
STRUMS = (
    (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
    (1.0, 0.5, 0.5, -0.5, 0.5, 0.5, 0.5),
    (1.0, 1.0, 0.5, 0.5, 1.0),
)


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose a verse and a chorus (or a ballad without drums until its chorus)."""
    song = open_session(artist, rng, seconds)
    song.shape("terraces", 8.0)
    verse, chorus = song.degrees(pick(rng, LOOPS), 4.0), song.degrees(pick(rng, LOOPS), 4.0)
    voice = song.part(
        artist.lead, gain_db=0.0, pan=0.0, effects=_amplifier(artist.lead.instrument, loud=True)
    )
    comp = song.part(artist.comp, gain_db=-4.0, effects=_amplifier(artist.comp.instrument, loud=False))
    loud = song.part(same_hands(artist.second, "guitar"), gain_db=-2.0, send=0.1, effects=("distort",))
    pad = song.part(same_hands(artist.second, pick(rng, ("organ", "pad", "bowed"))), gain_db=-8.0)
    bass = song.part(artist.bass, gain_db=-3.0, send=0.0, pan=0.0)
    drum = song.part(artist.drums, gain_db=-3.0, send=0.15, pan=0.0)
    rocks, ballad = artist.traits["drive"] > 0.4, artist.traits["drums"] < 0.3
    beat, phase = pick(rng, VERSE_BEATS), int(rng.integers(2))
    for i, (start, end) in enumerate(song.sections(4)):
        singing = (i + phase) % 2 == 1
        harmony = chorus if singing else verse
        _accompany(song, comp, harmony, start, end, broken=not singing)
        rhythm = (0.5,) * 8 if rocks else (1.5, 0.5, 2.0)
        bass.add(roots(harmony, start, end, rhythm=rhythm, low=33))
        if singing and rocks:
            loud.add(power(harmony, start, end, rhythm=pick(rng, STRUMS), low=40))
        elif singing:
            pad.add(held(harmony, start, end, centre=64, size=3))
        if singing or not ballad:
            drum.add(pattern(CHORUS_BEAT if singing else beat, start, end))
        if singing or chance(rng, 0.7):
            voice.add(melody(rng, harmony, song.pool(artist.lead, 70), start, end, cells=CELLS, repeat=0.8))
        if chance(rng, 0.6):
            drum.add(fill(rng, end - 1.0, end))
    return song.score()


def _amplifier(instrument: str, *, loud: bool) -> tuple[str, ...]:
    if instrument != "guitar":
        return ()
    return ("distort",) if loud else ("crunch",)


def _accompany(
    song: Session, comp: Part, harmony: Harmony, start: float, end: float, *, broken: bool
) -> None:
    if broken and song.artist.traits["density"] < 0.6:
        comp.add(arpeggio(harmony, start, end, order=(0, 1, 2, 3, 2, 1, 2, 1), step=0.5, centre=58))
    else:
        comp.add(chords(harmony, start, end, rhythm=pick(song.rng, STRUMS), centre=60, gate=0.9))

"""World: modal melodies with ornaments over a drone or an ostinato, additive metres, hand-drum cycles."""

from __future__ import annotations

import numpy as np

from local.synth.artists import Artist
from local.synth.composition import melody, pattern
from local.synth.rng import chance, pick
from local.synth.score import Note, Part, Score
from local.synth.session import Session, open_session

# Cycles in eighths: their length in beats is half the number of characters.
CYCLES: dict[float, tuple[dict[str, str], ...]] = {
    3.5: (
        {"kick": "X......", "snare": "...x.x.", "hat": "o.oo.oo"},
        {"kick": "X..x...", "tom": "....x.x", "ride": "x..x.x."},
    ),
    5.0: ({"kick": "X.....X...", "snare": "...x....x.", "tom": "..o..o...o"},),
    6.0: (
        {"kick": "X.....x.....", "tom": "...x....x.x.", "ride": "x.x.xx.x.x.x"},
        {"kick": "X..o..X..o..", "snare": "..x..x..x.xx"},
    ),
    4.0: (
        {"kick": "X..x..x.", "snare": "....x...", "tom": "..o..o.o"},
        {"kick": "X...X...", "tom": "..xo..xx", "hat": "oxoxoxox"},
    ),
}
CELLS = ((0.5, 0.5), (1.0,), (0.5, 1.0), (0.25, 0.25, 0.5), (1.5,), (0.75, 0.25))
FREE_CELLS = ((2.0,), (1.0, 0.5, 0.5), (3.0,), (-1.0,), (0.25, 0.25, 0.5, 1.0))


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> Score:
    """Compose call and response over a drone, an ostinato or both, with or without drums."""
    metres = tuple(CYCLES)
    bar = metres[int(artist.traits["form"] * len(metres))]
    song = open_session(artist, rng, seconds, bar=bar, swing=0.5 + 0.06 * artist.traits["swing"])
    song.shape("terraces", 2.0)
    harmony = song.degrees([0] if artist.traits["swing"] < 0.6 else [0, 0, 6, 0], bar)
    drone = song.part(artist.comp, gain_db=-7.0, send=0.5)
    ostinato = song.part(artist.second, gain_db=-4.0, send=0.4)
    call = song.part(artist.lead, gain_db=0.0, pan=-0.3, send=0.4)
    answer = song.part(artist.second, gain_db=-1.0, pan=0.4, send=0.4)
    drum = song.part(artist.drums, gain_db=-3.0, send=0.2)
    droning, drumming = artist.traits["density"] < 0.65, artist.traits["drums"] > 0.2
    cycle = pick(rng, CYCLES[bar])
    figure = _figure(song)
    phase = int(rng.integers(2))
    free = chance(rng, 0.35)
    for i, (start, end) in enumerate(song.sections(4)):
        opening = free and i == 0
        if droning:
            drone.add(_drone(song, start, end))
        if not droning or artist.traits["drive"] > 0.6:
            ostinato.add(_repeat(figure, bar, start, end))
        singer = call if (i + phase) % 2 == 0 else answer
        pool = song.pool(singer.player, 69, 9)
        tune = melody(rng, harmony, pool, start, end, cells=FREE_CELLS if opening else CELLS, bar=bar, leap=1)
        singer.add(_ornamented(song, tune, pool))
        if singer is call and chance(rng, 0.4):
            _shadow(answer, tune)
        if drumming and not opening:
            drum.add(pattern(cycle, start, end, step=0.5))
    return song.score()


def _drone(song: Session, start: float, end: float) -> list[Note]:
    """Sound the tonic and its fifth, one after the other, letting them ring."""
    low = 36 + (song.tonic - 36) % 12
    order = (low + 7, low + 12, low + 12, low)
    count = int(np.ceil(end - start))
    return [Note(start + i, 2.0, order[i % 4], 0.7) for i in range(count)]


def _figure(song: Session) -> list[Note]:
    """Return an ostinato of one cycle in eighths on the tonic's pentad."""
    pool = song.pool(song.artist.second, 57, 8)
    steps = song.rng.integers(0, len(pool), round(song.bar * 2))
    return [
        Note(0.5 * i, 0.5, pool[int(p)], 0.6 + 0.2 * (i == 0))
        for i, p in enumerate(steps)
        if chance(song.rng, 0.75)
    ]


def _repeat(figure: list[Note], bar: float, start: float, end: float) -> list[Note]:
    turns = round((end - start) / bar)
    return [n._replace(beat=start + turn * bar + n.beat) for turn in range(turns) for n in figure]


def _ornamented(song: Session, tune: list[Note], pool: list[int]) -> list[Note]:
    """Put a grace note or a turn before the longer notes."""
    out = []
    for note in tune:
        if note.length >= 0.5 and chance(song.rng, 0.4):
            place = min(pool.index(int(note.pitch)) + 1, len(pool) - 1)
            out.append(Note(note.beat, 0.12, pool[place], 0.6))
            note = note._replace(beat=note.beat + 0.12, length=note.length - 0.12)
        out.append(note)
    return out


def _shadow(answer: Part, tune: list[Note]) -> None:
    """Let the second voice follow the first a moment later: heterophony."""
    answer.add(n._replace(beat=n.beat + 0.06, velocity=0.6 * n.velocity) for n in tune if n.length >= 0.5)

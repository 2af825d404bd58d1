"""What every composer starts from: an artist in a studio, with a clock, a key and empty parts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from local.synth.artists import Artist
from local.synth.mixing import VOICES
from local.synth.score import Clock, Dynamics, Part, Player, Score
from local.synth.theory import SCALES, Chord, Harmony, diatonic_chord, scale_pitches


@dataclass
class Session:
    """A track in the making; ``end`` is in beats and closes a bar after the last second."""

    artist: Artist
    rng: np.random.Generator
    seconds: float
    clock: Clock
    bar: float
    end: float
    tonic: int
    scale: tuple[int, ...]
    parts: list[Part] = field(default_factory=list)
    dynamics: Dynamics = Dynamics()

    def shape(self, shape: str, bars: float, *, aligned: bool = False) -> None:
        """Let the ensemble's loudness move in a shape of ``bars`` bars; the artist decides how much."""
        beats = bars * self.bar
        start = 0.0 if aligned else float(self.rng.uniform(0.0, beats))
        self.dynamics = Dynamics(shape, beats, 7.0 + 8.0 * self.artist.traits["contrast"], start)

    def part(
        self,
        player: Player,
        *,
        gain_db: float,
        send: float = 0.3,
        effects: tuple[str, ...] = (),
        pan: float | None = None,
    ) -> Part:
        """Add an empty part; without ``pan`` it is placed at random."""
        where = float(self.rng.uniform(-0.8, 0.8)) if pan is None else pan
        gain = gain_db + float(self.rng.uniform(-2.0, 2.0))
        part = Part(player, gain_db=gain, pan=where, send=send, effects=effects)
        self.parts.append(part)
        return part

    def sections(self, bars: int) -> list[tuple[float, float]]:
        """Cut the track into sections of ``bars`` bars; it is an excerpt, so the first may be shorter."""
        length = bars * self.bar
        first = float(self.rng.integers(1, bars + 1)) * self.bar
        edges = [0.0, *np.arange(first, self.end, length), self.end]
        return [(float(a), float(b)) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]

    def pool(self, player: Player, centre: int = 70, span: int = 11) -> list[int]:
        """Return the scale's pitches around ``centre`` that the player's instrument reaches."""
        voice = VOICES[player.instrument]
        centre = min(max(centre, voice.low + span), voice.high - span)
        return scale_pitches(self.tonic, self.scale, centre - span, centre + span)

    def bars(self) -> int:
        """Return the number of bars until ``end``."""
        return round(self.end / self.bar)

    def degrees(self, degrees: list[int], beats: float, size: int = 3) -> Harmony:
        """Return a harmony that repeats diatonic chords of ``beats`` beats each until the end."""
        count = int(np.ceil(self.end / beats))
        built = [
            diatonic_chord(self.tonic, self.seven(), degrees[i % len(degrees)], size) for i in range(count)
        ]
        return Harmony([i * beats for i in range(count)], built)

    def seven(self) -> tuple[int, ...]:
        """Return a seven-note scale for chords, the scale itself unless it has fewer or more notes."""
        if len(self.scale) == 7:
            return self.scale
        return SCALES["minor" if 3 in self.scale else "major"]

    def harmony(self, chords: list[Chord], beats: float) -> Harmony:
        """Return a harmony of the given chords, ``beats`` beats each."""
        return Harmony([i * beats for i in range(len(chords))], chords)

    def score(self) -> Score:
        """Close the session; parts without notes are left out."""
        parts = [p for p in self.parts if p.notes]
        return Score(self.clock, parts, self.seconds, self.tonic, self.scale, self.dynamics)


def open_session(
    artist: Artist,
    rng: np.random.Generator,
    seconds: float,
    *,
    bar: float = 4.0,
    swing: float = 0.5,
    rubato: float = 0.0,
    factor: float = 1.0,
    mode: str | None = None,
) -> Session:
    """Begin a track: its tempo is the artist's within 7 %, its key near the artist's own."""
    tempo = artist.tempo * float(rng.uniform(0.93, 1.07)) * factor
    clock = Clock(tempo, seconds * tempo / 40.0, swing=swing, rubato=rubato, phrase=4 * bar)
    end = float(np.ceil((float(clock.beats(np.array(seconds))) + 0.5) / bar) * bar)
    tonic = artist.tonic + int(rng.choice((-5, -2, 0, 0, 2, 5)))
    return Session(artist, rng, seconds, clock, bar, end, tonic, SCALES[mode or artist.mode])


def same_hands(player: Player, instrument: str) -> Player:
    """Return the player with another instrument and the same manner of playing."""
    return replace(player, instrument=instrument)

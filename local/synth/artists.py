"""What an artist brings to every track: instruments in certain hands, tempo, key, mode and a studio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from local.synth.drums import KITS
from local.synth.mixing import VOICES, Studio
from local.synth.rng import chance, generator, weighted
from local.synth.score import Player, Timbre

CHORDAL = ("pluck", "guitar", "piano", "epiano", "organ", "reed", "pad", "harpsichord", "bell", "bowed")
BASSES = ("bass", "synth_bass", "bowed")

# Which instrument plays which role, by genre: weights, not exclusive rights.
LEADS: dict[str, dict[str, float]] = {
    "classical": {"bowed": 3, "piano": 3, "blown": 2, "pluck": 2, "organ": 1, "harpsichord": 1, "reed": 0.5},
    "electronic": {
        "saw": 3,
        "bell": 2,
        "epiano": 1.5,
        "piano": 1.5,
        "blown": 1,
        "bowed": 1,
        "sitar": 1,
        "pluck": 1,
    },
    "jazz_blues": {"blown": 3, "piano": 3, "guitar": 2, "organ": 1, "epiano": 2, "bowed": 0.5},
    "metal_punk": {"guitar": 4, "saw": 1, "organ": 1, "bowed": 1},
    "rock_pop": {"guitar": 3, "blown": 1.5, "organ": 1.5, "piano": 1.5, "saw": 1, "bowed": 1, "pluck": 1},
    "world": {"sitar": 2.5, "pluck": 2.5, "blown": 2.5, "bowed": 2, "reed": 1.5, "bell": 1, "piano": 0.5},
}
COMPS: dict[str, dict[str, float]] = {
    "classical": {"piano": 3, "bowed": 3, "pluck": 2, "harpsichord": 1, "organ": 1.5, "pad": 0.5},
    "electronic": {
        "pad": 3,
        "saw": 1,
        "epiano": 1.5,
        "organ": 1,
        "piano": 1.5,
        "bowed": 1,
        "pluck": 1,
        "bell": 1,
    },
    "jazz_blues": {"piano": 3, "epiano": 2, "guitar": 2, "organ": 1.5, "pluck": 1},
    "metal_punk": {"guitar": 1},
    "rock_pop": {"guitar": 3, "pluck": 2, "organ": 1.5, "piano": 2, "epiano": 1},
    "world": {"pluck": 3, "sitar": 1.5, "reed": 2, "bell": 1, "harpsichord": 1, "bowed": 1, "pad": 1},
}
BASS: dict[str, dict[str, float]] = {
    "classical": {"bowed": 3, "bass": 1.5},
    "electronic": {"synth_bass": 3, "bass": 1},
    "jazz_blues": {"bass": 1},
    "metal_punk": {"bass": 3, "synth_bass": 0.5},
    "rock_pop": {"bass": 3, "synth_bass": 1},
    "world": {"bass": 2, "bowed": 1},
}
DRUMS: dict[str, dict[str, float]] = {
    "classical": {"hand": 1, "brushes": 1, "acoustic": 1},
    "electronic": {"electronic": 3, "acoustic": 1, "hand": 1},
    "jazz_blues": {"brushes": 2, "acoustic": 2},
    "metal_punk": {"acoustic": 3, "electronic": 1},
    "rock_pop": {"acoustic": 3, "electronic": 1, "brushes": 0.5, "hand": 0.5},
    "world": {"hand": 4, "acoustic": 0.5, "electronic": 0.5, "brushes": 0.5},
}
MODES: dict[str, dict[str, float]] = {
    "classical": {"major": 3, "minor": 1, "harmonic_minor": 2},
    "electronic": {"minor": 3, "dorian": 2, "major": 1.5, "mixolydian": 1},
    "jazz_blues": {"major": 2, "mixolydian": 1, "dorian": 1},
    "metal_punk": {"minor": 2, "phrygian": 2, "harmonic_minor": 1, "major": 1},
    "rock_pop": {"major": 3, "minor": 2, "mixolydian": 2, "dorian": 1},
    "world": {
        "phrygian_dominant": 1.5,
        "double_harmonic": 1,
        "dorian": 1.5,
        "mixolydian": 1.5,
        "pentatonic": 1.5,
        "hirajoshi": 1,
        "minor_pentatonic": 1.5,
        "major": 1,
    },
}
TEMPI: dict[str, tuple[float, float]] = {
    "classical": (60, 120),
    "electronic": (80, 138),
    "jazz_blues": (75, 170),
    "metal_punk": (105, 185),
    "rock_pop": (76, 150),
    "world": (70, 140),
}
TRAITS = ("drums", "swing", "density", "form", "drive", "contrast")
BORROW = 0.15
"""Probability that a role goes to an instrument that the genre's weights did not choose."""


@dataclass(frozen=True)
class Artist:
    """One artist: the same in every track.

    ``traits`` are numbers in 0..1 that the composers read as they need (how often there are drums, how
    much swing, …); a composer may add its track's own dice.
    """

    name: str
    genre: str
    lead: Player
    second: Player
    comp: Player
    bass: Player
    drums: Player
    mode: str
    tempo: float
    tonic: int
    studio: Studio
    traits: dict[str, float]


def draw_timbre(rng: np.random.Generator) -> Timbre:
    """Draw how one player sounds."""
    formants = np.sort(rng.uniform(300.0, 3000.0, 3))
    return Timbre(
        brightness=float(rng.random()),
        decay=float(rng.random()),
        attack=float(rng.random()),
        vibrato=float(rng.random()),
        vibrato_hz=float(rng.uniform(4.5, 6.8)),
        noise=float(rng.random()),
        detune=float(rng.random()),
        formants_hz=tuple(float(f) for f in formants),
    )


def draw_studio(rng: np.random.Generator) -> Studio:
    """Draw a production; all genres draw from the same ranges."""
    return Studio(
        low_db=float(rng.uniform(-4.0, 4.0)),
        high_db=float(rng.uniform(-7.0, 6.0)),
        room=float(rng.uniform(0.1, 0.9)),
        room_s=float(rng.uniform(0.3, 1.8)),
        hiss_db=float(rng.uniform(-75.0, -50.0)),
        loudness_db=float(rng.uniform(-26.0, -18.0)),
    )


def _player(rng: np.random.Generator, weights: dict[str, float], others: tuple[str, ...]) -> Player:
    name = weighted(rng, weights)
    if chance(rng, BORROW):
        name = others[int(rng.integers(len(others)))]
    return Player(name, draw_timbre(rng))


def make_artist(seed: int, name: str, genre: str) -> Artist:
    """Return an artist; the same for every track, job and order of work."""
    rng = generator(seed, "artist", name, genre)
    leads = tuple(voice for voice in VOICES if voice not in ("bass", "synth_bass", "pad"))
    low, high = TEMPI[genre]
    return Artist(
        name=name,
        genre=genre,
        lead=_player(rng, LEADS[genre], leads),
        second=_player(rng, LEADS[genre], leads),
        comp=_player(rng, COMPS[genre], CHORDAL),
        bass=_player(rng, BASS[genre], BASSES),
        drums=_player(rng, DRUMS[genre], tuple(KITS)),
        mode=weighted(rng, MODES[genre]),
        tempo=float(rng.uniform(low, high)),
        tonic=48 + int(rng.integers(12)),
        studio=draw_studio(rng),
        traits={
            trait: float(rng.random()) for trait in ("drums", "swing", "density", "form", "drive", "contrast")
        },
    )

"""The embedded corpus' music: scales, chords, clocks, and what each composer makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from local.synth import composition, theory
from local.synth.artists import make_artist
from local.synth.drums import KITS, PIECES
from local.synth.mixing import VOICES
from local.synth.plan import GENRES
from local.synth.rng import generator
from local.synth.score import SHAPES, Clock, Dynamics
from local.synth.theory import Chord, Harmony
from local.synth.tracks import COMPOSERS

SECONDS = 12.0


def scores(genre, count=6):
    for i in range(count):
        artist = make_artist(5, f"artist{i}", genre)
        yield artist, COMPOSERS[genre](artist, generator(5, "score", genre, i), SECONDS)


def pitched(score):
    return [n for part in score.parts if part.player.instrument in VOICES for n in part.notes]


def test_streams_depend_on_seed_and_name_only():
    draws = {
        (seed, name): generator(seed, "track", name).random(4).tobytes() for seed in (1, 2) for name in "ab"
    }
    assert len(set(draws.values())) == 4
    generator(1, "other").random(100)
    assert generator(1, "track", "a").random(4).tobytes() == draws[1, "a"]


@pytest.mark.parametrize(
    ("scale", "degree", "pitches"),
    [("major", 0, {0, 4, 7}), ("major", 1, {2, 5, 9}), ("minor", 0, {0, 3, 7}), ("phrygian", 1, {1, 5, 8})],
)
def test_triads_of_scales(scale, degree, pitches):
    chord = theory.diatonic_chord(60, theory.SCALES[scale], degree)
    assert chord.classes == pitches


def test_frequency_of_a4_and_of_an_octave():
    assert theory.frequency(69) == 440.0
    assert theory.frequency(81) == pytest.approx(880.0)


def test_degrees_run_on_over_the_octave():
    major = theory.SCALES["major"]
    degrees = [theory.degree_pitch(60, major, d) for d in range(-2, 9)]
    assert degrees == [57, 59, 60, 62, 64, 65, 67, 69, 71, 72, 74]


def test_voicing_is_close_and_complete():
    for root in range(48, 60):
        for intervals in theory.QUALITIES.values():
            chord = Chord(root, intervals)
            pitches = theory.voicing(chord, 60)
            assert pitches == sorted(pitches)
            assert max(pitches) - min(pitches) <= 12
            assert {p % 12 for p in pitches} == chord.classes


def test_periods_end_with_a_cadence():
    for seed in range(20):
        degrees = theory.period(generator(seed, "period"), 8)
        assert degrees[-2:] == [4, 0]
        assert degrees[3] == 4


def test_two_five_ones_move_by_fourths():
    chords = theory.two_five_ones(generator(3, "jazz"), 60, 8)
    assert len(chords) == 16
    for two, five in zip(chords[0::4], chords[1::4], strict=True):
        assert (five.root - two.root) % 12 == 5


def test_harmony_finds_the_sounding_chord():
    first, second = Chord(60, (0, 4, 7)), Chord(65, (0, 4, 7))
    harmony = Harmony([0.0, 4.0], [first, second])
    assert harmony.at(3.99) == first
    assert harmony.at(4.0) == second
    assert harmony.spans(6.0) == [(0.0, 4.0, first), (4.0, 2.0, second)]


def test_clock_keeps_tempo_and_swings():
    straight, swung = Clock(120.0, 16), Clock(120.0, 16, swing=2 / 3)
    assert straight.seconds(5.5) == pytest.approx(2.75)
    assert swung.seconds(4.0) == pytest.approx(2.0)
    assert swung.seconds(4.5) == pytest.approx(2.0 + 0.5 * 2 / 3)
    assert straight.beats(np.array(2.0)) == pytest.approx(4.0)


def test_rubato_never_runs_backwards():
    clock = Clock(90.0, 64, rubato=0.16)
    times = [clock.seconds(beat) for beat in np.arange(0, 64, 0.25)]
    assert np.all(np.diff(times) > 0)
    assert clock.seconds(16.0) != pytest.approx(16 * 60 / 90, abs=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_dynamics_stay_in_their_range_and_repeat(shape):
    dynamics = Dynamics(shape, 8.0, 12.0, start=1.0)
    beats = np.arange(1.0, 9.0, 0.01)
    softness = dynamics.softness_db(beats)
    assert softness.max() == pytest.approx(0.0, abs=0.1)
    assert softness.min() == pytest.approx(-12.0, abs=0.1)
    np.testing.assert_allclose(dynamics.softness_db(beats + 16.0), softness, atol=1e-9)


def test_builds_rise_falls_fall_and_swells_turn_back():
    slopes = {}
    for shape in SHAPES:
        softness = Dynamics(shape, 100.0, 10.0).softness_db(np.arange(100.0))
        slopes[shape] = np.mean(np.diff(softness) > 0), np.mean(np.diff(softness) < 0)
    assert slopes["build"][0] > 0.9 > 0.1 > slopes["build"][1]
    assert slopes["fall"][1] > 0.9 > 0.1 > slopes["fall"][0]
    assert slopes["swell"][0] == pytest.approx(0.5, abs=0.02)
    assert max(slopes["terraces"]) < 0.1


def test_pattern_puts_strokes_where_the_string_says():
    notes = composition.pattern({"kick": "X...x..."}, 4.0, 8.0)
    assert [(n.beat, n.velocity) for n in notes] == [(4.0, 1.0), (5.0, 0.75), (6.0, 1.0), (7.0, 0.75)]
    assert {n.pitch for n in notes} == {PIECES.index("kick")}


def test_melody_fills_its_time_and_starts_half_bars_on_chord_tones():
    harmony = Harmony([0.0, 4.0], [Chord(60, (0, 4, 7)), Chord(67, (0, 4, 7))])
    pool = theory.scale_pitches(60, theory.SCALES["major"], 60, 79)
    notes = composition.melody(generator(1, "m"), harmony, pool, 0.0, 8.0, cells=((1.0,), (0.5, 0.5)))
    assert sum(n.length for n in notes) == pytest.approx(8.0)
    assert {n.pitch for n in notes} <= set(pool)
    for note in notes:
        if note.beat % 2 == 0:
            assert note.pitch % 12 in harmony.at(note.beat).classes


@pytest.mark.parametrize("genre", GENRES)
def test_composers_fill_the_time_and_write_for_known_players(genre):
    for artist, score in scores(genre):
        assert score.seconds == SECONDS
        assert 60 <= score.clock.tempo * 1.5 <= 320
        last = max(score.clock.seconds(n.beat + n.length) for n in pitched(score))
        assert last > SECONDS - 1.0
        for part in score.parts:
            assert part.player.instrument in VOICES or part.player.instrument in KITS
            assert all(0 < n.velocity <= 1.2 and n.length > 0 and n.beat >= 0 for n in part.notes)
        assert artist.genre == genre


@pytest.mark.parametrize("genre", ["electronic", "rock_pop", "world"])
def test_notes_stay_in_the_scale(genre):
    """What is sung and played against the scale; fifths and dominants may leave it."""
    for _, score in scores(genre):
        allowed = {(score.tonic + step) % 12 for step in score.scale}
        played = [int(n.pitch) % 12 for n in pitched(score)]
        share = np.mean([p in allowed for p in played])
        assert share > 0.8, (genre, share)


def test_genres_differ_in_harmonic_rhythm():
    """Metal's chords change faster than rock's, which change faster than world's."""

    def roots_per_second(genre):
        rates = []
        for artist, score in scores(genre):
            basses = [p for p in score.parts if p.player == artist.bass] or score.parts[:1]
            notes = sorted(basses[0].notes)
            changes = sum(a.pitch != b.pitch for a, b in zip(notes[:-1], notes[1:], strict=True))
            rates.append(changes / SECONDS)
        return np.median(rates)

    assert roots_per_second("metal_punk") > 1.5 * roots_per_second("rock_pop")


def test_only_jazz_swings_like_jazz():
    for genre in GENRES:
        for _, score in scores(genre, 3):
            assert (score.clock.swing >= 0.6) == (genre == "jazz_blues")


def test_genres_share_their_instruments():
    used = {
        genre: {p.player.instrument for _, score in scores(genre, 12) for p in score.parts}
        for genre in GENRES
    }
    for genre, mine in used.items():
        others = set().union(*(used[other] for other in GENRES if other != genre))
        assert len(mine & others) >= len(mine) - 1, (genre, mine - others)

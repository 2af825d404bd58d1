"""The embedded corpus' sound: instruments are in tune, drums in time, mixes finite and below full scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from local.synth import drums, mixing, strings
from local.synth.artists import draw_studio, draw_timbre
from local.synth.mixing import PEAK, VOICES, Bench, Studio
from local.synth.rng import generator
from local.synth.score import Clock, Note, Part, Player, Score, Timbre
from local.synth.strings import RATE
from local.synth.theory import SCALES, frequency


def comb_salience(sound: np.ndarray, pitch: float) -> float:
    """Energy within a quarter tone of the first harmonics of ``pitch``."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * RATE)) ** 2
    hz = np.arange(len(power)) / 4
    total = 0.0
    for k in range(1, 13):
        centre = k * frequency(pitch)
        near = (hz > centre * 2 ** (-1 / 24)) & (hz < centre * 2 ** (1 / 24))
        total += power[near].sum()
    return total / power.sum()


@pytest.mark.parametrize("name", VOICES)
def test_instruments_are_in_tune(name):
    voice = VOICES[name]
    rng = generator(1, "tuning", name)
    pitch = min(max(57, voice.low), voice.high - 2)
    sound = voice.play(frequency(pitch), 1.0, draw_timbre(rng), rng)
    assert len(sound) == RATE
    assert np.all(np.isfinite(sound))
    at, above = comb_salience(sound, pitch), comb_salience(sound, pitch + 1)
    assert at > (0.15 if name == "bell" else 0.5)
    assert at > 3 * above


@pytest.mark.parametrize("delay", [3, 90, 127, 128, 129, 700])
def test_string_loop_is_its_difference_equation(delay):
    """Short loops run in lfilter, long ones block by block: both are the same recursion."""
    rng = np.random.default_rng(delay)
    excitation = np.where(np.arange(4000) < 300, rng.standard_normal(4000), 0.0)
    taps = np.array([0.1, 0.5, 0.3, 0.05])
    denominator = np.concatenate([[1.0], np.zeros(delay - 1), -taps])
    np.testing.assert_allclose(
        strings.loop(excitation, delay, taps), lfilter([1.0], denominator, excitation), atol=1e-12
    )


def test_plucks_decay_and_bows_do_not():
    rng = generator(1, "decay")

    def ratio(name):
        sound = VOICES[name].play(220.0, 1.5, Timbre(), rng)
        early, late = sound[3200:8000], sound[32000:40000]
        return np.sqrt(np.mean(late**2) / np.mean(early**2))

    assert ratio("pluck") < 0.5
    assert ratio("bowed") > 0.6
    assert ratio("organ") > 0.6


@pytest.mark.parametrize("kit", drums.KITS)
@pytest.mark.parametrize("piece", drums.PIECES)
def test_kits_play_every_piece(kit, piece):
    sound = drums.KITS[kit](piece, draw_timbre(generator(2, kit)), generator(3, kit))
    assert np.all(np.isfinite(sound))
    assert np.abs(sound).max() > 0.05
    assert np.mean(sound[-RATE // 50 :] ** 2) < 0.2 * np.mean(sound**2)


def test_kicks_fall_on_the_beat():
    clock = Clock(120.0, 16)
    part = Part(Player("electronic", Timbre()), [Note(float(beat), 0.25, 0, 1.0) for beat in range(8)])
    bus = mixing.play_part(part, clock, 4 * RATE, generator(1, "kicks"))
    level = np.abs(bus).reshape(-1, RATE // 100).max(axis=1)
    onsets = [i for i in range(2, len(level)) if level[i] > 0.1 and level[i - 2] < 0.02]
    grouped = [i for i, j in zip(onsets, [-9, *onsets], strict=False) if i - j > 4]
    assert len(grouped) in (7, 8)
    assert all(abs(i / 100 % 0.5 - 0.5 * (i / 100 % 0.5 > 0.25)) < 0.04 for i in grouped)


def test_a_played_melody_is_heard_at_its_pitches():
    pitches = [60, 64, 67, 72]
    part = Part(Player("bowed", Timbre(vibrato=0.1, noise=0.1)))
    part.add(Note(float(i), 0.9, p, 0.8) for i, p in enumerate(pitches))
    score = Score(Clock(60.0, 8), [part], 4.0, 60, SCALES["major"])
    mix = mixing.render(score, Studio(room=0.0), generator(1, "melody")).mean(axis=0)
    for i, pitch in enumerate(pitches):
        heard = mix[int((i + 0.2) * RATE) : int((i + 0.8) * RATE)]
        best = max(range(55, 80), key=lambda p: comb_salience(heard, p) - 0.02 * (p < 60))
        assert best in (pitch, pitch - 12)


def test_panned_parts_make_real_stereo():
    part = Part(Player("pluck", Timbre()), [Note(0.0, 2.0, 60, 0.8)], pan=-0.8)
    score = Score(Clock(60.0, 8), [part], 2.0, 60, SCALES["major"])
    left, right = mixing.render(score, Studio(room=0.2), generator(1, "stereo"))
    assert np.mean(left**2) > 4 * np.mean(right**2)
    assert np.abs(np.corrcoef(left, right)[0, 1]) < 0.999


@pytest.mark.parametrize("seed", range(4))
def test_mixes_stay_below_their_peak(seed):
    rng = generator(seed, "loud")
    parts = [
        Part(Player(name, draw_timbre(rng)), [Note(0.25 * i, 0.5, 60 + i % 5, 1.0) for i in range(16)])
        for name in ("pluck", "saw", "organ")
    ]
    parts.append(
        Part(Player("acoustic", Timbre()), [Note(0.5 * i, 0.5, i % 6, 1.0) for i in range(8)], gain_db=9)
    )
    score = Score(Clock(120.0, 8), parts, 2.0, 60, SCALES["major"])
    studio = draw_studio(rng)
    mix = mixing.render(score, studio, rng)
    assert mix.shape == (2, 2 * RATE)
    assert mix.dtype == np.float32
    assert np.all(np.isfinite(mix))
    assert np.abs(mix).max() <= PEAK + 5 * 10 ** (studio.hiss_db / 20)


def test_a_note_is_played_once_and_cut_to_length():
    bench = Bench(generator(1, "bench"))
    part = Part(Player("pluck", Timbre()))
    first, again = bench.note(part, 60, 0.5), bench.note(part, 60, 0.25)
    assert len(again) < len(first) < RATE
    np.testing.assert_array_equal(first[: RATE // 8], again[: RATE // 8])


def test_unknown_effects_are_refused():
    with pytest.raises(ValueError, match="unknown effect 'wah'"):
        mixing.effect("wah", np.zeros(8), Clock(120.0, 4))

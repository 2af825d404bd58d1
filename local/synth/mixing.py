"""From a score to stereo sound: players, effects, places on the stage, the room, the studio's colour.

All signals are at ``strings.RATE``; stereo is [shape=(2, n)].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

from local.synth import drums, strings, tones
from local.synth.score import Clock, Note, Part, Score, Timbre
from local.synth.strings import RATE
from local.synth.theory import frequency

PEAK = 0.6
"""Largest sample of a finished mix, hiss aside; leaves room for what resampling and lossy coding add."""


class Voice(NamedTuple):
    """A pitched instrument: its function, whether its notes ring by themselves, and its range (MIDI)."""

    play: Callable[[float, float, Timbre, np.random.Generator], np.ndarray]
    rings: bool
    low: int
    high: int


VOICES: dict[str, Voice] = {
    "pluck": Voice(strings.pluck, True, 43, 84),
    "bass": Voice(strings.bass, True, 28, 52),
    "guitar": Voice(strings.steel, True, 40, 80),
    "sitar": Voice(strings.sitar, True, 43, 80),
    "harpsichord": Voice(strings.harpsichord, True, 41, 86),
    "piano": Voice(tones.piano, True, 33, 96),
    "epiano": Voice(tones.epiano, True, 36, 90),
    "bell": Voice(tones.bell, True, 48, 96),
    "bowed": Voice(tones.bowed, False, 36, 93),
    "blown": Voice(tones.blown, False, 48, 91),
    "organ": Voice(tones.organ, False, 36, 91),
    "reed": Voice(tones.reed, False, 43, 88),
    "pad": Voice(tones.pad, False, 36, 88),
    "saw": Voice(tones.saw, False, 36, 88),
    "synth_bass": Voice(tones.synth_bass, False, 28, 52),
}


@dataclass(frozen=True)
class Studio:
    """How an artist's records are made.

    ``low_db`` and ``high_db`` tilt the spectrum below 300 Hz and above 2.5 kHz, ``room`` (0..1) and
    ``room_s`` are the reverberation's level and T60, ``hiss_db`` and ``loudness_db`` are dBFS RMS.
    """

    low_db: float = 0.0
    high_db: float = 0.0
    room: float = 0.3
    room_s: float = 0.8
    hiss_db: float = -70.0
    loudness_db: float = -20.0


class Bench:
    """The notes that a player has already played in this track, so that none is computed twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._made: dict[tuple, np.ndarray] = {}

    def note(self, part: Part, pitch: float, seconds: float) -> np.ndarray:
        """Return one pitched note, levelled to RMS 1 in its first quarter of a second."""
        voice = VOICES[part.player.instrument]
        pitch = min(max(pitch, voice.low), voice.high)
        if not voice.rings:
            return self._level(voice.play(frequency(pitch), seconds + 0.05, part.player.timbre, self._rng))
        span = 1.2 if seconds < 1.0 else 3.0
        key = (part.player.instrument, part.player.timbre, pitch, span)
        if key not in self._made:
            self._made[key] = self._level(voice.play(frequency(pitch), span, part.player.timbre, self._rng))
        tone = self._made[key][: round((seconds + 0.06) * RATE)].copy()
        release = min(len(tone), round(0.06 * RATE))
        tone[len(tone) - release :] *= np.linspace(1.0, 0.0, release)
        return tone

    def hit(self, part: Part, piece: int) -> np.ndarray:
        """Return one drum hit; each piece has three versions."""
        key = (part.player.instrument, part.player.timbre, piece, int(self._rng.integers(3)))
        if key not in self._made:
            play = drums.KITS[part.player.instrument]
            self._made[key] = play(drums.PIECES[piece], part.player.timbre, self._rng).astype(np.float32)
        return self._made[key]

    @staticmethod
    def _level(tone: np.ndarray) -> np.ndarray:
        start = tone[: RATE // 4]
        return tone / (np.sqrt(np.mean(start**2)) + 1e-9)


def play_part(part: Part, clock: Clock, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Play all notes of a part, a little early or late, before any effect [shape=(samples,)]."""
    bench, bus = Bench(rng), np.zeros(samples, dtype=np.float32)
    loose = 0.004 if part.player.instrument in drums.KITS else 0.007
    for note in sorted(part.notes):
        start = clock.seconds(note.beat)
        at = max(0, round((start + rng.normal(0.0, loose)) * RATE))
        if at >= samples:
            continue
        sound = _sound(bench, part, note, clock.seconds(note.beat + note.length) - start)
        sound = sound[: samples - at]
        bus[at : at + len(sound)] += note.velocity * sound
    return bus


def _sound(bench: Bench, part: Part, note: Note, seconds: float) -> np.ndarray:
    if part.player.instrument in drums.KITS:
        return bench.hit(part, int(note.pitch))
    return bench.note(part, note.pitch, max(0.04, seconds))


def active_rms(bus: np.ndarray) -> float:
    """Return the RMS over those 50 ms blocks that are within 40 dB of the loudest one."""
    size = RATE // 20
    blocks = bus[: len(bus) // size * size].reshape(-1, size)
    power = np.mean(blocks**2, axis=1) if len(blocks) else np.array([np.mean(bus**2)])
    return float(np.sqrt(power[power >= 1e-4 * power.max()].mean())) + 1e-12


def distort(bus: np.ndarray) -> np.ndarray:
    """Overdrive a bus and play it through a guitar cabinet (90 Hz to 4.5 kHz)."""
    driven = np.tanh(5.0 * bus / active_rms(bus))
    return sosfilt(butter(2, [90.0, 4500.0], "bandpass", fs=RATE, output="sos"), driven).astype(np.float32)


def crunch(bus: np.ndarray) -> np.ndarray:
    """Overdrive a bus a little: an electric guitar's clean channel."""
    driven = np.tanh(0.9 * bus / active_rms(bus))
    return sosfilt(butter(2, [90.0, 5500.0], "bandpass", fs=RATE, output="sos"), driven).astype(np.float32)


def sweep(bus: np.ndarray, seconds: float) -> np.ndarray:
    """Open and close a filter over ``seconds``: fade between the bus and its lows."""
    low = sosfilt(butter(2, 500.0, fs=RATE, output="sos"), bus).astype(np.float32)
    phase = np.arange(len(bus), dtype=np.float32) * np.float32(2 * np.pi / (seconds * RATE))
    return low + (0.5 - 0.5 * np.cos(phase)) * (bus - low)


def pump(bus: np.ndarray, clock: Clock) -> np.ndarray:
    """Duck a bus on every beat, as a compressor keyed by the kick drum does."""
    beat = 60.0 / clock.tempo
    since = np.mod(np.arange(len(bus)) / RATE, beat).astype(np.float32)
    return bus * (1.0 - 0.75 * np.exp(since / np.float32(-0.12)))


def effect(name: str, bus: np.ndarray, clock: Clock) -> np.ndarray:
    """Apply an effect of :class:`~local.synth.score.Part` by its name."""
    if name == "distort":
        return distort(bus)
    if name == "crunch":
        return crunch(bus)
    if name == "sweep":
        return sweep(bus, 16 * 60.0 / clock.tempo)
    if name == "pump":
        return pump(bus, clock)
    raise ValueError(f"unknown effect '{name}'")


def room(send: np.ndarray, studio: Studio, rng: np.random.Generator) -> np.ndarray:
    """Return the stereo reverberation of a mono send: two decaying noises [shape=(2, n)]."""
    length = round(min(studio.room_s, 1.2) * RATE)
    decay = np.exp(-6.9 * np.arange(length) / (studio.room_s * RATE))
    tails = rng.standard_normal((2, length)) * decay
    tails[:, : RATE // 100] = 0.0
    tails = lfilter([0.4], [1.0, -0.6], tails)
    tails /= np.sqrt((tails**2).sum(axis=1, keepdims=True))
    return oaconvolve(send[None, :], tails.astype(np.float32), axes=1)[:, : len(send)]


def colour(mix: np.ndarray, studio: Studio, softness_db: np.ndarray) -> np.ndarray:
    """Apply the dynamics, and the studio's shelves at 300 Hz and 2.5 kHz; nothing below 25 Hz.

    ``softness_db`` [shape=(n,)] is at most 0; what is softer is also duller.
    """

    def lows(hz: float) -> np.ndarray:
        pole = np.float32(np.exp(-2 * np.pi * hz / RATE))
        return lfilter(np.array([1 - pole]), np.array([1, -pole], dtype=np.float32), mix)

    bass, treble = (np.float32(10 ** (db / 20)) for db in (studio.low_db, studio.high_db))
    gain = np.exp(softness_db.astype(np.float32) * np.float32(np.log(10) / 20))
    treble = treble * np.sqrt(gain)
    below, low = lows(25.0), lows(300.0)
    return gain * (treble * mix + (1 - treble) * lows(2500.0) + (bass - 1) * low - bass * below)


def level(mix: np.ndarray, studio: Studio) -> np.ndarray:
    """Bring a mix to the studio's loudness, or as near as its peaks allow, and round them off."""
    gain = 10 ** (studio.loudness_db / 20) / active_rms(mix.mean(axis=0))
    gain = min(gain, 1.2 * PEAK / (float(np.abs(mix).max()) + 1e-9))
    return np.float32(PEAK) * np.tanh(np.float32(gain / PEAK) * mix)


def render(score: Score, studio: Studio, rng: np.random.Generator) -> np.ndarray:
    """Play and mix a score.

    Parameters
    ----------
    score : Score
        The parts and their clock.
    studio : Studio
        The production of the artist.
    rng : numpy.random.Generator
        Humanises the timing and makes every noise.

    Returns
    -------
    np.ndarray [shape=(2, n)], float32
        ``score.seconds`` of sound whose largest sample is about ``PEAK`` at most.
    """
    samples = round(score.seconds * RATE)
    mix, send = np.zeros((2, samples), dtype=np.float32), np.zeros(samples, dtype=np.float32)
    for part in score.parts:
        bus = play_part(part, score.clock, samples, rng)
        for name in part.effects:
            bus = effect(name, bus, score.clock)
        bus *= 10 ** (part.gain_db / 20) / active_rms(bus)
        angle = (part.pan + 1.0) * np.pi / 4
        mix[0] += np.float32(np.cos(angle)) * bus
        mix[1] += np.float32(np.sin(angle)) * bus
        send += np.float32(part.send) * bus
    mix += np.float32(0.8 * studio.room) * room(send, studio, rng)
    softness_db = score.dynamics.softness_db(score.clock.beats(np.arange(samples) / RATE))
    mix = level(colour(mix, studio, softness_db), studio)
    mix += np.float32(10 ** (studio.hiss_db / 20)) * rng.standard_normal(mix.shape, dtype=np.float32)
    fade = np.linspace(0.0, 1.0, min(samples, RATE // 20), dtype=np.float32)
    mix[:, : len(fade)] *= fade
    mix[:, samples - len(fade) :] *= fade[::-1]
    return mix

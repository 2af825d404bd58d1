"""Bowed, blown, struck and electric voices made of wavetables and of frequency modulation.

Every voice takes a frequency in Hz, a length in seconds, a :class:`~local.synth.score.Timbre` and a
random generator, and returns a mono signal at ``strings.RATE`` [shape=(n,)].
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from local.synth.score import Timbre
from local.synth.strings import RATE

TABLE = 4096
"""Samples in one cycle of a wavetable."""


def wavetable(amplitudes: np.ndarray) -> np.ndarray:
    """Return one cycle of RMS 1 whose k-th harmonic has ``amplitudes[k - 1]`` [shape=(TABLE,)].

    The phases are Schroeder's (1970), which keep the crest factor low.
    """
    spectrum = np.zeros(TABLE // 2 + 1, dtype=complex)
    k = np.arange(1, len(amplitudes) + 1)
    spectrum[k] = amplitudes * np.exp(-1j * np.pi * k * (k - 1) / len(amplitudes))
    cycle = np.fft.irfft(spectrum)
    return cycle / (np.sqrt(np.mean(cycle**2)) + 1e-12)


def partials(frequency: float, limit: int = 48) -> np.ndarray:
    """Return the numbers of the harmonics that stay below 14 kHz, at least one."""
    return np.arange(1, max(1, min(limit, int(14000.0 / frequency))) + 1)


def oscillate(
    table: np.ndarray, frequency: float | np.ndarray, samples: int, phase: float = 0.0
) -> np.ndarray:
    """Read a wavetable at a fixed or a moving frequency in Hz [shape=(samples,)]."""
    if np.ndim(frequency) == 0:
        cycles = np.arange(samples) * (float(frequency) / RATE)
    else:
        cycles = np.cumsum(frequency) / RATE
    return table[((cycles + phase) * TABLE).astype(np.int64) & (TABLE - 1)]


def formant_gains(hz: np.ndarray, formants_hz: tuple[float, ...]) -> np.ndarray:
    """Return the gain of a body with resonances half an octave wide at each frequency."""
    gains = np.full(len(hz), 0.35)
    for centre in formants_hz:
        gains += np.exp(-0.5 * (np.log2(hz / centre) / 0.5) ** 2)
    return gains


def swell(samples: int, attack: float, release: float) -> np.ndarray:
    """Return an envelope that rises and falls along half cosines (seconds)."""
    envelope = np.ones(samples)
    rise, fall = min(samples, round(attack * RATE)), min(samples, round(release * RATE))
    envelope[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / max(rise, 1))
    envelope[samples - fall :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / max(fall, 1))
    return envelope


def vibrato(frequency: float, samples: int, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Return a frequency in Hz that wavers more as the note goes on [shape=(samples,)]."""
    time = np.arange(samples) / RATE
    depth = 0.012 * timbre.vibrato * np.minimum(1.0, time / 0.35)
    rate = timbre.vibrato_hz * rng.uniform(0.93, 1.07)
    scoop = -0.01 * np.exp(-time / 0.03)
    return frequency * (1.0 + depth * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6.28)) + scoop)


def breath(samples: int, frequency: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise in a band around three times the frequency, RMS 1."""
    angle = 2 * np.pi * min(3.0 * frequency, 9000.0) / RATE
    noise = lfilter([1.0, 0.0, -1.0], [1.0, -1.8 * np.cos(angle), 0.81], rng.standard_normal(samples))
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def bowed(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a fiddle or a cello: all harmonics through a wooden body, vibrato, a hiss of rosin."""
    samples = round(seconds * RATE)
    k = partials(frequency)
    table = wavetable(
        k ** (-1.5 + 0.7 * timbre.brightness) * formant_gains(k * frequency, timbre.formants_hz)
    )
    tone = oscillate(table, vibrato(frequency, samples, timbre, rng), samples, rng.random())
    tone = tone + 0.12 * timbre.noise * breath(samples, frequency, rng)
    return tone * swell(samples, 0.03 + 0.1 * timbre.attack, 0.08)


def blown(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a flute, a clarinet or a saxophone: few to many harmonics, odd ones stronger, and breath."""
    samples = round(seconds * RATE)
    k = partials(frequency, 24)
    odd = np.where(k % 2 == 1, 1.0, 0.2 + 0.8 * timbre.detune)
    table = wavetable(
        odd * k ** (-2.6 + 1.6 * timbre.brightness) * formant_gains(k * frequency, timbre.formants_hz)
    )
    tone = oscillate(table, vibrato(frequency, samples, timbre, rng), samples)
    time = np.arange(samples) / RATE
    air = breath(samples, frequency, rng) * (0.08 + 0.3 * np.exp(-time / 0.04))
    return (tone + timbre.noise * air) * swell(samples, 0.02 + 0.05 * timbre.attack, 0.06)


def organ(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play an organ: drawbars at the harmonics 1, 2, 3, 4, 6, 8 and a slow tremulant."""
    samples = round(seconds * RATE)
    bars = np.zeros(8)
    bars[[0, 1, 2, 3, 5, 7]] = (1.0, 0.8, 0.6, 0.5 * timbre.noise, timbre.brightness, 0.8 * timbre.brightness)
    bars = bars[: len(partials(frequency, 8))]
    time = np.arange(samples) / RATE
    tremulant = 1.0 + 0.25 * timbre.vibrato * np.sin(2 * np.pi * timbre.vibrato_hz * time)
    tone = oscillate(wavetable(bars), frequency, samples, rng.random())
    return tone * tremulant * swell(samples, 0.008, 0.04)


def reed(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play an accordion or a harmonium: two bright reeds that beat against each other."""
    samples = round(seconds * RATE)
    k = partials(frequency, 32)
    table = wavetable(
        k ** (-1.1 + 0.5 * timbre.brightness) * formant_gains(k * frequency, timbre.formants_hz)
    )
    beat = 1.0 + 0.004 * timbre.detune
    tone = oscillate(table, frequency, samples, rng.random()) + oscillate(table, frequency * beat, samples)
    return tone * swell(samples, 0.02 + 0.04 * timbre.attack, 0.05)


def pad(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a string machine: three detuned dull saws that swell."""
    samples = round(seconds * RATE)
    k = partials(frequency, 32)
    table = wavetable(k ** (-1.9 + 0.9 * timbre.brightness))
    spread = 1.0 + 0.006 * timbre.detune * np.array([-1.0, 0.1, 0.9])
    tone = sum(oscillate(table, frequency * s, samples, rng.random()) for s in spread)
    return tone * swell(samples, 0.1 + 0.4 * timbre.attack, 0.25)


def saw(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play an analogue synthesiser: a bright saw that closes into a dull one."""
    samples = round(seconds * RATE)
    k = partials(frequency)
    bright, dull = wavetable(k**-1.0), wavetable(k**-2.2)
    time = np.arange(samples) / RATE
    opening = timbre.brightness * np.exp(-time / (0.05 + 0.4 * timbre.decay))
    phase = rng.random()
    tone = oscillate(dull, frequency, samples, phase)
    tone = tone + opening * (oscillate(bright, frequency, samples, phase) - tone)
    return tone * swell(samples, 0.005, 0.03)


def piano(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a piano: two strings a note, high harmonics that die first, a knock."""
    samples = round(seconds * RATE)
    k = partials(frequency, 32)
    bright = wavetable(k ** (-0.8 - 0.6 * (1 - timbre.brightness)) * np.abs(np.sin(np.pi * k * 0.12)))
    dull = wavetable(k**-2.2)
    time = np.arange(samples) / RATE
    slow = np.exp(-time * (0.6 + 1.6 * (1 - timbre.decay)) * (frequency / 260.0) ** 0.4)
    fast = np.exp(-time * 7.0)
    tone = slow * (oscillate(dull, frequency, samples) + oscillate(dull, frequency * 1.0008, samples, 0.3))
    tone = tone + (0.4 + timbre.brightness) * fast * oscillate(bright, frequency, samples)
    knock = np.exp(-time * 90.0) * rng.standard_normal(samples)
    return (tone + 0.2 * timbre.noise * knock) * swell(samples, 0.003, 0.01)


def modulated(
    frequency: float, seconds: float, *, ratio: float, index: np.ndarray, decay: np.ndarray
) -> np.ndarray:
    """Return Chowning's (1973) pair of operators, ``decay sin(2 pi f t + index sin(2 pi ratio f t))``."""
    time = np.arange(round(seconds * RATE)) / RATE
    angle = 2 * np.pi * frequency * time
    return decay * np.sin(angle + index * np.sin(ratio * angle))


def epiano(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play an electric piano: a tine of ratio 1 with a bell of ratio 14 in its attack, and a tremolo."""
    time = np.arange(round(seconds * RATE)) / RATE
    decay = np.exp(-time * (0.7 + 1.5 * (1 - timbre.decay)))
    index = (0.4 + 1.6 * timbre.brightness) * np.exp(-time * 3.0)
    tone = modulated(frequency, seconds, ratio=1.0, index=index, decay=decay)
    ratio = max(2.0, min(14.0, np.floor(9000.0 / frequency)))
    tone = tone + 0.15 * modulated(frequency, seconds, ratio=ratio, index=index, decay=np.exp(-time * 18.0))
    return tone * (1 + 0.2 * timbre.vibrato * np.sin(2 * np.pi * timbre.vibrato_hz * time + rng.random()))


def bell(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a metallophone or a synthetic bell: an inharmonic ratio, a long decay."""
    time = np.arange(round(seconds * RATE)) / RATE
    ratio = (1.41, 2.76, 3.5)[int(timbre.detune * 2.999)] * rng.uniform(0.999, 1.001)
    index = (0.5 + 2.5 * timbre.brightness) * np.exp(-time * 4.0)
    return modulated(
        frequency, seconds, ratio=ratio, index=index, decay=np.exp(-time * (1 + 3 * (1 - timbre.decay)))
    )


def synth_bass(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a low saw with a sine an octave below the ear's attention."""
    tone = saw(frequency, seconds, timbre, rng)
    time = np.arange(len(tone)) / RATE
    return 0.6 * tone + np.sin(2 * np.pi * frequency * time) * swell(len(tone), 0.005, 0.03)

"""Plucked and struck strings: Karplus-Strong loops with a bright or dull excitation.

Every function takes a frequency in Hz, a length in seconds, a :class:`~local.synth.score.Timbre` and a
random generator, and returns a mono signal at ``RATE`` [shape=(n,)].
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from local.synth.score import Timbre

RATE = 32000
"""Sampling rate of the synthesis in Hz."""


def loop(excitation: np.ndarray, delay: int, taps: np.ndarray) -> np.ndarray:
    """Run ``y[n] = x[n] + sum_k taps[k] y[n - delay - k]``, the string of Karplus and Strong (1983).

    Parameters
    ----------
    excitation : np.ndarray [shape=(n,)]
        The signal that is put into the string.
    delay : int
        Samples around the loop before the first tap, at least 1.
    taps : np.ndarray [shape=(k,)]
        The loop filter; its gain must stay below 1 at every frequency.
    """
    if delay < 128:
        denominator = np.concatenate([[1.0], np.zeros(delay - 1), -taps])
        return lfilter([1.0], denominator, excitation)
    history = delay + len(taps) - 1
    out = np.concatenate([np.zeros(history), excitation])
    for start in range(history, len(out), delay):
        stop = min(start + delay, len(out))
        past = out[start - history : stop - delay]
        out[start:stop] += np.convolve(past, taps, "valid")
    return out[history:]


def string(
    frequency: float, seconds: float, rng: np.random.Generator, *, brightness: float, t60: float, place: float
) -> np.ndarray:
    """Pluck a string.

    Parameters
    ----------
    frequency : float
        Fundamental in Hz.
    seconds : float
        Length of the result.
    rng : numpy.random.Generator
        Makes the noise of the excitation.
    brightness : float
        0 (thumb, nylon) to 1 (plectrum, steel).
    t60 : float
        Seconds until the fundamental has fallen by 60 dB.
    place : float
        Where the string is plucked, as a share of its length; hides the harmonics 1 / place.
    """
    samples = round(seconds * RATE)
    around = RATE / frequency
    damping = 0.5 - 0.42 * brightness
    delay = int(around - 1.0)
    shift = around - 1.0 - delay
    gain = 10.0 ** (-3.0 * around / (RATE * t60))
    smooth = np.array([damping / 2, 1 - damping, damping / 2])
    taps = gain * np.convolve(smooth, [1 - shift, shift])
    burst = max(8, round(around))
    noise = rng.uniform(-1.0, 1.0, burst)
    pole = 0.9 * (1.0 - brightness)
    noise = lfilter([1.0 - pole], [1.0, -pole], noise - noise.mean())
    excitation = np.zeros(samples)
    excitation[:burst] = noise[:samples]
    lag = max(1, round(place * around))
    excitation[lag : lag + burst] -= 0.9 * noise[: max(0, samples - lag)]
    return loop(excitation, max(1, delay), taps)


def pluck(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a guitar, a lute or a harp."""
    t60 = (0.8 + 3.5 * timbre.decay) * (220.0 / max(frequency, 60.0)) ** 0.3
    bright = 0.15 + 0.7 * timbre.brightness
    return string(frequency, seconds, rng, brightness=bright, t60=t60, place=0.1 + 0.2 * timbre.attack)


def bass(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a double bass or an electric bass."""
    bright = 0.05 + 0.3 * timbre.brightness
    tone = string(frequency, seconds, rng, brightness=bright, t60=1.0 + 3.0 * timbre.decay, place=0.2)
    samples = np.arange(len(tone)) / RATE
    low = np.sin(2 * np.pi * frequency * samples) * np.exp(-samples * (1.5 + 3.0 * (1 - timbre.decay)))
    return tone / (np.abs(tone).max() + 1e-9) + 0.6 * low


def steel(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play an electric guitar's string, before its amplifier."""
    return string(frequency, seconds, rng, brightness=0.55 + 0.3 * timbre.brightness, t60=5.0, place=0.13)


def sitar(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play a string over a flat bridge: the buzz of its grazing rises after the attack."""
    tone = string(
        frequency,
        seconds,
        rng,
        brightness=0.6 + 0.3 * timbre.brightness,
        t60=2.0 + 3.0 * timbre.decay,
        place=0.08,
    )
    tone /= np.abs(tone).max() + 1e-9
    buzz = np.tanh(6.0 * tone)
    buzz = lfilter([1.0, -0.95], [1.0, -0.3], buzz)
    time = np.arange(len(tone)) / RATE
    return tone + (0.3 + 0.5 * timbre.noise) * buzz * np.exp(-3.0 * time) * (1 - np.exp(-time / 0.05))


def harpsichord(frequency: float, seconds: float, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Play two bright courses an octave apart."""
    low = string(frequency, seconds, rng, brightness=0.9, t60=1.5 + 1.5 * timbre.decay, place=0.07)
    high = string(2 * frequency, seconds, rng, brightness=0.95, t60=1.2, place=0.1)
    return low / (np.abs(low).max() + 1e-9) + 0.5 * timbre.brightness * high / (np.abs(high).max() + 1e-9)

"""Drum kits: six pieces each, so that every kit can play every pattern.

A hit takes a piece's name, a :class:`~local.synth.score.Timbre` (one kit's tuning) and a random generator
and returns a mono signal at ``strings.RATE`` [shape=(n,)].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from local.synth.score import Timbre
from local.synth.strings import RATE

PIECES = ("kick", "snare", "hat", "open", "ride", "tom")
"""The pieces of every kit; a percussion note's pitch is an index into them."""


def membrane(
    seconds: float, start_hz: float, end_hz: float, *, drop: float = 0.03, t60: float = 0.4
) -> np.ndarray:
    """Return a sine whose pitch falls from ``start_hz`` to ``end_hz`` with time constant ``drop`` (s)."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = end_hz + (start_hz - end_hz) * np.exp(-time / drop)
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.exp(-6.9 * time / t60)


def noise(seconds: float, rng: np.random.Generator, *, high_hz: float, t60: float) -> np.ndarray:
    """Return noise above ``high_hz`` that dies away."""
    samples = round(seconds * RATE)
    pole = np.exp(-2 * np.pi * high_hz / RATE)
    gain = 0.5 * (1 + pole)
    out = lfilter([gain, -gain], [1.0, -pole], rng.standard_normal(samples))
    out = lfilter([gain, -gain], [1.0, -pole], out)
    return 0.5 * out * np.exp(-6.9 * np.arange(samples) / (RATE * t60))


def cymbal(seconds: float, rng: np.random.Generator, *, tuning: float, t60: float) -> np.ndarray:
    """Return a sum of square-like inharmonic partials and noise: metal."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = 1400.0 * (1 + 0.6 * tuning) * np.array([1.0, 1.34, 1.78, 2.21, 2.89, 3.61])
    metal = sum(np.sign(np.sin(2 * np.pi * f * time + rng.uniform(0, 6.28))) for f in hz) / len(hz)
    return 0.5 * metal * np.exp(-6.9 * time / t60) + noise(seconds, rng, high_hz=6000.0, t60=t60)


def acoustic(piece: str, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Hit a rock or jazz kit with sticks."""
    tuning, ring = timbre.brightness, 0.6 + 0.8 * timbre.decay
    if piece == "kick":
        beater = 0.3 * noise(0.3, rng, high_hz=1500.0, t60=0.02)
        return membrane(0.3, 130.0, 48.0 + 20.0 * tuning, t60=0.3 * ring) + beater
    if piece == "snare":
        shell = membrane(0.25, 240.0, 170.0 + 60.0 * tuning, t60=0.18 * ring)
        return 0.6 * shell + noise(0.25, rng, high_hz=900.0 + 1200.0 * tuning, t60=0.22 * ring)
    if piece == "tom":
        return membrane(0.4, 170.0, 90.0 + 60.0 * tuning, t60=0.4 * ring) + 0.1 * noise(
            0.4, rng, high_hz=800, t60=0.05
        )
    if piece == "ride":
        return 0.5 * cymbal(0.6, rng, tuning=tuning, t60=0.6 * ring)
    return 0.6 * cymbal(0.35, rng, tuning=tuning, t60=0.35 * ring if piece == "open" else 0.06)


def electronic(piece: str, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Hit a drum machine."""
    tuning, ring = timbre.brightness, 0.6 + 0.8 * timbre.decay
    if piece == "kick":
        return membrane(0.4, 220.0, 44.0 + 14.0 * tuning, drop=0.02, t60=0.4 * ring)
    if piece == "snare":
        bursts = noise(0.22, rng, high_hz=1000.0, t60=0.18 * ring)
        flam = np.zeros(len(bursts))
        flam[round(0.012 * RATE) :] = bursts[: -round(0.012 * RATE)]
        return bursts + 0.8 * flam
    if piece == "tom":
        return membrane(0.3, 300.0, 140.0 + 100.0 * tuning, t60=0.25 * ring)
    if piece == "ride":
        return 0.4 * membrane(0.15, 2500.0, 1700.0, t60=0.06) + noise(0.15, rng, high_hz=4000.0, t60=0.1)
    return noise(0.3, rng, high_hz=7000.0, t60=0.3 * ring if piece == "open" else 0.05)


def brushes(piece: str, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Hit a kit with brushes: the snare is a sweep."""
    ring = 0.6 + 0.8 * timbre.decay
    if piece in ("kick", "tom"):
        return 0.7 * membrane(0.3, 90.0, 55.0 if piece == "kick" else 95.0, t60=0.25 * ring)
    if piece in ("snare", "open"):
        sweep = noise(0.3, rng, high_hz=1500.0 + 1500.0 * timbre.brightness, t60=0.45 * ring)
        return sweep * np.minimum(1.0, np.arange(len(sweep)) / (0.02 * RATE))
    return 0.5 * cymbal(0.5, rng, tuning=timbre.brightness, t60=(0.5 if piece == "ride" else 0.08) * ring)


def hand(piece: str, timbre: Timbre, rng: np.random.Generator) -> np.ndarray:
    """Hit hand drums: a bass stroke, a slap, a tone, a bell and a shaker."""
    tuning, ring = timbre.brightness, 0.6 + 0.8 * timbre.decay
    if piece == "kick":
        return membrane(0.4, 60.0, 85.0 + 30.0 * tuning, drop=0.08, t60=0.45 * ring)
    if piece == "snare":
        slap = noise(0.2, rng, high_hz=1200.0, t60=0.05)
        return 0.7 * membrane(0.2, 420.0, 330.0 + 120.0 * tuning, t60=0.12 * ring) + 0.7 * slap
    if piece == "tom":
        return membrane(0.35, 300.0, 240.0 + 120.0 * tuning, t60=0.35 * ring) + 0.2 * noise(
            0.35, rng, high_hz=900, t60=0.02
        )
    if piece == "ride":
        return 0.4 * membrane(0.25, 900.0, 880.0 + 500.0 * tuning, t60=0.25) + 0.2 * membrane(
            0.25, 2300.0, 2290.0, t60=0.2
        )
    shake = noise(0.15, rng, high_hz=4500.0, t60=0.25 if piece == "open" else 0.08)
    return 0.7 * shake * np.minimum(1.0, np.arange(len(shake)) / (0.015 * RATE))


KITS: dict[str, Callable[[str, Timbre, np.random.Generator], np.ndarray]] = {
    "acoustic": acoustic,
    "electronic": electronic,
    "brushes": brushes,
    "hand": hand,
}

"""Recordings: decoding, checking and resampling to the recipe's 22 050 Hz, 16 bit, mono."""

from steps.audio.convert import Conversion, TrackReport, convert_track, cut_track, decibels
from steps.audio.decode import AudioError, Track

__all__ = ["AudioError", "Conversion", "Track", "TrackReport", "convert_track", "cut_track", "decibels"]

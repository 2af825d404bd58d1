"""Recordings: decoding, checking and resampling to the recipe's 22 050 Hz, 16 bit, mono."""

from steps.audio.convert import Conversion, Converted, convert_track, cut_track
from steps.audio.decode import AudioError, Track

__all__ = ["EXTENSIONS", "AudioError", "Conversion", "Converted", "Track", "convert_track", "cut_track"]

#: Extensions that are taken for audio; the content decides how a file is decoded.
EXTENSIONS = frozenset(
    {"wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "mp2", "au", "snd", "aif", "aiff", "aifc", "w64"}
    | {"rf64", "caf", "m4a", "m4b", "mp4", "aac", "ac3", "wma", "wv", "ape", "mpc", "mka", "webm", "tta"}
    | {"dsf", "spx"}
)

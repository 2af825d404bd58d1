"""The embedded corpus: a controlled experiment in sound, in which it is known what can tell the classes.

Six classes under ISMIR2004's names and in its proportions; they differ in three controlled ways.

(a) Timbre: ``classical`` and ``rock_pop`` have sounds of their own, any frame of which tells the class.
(b) Order alone: ``electronic`` walks a cycle of four chords, one cycle in 1.5 to 3 s, and ``world`` walks it
    backwards; ``metal_punk`` and ``jazz_blues`` do the same with a drone beside the chords. An artist of such
    a pair plays in both classes, and each of his pieces is in one class as it is and in the other played
    backwards, its noise included, in a file of the same lossless format, so that both recordings have the
    same frames and the same mean over the track. A magnitude under a symmetric window, as a scattering frame
    is, cannot tell which way time ran; and since every sound swells and fades alike, nothing but the chords'
    order can.
(c) Nuisance: artists differ in tuning, tempo, level and noise, and tracks hold stretches of another class:
    a quarter of the classical ones some chords, a quarter of the pairs' some classical sounds, and of each
    rock_pop track 60 to 72 % is classical, so that errors clump.

Everything follows from the seed and from names (:func:`generator`), never from the order of the work.
"""

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from utils.cli import UserError

RATE = 22050  # in Hz, of what is composed; a file may have another
HOP = 4096  # samples; a length is a multiple of them, so that the frames lie alike when time runs backwards
# The classes and their tracks in each half of ISMIR2004, whose proportions the corpus has.
GENRES = dict(classical=320, electronic=115, jazz_blues=26, metal_punk=45, rock_pop=101, world=122)
PAIRS = (("electronic", "world"), ("metal_punk", "jazz_blues"))  # in order only: forwards, backwards
PARTNER = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
FORMATS = ("wav", "flac", "ogg", "mp3")
LOSSLESS = FORMATS[:2]  # of the pairs: a codec treats what precedes a sound otherwise than what follows it
DECK = (*LOSSLESS, *FORMATS)  # of the others; encoding takes longer than composing
RATES = (22050, 24000, 32000, 44100)
CHANNELS = (1, 1, 1, 2)
TRACKS_PER_ARTIST = 2  # in each of an artist's classes
CHORDS = ((0, 7, 12), (9, 14, 21), (17, 22, 29), (26, 31, 38))  # the cycle, in semitones above ROOT
ROOT = 130.81  # Hz
CHORD_SECONDS = (0.4, 0.7)  # a chord lasts between these, before the artist's tempo


@dataclass(frozen=True)
class Track:
    """A track of the plan; tracks with the same ``piece`` are that piece forwards and backwards."""

    genre: str
    artist: str
    split: str
    number: int
    piece: str
    format: str
    rate: int
    channels: int
    seconds: float

    @property
    def path(self) -> str:
        """Where the file lies below the corpus; its name is the utterance id: the artist comes first."""
        name = f"{self.artist}-{self.genre}-{self.number:02d}"
        return f"{self.split}/{self.genre}/{self.artist}/{name}.{self.format}"


class Note(NamedTuple):
    """One sound."""

    kind: int | str  # the number of a chord of CHORDS, or the class whose own sound it is
    pitch: float  # semitones above ROOT, for a class's own sound
    start: float  # in seconds
    seconds: float


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random stream of ``names`` under ``seed``, the same in every process."""
    digest = hashlib.sha256("\0".join(str(name) for name in names).encode()).digest()
    return np.random.Generator(np.random.PCG64([seed, *np.frombuffer(digest[:16], "<u4").tolist()]))


def apportion(total: int) -> dict[str, int]:
    """Share ``total`` tracks among the classes by largest remainders, none below three (or two)."""
    if total < 2 * len(GENRES):
        need = f"the corpus needs at least {2 * len(GENRES)} tracks a side, two a genre, got {total}"
        raise UserError(f"{need}; raise --num-train and --num-test")
    counts = dict.fromkeys(GENRES, min(3, total // len(GENRES)))
    quotas = {genre: total * weight / sum(GENRES.values()) for genre, weight in GENRES.items()}
    while sum(counts.values()) < total:
        counts[max(reversed(GENRES), key=lambda genre: quotas[genre] - counts[genre])] += 1
    return counts


def make_plan(
    seed: int = 777, num_train: int = 64, num_test: int = 64, min_seconds: float = 20, max_seconds: float = 25
) -> list[Track]:
    """Return every track of the corpus, train first, in the classes' order; UserError if that cannot be.

    The classes of a pair have the same artists, and an artist's tracks of the same number are the same
    piece. A piece's length, format, rate and channels are dealt without a look at the class.
    """
    if seed < 0 or not 1.0 <= min_seconds <= max_seconds:
        given = f"{seed}, {min_seconds:g} and {max_seconds:g}"
        raise UserError(f"expected 0 <= --seed and 1 <= --min-seconds <= --max-seconds, got {given}")
    tracks, names = [], iter(_artist_names(seed))
    for split, total in {"train": num_train, "test": num_test}.items():
        counts, casts = apportion(total), dict[str, list[str]]()
        rng = generator(seed, "formats", split)
        deals = {
            formats: zip(*(_dealt(rng, deck, total) for deck in (formats, RATES, CHANNELS)), strict=True)
            for formats in (DECK, LOSSLESS)
        }
        pieces: dict[str, tuple] = {}
        for genre, count in counts.items():
            most = max(count, counts[PARTNER.get(genre, genre)])
            new = [next(names) for _ in range(max(2, math.ceil(most / TRACKS_PER_ARTIST)))]
            cast = casts[genre] = casts.get(PARTNER.get(genre, genre), new)
            dealt = deals[LOSSLESS if genre in PARTNER else DECK]
            for i in range(count):
                artist, number = cast[i % len(cast)], i // len(cast) + 1
                piece = f"{artist}-{number:02d}"
                if piece not in pieces:
                    seconds = rng.uniform(min_seconds, max_seconds)
                    pieces[piece] = (*next(dealt), round(seconds * RATE / HOP) * HOP / RATE)
                tracks.append(Track(genre, artist, split, number, piece, *pieces[piece]))
    return tracks


def _artist_names(seed: int) -> list[str]:
    """Invent a thousand different names of seven letters."""
    rng = generator(seed, "names")
    letters = (*["bdfgklmnprstvz", "aeiou"] * 3, "nlrsmk")
    names = dict.fromkeys("".join(rng.choice(list(options)) for options in letters) for _ in range(1100))
    return list(names)[:1000]


def _dealt(rng: np.random.Generator, options: Sequence, count: int) -> list:
    """Deal ``count`` options out of shuffled packs, so that any few neighbours hold different ones."""
    packs = [rng.permutation(len(options)) for _ in range(math.ceil(count / len(options)))]
    return [options[int(i)] for i in np.concatenate(packs)[:count]]


def make_artist(seed: int, name: str) -> tuple[float, ...]:
    """Return an artist's tuning (semitones), factor of lengths, level (rms) and noise (dB below that)."""
    return tuple(generator(seed, "artist", name).uniform((-0.4, 0.9, 0.05, 12.0), (0.4, 1.1, 0.12, 24.0)))


def compose(seed: int, track: Track) -> list[Note]:
    """Return the notes of a track's piece as it is played forwards, from start to end without a gap."""
    genre = next((a for a, b in PAIRS if track.genre == b), track.genre)
    _tuning, tempo, _level, _noise = make_artist(seed, track.artist)
    rng = generator(seed, "piece", track.piece)
    notes, start, chord = list[Note](), 0.0, int(rng.integers(4))
    stretches = _stretches(rng, genre, track.seconds)
    while start < track.seconds - 0.05:
        own = not any(begin <= start < end for begin, end in stretches)
        player = genre if own else "electronic" if genre == "classical" else "classical"
        seconds = min(float(rng.uniform(*CHORD_SECONDS)) * tempo, track.seconds - start)
        if player not in PARTNER:
            notes.append(Note(player, float(rng.integers(25)), start, seconds))
        else:
            notes.append(Note(chord, 0.0, start, seconds))
            chord = (chord + 1) % len(CHORDS)
        start += seconds
    return notes


def _stretches(rng: np.random.Generator, genre: str, seconds: float) -> list[tuple[float, float]]:
    """Return the parts of a track, as (begin, end) in seconds, that sound like another class."""
    if genre == "rock_pop":  # two of them
        share = rng.uniform(0.6, 0.72) / 2
        begins = rng.uniform(0.0, 0.5 - share, 2) + (0.0, 0.5)
    elif rng.random() < 0.25:
        share = rng.uniform(0.1, 0.2)
        begins = rng.uniform(0.0, 1.0 - share, 1)
    else:
        return []
    return [(float(b) * seconds, float(b + share) * seconds) for b in begins]


def in_time(track: Track, sound: np.ndarray) -> np.ndarray:
    """Turn the sound of a track's piece round if the track is the piece backwards."""
    return sound[::-1] if track.genre in [b for _, b in PAIRS] else sound


def play(seed: int, track: Track) -> np.ndarray:
    """Play a track's piece forwards, float64 within -1 and 1."""
    tuning, _tempo, level, noise = make_artist(seed, track.artist)
    rng = generator(seed, "sound", track.piece)
    sound = np.zeros(round(track.seconds * RATE))
    for note in compose(seed, track):
        first = round(note.start * RATE)
        part = sound[first : first + round(note.seconds * RATE)]
        part += _swell(len(part)) * _play(rng, note, tuning, len(part))
    if track.genre in PAIRS[1]:
        sound += 0.5 * _drone(rng, len(sound))
    sound *= level / np.sqrt(np.mean(sound**2))
    sound += rng.normal(0.0, level * 10 ** (-noise / 20), len(sound))
    return np.clip(sound, -1.0, 1.0)


def _swell(num_samples: int) -> np.ndarray:
    """Return an envelope that rises and falls alike, in 30 ms."""
    ramp = min(round(0.03 * RATE), num_samples // 2)
    envelope = np.ones(num_samples)
    envelope[:ramp] = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1)) ** 2
    envelope[num_samples - ramp :] = envelope[:ramp][::-1]
    return envelope


def _play(rng: np.random.Generator, note: Note, tuning: float, num_samples: int) -> np.ndarray:
    """Return a steady sound of power 1: a chord of sawtooth-like voices, or a class's own sound."""
    time, sound = np.arange(num_samples) / RATE, np.zeros(num_samples)
    pitches: tuple[float, ...]
    partials: tuple[int, ...]
    if isinstance(note.kind, int):
        pitches, partials = CHORDS[note.kind], (1, 2, 3)
    elif note.kind == "classical":  # a clarinet's odd partials
        pitches, partials = (note.pitch,), (1, 3, 5, 7, 9)
    else:  # rock_pop: bare fifths, and noise in beats of an eighth of a second
        pitches, partials = (note.pitch / 2 - 12, note.pitch / 2 - 5), (1, 2, 3, 4)
    for pitch, partial in itertools.product(pitches, partials):
        frequency = ROOT * 2 ** ((pitch + tuning) / 12) * partial
        turns = frequency * time + rng.random()
        sound += np.sin(2 * np.pi * (turns - np.floor(turns)).astype(np.float32)) / partial
    sound /= np.sqrt(np.mean(sound**2) + 1e-12)
    if note.kind == "rock_pop":
        sound += rng.normal(size=num_samples) * np.cos(2 * np.pi * 4 * time) ** 2
    return sound


def _drone(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a hiss of power 1, high above the chords, that beats 30 times a second."""
    time = np.arange(num_samples) / RATE
    hiss = np.diff(rng.normal(size=num_samples + 2), n=2)
    return hiss * (1 + np.cos(2 * np.pi * 30 * time)) / 3

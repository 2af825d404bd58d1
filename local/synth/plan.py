"""Which tracks the corpus has: genres in ISMIR2004's proportions, artists on one side of the split, formats.

The plan depends on nothing but the options, so that every job of an array computes the same one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from local.synth.rng import generator, pick
from utils.cli import UserError

GENRES: dict[str, int] = {
    "classical": 320,
    "electronic": 115,
    "jazz_blues": 26,
    "metal_punk": 45,
    "rock_pop": 101,
    "world": 122,
}
"""The six classes and their tracks in each half of ISMIR2004, whose proportions the plan follows."""

SPLITS = ("train", "test")
FORMATS = ("wav", "flac", "ogg", "mp3")
RATES = (44100, 48000, 32000, 22050)
TRACKS_PER_ARTIST = 2
TITLES = (
    ("Blue", "Distant", "Early", "Golden", "Hidden", "Late", "Quiet", "Second", "Slow", "Winter"),
    ("Bridge", "Garden", "Harbour", "Letter", "Light", "Morning", "River", "Road", "Room", "Sky"),
)
TABLE_HEADER = ("path", "genre", "artist", "split", "title", "format", "rate", "channels", "seconds")


@dataclass(frozen=True)
class Options:
    """What decides the corpus: the seed, the tracks of each side and their lengths in seconds."""

    seed: int = 777
    num_train: int = 64
    num_test: int = 64
    min_seconds: float = 20.0
    max_seconds: float = 30.0


@dataclass(frozen=True)
class Track:
    """One row of tracks.csv; ``number`` counts an artist's tracks from 1."""

    genre: str
    artist: str
    split: str
    number: int
    title: str
    format: str
    rate: int
    channels: int
    seconds: float

    @property
    def name(self) -> str:
        """The utterance id, which begins with the artist."""
        return f"{self.artist}-{self.genre}-{self.number:02d}"

    @property
    def path(self) -> str:
        """Where the file lies below the corpus."""
        return f"{self.split}/{self.genre}/{self.artist}/{self.name}.{self.format}"

    def row(self) -> tuple[str, ...]:
        """Return the fields of :data:`TABLE_HEADER`."""
        end = (self.title, self.format, str(self.rate), str(self.channels), f"{self.seconds:.3f}")
        return (self.path, self.genre, self.artist, self.split, *end)


def fingerprint(options: Options) -> str:
    """Return a hash of the options and of this package's source: the same tracks have the same one."""
    digest = hashlib.sha256(json.dumps(asdict(options), sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def apportion(total: int) -> dict[str, int]:
    """Share ``total`` tracks among the genres by largest remainders, none below three (or two).

    Raises
    ------
    UserError
        If ``total`` is less than two a genre.
    """
    if total < 2 * len(GENRES):
        raise UserError(
            f"the corpus needs at least {2 * len(GENRES)} tracks a side, two a genre, got {total}; "
            "raise --num-train and --num-test"
        )
    least = min(3, total // len(GENRES))
    quotas = {genre: total * weight / sum(GENRES.values()) for genre, weight in GENRES.items()}
    counts = {genre: max(least, int(quota)) for genre, quota in quotas.items()}
    while (missing := total - sum(counts.values())) != 0:
        open_genres = [g for g in GENRES if missing > 0 or counts[g] > least]
        by_need = sorted(open_genres, key=lambda g: quotas[g] - counts[g])
        counts[by_need[-1 if missing > 0 else 0]] += 1 if missing > 0 else -1
    return counts


def _artist_names(seed: int, count: int) -> list[str]:
    """Invent ``count`` different names of seven letters."""
    rng = generator(seed, "names")
    onsets, vowels, codas = "bdfgklmnprstvz", "aeiou", "nlrsmk"
    names: list[str] = []
    while len(names) < count:
        syllables = [pick(rng, onsets) + pick(rng, vowels) for _ in range(3)]
        name = "".join(syllables) + pick(rng, codas)
        if name not in names:
            names.append(name)
    return names


def _shuffled(rng: np.random.Generator, options: tuple, count: int) -> list:
    """Deal ``count`` options out of shuffled packs, so that any few neighbours hold different ones."""
    dealt: list = []
    while len(dealt) < count:
        dealt += [options[int(i)] for i in rng.permutation(len(options))]
    return dealt[:count]


def make_plan(options: Options) -> list[Track]:
    """Return every track of the corpus, train first, in the genres' order.

    Formats, rates and channels are dealt without a look at the genre.

    Raises
    ------
    UserError
        If the options cannot be met.
    """
    if options.seed < 0:
        raise UserError(f"--seed must be at least 0, got {options.seed}")
    if not 1.0 <= options.min_seconds <= options.max_seconds:
        raise UserError(
            f"--min-seconds {options.min_seconds:g} and --max-seconds {options.max_seconds:g} are no range: "
            "expected 1 <= min <= max"
        )
    sides = [_cast(total) for total in (options.num_train, options.num_test)]
    names = iter(_artist_names(options.seed, sum(len({(g, slot) for g, slot, _ in side}) for side in sides)))
    tracks: list[Track] = []
    for split, side in zip(SPLITS, sides, strict=True):
        tracks += _side(options, split, side, names)
    return tracks


def _cast(total: int) -> list[tuple[str, int, int]]:
    """Return ``(genre, artist's place, number)`` of each track of a side."""
    side = []
    for genre, count in apportion(total).items():
        artists = max(2, math.ceil(count / TRACKS_PER_ARTIST))
        side += [(genre, i % artists, i // artists + 1) for i in range(count)]
    return side


def _side(
    options: Options, split: str, side: list[tuple[str, int, int]], names: Iterator[str]
) -> list[Track]:
    rng = generator(options.seed, "formats", split)
    count = len(side)
    formats, rates = _shuffled(rng, FORMATS, count), _shuffled(rng, RATES, count)
    channels = _shuffled(rng, (1, 2), count)
    seconds = rng.uniform(options.min_seconds, options.max_seconds, count).round(3)
    artists: dict[tuple[str, int], str] = {}
    tracks = []
    for i, (genre, slot, number) in enumerate(side):
        if (genre, slot) not in artists:
            artists[genre, slot] = next(names)
        title = f"{pick(rng, TITLES[0])} {pick(rng, TITLES[1])}"
        artist, length = artists[genre, slot], float(seconds[i])
        tracks.append(Track(genre, artist, split, number, title, formats[i], rates[i], channels[i], length))
    return tracks

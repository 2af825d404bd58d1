"""The embedded corpus: what is true of its plan, its notes and its sound by construction."""

import hashlib
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from local import make_synth_corpus, synth
from utils.cli import UserError

ORDER_ONLY = {genre for pair in synth.PAIRS for genre in pair}
TIMBRE = set(synth.GENRES) - ORDER_ONLY


def make_sound(seed: int, track: synth.Track) -> np.ndarray:
    return synth.in_time(track, synth.play(seed, track))


@pytest.fixture(scope="module")
def plan():
    return synth.make_plan()


def example(plan, genre, number=0):
    return [track for track in plan if track.genre == genre][number]


def pairs_of(plan):
    """Return the tracks that are the same piece, forwards and backwards."""
    pieces: dict[str, list[synth.Track]] = {}
    for track in plan:
        pieces.setdefault(track.piece, []).append(track)
    for one, two in (tracks for tracks in pieces.values() if len(tracks) == 2):
        yield (one, two) if (one.genre, two.genre) in synth.PAIRS else (two, one)


def test_proportions_are_ismir2004s():
    assert synth.apportion(729) == synth.GENRES
    assert synth.apportion(64) == dict(zip(synth.GENRES, (28, 10, 3, 4, 9, 10), strict=True))
    for total in range(12, 200):
        counts = synth.apportion(total)
        assert sum(counts.values()) == total
        assert min(counts.values()) >= min(3, total // 6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_test": 11}, "at least 12 tracks a side, two a genre, got 11"),
        ({"seed": -1}, "--seed"),
        ({"min_seconds": 5.0, "max_seconds": 4.0}, "1 <= --min-seconds <= --max-seconds, got 777"),
        ({"min_seconds": 0.5}, "1 <= --min-seconds <= --max-seconds, got 777"),
    ],
)
def test_impossible_options_are_errors(wrong, message):
    with pytest.raises(UserError, match=message):
        synth.make_plan(**wrong)


def test_the_pairs_are_the_same_pieces_by_the_same_artists(plan):
    twins = list(pairs_of(plan))
    assert len(twins) == 2 * (10 + 3)  # all but one of metal_punk on each side
    for one, two in twins:
        assert (one.genre, two.genre) in synth.PAIRS
        assert replace(one, genre="") == replace(two, genre="")
        assert synth.compose(777, one) == synth.compose(777, two)  # which in_time plays backwards
    alone = Counter(track.genre for track in plan) - Counter(t.genre for pair in twins for t in pair)
    assert set(alone) == TIMBRE | {"metal_punk"} and alone["metal_punk"] == 2


def test_backwards_is_the_same_sound_reversed(plan):
    for one, two in list(pairs_of(plan))[::6]:
        assert np.array_equal(make_sound(777, one)[::-1], make_sound(777, two))


def test_everything_follows_from_the_seed(plan):
    assert synth.make_plan() == plan
    other = synth.make_plan(seed=778)
    assert {track.artist for track in other} != {track.artist for track in plan}
    track = example(plan, "rock_pop")
    assert np.array_equal(make_sound(777, track), make_sound(777, track))
    assert not np.array_equal(make_sound(777, track), make_sound(778, track))


@pytest.mark.parametrize("format", synth.FORMATS)
def test_files_are_the_same_bytes_and_hold_the_sound(plan, format):
    track = replace(example(plan, "classical"), format=format, rate=44100, channels=2)
    sound = make_sound(777, track)
    data = make_synth_corpus.encode(sound, track)
    digest = hashlib.sha256(data).digest()
    assert hashlib.sha256(make_synth_corpus.encode(sound, track)).digest() == digest
    decoded, rate = soundfile.read(io.BytesIO(data))
    assert rate == 44100 and decoded.shape[1] == 2
    assert len(decoded) == pytest.approx(track.seconds * rate, abs=2)
    mono = decoded.mean(axis=1)
    assert np.sqrt(np.mean(mono**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.05)

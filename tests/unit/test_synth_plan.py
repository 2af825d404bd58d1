"""The embedded corpus' plan and files: proportions, artists, formats, determinism."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from local.synth import tracks
from local.synth.plan import FORMATS, GENRES, RATES, Options, apportion, fingerprint, make_plan
from utils.cli import UserError

TINY = Options(num_train=12, num_test=12, min_seconds=3.0, max_seconds=4.0)


@pytest.fixture(scope="module")
def plan():
    return make_plan(Options())


@pytest.fixture(scope="module")
def tiny_sounds():
    return [(track, tracks.make_sound(777, track)) for track in make_plan(TINY)[:12]]


def test_proportions_are_ismir2004s():
    ismir = {
        "classical": 320,
        "electronic": 115,
        "jazz_blues": 26,
        "metal_punk": 45,
        "rock_pop": 101,
        "world": 122,
    }
    assert apportion(729) == ismir
    assert apportion(64) == dict(zip(GENRES, (28, 10, 3, 4, 9, 10), strict=True))
    assert apportion(12) == dict.fromkeys(GENRES, 2)
    for total in range(12, 200):
        counts = apportion(total)
        assert sum(counts.values()) == total
        assert min(counts.values()) >= min(3, total // 6)


def test_too_few_tracks_are_an_error():
    with pytest.raises(UserError, match="at least 12 tracks a side, two a genre, got 11"):
        apportion(11)


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"min_seconds": 5.0, "max_seconds": 4.0}, {"min_seconds": 0.5}]
)
def test_impossible_options_are_errors(wrong):
    with pytest.raises(UserError, match="--"):
        make_plan(replace(Options(), **wrong))


@pytest.mark.parametrize("options", [Options(), TINY, Options(seed=1, num_train=100, num_test=60)])
def test_artists_stay_on_one_side_and_in_one_genre(options):
    plan = make_plan(options)
    sides = {split: {t.artist for t in plan if t.split == split} for split in ("train", "test")}
    assert not sides["train"] & sides["test"]
    genre_of = {t.artist: t.genre for t in plan}
    assert all(genre_of[t.artist] == t.genre for t in plan)
    for genre in GENRES:
        assert len({t.artist for t in plan if t.split == "train" and t.genre == genre}) >= 2


def test_names_are_unique_ascii_and_sort_as_kaldi_wants(plan):
    names = [t.name for t in plan]
    assert len(set(names)) == len(names) == len({t.path for t in plan})
    assert all(name.isascii() and not any(c.isspace() for c in name) for name in names)
    by_utt = [t.artist for t in sorted(plan, key=lambda t: t.name)]
    assert by_utt == sorted(by_utt)


def test_lengths_are_in_range(plan):
    assert all(20.0 <= t.seconds <= 30.0 for t in plan)
    assert np.ptp([t.seconds for t in plan]) > 5


def test_formats_do_not_give_the_genre_away(plan):
    """In every genre with eight tracks or more, each format, rate and channel count has its share."""
    for split in ("train", "test"):
        for genre in GENRES:
            mine = [t for t in plan if t.split == split and t.genre == genre]
            for field, values in (("format", FORMATS), ("rate", RATES), ("channels", (1, 2))):
                counts = Counter(getattr(t, field) for t in mine)
                fair = len(mine) / len(values)
                assert all(abs(counts[v] - fair) <= 2 for v in values), (split, genre, field, counts)


def test_the_whole_variety_is_there(plan):
    assert {(t.format, t.channels) for t in plan} == {(f, c) for f in FORMATS for c in (1, 2)}
    assert {t.rate for t in plan if t.format == "mp3"} == set(RATES)


def test_plan_depends_on_the_seed(plan):
    assert plan == make_plan(Options())
    other = make_plan(Options(seed=778))
    assert {t.artist for t in other} != {t.artist for t in plan}


def test_fingerprint_depends_on_every_option():
    prints = {fingerprint(Options()), fingerprint(TINY), fingerprint(Options(seed=1))}
    assert len(prints) == 3
    assert fingerprint(Options()) == fingerprint(Options())


def test_sound_is_deterministic_and_independent_of_order(tiny_sounds):
    for track, sound in reversed(tiny_sounds[::5]):
        again = tracks.make_sound(777, track)
        assert hashlib.sha256(again.tobytes()).digest() == hashlib.sha256(sound.tobytes()).digest()


def test_another_seed_is_other_music(tiny_sounds):
    track, sound = tiny_sounds[0]
    other = tracks.make_sound(778, track)
    assert abs(np.corrcoef(other[:, 0], sound[:, 0])[0, 1]) < 0.5


def test_tracks_of_an_artist_differ():
    first = make_plan(TINY)[0]
    second = replace(first, number=2)
    a, b = (tracks.make_sound(777, t)[:, 0] for t in (first, second))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.5


def test_sounds_are_audible_finite_and_as_long_as_planned(tiny_sounds):
    for track, sound in tiny_sounds:
        assert sound.shape == (pytest.approx(track.seconds * track.rate, abs=2), track.channels)
        assert np.all(np.isfinite(sound))
        assert 0.005 < np.sqrt(np.mean(sound**2)) < 0.3
        assert np.abs(sound).max() < 0.95


def test_every_codec_keeps_length_and_headroom(tiny_sounds):
    kinds = set()
    for track, sound in tiny_sounds:
        data = tracks.encode(sound, track, "a comment")
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            assert (file.samplerate, file.channels) == (track.rate, track.channels)
            assert (file.artist, file.comment) == (track.artist, "a comment")
            decoded = file.read(always_2d=True)
        assert len(decoded) == len(sound)
        assert np.abs(decoded).max() < 0.999
        kinds.add(track.format)
    assert kinds == set(FORMATS)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_track_is_kept_only_if_it_is_whole_and_current(tmp_path, kind):
    track = replace(make_plan(TINY)[0], format=kind)
    path = tmp_path / track.path
    assert tracks.make_track(tmp_path, 777, track, "v1")
    before = path.stat().st_mtime_ns
    assert not tracks.make_track(tmp_path, 777, track, "v1")
    assert path.stat().st_mtime_ns == before
    assert tracks.make_track(tmp_path, 777, track, "v2")
    for share in (0.0, 0.01, 0.9):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        assert tracks.make_track(tmp_path, 777, track, "v2")
        assert not tracks.make_track(tmp_path, 777, track, "v2")
    assert [p.name for p in path.parent.iterdir()] == [path.name]

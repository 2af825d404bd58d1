"""Utterance ids, overlap between sets, GTZAN's repetitions, artists."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from local.corpus import artists, ids, overlap
from local.corpus.tracks import Recording, name_tracks, write_data_dirs
from steps.audio import tags
from utils import cli, tables


class TestIds:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("L'Oiseau-Lyre", "l_oiseau_lyre"),
            ("Björk", "bjork"),
            ("AC/DC", "ac_dc"),
            ("  Sigur Rós & friends ", "sigur_ros_and_friends"),
            ("Mötley Crüe", "motley_crue"),
            ("Łódź Straße", "lodz_strasse"),
            ("17", "17"),
        ],
    )
    def test_latin_names(self, text, wanted):
        assert ids.slug(text) == wanted

    def test_other_scripts_stay_apart(self):
        names = ["Кино", "Аквариум", "山口百恵", "!!!", "???"]
        slugs = [ids.slug(name) for name in names]
        assert len(set(slugs)) == len(names)
        assert all(slug.isascii() and slug for slug in slugs)

    @given(st.text(max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_always_a_word(self, text):
        slug = ids.slug(text)
        assert slug and slug.isascii() and len(slug) <= ids.MAX_LENGTH + 9
        assert set(slug) <= set("0123456789abcdefghijklmnopqrstuvwxyz_")
        assert ids.slug(text) == slug

    @given(st.lists(st.tuples(st.text("ab_ -1", max_size=4), st.text("ab_ -1", max_size=4)), max_size=12))
    @settings(max_examples=100, deadline=None)
    def test_order_of_ids_is_order_of_artists(self, names):
        recordings = [
            Recording(f"/m/{i}.wav", "x", artist.strip(), title or "t", f"{i}.wav")
            for i, (artist, title) in enumerate(names)
        ]
        tracks = name_tracks(recordings)
        assert len({track.utt for track in tracks}) == len(names)
        utt2spk = sorted((track.utt, track.spk) for track in tracks)
        assert [spk for _, spk in utt2spk] == sorted(spk for _, spk in utt2spk)
        assert all(utt == spk or utt.startswith(f"{spk}-") for utt, spk in utt2spk)

    def test_same_name_twice_gets_the_place(self):
        twins = [Recording(f"/m/{d}/a.wav", "x", "Abba", "a", f"{d}/a.wav") for d in "12"]
        moved = [Recording(f"/n/{d}/a.wav", "x", "Abba", "a", f"{d}/a.wav") for d in "12"]
        utts = [track.utt for track in name_tracks(twins)]
        assert len(set(utts)) == 2 and all(utt.startswith("abba-a_") for utt in utts)
        assert utts == [track.utt for track in name_tracks(moved)]


def write(tmp_path, rows):
    """Write data directories of (path, genre, artist, subset)."""
    tracks = name_tracks(
        Recording(str(tmp_path / name), genre, artist, name, name, subset)
        for name, genre, artist, subset in rows
    )
    write_data_dirs(tmp_path / "data", tracks, ["x", "y"])
    return {track.utt: track.path for track in tracks}


ROWS = [row.split() for row in ("a1 x A train", "b1 y B train", "a2 x A test", "c1 y C test")]


class TestOverlap:
    def test_is_reported_and_strict_refuses(self, tmp_path, capsys):
        write(tmp_path, ROWS)
        overlap.report(tmp_path / "data", ["test"])
        assert "content" not in (tmp_path / "data" / "overlap.txt").read_text()
        tables.write_table(tmp_path / "data" / "train" / "utt2hash", {"a-a1": "1", "b-b1": "2"})
        tables.write_table(tmp_path / "data" / "test" / "utt2hash", {"a-a2": "3", "c-c1": "1"})
        capsys.readouterr()
        overlap.report(tmp_path / "data", ["test"])
        text = (tmp_path / "data" / "overlap.txt").read_text()
        assert text == (
            "test: tracks by artists of train: 1 of 2 (50.0 %), by 1 of 2 artists\n"
            "test: recordings with the content of one in train: 1 of 2\n"
            "test: c-c1 has the content of a-a1 in train\n"
        )
        assert capsys.readouterr().err.count("WARNING") == 3
        with pytest.raises(cli.UserError, match="c-c1 in test = a-a1 in train.*--strict false"):
            overlap.report(tmp_path / "data", ["test"], strict=True)


def test_class_without_training_tracks_is_an_error(tmp_path):
    with pytest.raises(cli.UserError, match=r"class y has no track in train \(test: 1, train: 0\)"):
        write(tmp_path, [("a1", "x", "A", "train"), ("c1", "y", "C", "test")])
    assert not (tmp_path / "data").exists()


class TestArtists:
    @pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.wav", "a.mp3"])
    def test_tags(self, tmp_path, name):
        with soundfile.SoundFile(tmp_path / name, "w", 22050, 1) as sound:
            sound.artist = "Björk"
            sound.write(np.zeros(2000))
        assert tags.artist(tmp_path / name) == "Björk"


def test_classes_have_names_that_can_be_read():
    names = ("Рок", "Музыка мира", "ジャズ", "音楽", "ελληνική", "록", "موسيقى", "Rock & Pop")
    latin = "rok muzyka_mira ziyazu u97f3_u697d elliniki rog mwsyqa rock_and_pop"
    assert [ids.transliterated(name) for name in names] == latin.split()


def test_case_and_blanks_of_columns_do_not_count(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("\ufeffPath , Split,ARTIST,year\na/x\u2028y.wav, test ,Ann\u0085,1999\n")
    assert artists.read_csv(tmp_path / "t.csv") == {
        "a/x\u2028y.wav": {"split": "test", "artist": "Ann\u0085", "year": "1999"}
    }
    assert "columns that are not used: year" in capsys.readouterr().err

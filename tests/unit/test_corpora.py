"""Utterance ids, overlap between sets, artists; splits and folds with nobody on both sides."""

from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from local import make_training_data, prepare_folder
from local.corpus import ids, overlap, splits
from local.corpus.tracks import Track, name_tracks, write_corpus
from steps import archive
from steps.audio import tags
from tests.contract.malformed import as_lists
from utils import cli, tables
from utils import data_dir as data_dir_module


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

    @given(st.lists(st.tuples(st.text("ab_ -1", max_size=4), st.text("ab_ -1", max_size=4)), max_size=12))
    @settings(max_examples=100, deadline=None)
    def test_order_of_ids_is_order_of_artists(self, names):
        tracks = [
            Track(f"/m/{i}.wav", "x", "", artist.strip(), title or "t", f"{i}.wav")
            for i, (artist, title) in enumerate(names)
        ]
        name_tracks(tracks)
        assert len({track.utt for track in tracks}) == len(names)
        utt2spk = sorted((track.utt, track.spk) for track in tracks)
        assert [spk for _, spk in utt2spk] == sorted(spk for _, spk in utt2spk)
        assert all(utt == spk or utt.startswith(f"{spk}-") for utt, spk in utt2spk)

    def test_same_name_twice_gets_the_place(self):
        utts = []
        for root in "mn":
            twins = [Track(f"/{root}/{d}/a.wav", "x", "", "Abba", "a", f"{d}/a.wav") for d in "12"]
            name_tracks(twins)
            utts.append([track.utt for track in twins])
        assert len(set(utts[0])) == 2 and all(utt.startswith("abba-a_") for utt in utts[0])
        assert utts[0] == utts[1]


def write(tmp_path, rows):
    """Write data directories of (path, genre, artist, subset)."""
    tracks = [
        Track(str(tmp_path / path), genre, subset, artist, path) for path, genre, artist, subset in rows
    ]
    write_corpus(Namespace(data_dir=tmp_path / "data", exclude=None), tracks, ["x", "y"])


ROWS = [row.split() for row in ("a1 x A train", "b1 y B train", "a2 x A test", "c1 y C test")]


def test_overlap_of_artists_and_content(tmp_path):
    write(tmp_path, ROWS)
    artists = "Artist overlap: 1 of 2 tracks of test (50.0 %) are by artists of train, 1 of 2 artists."
    assert overlap.describe_overlap(tmp_path / "data", "test") == artists
    tables.write_table(tmp_path / "data" / "train" / "utt2hash", {"a-a1": "1", "b-b1": "2"})
    tables.write_table(tmp_path / "data" / "test" / "utt2hash", {"a-a2": "3", "c-c1": "1"})
    content = "1 of 2 recordings have the content of one in train: c-c1 that of a-a1."
    assert overlap.describe_overlap(tmp_path / "data", "test") == f"{artists} {content}"


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
    assert [ids.slug(name) for name in names] == latin.split()


def test_case_and_blanks_of_columns_do_not_count(tmp_path, capsys):
    place = "a/x\u2028y.wav"
    (tmp_path / "t.csv").write_text(f"\ufeffPath , Split,ARTIST,year\n{place}, test ,Ann\u0085,1999\n")
    row = {"split": "test", "artist": "Ann\u0085", "year": "1999"}
    assert prepare_folder.read_csv(str(tmp_path / "t.csv"), [place]) == {place: row}
    assert "columns that are not used: year" in capsys.readouterr().err


one_class_each = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.tuples(st.sampled_from("xyz"), st.integers(1, 12)),
    min_size=3,
    max_size=14,
).map(lambda table: {name: {genre: count} for name, (genre, count) in table.items()})
many_classes_each = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 6), min_size=1, max_size=3),
    min_size=3,
    max_size=20,
)


def held_counts(groups, held) -> Counter:
    return Counter(splits.class_totals({name: groups[name] for name in held}))


class TestHeldOut:
    @given(one_class_each, st.sampled_from([0.1, 0.25, 0.5]), st.integers(0, 99))
    @settings(max_examples=40, deadline=None)
    def test_is_nearer_than_half_a_group(self, groups, share, seed):
        held = splits.choose_held_out(groups, share, seed, floor_share=0)
        for genre, total in splits.class_totals(groups).items():
            largest = max(group.get(genre, 0) for group in groups.values())
            assert abs(held_counts(groups, held)[genre] - share * total) <= largest / 2

    @given(many_classes_each, st.sampled_from([0.1, 0.5]), st.sampled_from([0.0, 0.34, 1.0]))
    @settings(max_examples=40, deadline=None)
    def test_every_class_keeps_a_group(self, groups, share, floor):
        held = splits.choose_held_out(groups, share, 777, floor_share=floor)
        rest = set(groups) - held
        assert set(splits.class_totals({name: groups[name] for name in rest})) == set(
            splits.class_totals(groups)
        )

    def test_order_of_the_input_and_other_classes_do_not_matter(self):
        groups = {f"a{i}": {"x": 1 + i % 3} for i in range(30)}
        more = {**{f"b{i}": {"y": 2} for i in range(30)}, **dict(reversed(groups.items()))}
        chosen = splits.choose_held_out(groups, 0.2, 5)
        assert {name for name in splits.choose_held_out(more, 0.2, 5) if name in groups} == chosen
        assert chosen != splits.choose_held_out(groups, 0.2, 6)

    def test_order_is_fixed_for_ever(self):
        assert splits.stable_order("abcdef", 777) == ["c", "b", "a", "f", "d", "e"]


def deal(groups, num_folds: int, seed: int) -> dict[str, int]:
    """Deal tracks, of which each group has some in some classes; return the fold of each group."""
    genre = {f"{name}-{g}{i}": g for name in groups for g, n in groups[name].items() for i in range(n)}
    group = {utt: utt.partition("-")[0] for utt in genre}
    folds = splits.deal(group, genre, num_folds, seed)
    pairs = {(group[utt], fold) for utt, fold in folds.items()}
    assert len(pairs) == len(groups) and folds.keys() == genre.keys()
    return dict(pairs)


class TestFolds:
    @given(many_classes_each, st.integers(2, 4), st.integers(0, 9))
    @settings(max_examples=40, deadline=None)
    def test_every_group_is_in_one_fold(self, groups, num_folds, seed):
        fewest = min(sum(g in c for c in groups.values()) for g in splits.class_totals(groups))
        if fewest < num_folds:
            with pytest.raises(cli.UserError, match=f"{fewest} artists or tracks"):
                deal(groups, num_folds, seed)
            return
        assert set(deal(groups, num_folds, seed).values()) <= set(range(1, num_folds + 1))

    def test_every_fold_has_every_class(self):
        groups = {f"{g}{i}": {g: 1 + 7 * (i == 0)} for g in "xyz" for i in range(5)}
        folds = deal(groups, 5, 777)
        for genre in "xyz":
            assert sorted(folds[f"{genre}{i}"] for i in range(5)) == [1, 2, 3, 4, 5]


@pytest.fixture
def data_dir(tmp_path) -> Path:
    """60 tracks in three classes by 20 artists, with features."""
    folder = tmp_path / "train"
    folder.mkdir()
    utts = [f"artist{i % 20:02d}-track{i:02d}" for i in range(60)]
    genre = {utt: "xyz"[int(utt[6:8]) % 3] for utt in utts}
    entries = {
        "utt2spk": {utt: utt[:8] for utt in utts},
        "utt2genre": genre,
        "wav.scp": {utt: f"/music/{utt} a.mp3" for utt in utts},
        "wav22k.scp": {utt: f"data/wav/{utt}.wav" for utt in utts},
        "utt2dur": dict.fromkeys(utts, "30.000000"),
        "utt2num_frames": {utt: str(100 + i) for i, utt in enumerate(utts)},
    }
    for name, table in entries.items():
        tables.write_table(folder / name, table)
    with archive.Writer(f"ark,scp:{tmp_path}/feats.ark,{folder}/feats.scp") as writer:
        for i, utt in enumerate(sorted(utts)):
            frames = int(entries["utt2num_frames"][utt])
            writer.write(utt, np.random.default_rng(i).normal(i, 2, (frames, 3)).astype(np.float32))
    tables.write_table(folder / "spk2utt", data_dir_module.invert(entries["utt2spk"]))
    (folder / "genres.txt").write_text("z\nx\ny\n")
    (folder / "frame_shift").write_text("0.186\n")
    return folder


def keys(path: Path) -> list[str]:
    return list(tables.read_table(path))


class TestTrCv:
    def test_one_artist_a_class_gives_single_tracks_to_cv_and_a_warning(self, data_dir, capsys):
        genre = tables.read_table(data_dir / "utt2genre")
        tables.write_table(data_dir / "utt2spk", genre)
        tables.write_table(data_dir / "spk2utt", data_dir_module.invert(genre))
        tr, cv = data_dir.with_name("tr"), data_dir.with_name("cv")
        make_training_data.main([*map(str, (data_dir, tr, cv)), str(tr)])
        assert "no class can spare an artist; cv gets tracks by artists of tr" in capsys.readouterr().err
        assert Counter(tables.read_table(cv / "utt2genre").values()) == dict.fromkeys("xyz", 2)
        assert sorted(keys(tr / "utt2spk") + keys(cv / "utt2spk")) == keys(data_dir / "utt2spk")

    def test_writes_two_complete_directories_with_a_label_for_each_frame(self, data_dir):
        tr, cv = data_dir.with_name("tr"), data_dir.with_name("cv")
        make_training_data.main([*map(str, (data_dir, tr, cv)), str(tr)])
        names = sorted(path.name for path in data_dir.iterdir())
        extra = {"labels.ark", "labels.scp", "cmvn.stats", "feature_transform.nnet"}
        for part in (tr, cv):
            assert sorted({path.name for path in part.iterdir()} - extra) == names
            for name in set(names) - {"genres.txt", "frame_shift", "spk2utt"}:
                assert keys(part / name) == keys(part / "utt2spk")
                assert tables.read_table(part / name).items() <= tables.read_table(data_dir / name).items()
        assert (cv / "genres.txt").read_text() == "z\nx\ny\n"
        assert (cv / "frame_shift").read_text() == "0.186\n"
        assert sorted(keys(tr / "utt2spk") + keys(cv / "utt2spk")) == keys(data_dir / "utt2spk")
        assert not set(keys(tr / "spk2utt")) & set(keys(cv / "spk2utt"))
        held = Counter(tables.read_table(cv / "utt2genre").values())
        assert all(held[genre] == 3 for genre in "xyz")  # whole artists of 3 tracks; 10 % would be 2
        index = {"z": 0, "x": 1, "y": 2}
        for part in (tr, cv):
            genre, frames = (tables.read_table(part / name) for name in ("utt2genre", "utt2num_frames"))
            labels = dict(archive.read_objects(f"scp:{part}/labels.scp", "posterior"))
            assert list(labels) == keys(part / "utt2genre")
            for utt, posterior in labels.items():
                assert as_lists(posterior) == [[(index[genre[utt]], 1.0)]] * int(frames[utt])


def test_pooling_wants_different_utterances_and_the_same_classes(data_dir, tmp_path):
    with pytest.raises(cli.UserError, match="is also in"):
        data_dir_module.read_data_dirs([data_dir, data_dir])
    data = data_dir_module.read_data_dirs([data_dir])
    data_dir_module.write_subset(data, ["artist05-track25", "artist05-track05"], tmp_path / "half")
    assert tables.read_table(tmp_path / "half/spk2utt") == {"artist05": "artist05-track05 artist05-track25"}
    (tmp_path / "half/genres.txt").write_text("x\ny\nz\n")
    for name in data.tables:
        table = tables.read_table(tmp_path / "half" / name)
        tables.write_table(tmp_path / "half" / name, {f"new-{utt}": value for utt, value in table.items()})
    with pytest.raises(cli.UserError, match="genres.txt: differs"):
        data_dir_module.read_data_dirs([data_dir, tmp_path / "half"])

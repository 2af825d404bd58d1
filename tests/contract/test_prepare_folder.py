"""local/prepare_folder.py: classes from folders, artists from four sources, splits by seed or by lists."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from local import prepare_folder
from utils import cli, tables

PATTERN = "^[^/]+/(?P<artist>[^/]+)/"


@pytest.fixture
def music(tmp_path) -> Path:
    """Two classes, four artists each, five tracks an artist, some in sub-folders."""
    root = tmp_path / "My Music"
    for genre in ("Drum & Bass", "Jazz"):
        for artist in ("Ann", "Bob", "Zoë", "Дима"):
            for number in range(5):
                folder = root / genre / artist / ("disc 2" if number > 2 else "")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number} track #{number}.mp3").write_text(f"{genre} {artist} {number}")
    (root / "Jazz/cover.jpg").touch()
    (root / "Jazz/.hidden.mp3").touch()
    (root / "empty").mkdir()
    return root


def prepare(music: Path, *options: str) -> Path:
    data = music.with_name("data")
    assert prepare_folder.main([*options, str(music), str(data)]) == 0
    return data


def both(data: Path, name: str) -> dict[str, str]:
    return {**tables.read_table(data / "train" / name), **tables.read_table(data / "test" / name)}


def test_artist_from_a_pattern(music, capsys):
    data = prepare(music, "--artist-pattern", PATTERN)
    assert (data / "train/genres.txt").read_text() == "drum_and_bass\njazz\n"
    assert len(both(data, "wav.scp")) == 40
    train, test = (set(tables.read_table(data / side / "utt2spk").values()) for side in ("train", "test"))
    assert not train & test
    assert "ann" in train | test and any(
        artist.startswith("x") or artist[0] in "0123456789abcdef" for artist in train | test
    )
    err = capsys.readouterr().err
    assert "passed over 1 files that are not audio: .jpg 1" in err
    assert "empty: no audio in it" in err
    assert "tracks by artists of train: 0 of" in (data / "overlap.txt").read_text()


def test_split_is_stratified_by_seed(music):
    data = prepare(music, "--artist-pattern", "(?P<artist>[^/]+/[^/]+)/", "--test-percent", "25")
    assert Counter(tables.read_table(data / "test/utt2genre").values()) == {"drum_and_bass": 5, "jazz": 5}
    places = (prepare(music, "--artist-pattern", "(?P<artist>[^/]+/[^/]+)/", f"--seed={s}") for s in range(6))
    assert len({(place / "test/utt2spk").read_text() for place in places}) > 1


def test_artist_from_a_table_that_also_splits(music, tmp_path):
    lines = ["path,title,artist,split"]
    for path in sorted(music.rglob("[0-9]*.mp3")):
        artist = path.relative_to(music).parts[1]
        lines.append(f"{path.relative_to(music)},x,{artist},{'test' if artist == 'Bob' else 'train'}")
    (tmp_path / "t.csv").write_text("\n".join(lines[:-1]) + "\n")
    data = prepare(music, "--csv", str(tmp_path / "t.csv"))
    assert set(tables.read_table(data / "test/utt2spk").values()) == {"bob"}
    assert len(both(data, "utt2spk")) == 39


def test_artist_from_tags(tmp_path):
    for genre in ("x", "y"):
        for number in range(4):
            path = tmp_path / "music" / genre / f"{number}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            with soundfile.SoundFile(path, "w", 22050, 1) as sound:
                sound.artist = f"{genre} {number // 2}"
                sound.write([0.1 * number] * 100)
    data = prepare(tmp_path / "music", "--artist-tags", "true", "--test-percent", "50")
    assert set(both(data, "utt2spk").values()) == {"x_0", "x_1", "y_0", "y_1"}
    assert len(tables.read_table(data / "test/utt2spk")) == 4


def test_without_artists_every_track_is_its_own(music, capsys):
    data = prepare(music)
    assert all(utt == spk for utt, spk in both(data, "utt2spk").items())
    assert len(tables.read_table(data / "test/utt2spk")) == 10
    assert "40 of 40 tracks have no artist" in capsys.readouterr().err
    assert "artists shared with train: unknown" in (data / "overlap.txt").read_text()


def test_lists(music, tmp_path, capsys):
    (tmp_path / "test").write_text("Jazz/Ann/0 track #0.mp3\n./Drum & Bass/Ann/1 track #1.mp3\n")
    data = prepare(music, "--artist-pattern", PATTERN, "--test-list", str(tmp_path / "test"))
    assert len(tables.read_table(data / "test/utt2spk")) == 2
    assert len(tables.read_table(data / "train/utt2spk")) == 38
    assert "2 of 2 (100.0 %), by 1 of 1 artists" in (data / "overlap.txt").read_text()
    lists = ("--test-list", f"{tmp_path}/test", "--train-list", f"{tmp_path}/train")
    (tmp_path / "train").write_text("Jazz/Bob/0 track #0.mp3\nDrum & Bass/Bob/0 track #0.mp3\n")
    data = prepare(music, "--artist-pattern", PATTERN, *lists)
    assert len(both(data, "utt2spk")) == 4
    assert "36 of 40 tracks are in neither list" in capsys.readouterr().err
    with pytest.raises(cli.UserError, match="2 tracks are in both lists"):
        prepare(music, "--test-list", f"{tmp_path}/test", "--train-list", f"{tmp_path}/test")


def test_lists_may_compose_letters_or_not(music, tmp_path):
    place = "Jazz/Zoë/1 track #1.mp3"
    (tmp_path / "test").write_text(unicodedata.normalize("NFD", place) + "\nDrum & Bass/Bob/1 track #1.mp3\n")
    data = prepare(music, "--artist-pattern", PATTERN, "--test-list", str(tmp_path / "test"))
    assert len(tables.read_table(data / "test/utt2spk")) == 2
    table = f"path,split\n{unicodedata.normalize('NFD', place)},test\nJazz/Bob/1 track #1.mp3,train\n"
    (tmp_path / "t.csv").write_text(table)
    data = prepare(music, "--csv", str(tmp_path / "t.csv"))
    assert str(music / place) in tables.read_table(data / "test/wav.scp").values()


def test_excluded_tracks(music, tmp_path, capsys):
    (tmp_path / "out").write_text("ann-0_track_0_1c6f3f no such\n")
    with pytest.raises(cli.UserError, match="out:1: utterance 'ann-0_track_0_1c6f3f' is not in the corpus"):
        prepare(music, "--artist-pattern", PATTERN, "--exclude", str(tmp_path / "out"))
    utts = list(both(prepare(music, "--artist-pattern", PATTERN), "wav.scp"))
    (tmp_path / "out").write_text(f"{utts[3]}: truncated\n".replace(":", "", 1) + f"\n{utts[5]}\n")
    left = both(prepare(music, "--artist-pattern", PATTERN, "--exclude", str(tmp_path / "out")), "wav.scp")
    assert set(utts) - set(left) == {utts[3], utts[5]}
    assert "2 tracks left out" in capsys.readouterr().err


def test_classes_of_too_few_artists_are_refused(music):
    with pytest.raises(cli.UserError, match="class drum_and_bass: its 20 tracks are by too few"):
        prepare(music, "--artist-pattern", "^(?P<artist>[^/]+)/")
    assert not music.with_name("data").exists()

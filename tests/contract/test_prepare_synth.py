"""local/make_synth_corpus.py and local/prepare_synth.py: from nothing to Kaldi data directories."""

from __future__ import annotations

import csv
import shutil

import pytest
import soundfile

GENRES = ["classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world"]
TINY = ("--num-train=12", "--num-test=12", "--min-seconds=1", "--max-seconds=1.5")


@pytest.fixture(scope="module")
def corpus(run_cli, tmp_path_factory):
    """A tiny corpus, made by two jobs."""
    folder = tmp_path_factory.mktemp("corpus") / "synth"
    for job in (2, 1):
        run_cli("local/make_synth_corpus.py", *TINY, f"--job={job}", "--num-jobs", 2, folder, check=True)
    return folder


@pytest.fixture
def copy(corpus, tmp_path):
    return shutil.copytree(corpus, tmp_path / "copy")


def read_table(path):
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def read_rows(corpus):
    with (corpus / "tracks.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def edit(corpus, old, new):
    table = corpus / "tracks.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


def test_table_describes_the_files(corpus):
    rows = read_rows(corpus)
    assert len(rows) == 24
    files = {str(p.relative_to(corpus)) for p in corpus.rglob("*.*") if p.name != "tracks.csv"}
    assert files == {row["path"] for row in rows}
    for row in rows:
        info = soundfile.info(corpus / row["path"])
        assert (info.samplerate, info.channels) == (int(row["rate"]), int(row["channels"]))
        assert info.duration == pytest.approx(float(row["seconds"]), abs=0.001)
        assert row["path"].startswith(f"{row['split']}/{row['genre']}/{row['artist']}/{row['artist']}-")


def test_data_directories_have_kaldis_files(run_cli, corpus, tmp_path):
    run_cli("local/prepare_synth.py", corpus, tmp_path / "data", check=True)
    artists = {}
    for split in ("train", "test"):
        folder = tmp_path / "data" / split
        tables = {name: read_table(folder / name) for name in ("wav.scp", "utt2genre", "utt2spk", "spk2utt")}
        utts = list(tables["wav.scp"])
        assert len(utts) == 12
        assert utts == sorted(utts) == list(tables["utt2genre"]) == list(tables["utt2spk"])
        speakers = list(tables["utt2spk"].values())
        assert speakers == sorted(speakers)
        assert all(utt.startswith(f"{speaker}-") for utt, speaker in tables["utt2spk"].items())
        back = {utt: speaker for speaker, names in tables["spk2utt"].items() for utt in names.split()}
        assert back == tables["utt2spk"]
        assert set(tables["utt2genre"].values()) == set(GENRES)
        assert all(genre in utt for utt, genre in tables["utt2genre"].items())
        assert all(soundfile.info(path).frames > 0 for path in tables["wav.scp"].values())
        assert (folder / "genres.txt").read_text().split() == GENRES
        artists[split] = set(speakers)
    assert not artists["train"] & artists["test"]


def test_a_second_run_keeps_everything(run_cli, copy):
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.*") if p.name != "tracks.csv"}
    done = run_cli("local/make_synth_corpus.py", *TINY, copy, check=True)
    assert "made 0 tracks, kept 24" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_lost_and_a_cut_file_are_made_again_alike(run_cli, corpus, copy):
    waves = sorted(p for p in copy.rglob("*.wav"))
    waves[0].unlink()
    waves[1].write_bytes(waves[1].read_bytes()[:30])
    done = run_cli("local/make_synth_corpus.py", *TINY, copy, check=True)
    assert "made 2 tracks, kept 22" in done.stderr
    for path in waves:
        assert path.read_bytes() == (corpus / path.relative_to(copy)).read_bytes()


def test_another_seed_replaces_the_corpus(run_cli, copy):
    old = {row["path"] for row in read_rows(copy)}
    (copy / "notes.txt").write_text("mine\n")
    done = run_cli("local/make_synth_corpus.py", *TINY, "--seed=778", copy, check=True)
    assert "made 24 tracks, kept 0" in done.stderr
    new = {row["path"] for row in read_rows(copy)}
    files = {str(p.relative_to(copy)) for p in copy.rglob("*.*")}
    assert files == new | {"tracks.csv", "notes.txt"}
    assert old != new


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["--num-train=3"], 1, "at least 12 tracks a side, two a genre, got 3"),
        (["--job=3", "--num-jobs=2"], 1, "--job 3: expected a job from 1 to --num-jobs 2"),
        (["--num-train=many"], 2, "expected an integer of at least 1, got 'many'"),
        (["--min-seconds=9", "--max-seconds=8"], 1, "no range"),
    ],
)
def test_wrong_options_of_the_maker(run_cli, tmp_path, argv, status, message):
    done = run_cli("local/make_synth_corpus.py", *argv, tmp_path / "out")
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def refused(run_cli, corpus, tmp_path, message):
    done = run_cli("local/prepare_synth.py", corpus, tmp_path / "data")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_missing_corpus(run_cli, tmp_path):
    refused(run_cli, tmp_path / "nowhere", tmp_path, "nowhere/tracks.csv: not found; make the corpus first")


def test_missing_file(run_cli, copy, tmp_path):
    path = read_rows(copy)[4]["path"]
    (copy / path).unlink()
    refused(run_cli, copy, tmp_path, f"tracks.csv:6: {copy / path} is missing; make the corpus again")


def test_unknown_genre_and_split(run_cli, copy, tmp_path):
    edit(copy, ",classical,", ",polka,")
    refused(run_cli, copy, tmp_path, "tracks.csv:2: unknown genre 'polka', expected one of classical")
    edit(copy, ",polka,", ",classical,")
    edit(copy, ",train,", ",dev,")
    refused(run_cli, copy, tmp_path, "tracks.csv:2: unknown split 'dev'")


def test_short_row_and_wrong_header(run_cli, copy, tmp_path):
    table = copy / "tracks.csv"
    text = table.read_text()
    table.write_text(text + "train/x.wav,classical\n")
    refused(run_cli, copy, tmp_path, "tracks.csv:26: expected 9 fields")
    table.write_text(text.replace("genre,artist", "artist,genre", 1))
    refused(run_cli, copy, tmp_path, "tracks.csv:1: expected the columns path,genre,artist")


def test_artist_on_both_sides(run_cli, copy, tmp_path):
    artist = read_rows(copy)[0]["artist"]
    table = copy / "tracks.csv"
    lines = table.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("test/"))
    path = lines[first].split(",")[0]
    other = f"test/classical/{artist}/{artist}-classical-09.wav"
    (copy / other).parent.mkdir(parents=True)
    shutil.copy(copy / path, copy / other)
    row = lines[first].split(",")
    lines.append(",".join([other, "classical", artist, *row[3:]]))
    table.write_text("\n".join(lines) + "\n")
    refused(run_cli, copy, tmp_path, f"artists on both sides of the split: {artist}")


def test_class_without_training_tracks(run_cli, copy, tmp_path):
    table = copy / "tracks.csv"
    kept = [line for line in table.read_text().splitlines() if not line.startswith("train/world/")]
    table.write_text("\n".join(kept) + "\n")
    refused(run_cli, copy, tmp_path, "no train track of the class world")


def test_track_listed_twice(run_cli, copy, tmp_path):
    table = copy / "tracks.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    refused(run_cli, copy, tmp_path, "tracks listed twice")

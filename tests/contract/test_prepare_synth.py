"""local/make_synth_corpus.py and local/prepare_synth.py: from nothing to Kaldi data directories."""

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


def files_of(corpus):
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*.*")}


def test_table_describes_the_files(corpus):
    rows = read_rows(corpus)
    assert len(rows) == 24
    assert set(files_of(corpus)) == {row["path"] for row in rows} | {"tracks.csv"}
    for row in rows:
        info = soundfile.info(corpus / row["path"])
        assert (info.samplerate, info.channels) == (int(row["rate"]), int(row["channels"]))
        assert info.duration == pytest.approx(float(row["seconds"]), abs=0.001)
        assert row["path"].startswith(f"{row['split']}/{row['genre']}/{row['artist']}/{row['artist']}-")


def test_one_job_makes_the_same_bytes_as_two(run_cli, corpus, tmp_path):
    run_cli("local/make_synth_corpus.py", *TINY, tmp_path / "one", check=True)
    assert files_of(tmp_path / "one") == files_of(corpus)


def test_another_seed_replaces_the_corpus(run_cli, copy):
    (copy / "notes.txt").write_text("mine\n")
    old = {row["path"] for row in read_rows(copy)}
    run_cli("local/make_synth_corpus.py", *TINY, "--seed=778", copy, check=True)
    new = {row["path"] for row in read_rows(copy)}
    assert set(files_of(copy)) == new | {"tracks.csv", "notes.txt"} and old != new


def test_data_directories_have_kaldis_files(run_cli, corpus, tmp_path):
    run_cli("local/prepare_synth.py", corpus, tmp_path / "data", check=True)
    artists = {}
    for split in ("train", "test"):
        folder = tmp_path / "data" / split
        run_cli("utils/validate_data_dir.py", "--no-feats", folder, check=True)
        utt2spk, genres = read_table(folder / "utt2spk"), read_table(folder / "utt2genre")
        assert len(utt2spk) == 12 and all(utt.startswith(f"{artist}-") for utt, artist in utt2spk.items())
        assert all(utt.split("-")[1] == genre for utt, genre in genres.items())
        assert (folder / "genres.txt").read_text().split() == GENRES
        artists[split] = set(utt2spk.values())
    assert not artists["train"] & artists["test"]


def test_a_corpus_that_lacks_a_file_is_refused(run_cli, copy, tmp_path):
    path = copy / read_rows(copy)[4]["path"]
    path.unlink()
    done = run_cli("local/prepare_synth.py", copy, tmp_path / "data")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{path} of tracks.csv is missing; make the corpus again" in done.stderr
    assert not (tmp_path / "data").exists()

"""local/prepare_<corpus>.py: from a corpus, with the faults of its own, to directories of train and test."""

import csv
import re
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from local import make_folds, prepare_folder, prepare_gtzan, prepare_ismir04
from local.corpus.overlap import describe_artists
from local.prepare_ismir04 import GENRES
from local.report.paper import TABLE1
from utils import cli, tables


def prepare(program, corpus: Path, *options: str) -> Path:
    """Prepare a corpus beside itself; return the folder of train and test."""
    data = corpus.with_name("data")
    assert program.main([*options, str(corpus), str(data)]) == 0
    return data


def both(data: Path, name: str) -> dict[str, str]:
    return {**tables.read_table(data / "train" / name), **tables.read_table(data / "test" / name)}


def table(data: Path, subset: str, name: str) -> dict[str, str]:
    return tables.read_table(data / subset / name)


def make_files(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{number}")


class TestFolder:
    """Classes from folders, artists from four sources, splits by seed or by lists."""

    PATTERN = ("--artist-pattern", "^[^/]+/(?P<artist>[^/]+)/")

    @pytest.fixture
    def music(self, tmp_path) -> Path:
        """Two classes, four artists each, five tracks an artist, some in sub-folders."""
        root = tmp_path / "My Music"
        artists = [f"{g}/{a}" for g in ("Drum & Bass", "Jazz") for a in ("Ann", "Bob", "Zoë", "Дима")]
        tracks = [f"{'disc 2/' if n > 2 else ''}{n} track #{n}.mp3" for n in range(5)]
        make_files(root, [f"{artist}/{name}" for artist in artists for name in tracks])
        make_files(root, ["Jazz/cover.jpg", "Jazz/.hidden.mp3"])
        (root / "empty").mkdir()
        return root

    def test_artist_from_a_pattern(self, music, capsys):
        data = prepare(prepare_folder, music, *self.PATTERN)
        assert (data / "train/genres.txt").read_text() == "drum_and_bass\njazz\n"
        assert len(both(data, "wav.scp")) == 40
        train, test = (set(table(data, side, "utt2spk").values()) for side in ("train", "test"))
        assert not train & test and "ann" in train | test and all(map(str.isascii, train | test))
        err = capsys.readouterr().err
        assert (
            "passed over 1 links and files that are not audio" in err and "empty: no folder with audio" in err
        )
        assert "Artist overlap: 0 of" in err

    def test_split_is_stratified_by_seed(self, music):
        pattern = ("--artist-pattern", "(?P<artist>[^/]+/[^/]+)/")
        data = prepare(prepare_folder, music, *pattern, "--test-percent", "25")
        assert Counter(table(data, "test", "utt2genre").values()) == {"drum_and_bass": 5, "jazz": 5}
        places = (prepare(prepare_folder, music, *pattern, f"--seed={s}") for s in range(6))
        assert len({(place / "test/utt2spk").read_text() for place in places}) > 1

    def test_artist_from_a_table_that_also_splits(self, music, tmp_path):
        lines = ["path,title,artist,split"]
        for path in sorted(music.rglob("[0-9]*.mp3")):
            artist = path.relative_to(music).parts[1]
            lines.append(f"{path.relative_to(music)},x,{artist},{'test' if artist == 'Bob' else 'train'}")
        (tmp_path / "t.csv").write_text("\n".join(lines[:-1]) + "\n")
        data = prepare(prepare_folder, music, "--csv", str(tmp_path / "t.csv"))
        assert set(table(data, "test", "utt2spk").values()) == {"bob"}
        assert len(both(data, "utt2spk")) == 39

    def test_artist_from_tags(self, tmp_path):
        for genre in ("x", "y"):
            for number in range(4):
                path = tmp_path / "music" / genre / f"{number}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                with soundfile.SoundFile(path, "w", 22050, 1) as sound:
                    sound.artist = f"{genre} {number // 2}"
                    sound.write([0.1 * number] * 100)
        data = prepare(prepare_folder, tmp_path / "music", "--artist-tags", "true", "--test-percent", "50")
        assert set(both(data, "utt2spk").values()) == {"x_0", "x_1", "y_0", "y_1"}

    def test_without_artists_every_track_is_its_own(self, music, capsys):
        data = prepare(prepare_folder, music)
        assert all(utt == spk for utt, spk in both(data, "utt2spk").items())
        assert len(table(data, "test", "utt2spk")) == 10
        assert "Artist overlap: unknown: 40 of 40 tracks have no artist" in capsys.readouterr().err

    def test_table_whose_letters_may_be_composed_or_not(self, music, tmp_path, capsys):
        place = unicodedata.normalize("NFD", "Jazz/Zoë/1 track #1.mp3")
        rows = f"{place},test\n./Drum & Bass/Ann/1 track #1.mp3,test\nJazz/Ann/1 track #1.mp3,train\n"
        (tmp_path / "t.csv").write_text(f"path,split\n{rows}Drum & Bass/Zoë/0 track #0.mp3,train\n")
        data = prepare(prepare_folder, music, *self.PATTERN, "--csv", str(tmp_path / "t.csv"))
        assert [len(table(data, side, "utt2spk")) for side in ("test", "train")] == [2, 2]
        err = capsys.readouterr().err
        assert "2 of 2 tracks of test (100.0 %)" in err and "36 of 40 recordings are not listed" in err

    def test_excluded_tracks(self, music, tmp_path, capsys):
        exclude = (*self.PATTERN, "--exclude", f"{tmp_path}/out")
        (tmp_path / "out").write_text("ann-0_track_0_1c6f3f no such\n")
        with pytest.raises(cli.UserError, match="out: utterance 'ann-0_track_0_1c6f3f' is not in the corpus"):
            prepare(prepare_folder, music, *exclude)
        utts = list(both(prepare(prepare_folder, music, *self.PATTERN), "wav.scp"))
        (tmp_path / "out").write_text(f"{utts[3]} truncated\n\n{utts[5]}\n")
        left = both(prepare(prepare_folder, music, *exclude), "wav.scp")
        assert set(utts) - set(left) == {utts[3], utts[5]}
        assert "2 tracks left out" in capsys.readouterr().err

    def test_classes_of_too_few_artists_are_refused(self, music):
        with pytest.raises(cli.UserError, match="class drum_and_bass: its tracks are by too few"):
            prepare(prepare_folder, music, "--artist-pattern", "^(?P<artist>[^/]+)/")
        assert not music.with_name("data").exists()


class TestGtzan:
    """Ten classes, folds, repetitions, and the corrupt excerpt."""

    @pytest.fixture
    def corpus(self, tmp_path) -> Path:
        """1000 tiny files."""
        names = [f"genres/{genre}/{genre}.{n:05d}.au" for genre in prepare_gtzan.GENRES for n in range(100)]
        make_files(tmp_path / "gtzan", names)
        return tmp_path / "gtzan"

    def test_ten_stratified_folds_that_no_repetition_divides(self, corpus):
        data = prepare(prepare_gtzan, corpus)
        genre, tested = both(data, "utt2genre"), table(data, "test", "utt2genre")
        assert len(genre) == 1000 and set(Counter(tested.values()).values()) == {25}
        assert not {*table(data, "test", "utt2spk").values()} & {*table(data, "train", "utt2spk").values()}
        assert (data / "train/genres.txt").read_text().split() == list(prepare_gtzan.GENRES)
        make_folds.main(["--folds", "10", str(data / "train"), str(data / "test"), str(data / "fold")])
        folds = tables.read_table(data / "fold.utt2fold")
        assert set(Counter((genre[utt], fold) for utt, fold in folds.items()).values()) <= {9, 10, 11}
        fold = {Path(path).stem: folds[utt] for utt, path in both(data, "wav.scp").items()}
        assert fold["pop.00015"] == fold["pop.00021"] and fold["metal.00058"] == fold["rock.00016"]
        for lists in prepare_gtzan.REPEATED.items():
            for numbers in filter(str.strip, re.split(r"[|,]", lists[1])):
                assert len({fold[f"{lists[0]}.{int(number):05d}"] for number in numbers.split()}) == 1, (
                    numbers
                )
        spk = both(data, "utt2spk")
        twins = ("disco_00050", "disco_00050-disco_00051", "disco_00050-disco_00070")
        assert {spk[utt] for utt in twins} == {"disco_00050"}

    def test_corrupt_excerpt_is_left_out_by_name(self, corpus, capsys):
        (corpus / "genres/jazz/jazz.00054.au").rename(corpus / "genres/jazz/jazz.00054.wav")
        assert len(both(prepare(prepare_gtzan, corpus), "utt2genre")) == 999
        assert "jazz.00054.wav: known to be corrupt, left out" in capsys.readouterr().err


SUBSETS = ("train", "test", "evaluation")


class TestIsmir04:
    """Every fault of the archive, on a miniature."""

    @pytest.fixture
    def miniature(self, repo, tmp_path) -> Path:
        fixture, root = repo / "tests/fixtures/corpora/ismir04", tmp_path / "corpus root"
        shutil.copytree(fixture / "metadata", root / "metadata")
        make_files(root, (fixture / "files.txt").read_text().splitlines())
        return root

    def test_what_is_written(self, miniature):
        data = prepare(prepare_ismir04, miniature)
        for subset in SUBSETS:
            names = sorted({path.name for path in (data / subset).iterdir()} - {"artists_unknown"})
            assert names == ["genres.txt", "spk2utt", "utt2genre", "utt2spk", "wav.scp"]
            assert (data / subset / "genres.txt").read_text().split() == list(GENRES)
            for path in map(Path, table(data, subset, "wav.scp").values()):
                assert path.is_file() and path.is_absolute()
        assert table(data, "train", "utt2spk") == {
            "american_baroque-dances_26_l_oracle": "american_baroque",
            "arthur_yoria-i_ll_be_here_1_here_i_am": "arthur_yoria",
            "bots-truth_3_freedom": "bots",
            "c_layne-potemkin_remix_1_rage_1": "c_layne",
            "jay_kishor-more_2_blues_and_more": "jay_kishor",
            "kokoon-berlin_7_order": "kokoon",
            "paul_beier-il_primo_libro_d_intavolatura_1620_4_passemezzo": "paul_beier",
        }
        genre = table(data, "train", "utt2genre")
        assert genre["bots-truth_3_freedom"] == "metal_punk"  # in the folder punk
        assert genre["arthur_yoria-i_ll_be_here_1_here_i_am"] == "rock_pop"  # in the folder pop
        train, evaluation = (table(data, s, "wav.scp") for s in ("train", "evaluation"))
        paths = {Path(path).name: path for path in (*train.values(), *evaluation.values())}
        assert "/il_primo_libro_d_intavolatura_(1620)/" in paths["4-passemezzo.mp3"]
        assert {"26-l'oracle.mp3", "05-kruhovy_objazd.mp3"} <= set(paths)  # not as in the list
        text = "5 of 7 tracks of evaluation (71.4 %) are by artists of train, 5 of 6 artists"
        assert text in describe_artists(data, "evaluation")
        assert "unknown: the archive replaced" in describe_artists(data, "test")

    def test_missing_tracks_are_named_and_nothing_is_written(self, miniature):
        (miniature / "audio/training/world/the_kokoon/berlin/7-order.mp3").unlink()
        with pytest.raises(
            cli.UserError, match="(?s)1 of 21 files are missing.*berlin/7-order.*--allow-missing"
        ):
            prepare(prepare_ismir04, miniature)
        assert not miniature.with_name("data").exists()

    def test_evaluation_may_be_absent(self, miniature):
        shutil.rmtree(miniature / "audio/evaluation")
        data = prepare(prepare_ismir04, miniature, "--allow-missing=7")
        assert sorted(p.name for p in data.iterdir()) == ["test", "train"]


class TestIsmir04Archive:
    """The archive's own listing, with tiny files."""

    @pytest.fixture(scope="class")
    def data(self, shared, tmp_path_factory) -> Path:
        root, reference = tmp_path_factory.mktemp("ismir04") / "root", shared / "reference/ismir04"
        shutil.copytree(reference / "metadata", root / "metadata")
        listing = [line.removeprefix("./") for line in (reference / "filenames.txt").read_text().splitlines()]
        make_files(root, [name for name in listing if name.startswith("audio/")])
        return prepare(prepare_ismir04, root)

    def test_counts_are_those_of_table_1_and_artists_are_known(self, data):
        for subset, column in (("train", 0), ("test", 2)):
            counts = Counter(table(data, subset, "utt2genre").values())
            assert counts == {genre: TABLE1[genre][column] for genre in GENRES}
        train, test, evaluation = (set(table(data, s, "utt2spk").values()) for s in SUBSETS)
        assert (len(train), len(test), len(evaluation)) == (128, 128, 127) and evaluation < train
        text = "729 of 729 tracks of evaluation (100.0 %) are by artists of train, 127 of 127 artists"
        assert text in describe_artists(data, "evaluation")

    def test_artist_filtered_folds(self, data):
        places = [str(data / "train"), str(data / "evaluation"), str(data.with_name("fold"))]
        make_folds.main(["--folds", "5", *places])
        tested = Counter()
        for fold in range(1, 6):
            folder = data.with_name(f"fold{fold}")
            assert not set(table(folder, "train", "spk2utt")) & set(table(folder, "test", "spk2utt"))
            counts = Counter(table(folder, "test", "utt2genre").values())
            assert min(counts[genre] for genre in GENRES) > 0
            assert abs(counts["classical"] - 639 / 5) < 5
            tested.update(table(folder, "test", "utt2genre").keys())
        assert len(tested) == 1458 and max(tested.values()) == 1
        with pytest.raises(cli.UserError, match="class jazz_blues has 5 artists"):
            make_folds.main(["--folds", "6", *places])


class TestSynth:
    """local/make_synth_corpus.py and local/prepare_synth.py: from nothing."""

    TINY = ("--num-train=12", "--num-test=12", "--min-seconds=1", "--max-seconds=1.5")

    @pytest.fixture(scope="class")
    def corpus(self, run_cli, tmp_path_factory):
        """A tiny corpus, made by two jobs."""
        folder = tmp_path_factory.mktemp("corpus") / "synth"
        for job in (f"--job={n}" for n in (2, 1)):
            run_cli("local/make_synth_corpus.py", *self.TINY, job, "--num-jobs", 2, folder, check=True)
        return folder

    def read(self, corpus):
        """Return the rows of its table, and its files."""
        with (corpus / "tracks.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return rows, {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*.*")}

    def test_table_describes_the_files_of_any_number_of_jobs(self, run_cli, corpus, tmp_path):
        rows, files = self.read(corpus)
        assert len(rows) == 24 and set(files) == {row["path"] for row in rows} | {"tracks.csv"}
        for row in rows:
            info = soundfile.info(corpus / row["path"])
            assert (info.samplerate, info.channels) == (int(row["rate"]), int(row["channels"]))
            assert info.duration == pytest.approx(float(row["seconds"]), abs=0.001)
            assert row["path"].startswith(f"{row['split']}/{row['genre']}/{row['artist']}/{row['artist']}-")
        run_cli("local/make_synth_corpus.py", *self.TINY, tmp_path / "one", check=True)
        assert self.read(tmp_path / "one")[1] == files

    def test_data_directories_have_kaldis_files(self, run_cli, corpus, tmp_path):
        run_cli("local/prepare_synth.py", corpus, tmp_path / "data", check=True)
        for split in ("train", "test"):
            run_cli("utils/validate_data_dir.py", "--no-feats", tmp_path / "data" / split, check=True)
            utt2spk = table(tmp_path / "data", split, "utt2spk")
            assert len(utt2spk) == 12 and all(utt.startswith(f"{spk}-") for utt, spk in utt2spk.items())
            genres = table(tmp_path / "data", split, "utt2genre")
            assert all(utt.split("-")[1] == genre for utt, genre in genres.items())
            assert (tmp_path / "data" / split / "genres.txt").read_text().split() == list(GENRES)
        train, test = (set(table(tmp_path / "data", s, "utt2spk").values()) for s in ("train", "test"))
        assert not train & test

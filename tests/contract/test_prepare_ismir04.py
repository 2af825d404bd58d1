"""local/prepare_ismir04.py: every fault of the archive, on a miniature and on the full listing."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from local import make_folds, prepare_ismir04
from local.corpus.ismir04 import COUNTS, GENRES
from utils import cli, tables

SUBSETS = ("train", "test", "evaluation")
MISSING_IN_MINIATURE = 3 * 729 - 21


def table(data: Path, subset: str, name: str) -> dict[str, str]:
    return tables.read_table(data / subset / name)


def make_files(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{number}")


@pytest.fixture
def miniature(repo, tmp_path) -> Path:
    fixture = repo / "tests/fixtures/corpora/ismir04"
    root = tmp_path / "corpus root"
    shutil.copytree(fixture / "metadata", root / "metadata")
    make_files(root, (fixture / "files.txt").read_text().splitlines())
    return root


def prepare(root: Path, data: Path, *options: str) -> int:
    return prepare_ismir04.main([f"--allow-missing={MISSING_IN_MINIATURE}", *options, str(root), str(data)])


class TestMiniature:
    def test_what_is_written(self, miniature, tmp_path):
        data = tmp_path / "data"
        assert prepare(miniature, data) == 0
        for subset in SUBSETS:
            names = sorted(path.name for path in (data / subset).iterdir())
            assert names == ["genres.txt", "spk2utt", "utt2genre", "utt2spk", "wav.scp"]
            assert (data / subset / "genres.txt").read_text().split() == list(GENRES)
            for path in table(data, subset, "wav.scp").values():
                assert Path(path).is_file() and Path(path).is_absolute()
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
        text = (data / "overlap.txt").read_text()
        assert "test: artists shared with train: unknown" in text
        assert "evaluation: tracks by artists of train: 5 of 7 (71.4 %), by 5 of 6 artists" in text

    def test_missing_tracks_are_named_and_nothing_is_written(self, miniature, tmp_path):
        (miniature / "audio/training/world/the_kokoon/berlin/7-order.mp3").unlink()
        with pytest.raises(cli.UserError) as error:
            prepare(miniature, tmp_path / "data")
        assert f"{MISSING_IN_MINIATURE + 1} of the tracks in Table 1 are missing" in str(error.value)
        assert "train (training): classical 2/320 electronic 1/115" in str(error.value)
        assert "berlin/7-order.mp3" in str(error.value)
        assert f"--allow-missing {MISSING_IN_MINIATURE + 1}" in str(error.value)
        assert not (tmp_path / "data").exists()

    def test_evaluation_may_be_absent(self, miniature, tmp_path):
        shutil.rmtree(miniature / "audio/evaluation")
        with pytest.raises(cli.UserError, match="evaluation .evaluation.: classical 0/319"):
            prepare(miniature, tmp_path / "data")
        prepare_ismir04.main(["--allow-missing=9999", str(miniature), str(tmp_path / "data")])
        assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["overlap.txt", "test", "train"]


class TestArchive:
    """The archive's own listing, with tiny files."""

    @pytest.fixture(scope="class")
    def data(self, shared, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("ismir04")
        reference = shared / "reference/ismir04"
        for split in ("training", "development", "evaluation"):
            (folder / "root/metadata" / split).mkdir(parents=True)
            text = (reference / "metadata" / split / "tracklist.csv").read_bytes()
            (folder / "root/metadata" / split / "tracklist.csv").write_bytes(text)
        listing = [line.removeprefix("./") for line in (reference / "filenames.txt").read_text().splitlines()]
        make_files(folder / "root", [name for name in listing if name.startswith("audio/")])
        assert prepare_ismir04.main([str(folder / "root"), str(folder / "data")]) == 0
        return folder / "data"

    def test_counts_are_those_of_table_1(self, data):
        for subset in SUBSETS:
            counts = Counter(table(data, subset, "utt2genre").values())
            assert tuple(counts[genre] for genre in GENRES) == COUNTS[subset]

    def test_artists(self, data):
        train, test, evaluation = (set(table(data, s, "utt2spk").values()) for s in SUBSETS)
        assert (len(train), len(test), len(evaluation)) == (128, 128, 127)
        assert evaluation < train
        text = (data / "overlap.txt").read_text()
        assert "evaluation: tracks by artists of train: 729 of 729 (100.0 %), by 127 of 127 artists" in text

    def test_artist_filtered_folds(self, data):
        prefix = data.with_name("fold")
        make_folds.main(["--folds", "5", str(data / "train"), str(data / "evaluation"), str(prefix)])
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
            make_folds.main(["--folds", "6", str(data / "train"), str(data / "evaluation"), str(prefix)])

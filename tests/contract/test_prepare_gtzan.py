"""local/prepare_gtzan.py: ten classes, folds, repetitions, and the corrupt excerpt."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local import prepare_gtzan
from local.corpus import gtzan
from utils import cli, tables


@pytest.fixture
def corpus(tmp_path) -> Path:
    """1000 tiny files, and a jazz.00054 that decodes."""
    root = tmp_path / "gtzan"
    for genre in gtzan.GENRES:
        (root / "genres" / genre).mkdir(parents=True)
        for number in range(100):
            (root / "genres" / genre / f"{genre}.{number:05d}.au").write_text(f"{genre} {number}")
    soundfile.write(root / "genres/jazz/jazz.00054.au", np.zeros(100), 22050)
    return root


def prepare(corpus: Path, *options: str) -> Path:
    data = corpus.with_name("data")
    assert prepare_gtzan.main([*options, str(corpus), str(data)]) == 0
    return data


def both_sets(data: Path, name: str) -> dict[str, str]:
    return {**tables.read_table(data / "train" / name), **tables.read_table(data / "test" / name)}


def test_ten_stratified_folds_that_no_repetition_divides(corpus):
    data = prepare(corpus)
    folds, genre = tables.read_table(data / "utt2fold"), both_sets(data, "utt2genre")
    assert len(folds) == len(genre) == 1000
    assert set(Counter((genre[utt], fold) for utt, fold in folds.items()).values()) <= {9, 10, 11}
    test = tables.read_table(data / "test/utt2spk")
    assert set(test) == {utt for utt, fold in folds.items() if fold == "1"}
    assert (data / "train/genres.txt").read_text().split() == list(gtzan.GENRES)
    # Repetitions stay in one fold.
    wav = both_sets(data, "wav.scp")
    fold = {Path(path).stem: folds[utt] for utt, path in wav.items()}
    for lists in (gtzan.EXACT, gtzan.RECORDING):
        for genre, groups in lists.items():
            for group in groups:
                assert len({fold[f"{genre}.{number:05d}"] for number in group}) == 1, (genre, group)
    assert fold["metal.00058"] == fold["rock.00016"]
    spk = both_sets(data, "utt2spk")
    twins = ("disco_00050", "disco_00050-disco_00051", "disco_00050-disco_00070")
    assert {spk[utt] for utt in twins} == {"disco_00050"}


def test_another_fold_and_a_list_of_ones_own(corpus, tmp_path):
    folds = tables.read_table(prepare(corpus) / "utt2fold")
    data = prepare(corpus, "--fold", "7")
    assert tables.read_table(data / "utt2fold") == folds
    assert set(tables.read_table(data / "test/utt2spk")) == {
        utt for utt, fold in folds.items() if fold == "7"
    }
    tables.write_table(tmp_path / "mine", {utt: str(1 + i % 3) for i, utt in enumerate(sorted(folds))})
    data = prepare(corpus, "--utt2fold", str(tmp_path / "mine"), "--fold", "3")
    assert len(tables.read_table(data / "test/utt2spk")) == 333
    with pytest.raises(cli.UserError, match="--fold 4: the folds are 1 to 3"):
        prepare(corpus, "--utt2fold", str(tmp_path / "mine"), "--fold", "4")


def test_corrupt_excerpt_is_left_out_by_name(corpus, capsys):
    (corpus / "genres/jazz/jazz.00054.au").write_bytes(b"garbage" * 100)
    data = prepare(corpus)
    assert len(both_sets(data, "utt2genre")) == 999
    assert "jazz.00054: known to be corrupt, left out" in capsys.readouterr().err
    (corpus / "genres/jazz/jazz.00054.au").unlink()
    assert len(both_sets(prepare(corpus), "utt2genre")) == 999


def test_artists_of_ones_own_are_never_divided(corpus, tmp_path):
    (tmp_path / "artists.csv").write_text(
        "path,artist\n"
        + "".join(f"genres/reggae/reggae.{n:05d}.wav,Bob Marley\n" for n in range(30))
        + "blues.00001,John Lee Hooker\nreggae.00056,Robert Nesta Marley\n"
    )
    data = prepare(corpus, "--artists", str(tmp_path / "artists.csv"))
    spk = both_sets(data, "utt2spk")
    assert spk["john_lee_hooker-blues_00001"] == "john_lee_hooker"
    marley = [utt for utt, artist in spk.items() if artist == spk["bob_marley-reggae_00000"]]
    assert len(marley) >= 35  # with the five excerpts that repeat one of the thirty
    folds = tables.read_table(data / "utt2fold")
    assert len({folds[utt] for utt in marley}) == 1
    assert "by artists of train: 0 of" in (data / "overlap.txt").read_text()

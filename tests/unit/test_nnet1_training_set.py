"""The shuffled list of a training: the same for the same utterances, however their archives were split."""

import numpy as np
import pytest

from steps import archive
from steps.nnet1.minibatches import Frames
from steps.nnet1.trainer import open_data, shuffled, trainer_parser

KEYS = [f"utt{number:02d}" for number in range(23)]


def write_data(folder, num_jobs: int) -> str:
    """Write a data directory whose features lie in one archive for each of the jobs that made them."""
    folder.mkdir()
    for kind, name in (("matrix", "feats"), ("posterior", "labels")):
        lines = []
        for job, keys in enumerate(np.array_split(KEYS, num_jobs)):
            path = folder / f"{name}.{job}"
            with archive.Writer(f"ark,scp:{path}.ark,{path}.scp", kind=kind) as writer:
                for key in map(str, keys):
                    value = np.full((2, 3), KEYS.index(key), np.float32)
                    writer.write(key, value if kind == "matrix" else [[(0, 1.0)]] * 2)
            lines += (folder / f"{name}.{job}.scp").read_text().splitlines(keepends=True)
        (folder / f"{name}.scp").write_text("".join(lines))
    (folder / "genres.txt").write_text("a\nb\n")
    return str(folder)


def training_list(tmp_path, num_jobs: int, seed: int) -> tuple[list[str], list[float]]:
    """Return the keys of the list that the training reads, and what is behind each."""
    name = f"{num_jobs}.{seed}"
    data, exp = write_data(tmp_path / f"data{name}", num_jobs), tmp_path / f"exp{name}"
    exp.mkdir()
    transform = tmp_path / "transform.nnet"
    transform.write_text("<Nnet> \n<AddShift> 3 3\n [ 0 0 0 ]\n</Nnet> \n")
    words = [data, data, str(transform), str(exp), f"--seed={seed}"]
    parser = trainer_parser("Usage: x <data-tr> <data-cv> <feature-transform> <exp-dir>")
    tr, _ = open_data(parser.parse_args(words), Frames())
    assert (tr.input_dim, tr.num_classes) == (3, 2)
    pairs = list(archive.read_matrices(tr.feats))
    return [key for key, _ in pairs], [float(matrix[0, 0]) for _, matrix in pairs]


@pytest.mark.parametrize("seed", [777, 1])
def test_the_list_is_the_same_for_any_number_of_jobs(tmp_path, seed):
    keys, values = training_list(tmp_path, 1, seed)
    assert keys != KEYS and sorted(keys) == KEYS
    assert values == [KEYS.index(key) for key in keys]
    for num_jobs in (2, 3, 7, 23):
        assert training_list(tmp_path, num_jobs, seed) == (keys, values)


def test_the_list_depends_on_the_seed_and_not_on_the_order_of_the_table():
    table = {key: f"x.ark:{number}" for number, key in enumerate(KEYS)}
    backwards = dict(reversed(table.items()))
    assert list(shuffled(table, 777).items()) == list(shuffled(backwards, 777).items())
    assert list(shuffled(table, 777)) != list(shuffled(table, 778))

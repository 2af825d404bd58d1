"""Out-of-fold posteriors: of DNN and LSTM, each by a network that knew neither the track nor its artist."""

import re

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_forward
from utils import data_dir, tables

pytestmark = pytest.mark.xdist_group("crossfit")  # one process divides the folds
CONF = {
    "dnn": "--hid-dim=8\n--max-iters=2\n--minibatch-size=8\n--learn-rate=0.05\n",
    "lstm": "--cell-dim=6\n--proj-dim=4\n--max-iters=2\n--batch-size=5\n--learn-rate=0.01\n",
}
TRACKS = {
    f"{artist}-{genre}-{n}": artist
    for genre in "xyz"
    for artist in (f"{genre}{i}" for i in range(5))
    for n in "12"
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory of thirty tracks by fifteen artists, and its folds."""
    folder = tmp_path_factory.mktemp("crossfit")
    train = folder / "data" / "train"
    train.mkdir(parents=True)
    (folder / "conf").mkdir()
    for name, text in CONF.items():
        (folder / "conf" / f"{name}.conf").write_text(text)
    rng = np.random.default_rng(0)
    with archive.Writer(f"ark,scp:{train}/feats.ark,{train}/feats.scp") as writer:
        for utt in sorted(TRACKS):
            writer.write(utt, rng.normal(size=(12, 5)).astype(np.float32) + "xyz".index(utt[0]))
    tables.write_table(train / "utt2spk", TRACKS)
    tables.write_table(train / "spk2utt", data_dir.invert(TRACKS))
    tables.write_table(train / "utt2genre", {utt: utt[0] for utt in TRACKS})
    tables.write_table(train / "utt2num_frames", dict.fromkeys(TRACKS, 12))
    tables.write_table(train / "utt2dur", dict.fromkeys(TRACKS, 2.2))
    (train / "genres.txt").write_text("x\ny\nz\n")
    (train / "frame_shift").write_text("0.185759637188\n")
    return folder


@pytest.mark.parametrize("model", CONF)
def test_posteriors_are_of_networks_that_knew_neither_track_nor_artist(model, data, run_cli):
    options = ("--num-folds", 2, "--conf", data / "conf", "--dnns", "dnn")
    script = "local/crossfit_posteriors.sh"
    run_cli(script, *options, data / "data", data / "exp", model, check=True)
    where = tables.read_table(data / f"exp_{model}/post_train_crossfit/post.scp")
    assert list(where) == sorted(TRACKS)
    for utt, path in where.items():
        fold = re.search(r"/(fold[12])", path)[1]
        for part in ("train_tr", "train_cv"):
            known = (data / f"data/crossfit2/{fold}/{part}/utt2spk").read_text().split()
            assert known and utt not in known and TRACKS[utt] not in known
        topology = (data / f"exp_{model}/crossfit/{fold}_{model}/nnet.proto").read_text()
        assert ("Lstm" in topology) is (model == "lstm")
    found = dict(archive.read_matrices(f"scp:{data}/exp_{model}/post_train_crossfit/post.scp"))
    fold, other = ({u for u in where if f"/fold{n}" in where[u]} for n in "12")
    assert fold and other
    for post in found.values():
        assert post.shape == (12, 3) and np.allclose(post.sum(axis=1), 1, atol=1e-4)
    # By that fold's network, from its own transform: the tool says the same.
    utt = min(fold)
    home, folder = data / f"exp_{model}/crossfit/fold1_{model}", data / "data/crossfit2/fold1"
    transform = f"--feature-transform={folder}/cmvn/feature_transform.nnet"
    words = [transform, f"{home}/final_test.nnet", f"scp:{folder}/test/feats.scp", f"ark:{data}/again.ark"]
    assert nnet_forward.main(words) == 0
    np.testing.assert_allclose(
        dict(archive.read_matrices(f"ark:{data}/again.ark"))[utt], found[utt], atol=1e-6
    )

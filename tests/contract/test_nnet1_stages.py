"""The stage programs: resuming after a kill, starting over, refusals; posteriors out of fold."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from local import train_dnn, train_lstm
from steps import archive
from steps.nnet1 import nnet_forward, trainer
from tests.contract.malformed import as_lists
from utils import data_dir, tables

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Data directories ``tr`` (utt01 to utt09) and ``cv`` (the rest) of the fixtures."""
    root = tmp_path_factory.mktemp("corpus")
    post = archive.RandomReader(POST, "posterior")
    for part, first, last in (("tr", 1, 9), ("cv", 10, 12)):
        folder = root / part
        folder.mkdir()
        with (
            archive.Writer(f"ark,scp:{folder}/feats.ark,{folder}/feats.scp") as feats,
            archive.Writer(f"ark,scp:{folder}/labels.ark,{folder}/labels.scp", kind="posterior") as labels,
        ):
            for key, matrix in archive.read_matrices(FEATS):
                if first <= int(key[3:]) <= last:
                    feats.write(key, matrix)
                    labels.write(key, as_lists(post.get(key)))
        (folder / "genres.txt").write_text("a\nb\nc\n")
    return root


def test_karels_scheduler_ends_where_kaldis_did(corpus, tmp_path, capsys):
    words = [corpus / "tr", corpus / "cv", SMALL / "transf.nnet", tmp_path, "--learn-rate=0.1"]
    words += ["--minibatch-size=32", "--randomize=false", f"--nnet-init={SMALL}/dnn/dnn.init"]
    # Not in the shuffled order of the recipe, but in that of Kaldi's training.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "write_list", lambda args: f"scp:{args.data_tr}/feats.scp")
        assert train_dnn.main([str(word) for word in words]) == 0
    err = capsys.readouterr().err
    lines = re.findall(r"LOG \(\S+\) ((?:CROSSVAL|ITERATION|finished).*)", err)
    expected = [line for line in (SMALL / "sched.log").read_text().splitlines()[1:-1]]
    assert lines[:-1] == expected[:-1]
    # The last improvement is a difference of the losses' sixth digits.
    assert float(lines[-1].split()[-1]) == pytest.approx(float(expected[-1].split()[-1]), rel=0.02)


STAGES = {
    "dnn": (train_dnn, ["--hid-dim=8", "--learn-rate=0.05", "--minibatch-size=32"]),
    "lstm": (
        train_lstm,
        ["--cell-dim=6", "--proj-dim=4", "--learn-rate=0.001", "--batch-size=10", "--num-layers=2"],
    ),
}


def train(stage: str, corpus: Path, directory: Path, *more: str) -> None:
    module, options = STAGES[stage]
    places = [corpus / "tr", corpus / "cv", SMALL / "transf.nnet", directory]
    assert module.main([*options, *more, *(str(place) for place in places)]) == 0


def files(directory: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}
    rows_ = found.pop("iters.tsv").decode().splitlines()
    found["iters.tsv"] = "\n".join(line.rpartition("\t")[0].rpartition("\t")[0] for line in rows_).encode()
    return found


def interrupt(stage: str, corpus: Path, directory: Path, *more: str, epochs: int = 2) -> None:
    """Train until an epoch has begun, and end as if killed, its network written and its line not yet."""
    whole = trainer.Trainer.epoch

    def epoch(self, network, iteration, learn_rate):
        if iteration > epochs:
            (directory / "nnet" / "nnet.torn").write_bytes(b"torn")
            raise KeyboardInterrupt
        return whole(self, network, iteration, learn_rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "epoch", epoch)
        with pytest.raises(KeyboardInterrupt):
            train(stage, corpus, directory, *more)


@pytest.mark.parametrize("keep", ["true", "false"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_training_ends_with_the_same_bits(stage, keep, corpus, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ["--max-iters=4", "--key=abc", f"--keep-networks={keep}"]
    train(stage, corpus, whole, *options)
    interrupt(stage, corpus, parts, *options)
    capsys.readouterr()
    train(stage, corpus, parts, *options)
    err = capsys.readouterr().err
    assert err.count("(done before)") == 2
    (parts / "nnet" / "nnet.torn").unlink(missing_ok=True)
    assert files(whole) == files(parts)
    kept = len(list((whole / "nnet").iterdir()))
    assert kept == 4 if keep == "true" else kept in (1, 2)


@pytest.mark.parametrize("key", ["--key=other", "--key=", "--seed=777"])
def test_epochs_under_another_key_or_none_are_not_kept(key, corpus, tmp_path, capsys):
    """An edit of the code, the data or the configuration shows in the key: nothing stale may remain."""
    interrupt("dnn", corpus, tmp_path, "--max-iters=3", "--key=abc", "--hid-dim=9")
    for stale in ("post_test/post.scp", "score_test/accuracy.json", "svm_lstm/svm.npz", "results.txt"):
        (tmp_path / stale).parent.mkdir(exist_ok=True)
        (tmp_path / stale).write_text("by the network before")
    train("dnn", corpus, tmp_path, "--max-iters=3", key)
    assert "(done before)" not in capsys.readouterr().err
    train("dnn", corpus, tmp_path / "fresh", "--max-iters=3", key)
    fresh = files(tmp_path / "fresh")
    shutil.rmtree(tmp_path / "fresh")
    (tmp_path / "nnet" / "nnet.torn").unlink(missing_ok=True)
    assert files(tmp_path) == fresh


@pytest.mark.parametrize(("stage", "fewer"), [("lstm", "--max-iters=2"), ("lstm", "--select=best-cv")])
def test_fewer_epochs_or_another_selection_give_what_a_fresh_run_gives(
    stage, fewer, corpus, tmp_path, capsys
):
    again, fresh = tmp_path / "again", tmp_path / "fresh"
    common = ("--max-iters=4", "--momentum=0.9")  # the first epoch is the best one
    train(stage, corpus, again, *common, "--key=of four")
    first = (again / "final.nnet").read_bytes()
    train(stage, corpus, again, *common, fewer, "--key=of the other")
    assert "(done before)" not in capsys.readouterr().err
    assert (again / "final.nnet").read_bytes() != first
    train(stage, corpus, fresh, *common, fewer, "--key=of the other")
    assert files(again) == files(fresh)


def test_another_machine_on_the_way_is_warned_of_and_recorded(corpus, tmp_path, capsys):
    options = ["--max-iters=3", "--key=abc"]
    interrupt("dnn", corpus, tmp_path, *options)
    train("dnn", corpus, tmp_path, *options, "--kernels=torch", "--num-threads=2")
    kernels = "large=torch,gradient=torch,end=torch"
    warned = rf"WARNING .*begun on cpu, .* goes on on cpu, kernels {kernels}, 2 threads"
    assert re.search(warned, capsys.readouterr().err)
    record = json.loads((tmp_path / "training.json").read_text())
    assert ["1 threads" in record["machines"][0], "2 threads" in record["machines"][1]] == [True, True]
    assert record["network"] == {"kind": "DNN", "dims": [20, 8, 3]}
    assert (record["key"], record["seed"]) == ("abc", 777)


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_that_is_killed_within_an_epoch_ends_with_the_same_bits(stage, corpus, tmp_path, repo):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["--max-iters=6", "--key=abc", "--hid-dim=1500" if stage == "dnn" else "--cell-dim=90"]
    train(stage, corpus, whole, *options)
    module, fixed = STAGES[stage]
    places = [corpus / "tr", corpus / "cv", SMALL / "transf.nnet", killed]
    command = [sys.executable, module.__file__, *fixed, *options, *map(str, places)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", LC_ALL="C", PYTHONPATH=str(repo))
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(killed.glob("nnet/*iter2*")):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "final.nnet").exists()
    train(stage, corpus, killed, *options)
    assert files(whole) == files(killed)


def test_a_network_of_training_time_is_said_to_be_late(corpus, tmp_path, capsys):
    train("lstm", corpus, tmp_path, "--max-iters=1")
    transform = f"--feature-transform={SMALL}/transf.nnet"
    for name, late in (("final_test.nnet", False), ("final.nnet", True)):
        words = [transform, f"{tmp_path}/{name}", f"scp:{corpus}/cv/feats.scp", f"ark:{tmp_path}/post.ark"]
        assert nnet_forward.main(words) == 0
        err = capsys.readouterr().err
        assert (f"{name}: of training time, its outputs come late" in err) == late


def test_best_cv_is_the_epoch_with_the_lowest_loss(corpus, tmp_path):
    train("lstm", corpus, tmp_path, "--max-iters=4", "--momentum=0.9", "--select=best-cv")
    lines = [line.split("\t") for line in (tmp_path / "iters.tsv").read_text().splitlines()[2:]]
    best = min(lines, key=lambda line: float(line[4]))[-1]
    assert best != lines[-1][-1]
    assert (tmp_path / "final.nnet").read_bytes() == (tmp_path / "nnet" / best).read_bytes()


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


@pytest.mark.xdist_group("crossfit")  # one process divides the folds
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

"""The stage programs and the scheduler: lines, resuming after a kill, starting over, refusals."""

from __future__ import annotations

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
from steps.nnet1.runtime import Net

from local import dump_posteriors, train_dnn, train_lstm
from steps import archive
from steps.nnet1 import schedule, training
from steps.nnet1.epoch import frame_epoch
from steps.nnet1.experiment import Experiment
from steps.nnet1.inputs import TrainingData
from steps.nnet1.model_file import read_network, write_network
from utils.cli import UserError

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Data directories ``tr`` (utt01 to utt09) and ``cv`` (the rest) of the fixtures."""
    root = tmp_path_factory.mktemp("corpus")
    post = archive.open_random(POST, "posterior")
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
                    labels.write(key, post[key])
        (folder / "genres.txt").write_text("a\nb\nc\n")
    return root


def test_karels_scheduler_ends_where_kaldis_did(corpus, tmp_path, capsys):
    first = Net(read_network(SMALL / "transf.nnet"))

    def data(part):
        folder = corpus / part
        names = (f"scp:{folder}/{name}.scp" for name in ("feats", "labels"))
        return TrainingData(*names, 20, 3, transform=first.feedforward)

    def run(net, data_, options, where):
        return frame_epoch(net, data_, options, minibatch_size=32, where=where)

    network = read_network(SMALL / "dnn/dnn.init")
    write_network(network, tmp_path / "dnn.init")
    experiment = Experiment(tmp_path, {}, {})
    trainer = training.Trainer(experiment, data("tr"), data("cv"), run, Net(network).device)
    training.train_karel(trainer, schedule.KarelOptions("0.1"), network, "dnn")
    err = capsys.readouterr().err
    lines = re.findall(r"LOG \(\S+\) ((?:CROSSVAL|ITERATION|finished).*)", err)
    expected = [line for line in (SMALL / "sched.log").read_text().splitlines()[1:-1]]
    assert lines[:-1] == expected[:-1]
    # The last improvement is a difference of the losses' sixth digits.
    assert float(lines[-1].split()[-1]) == pytest.approx(float(expected[-1].split()[-1]), rel=0.02)


STAGES = {
    "dnn": (train_dnn, ["--hid-dim=8", "--learn-rate=0.05", "--minibatch-size=32"], "--learn-rate=0.06"),
    "lstm": (
        train_lstm,
        ["--cell-dim=6", "--proj-dim=4", "--learn-rate=0.001", "--batch-size=10", "--num-layers=2"],
        "--momentum=0.5",
    ),
}


def train(stage: str, corpus: Path, directory: Path, *more: str) -> None:
    module, options, _ = STAGES[stage]
    places = [corpus / "tr", corpus / "cv", SMALL / "transf.nnet", directory]
    assert module.main([*options, *more, *(str(place) for place in places)]) == 0


def files(directory: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}
    rows_ = found.pop("iters.tsv").decode().splitlines()
    found["iters.tsv"] = "\n".join(line.rpartition("\t")[0].rpartition("\t")[0] for line in rows_).encode()
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_training_ends_with_the_same_bits(stage, corpus, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(stage, corpus, whole, "--max-iters=4")
    train(stage, corpus, parts, "--max-iters=2")
    # As if killed in the third epoch, its network written and its line not yet.
    (parts / "nnet" / "nnet.iter3").write_bytes(b"torn")
    capsys.readouterr()
    train(stage, corpus, parts, "--max-iters=4")
    err = capsys.readouterr().err
    assert err.count("(done before)") == 2
    if stage == "dnn":
        (parts / "nnet" / "nnet.iter3").unlink()
    assert files(whole) == files(parts)


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_that_is_killed_within_an_epoch_ends_with_the_same_bits(stage, corpus, tmp_path, repo):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["--max-iters=6", "--hid-dim=1500" if stage == "dnn" else "--cell-dim=90"]
    train(stage, corpus, whole, *options)
    module, fixed, _ = STAGES[stage]
    places = [corpus / "tr", corpus / "cv", SMALL / "transf.nnet", killed]
    command = [sys.executable, module.__file__, *fixed, *options, *map(str, places)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", LC_ALL="C", PYTHONPATH=str(repo))
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(killed.glob("nnet/*iter[12]*"))) < 2:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "final.nnet").exists()
    train(stage, corpus, killed, *options)
    assert files(whole) == files(killed)


@pytest.mark.parametrize("stage", STAGES)
def test_a_finished_training_is_left_alone_and_a_changed_one_starts_over(stage, corpus, tmp_path, capsys):
    train(stage, corpus, tmp_path, "--max-iters=2")
    before = files(tmp_path)
    train(stage, corpus, tmp_path, "--max-iters=2")
    assert files(tmp_path) == before
    capsys.readouterr()
    option = STAGES[stage][2]
    train(stage, corpus, tmp_path, "--max-iters=2", option)
    assert f"starting over, it was made with {option[2:].split('=')[0]}" in capsys.readouterr().err
    fresh = tmp_path / "fresh"
    train(stage, corpus, fresh, "--max-iters=2", option)
    after = files(fresh)
    shutil.rmtree(fresh)
    assert files(tmp_path) == after


def test_what_min_iters_alone_keeps_going_is_said(corpus, tmp_path, capsys):
    train("dnn", corpus, tmp_path, "--learn-rate=1e-9", "--max-iters=4", "--min-iters=3")
    err = capsys.readouterr().err
    line = "we were supposed to finish, but we continue as min_iters : 3"
    assert err.count(line) == 2
    assert "(lrate1e-09)" in err
    assert "###" not in err and "ProgressLoss" not in err


def test_changed_data_start_over(corpus, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(corpus, data)
    for scp in data.rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(corpus), str(data)))
    train("dnn", corpus, tmp_path / "exp", "--max-iters=1")
    train("dnn", data, tmp_path / "exp", "--max-iters=1")
    assert "starting over" not in capsys.readouterr().err
    with (data / "tr" / "feats.ark").open("r+b") as file:
        file.seek(100)
        file.write(b"\0")
    train("dnn", data, tmp_path / "exp", "--max-iters=1")
    assert "starting over, it was made with data" in capsys.readouterr().err


def test_another_arithmetic_is_refused(corpus, tmp_path):
    train("dnn", corpus, tmp_path, "--max-iters=1")
    with pytest.raises(UserError, match="begun with num-threads 1 instead of 2"):
        train("dnn", corpus, tmp_path, "--max-iters=2", "--num-threads=2")
    train("dnn", corpus, tmp_path, "--max-iters=1")


def test_a_feature_width_that_does_not_fit_is_refused(corpus, tmp_path):
    with pytest.raises(UserError, match="the features have 20 columns, the configuration says 525"):
        train("dnn", corpus, tmp_path, "--feat-dim=525")


@pytest.mark.parametrize(
    ("stage", "options", "message"),
    [
        ("lstm", ["--learn-rate=1e6"], r"epoch \d, learning rate 1e6: .*use a lower"),
        ("dnn", ["--learn-rate=1e30"], r"epoch \d, learning rate \S+: .*use a lower"),
        ("dnn", ["--learn-rate=10"], r"epoch 2, learning rate 5: none of the epochs .*use a lower"),
        (
            "dnn",
            ["--learn-rate=10", "--keep-lr-iters=9"],
            r"epoch 3, learning rate 10: .* above the initial \S+ for 3 epochs .*use a lower",
        ),
    ],
)
def test_divergence_names_epoch_and_learning_rate(stage, options, message, corpus, tmp_path):
    with pytest.raises(UserError, match=message):
        train(stage, corpus, tmp_path, *options)
    assert not (tmp_path / "final.nnet").exists()


def test_over_fitting_goes_on_and_is_told_once(corpus, tmp_path, capsys):
    shutil.copytree(corpus, tmp_path / "data")
    labels = dict(archive.read_objects(f"scp:{corpus}/cv/labels.scp", "posterior"))
    spec = f"ark,scp:{tmp_path}/data/cv/labels.ark,{tmp_path}/data/cv/labels.scp"
    with archive.Writer(spec, kind="posterior") as wrong:
        for key, post in labels.items():
            wrong.write(key, [[((label + 1) % 3, weight) for label, weight in frame] for frame in post])
    train("dnn", tmp_path / "data", tmp_path / "exp", "--max-iters=5", "--keep-lr-iters=5")
    (told,) = re.findall(r"WARNING .*above the initial.*", capsys.readouterr().err)
    assert re.search(r"epoch 3, learning rate \S+: .* 3 epochs .*: over-fitting", told)
    assert (tmp_path / "exp/final.nnet").exists()


def test_best_cv_is_the_epoch_with_the_lowest_loss(corpus, tmp_path):
    train("lstm", corpus, tmp_path, "--max-iters=4", "--momentum=0.5", "--select=best-cv")
    lines = [line.split("\t") for line in (tmp_path / "iters.tsv").read_text().splitlines()[2:]]
    best = min(lines, key=lambda line: float(line[4]))[-1]
    assert (tmp_path / "final.nnet").read_bytes() == (tmp_path / "nnet" / best).read_bytes()


def test_posteriors_of_the_stage_programs(corpus, tmp_path):
    train("lstm", corpus, tmp_path, "--max-iters=1")
    feats = f"scp:{corpus}/cv/feats.scp"
    transform = str(SMALL / "transf.nnet")
    output = f"ark,scp:{tmp_path}/post.ark,{tmp_path}/post.scp"
    assert dump_posteriors.main([str(tmp_path / "final_test.nnet"), transform, feats, output]) == 0
    posteriors = dict(archive.read_matrices(f"scp:{tmp_path}/post.scp"))
    for key, matrix in archive.read_matrices(feats):
        assert posteriors[key].shape == (len(matrix), 3)
        assert np.abs(posteriors[key].sum(axis=1) - 1).max() < 1e-5
    with pytest.raises(UserError, match="use final_test.nnet"):
        dump_posteriors.main([str(tmp_path / "final.nnet"), transform, feats, output])


@pytest.mark.parametrize("lines", ["--learn-rate=0.1\n", "--hid-dim=8\n--cell-dim=8\n"])
def test_a_configuration_of_no_kind_of_model_is_refused(run_cli, tmp_path, lines):
    (tmp_path / "odd.conf").write_text(lines)
    done = run_cli("local/train_model.sh", "--conf", tmp_path, tmp_path, tmp_path / "exp", "odd")
    assert done.returncode == 1
    assert "odd.conf: expected --cell-dim (of an LSTM) or --hid-dim (of a DNN)" in done.stderr

"""The training tools and nnet_forward as programs: options, log lines, counts, refusals."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_forward, nnet_train_frmshuff, nnet_train_lstm_streams
from steps.nnet1.model_file import read_network
from utils.cli import UserError

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
TRANSF, TRANSF2014 = (
    f"--feature-transform={SMALL}/{name}" for name in ("transf.nnet", "transf2014.nnet.txt")
)
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"
DNN = ["--minibatch-size=32", "--learn-rate=0.02", "--randomize=false", TRANSF]


def test_frmshuff_prints_kaldis_lines_and_writes_kaldis_network(run_cli, tmp_path):
    done = run_cli(
        "steps/nnet1/nnet_train_frmshuff.py", *DNN, FEATS, POST, SMALL / "dnn/dnn.init", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"LOG \(nnet_train_frmshuff.py\) Done 12 files, 0 with no tgt_mats, 0 with other errors. "
        r"\[TRAINING, NOT-RANDOMIZED, \S+ min, processing \S+ frames per sec",
        done.stderr,
    )
    assert "@@@ Frames per-class: [ 245 386 297 ]" in done.stderr
    assert "@@@ Loss per-class: [ 1.10413 0.543025 1.05975 ]" in done.stderr
    line = next(line for line in done.stderr.splitlines() if "AvgLoss:" in line)
    assert line.split()[3] == "0.857995"
    assert line.endswith("AvgLoss: 0.857995 (Xent), [AvgXent: 0.857995, AvgTargetEnt: 0]")
    assert done.stderr.endswith("progress: []\nFRAME_ACCURACY >> 60.7759% <<\n\n")
    network, kaldi = read_network(tmp_path / "out"), read_network(SMALL / "dnn/plain.it1")
    assert len((tmp_path / "out").read_bytes()) == len((SMALL / "dnn/plain.it1").read_bytes())
    for (_, _, ours), (_, _, theirs) in zip(network.params(), kaldi.params(), strict=True):
        assert (ours - theirs).abs().max() / theirs.abs().max() < 1e-5


def test_lstm_streams_prints_the_lines_of_2014(run_cli, tmp_path):
    done = run_cli(
        "steps/nnet1/nnet_train_lstm_streams.py",
        *("--num-stream", "4", "--batch-size=20", "--momentum=0.8", "--targets-delay=5"),
        *(
            "--learn-rate=0.002",
            "--dump-interval=5",
            TRANSF2014,
            FEATS,
            POST,
            SMALL / "lstm/google.init",
            tmp_path / "out",
        ),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Done 12 files, .* \[TRAINING, NOT-RANDOMIZED, \S+ min, fps\S+\]", done.stderr)
    tail = "AvgLoss: 0.791764 (Xent), [AvgXent: 0.791764, AvgTargetEnt: 0]\n\nFRAME_ACCURACY >> 69.0928% <<\n"
    assert done.stderr.endswith(tail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out_utt10", "out_utt5"]


def test_cross_validation_writes_no_model(run_cli):
    usage = run_cli("steps/nnet1/nnet_train_frmshuff.py", "--cross-validate=true", FEATS, POST, "in", "out")
    assert usage.returncode == 2 and "leave <model-out> out" in usage.stderr


def write_corpus(folder: Path, feats: dict, post: dict) -> list[str]:
    with archive.Writer(f"ark:{folder}/f.ark") as writer:
        for key, matrix in feats.items():
            writer.write(key, matrix)
    with archive.Writer(f"ark:{folder}/p.ark", kind="posterior") as writer:
        for key, frames in post.items():
            writer.write(key, frames)
    return [f"ark:{folder}/f.ark", f"ark:{folder}/p.ark"]


def one_hot(length: int, label: int = 1) -> list[list[tuple[int, float]]]:
    return [[(label, 1.0)]] * length


def rows(length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(length, 20)).astype(np.float32)


def run_tool(module, options, corpus, model, out=None):
    return module.main([*options, *corpus, str(SMALL / model), *([str(out)] if out else [])])


def test_utterances_that_do_not_fit_are_counted(tmp_path, capsys):
    feats = {name: rows(length) for name, length in (("a", 40), ("b", 40), ("c", 40), ("d", 40))}
    post = {"a": one_hot(40), "c": one_hot(36), "d": one_hot(35)}
    corpus = write_corpus(tmp_path, feats, post)
    run_tool(nnet_train_frmshuff, DNN, corpus, "dnn/dnn.init", tmp_path / "out")
    err = capsys.readouterr().err
    assert "Done 2 files, 1 with no tgt_mats, 1 with other errors." in err
    assert "b, missing targets" in err
    assert "d, skipped: length mismatch: features 40, targets 35 frames" in err
    run_tool(nnet_train_lstm_streams, [TRANSF2014], corpus, "lstm/google.init", tmp_path / "out")
    err = capsys.readouterr().err
    assert "Done 1 files, 1 with no tgt_mats, 2 with other errors." in err
    assert "1 utterances for 4 streams" in err


def test_streams_are_checked_against_model_and_transform(tmp_path):
    with pytest.raises(UserError, match="made for <NumStream> 4; use --num-stream=4 instead of 3"):
        options = ["--num-stream=3", TRANSF2014, FEATS, POST, str(SMALL / "lstm/google.init"), str(tmp_path)]
        nnet_train_lstm_streams.main(options)
    delayed = f"--feature-transform={SMALL}/transf_delay5.nnet.txt"
    with pytest.raises(UserError, match="<Splice> would mix the streams"):
        nnet_train_lstm_streams.main([delayed, FEATS, POST, str(SMALL / "lstm/google.init"), str(tmp_path)])


def test_the_shuffle_depends_on_its_seed_alone(tmp_path):
    options = ["--minibatch-size=32", "--randomizer-size=300", TRANSF, FEATS, POST, f"{SMALL}/dnn/dnn.init"]
    for name, more in (("a", []), ("b", []), ("c", ["--randomizer-seed=1"]), ("d", ["--randomize=false"])):
        nnet_train_frmshuff.main([*more, *options, str(tmp_path / name)])
    a, b, c, d = ((tmp_path / name).read_bytes() for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


def test_forward_writes_posteriors_with_log_and_priors(tmp_path):
    (tmp_path / "counts").write_text("[ 10 30 0 ]\n")
    options = [TRANSF, "--apply-log=true", f"--class-frame-counts={tmp_path}/counts", "--prior-scale=0.5"]
    assert nnet_forward.main([*options, str(SMALL / "dnn/dnn.init"), FEATS, f"ark:{tmp_path}/o"]) == 0
    ours = dict(archive.read_matrices(f"ark:{tmp_path}/o"))
    for key, kaldi in archive.read_matrices(f"ark:{SMALL}/dnn/fwd_post.ark"):
        expected = np.log(kaldi[:, :2]) - 0.5 * np.log([0.25, 0.75])
        assert np.abs(ours[key][:, :2] - expected).max() < 1e-5
        assert (ours[key][:, 2] < -1e18).all()


TRAINERS = {
    nnet_train_frmshuff: ("dnn/dnn.init", "minibatch-size=32 randomizer-size=300 randomize=false"),
    nnet_train_lstm_streams: ("lstm/google.init", "num-stream=4 batch-size=20 targets-delay=5"),
}
EVERY = (
    "learn-rate=0.001 momentum=0.5 l1-penalty=0 l2-penalty=0.0001 cross-validate=false binary=true verbose=1 "
    "use-gpu=no print-args=false length-tolerance=5 objective-function=xent "
    # What train_scheduler.sh gives to any --train-tool.
    "randomize=true minibatch-size=256 randomizer-size=32768 randomizer-seed=777"
)


@pytest.mark.parametrize("module", TRAINERS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_options_with_equals_sign_and_with_blank(module, tmp_path):
    model, options = TRAINERS[module]
    transform = TRANSF2014 if "google" in model else TRANSF
    joined = [f"--{option}" for option in f"{EVERY} {options}".split()] + [transform]
    apart = [word for option in joined for word in option.split("=", 1)]
    for name, words in (("joined", joined), ("apart", apart)):
        run_tool(module, words, [FEATS, POST], model, tmp_path / name)
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "apart").read_bytes()
    for wrong in (["--no-such=1"], ["--learn=0.1"], ["--momentum=x"], ["--cross-validate=yes"]):
        with pytest.raises(SystemExit) as stopped:
            run_tool(module, [*joined, *wrong], [FEATS, POST], model, tmp_path / "wrong")
        assert stopped.value.code == 2


def test_a_seed_may_be_any_integer(tmp_path):
    for seed in (-1, 2**32 - 1):
        options = ["--minibatch-size=32", f"--randomizer-seed={seed}", TRANSF]
        run_tool(nnet_train_frmshuff, options, [FEATS, POST], "dnn/dnn.init", tmp_path / str(seed))
    assert (tmp_path / "-1").read_bytes() == (tmp_path / str(2**32 - 1)).read_bytes()

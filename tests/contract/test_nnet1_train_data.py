"""Frame weights, soft targets, unreadable targets and bare softmax inputs through the programs."""

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
TRANSF = f"--feature-transform={SMALL}/transf.nnet"
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"
DNN = str(SMALL / "dnn/dnn.init")
KEYS = [key for key, _ in archive.read_matrices(FEATS)]
LENGTHS = {key: len(matrix) for key, matrix in archive.read_matrices(FEATS)}


def write(path: Path, kind: str, objects) -> str:
    with archive.Writer(f"ark:{path}", kind=kind) as writer:
        for key, value in objects:
            writer.write(key, value)
    return f"ark:{path}"


def train(out: Path, *options: str, feats: str = FEATS, targets: str = POST) -> list[np.ndarray]:
    words = ["--minibatch-size=32", "--randomize=false", TRANSF, *options, feats, targets, DNN, str(out)]
    assert nnet_train_frmshuff.main(words) == 0
    return [value.numpy() for _, _, value in read_network(out).params()]


def test_frames_of_weight_zero_are_frames_that_are_not_there(tmp_path, capsys):
    keep = {key: np.arange(LENGTHS[key]) % 3 > 0 for key in KEYS}
    weights = write(tmp_path / "w", "vector", ((key, keep[key].astype(np.float32)) for key in KEYS))
    feats = write(tmp_path / "f", "matrix", ((key, x[keep[key]]) for key, x in archive.read_matrices(FEATS)))
    post = archive.RandomReader(POST, "posterior")
    cut = ((key, [frame for frame, kept in zip(post[key], keep[key], strict=True) if kept]) for key in KEYS)
    targets = write(tmp_path / "p", "posterior", cut)
    train(tmp_path / "weighted", f"--frame-weights={weights}")
    first = capsys.readouterr().err
    train(tmp_path / "cut", feats=feats, targets=targets)
    assert (tmp_path / "weighted").read_bytes() == (tmp_path / "cut").read_bytes()
    loss = re.search(r"AvgLoss: \S+", first)[0]
    assert loss in capsys.readouterr().err


def test_a_weight_of_two_is_twice_the_learning_rate(tmp_path):
    weights = write(tmp_path / "w", "vector", ((key, np.full(LENGTHS[key], 2, np.float32)) for key in KEYS))
    doubled = train(tmp_path / "a", f"--frame-weights={weights}", "--learn-rate=0.01")
    for left, right in zip(doubled, train(tmp_path / "b", "--learn-rate=0.02"), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (-0.5, "-0.5")]
)
def test_a_weight_that_is_no_weight_names_utterance_and_frame(tmp_path, value, shown):
    vectors = {key: np.ones(LENGTHS[key], np.float32) for key in KEYS}
    vectors[KEYS[3]][7] = value
    weights = write(tmp_path / "w", "vector", vectors.items())
    words = [TRANSF, f"--frame-weights={weights}", FEATS, POST, DNN, str(tmp_path / "out")]
    with pytest.raises(UserError, match=rf"{KEYS[3]}: weight {shown} of frame 7 \(from 0\)"):
        nnet_train_frmshuff.main(words)
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_counted(tmp_path, capsys):
    weights = write(tmp_path / "w", "vector", [(KEYS[0], np.ones(LENGTHS[KEYS[0]], np.float32))])
    train(tmp_path / "out", f"--frame-weights={weights}")
    err = capsys.readouterr().err
    assert f"{KEYS[1]}, missing per-frame weights" in err
    assert "Done 1 files, 0 with no tgt_mats, 11 with other errors." in err


def test_kaldi_lstm_ignores_frame_weights(tmp_path, capsys):
    words = [f"--feature-transform={SMALL}/transf2014.nnet.txt", FEATS, POST, str(SMALL / "lstm/google.init")]
    for name, options in (("with", [f"--frame-weights=ark:{tmp_path}/none"]), ("without", [])):
        assert nnet_train_lstm_streams.main([*options, *words, str(tmp_path / name)]) == 0
    assert "--frame-weights has no effect here" in capsys.readouterr().err
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()


def test_a_step_on_soft_targets_is_the_mean_of_the_steps_on_their_classes(tmp_path, capsys):
    one_batch = f"--minibatch-size={sum(LENGTHS.values())}"

    def step(name: str, frame: list[tuple[int, float]]) -> list[np.ndarray]:
        targets = write(tmp_path / f"{name}.p", "posterior", ((key, [frame] * LENGTHS[key]) for key in KEYS))
        new = train(tmp_path / name, one_batch, "--learn-rate=0.001", targets=targets)
        return [value - old for value, old in zip(new, before, strict=True)]

    before = [value.numpy() for _, _, value in read_network(DNN).params()]
    first, second = step("first", [(0, 1.0)]), step("second", [(2, 1.0)])
    capsys.readouterr()
    soft = step("soft", [(0, 0.25), (2, 0.75)])
    for mixed, left, right in zip(soft, first, second, strict=True):
        np.testing.assert_allclose(mixed, 0.25 * left + 0.75 * right, atol=4e-6 * np.abs(left).max() + 1e-7)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    loss, xent, shown = re.search(
        r"AvgLoss: (\S+) \(Xent\), \[AvgXent: (\S+), AvgTargetEnt: (\S+)\]", capsys.readouterr().err
    ).groups()
    assert float(shown) == pytest.approx(entropy, rel=1e-5)
    assert float(loss) == pytest.approx(float(xent) - entropy, rel=1e-4)


def test_forward_without_softmax_gives_what_the_softmax_takes(tmp_path, capsys):
    assert nnet_forward.main([TRANSF, "--no-softmax=true", DNN, FEATS, f"ark:{tmp_path}/o"]) == 0
    assert f"Removing <Softmax> from the nnet {DNN}" in capsys.readouterr().err
    kaldis = dict(archive.read_matrices(f"ark:{SMALL}/dnn/fwd_post.ark"))
    for key, output in archive.read_matrices(f"ark:{tmp_path}/o"):
        assert np.abs(output.sum(axis=1) - 1).max() > 0.1
        powers = np.exp(output.astype(np.float64))
        assert np.abs(powers / powers.sum(axis=1, keepdims=True) - kaldis[key]).max() < 1e-6
    with pytest.raises(SystemExit):
        nnet_forward.main(["--no-softmax=true", "--apply-log=true", DNN, FEATS, f"ark:{tmp_path}/o"])


def test_forward_names_the_priors_and_counts_the_impossible_classes(tmp_path, capsys):
    (tmp_path / "counts").write_text("[ 10 30 0 ]\n")
    options = [TRANSF, f"--class-frame-counts={tmp_path}/counts"]
    assert nnet_forward.main([*options, DNN, FEATS, f"ark:{tmp_path}/o"]) == 0
    lines = re.findall(r"LOG \(\S+\) (.*pdf-priors.*)", capsys.readouterr().err)
    assert lines == [
        f"Computing pdf-priors from : {tmp_path}/counts",
        "Floored 1 pdf-priors (hard-set to 1.84467e+19, which disables DNN output when decoding)",
    ]


def test_targets_that_cannot_be_read_are_missing_where_the_rspecifier_is_permissive(tmp_path, capsys):
    posts = ((key, frames) for key, frames in archive.read_objects(POST, "posterior"))
    with archive.Writer(f"ark,scp:{tmp_path}/p.ark,{tmp_path}/p.scp", kind="posterior") as writer:
        for key, frames in posts:
            writer.write(key, frames)
    lines = (tmp_path / "p.scp").read_text().splitlines()
    lines[2] = f"{KEYS[2]} {tmp_path}/no-such.ark:5"
    lines[5] = f"{KEYS[5]} {tmp_path}/p.ark:3"
    (tmp_path / "p.scp").write_text("\n".join(lines) + "\n")
    train(tmp_path / "out", targets=f"scp,p:{tmp_path}/p.scp")
    err = capsys.readouterr().err
    assert "Done 10 files, 2 with no tgt_mats, 0 with other errors." in err
    assert f"{KEYS[2]}, missing targets" in err and f"{KEYS[5]}, missing targets" in err
    with pytest.raises(UserError, match=r"p\.scp:3: cannot open '\S+no-such\.ark'"):
        train(tmp_path / "no", targets=f"scp:{tmp_path}/p.scp")
    whole = (tmp_path / "p.ark").read_bytes()
    (tmp_path / "p.ark").write_bytes(whole[: len(whole) // 2])
    train(tmp_path / "out", targets=f"ark,p:{tmp_path}/p.ark")
    done = int(re.search(r"Done (\d+) files", capsys.readouterr().err)[1])
    assert 0 < done < 12
    with pytest.raises(UserError, match=r"p\.ark: byte \d+"):
        train(tmp_path / "no", targets=f"ark:{tmp_path}/p.ark")

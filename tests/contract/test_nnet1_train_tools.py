"""The training tools and nnet_forward as programs: options, counts, weights, targets, Kaldi's lines."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_forward, nnet_train_frmshuff, nnet_train_lstm_streams
from steps.nnet1.model_file import read_network
from tests.contract.malformed import as_lists
from utils.cli import UserError

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
TRANSF, TRANSF2014 = (
    f"--feature-transform={SMALL}/{name}" for name in ("transf.nnet", "transf2014.nnet.txt")
)
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"
PLAIN = ["--minibatch-size=32", "--learn-rate=0.02", "--randomize=false", TRANSF]
DNN = str(SMALL / "dnn/dnn.init")
KEYS = [key for key, _ in archive.read_matrices(FEATS)]
LENGTHS = {key: len(matrix) for key, matrix in archive.read_matrices(FEATS)}


def test_frmshuff_prints_kaldis_lines_and_writes_kaldis_network(run_cli, tmp_path):
    done = run_cli(
        "steps/nnet1/nnet_train_frmshuff.py", *PLAIN, FEATS, POST, SMALL / "dnn/dnn.init", tmp_path / "out"
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
        assert abs(ours - theirs).max() / abs(theirs).max() < 1e-5


def write(path: Path, kind: str, objects) -> str:
    with archive.Writer(f"ark:{path}", kind=kind) as writer:
        for key, value in objects:
            writer.write(key, value)
    return f"ark:{path}"


def run_tool(module, options, corpus, model, out=None):
    return module.main([*options, *corpus, str(SMALL / model), *([str(out)] if out else [])])


def test_utterances_that_do_not_fit_are_counted(tmp_path, capsys):
    rng = np.random.default_rng(40)
    feats = {name: rng.normal(size=(40, 20)).astype(np.float32) for name in "abcd"}
    post = {name: [[(1, 1.0)]] * length for name, length in (("a", 40), ("c", 36), ("d", 35))}
    corpus = [
        write(tmp_path / "f", "matrix", feats.items()),
        write(tmp_path / "p", "posterior", post.items()),
    ]
    run_tool(nnet_train_frmshuff, PLAIN, corpus, "dnn/dnn.init", tmp_path / "out")
    err = capsys.readouterr().err
    assert "Done 2 files, 1 with no tgt_mats, 1 with other errors." in err
    assert "b, missing targets" in err
    assert "d, skipped: length mismatch: features 40, targets 35 frames" in err
    run_tool(nnet_train_lstm_streams, [TRANSF2014], corpus, "lstm/google.init", tmp_path / "out")
    err = capsys.readouterr().err
    assert "Done 1 files, 1 with no tgt_mats, 2 with other errors." in err
    assert "1 utterances for 4 streams" in err


def test_streams_are_checked_against_the_model(tmp_path):
    with pytest.raises(UserError, match="made for <NumStream> 4; use --num-stream=4 instead of 3"):
        options = ["--num-stream=3", TRANSF2014, FEATS, POST, str(SMALL / "lstm/google.init"), str(tmp_path)]
        nnet_train_lstm_streams.main(options)


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


def train(out: Path, *options: str, feats: str = FEATS, targets: str = POST) -> list[np.ndarray]:
    words = ["--minibatch-size=32", "--randomize=false", TRANSF, *options, feats, targets, DNN, str(out)]
    assert nnet_train_frmshuff.main(words) == 0
    return [value for _, _, value in read_network(out).params()]


def test_frames_of_weight_zero_are_frames_that_are_not_there(tmp_path, capsys):
    keep = {key: np.arange(LENGTHS[key]) % 3 > 0 for key in KEYS}
    weights = write(tmp_path / "w", "vector", ((key, keep[key].astype(np.float32)) for key in KEYS))
    feats = write(tmp_path / "f", "matrix", ((key, x[keep[key]]) for key, x in archive.read_matrices(FEATS)))
    post = archive.RandomReader(POST, "posterior")
    cut = (
        (key, [frame for frame, kept in zip(as_lists(post.get(key)), keep[key], strict=True) if kept])
        for key in KEYS
    )
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


def test_a_step_on_soft_targets_is_the_mean_of_the_steps_on_their_classes(tmp_path, capsys):
    one_batch = f"--minibatch-size={sum(LENGTHS.values())}"

    def step(name: str, frame: list[tuple[int, float]]) -> list[np.ndarray]:
        targets = write(tmp_path / f"{name}.p", "posterior", ((key, [frame] * LENGTHS[key]) for key in KEYS))
        new = train(tmp_path / name, one_batch, "--learn-rate=0.001", targets=targets)
        return [value - old for value, old in zip(new, before, strict=True)]

    before = [value for _, _, value in read_network(DNN).params()]
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


def test_lstm_streams_prints_the_lines_of_2014(run_cli, tmp_path):
    done = run_cli(
        "steps/nnet1/nnet_train_lstm_streams.py",
        *("--num-stream", "4", "--batch-size=20", "--momentum=0.8", "--targets-delay=5"),
        *("--learn-rate=0.002", "--dump-interval=5", TRANSF2014, FEATS, POST),
        *(SMALL / "lstm/google.init", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Done 12 files, .* \[TRAINING, NOT-RANDOMIZED, \S+ min, fps\S+\]", done.stderr)
    tail = "AvgLoss: 0.791764 (Xent), [AvgXent: 0.791764, AvgTargetEnt: 0]\n\nFRAME_ACCURACY >> 69.0928% <<\n"
    assert done.stderr.endswith(tail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out_utt10", "out_utt5"]


MODULES = {
    "nnet-train-frmshuff": nnet_train_frmshuff,
    "bd-nnet-train-lstm-streams": nnet_train_lstm_streams,
}
LOGS = (
    *("dnn_plain.it1", "dnn_plain.it1.cv", "dnn_mmt5.it2", "dnn_l1.it1", "dnn_onestep.it1"),
    *("dnn_weights.it1", "dnn_soft.it1", "dnn_plain2014.it1", "dnn_plain2014.it1.cv"),
    *("lstm_bd_d5.it1", "lstm_bd_d5.it1.cv", "lstm_bd2_d5.it1", "lstm_bd_onestep"),
)
NUMBER = re.compile(r"(?<![A-Za-z_0-9])-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?")
# Of the time that a run takes.
MASKED = re.compile(r"[0-9]\S* min|(?<=fps)[^\]]+|(?<=processing )\S+|(?<=time )\S+%")


BUFFERS = re.compile(r"V?LOG(?:\[1\])? \(\S+\) (?:###|\n###).*?(?=V?LOG|\Z)", re.DOTALL)


def normal(text: str) -> list[str]:
    """Lines of a log without the buffers' contents, the names of programs and the times."""
    text = re.sub(r"^LOG \(\S+\)", "LOG", BUFFERS.sub("", text), flags=re.MULTILINE)
    ours = ("LOG Recurrence:", "LOG Products")
    return [MASKED.sub("-", line) for line in text.splitlines() if not line.startswith(ours)]


@pytest.mark.parametrize("name", LOGS)
def test_every_line_is_kaldis(name, shared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    command, _, log = (shared / "reference/kaldi_nnet1/log" / f"{name}.log").read_text().partition("\n")
    program, *words = shlex.split(command)
    if "--cross-validate=true" not in words:
        words[-1] = str(tmp_path / "out")
    capsys.readouterr()
    assert MODULES[program.rpartition("/")[2]].main(words) == 0
    ours, kaldis = normal(capsys.readouterr().err), normal(log)
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in kaldis]
    for left, right in zip(ours, kaldis, strict=True):
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (left, right)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)

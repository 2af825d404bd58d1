"""The training tools and stage programs as programs: log lines, counts, refusals, resuming."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from local import dump_posteriors, train_dnn, train_lstm
from steps import archive
from steps.nnet1 import nnet_forward, nnet_train_frmshuff, nnet_train_lstm_streams, schedule, training
from steps.nnet1.epoch import frame_epoch
from steps.nnet1.experiment import Experiment
from steps.nnet1.inputs import TrainingData
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.runtime import Net
from utils.cli import UserError

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
TRANSF, TRANSF2014 = (
    f"--feature-transform={SMALL}/{name}" for name in ("transf.nnet", "transf2014.nnet.txt")
)
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"
DNN = ["--minibatch-size=32", "--learn-rate=0.02", "--randomize=false", TRANSF]


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
    assert done.stderr.endswith("progress: []\nFRAME_ACCURACY >> 60.7759% <<\n")
    network, kaldi = read_network(tmp_path / "out"), read_network(SMALL / "dnn/plain.it1")
    assert len((tmp_path / "out").read_bytes()) == len((SMALL / "dnn/plain.it1").read_bytes())
    for (_, _, ours), (_, _, theirs) in zip(network.params(), kaldi.params(), strict=True):
        assert (ours - theirs).abs().max() / theirs.abs().max() < 1e-5


def test_lstm_streams_prints_the_lines_of_2014(run_cli, tmp_path):
    done = run_cli(
        "steps/nnet1/nnet_train_lstm_streams.py",
        *(
            "--num-stream",
            "4",
            "--batch-size=20",
            "--momentum=0.8",
            "--targets-delay=5",
            "--learn-rate=0.002",
        ),
        *("--dump-interval=5", TRANSF2014, FEATS, POST, SMALL / "lstm/google.init", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Done 12 files, .* \[TRAINING, NOT-RANDOMIZED, \S+ min, fps\S+\]", done.stderr)
    tail = "AvgLoss: 0.791764 (Xent), [AvgXent: 0.791764, AvgTargetEnt: 0]\n\nFRAME_ACCURACY >> 69.0928% <<\n"
    assert done.stderr.endswith(tail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out_utt10", "out_utt5"]


def test_wrong_use_is_exit_2_and_a_wrong_file_exit_1(run_cli):
    program = "steps/nnet1/nnet_train_frmshuff.py"
    usage = run_cli(program, "--cross-validate=true", FEATS, POST, "in", "out")
    assert usage.returncode == 2
    assert "leave <model-out> out" in usage.stderr
    missing = run_cli(program, FEATS, POST, "no-such-model", "out")
    assert missing.returncode == 1
    assert "no-such-model" in missing.stderr
    assert "Traceback" not in missing.stderr


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


@pytest.mark.parametrize("module", [nnet_train_frmshuff, nnet_train_lstm_streams])
def test_nan_and_unknown_classes_name_the_utterance(module, tmp_path):
    model = "dnn/dnn.init" if module is nnet_train_frmshuff else "lstm/google.init"
    bad = rows(40)
    bad[3, 7] = np.nan
    nan = write_corpus(tmp_path, {"utt7": bad}, {"utt7": one_hot(40)})
    with pytest.raises(UserError, match="utt7: feature nan in frame 3, column 7"):
        run_tool(module, [], nan, model, tmp_path / "out")
    label = write_corpus(tmp_path, {"utt7": rows(40)}, {"utt7": one_hot(40, 3)})
    with pytest.raises(UserError, match="utt7: target class 3 in frame 0"):
        run_tool(module, [], label, model, tmp_path / "out")
    empty = write_corpus(tmp_path, {"utt7": rows(40)}, {})
    with pytest.raises(UserError, match="not one minibatch"):
        run_tool(module, [], empty, model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_streams_are_checked_against_model_and_transform(tmp_path):
    with pytest.raises(UserError, match="made for <NumStream> 4; use --num-stream=4 instead of 3"):
        options = ["--num-stream=3", TRANSF2014, FEATS, POST, str(SMALL / "lstm/google.init"), str(tmp_path)]
        nnet_train_lstm_streams.main(options)
    delayed = f"--feature-transform={SMALL}/transf_delay5.nnet.txt"
    with pytest.raises(UserError, match="<Splice> would mix the streams"):
        nnet_train_lstm_streams.main([delayed, FEATS, POST, str(SMALL / "lstm/google.init"), str(tmp_path)])


def test_the_shuffle_depends_on_its_seed_alone(tmp_path):
    options = [
        "--minibatch-size=32",
        "--randomizer-size=300",
        TRANSF,
        FEATS,
        POST,
        str(SMALL / "dnn/dnn.init"),
    ]
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


def test_divergence_names_epoch_and_learning_rate(corpus, tmp_path):
    with pytest.raises(UserError, match=r"epoch \d, learning rate 1e6: .*lower"):
        train("lstm", corpus, tmp_path, "--learn-rate=1e6")


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

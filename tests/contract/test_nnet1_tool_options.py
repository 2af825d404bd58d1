"""Options that Kaldi's tools share, the names of 2014, and networks without the outer brackets."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from steps.nnet1 import nnet_copy, nnet_info, nnet_initialize, nnet_train_frmshuff, nnet_train_lstm_streams
from steps.nnet1.model_file import read_network
from utils.cli import UserError

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "nnet1"
FILES, SMALL = FIXTURES / "files", FIXTURES / "training"
FEATS, POST = f"ark:{SMALL}/feats.ark", f"ark:{SMALL}/post.ark"
TOOLS = {
    "nnet_initialize": (FILES / "dnn.proto", "OUT"),
    "nnet_copy": (FILES / "dnn.init", "OUT"),
    "nnet_info": (FILES / "dnn.init",),
    "cmvn_to_nnet": (FILES / "cmvn-g.stats", "OUT"),
    "nnet_forward": (SMALL / "dnn/dnn.init", FEATS, "ark:OUT"),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("options", [["--verbose=2", "--print-args=false"], ["--verbose", "0"]])
def test_verbosity_and_echo_are_accepted(tool, options, tmp_path):
    module = importlib.import_module(f"steps.nnet1.{tool}")
    words = [str(word).replace("OUT", str(tmp_path / "out")) for word in TOOLS[tool]]
    assert module.main([*words, *options]) == 0


def test_initialize_shows_the_prototype_unless_it_is_told_to_be_silent(tmp_path, capsys):
    words = [str(FILES / "dnn.proto"), str(tmp_path / "out")]
    assert nnet_initialize.main(words) == 0
    assert "VLOG[1]" in capsys.readouterr().err
    assert nnet_initialize.main(["--verbose=0", *words]) == 0
    assert "VLOG[1]" not in capsys.readouterr().err


def test_components_were_layers_in_2014(tmp_path):
    for name in ("components", "layers"):
        options = [f"--remove-first-{name}=2", f"--remove-last-{name}", "1"]
        assert nnet_copy.main([*options, str(FILES / "dnn.init"), str(tmp_path / name)]) == 0
    assert (tmp_path / "components").read_bytes() == (tmp_path / "layers").read_bytes()
    assert len(read_network(tmp_path / "layers").components) == 3


@pytest.mark.parametrize("name", ["transf.nnet", "transf2014.nnet.txt", "transf.nnet.bin", "head.bin"])
@pytest.mark.parametrize("end", [True, False])
def test_a_network_may_lack_the_outer_brackets(name, end, tmp_path):
    whole = (FILES / name).read_bytes()
    binary = whole.startswith(b"\0B")
    bare = whole.replace(b"<Nnet> " if binary else b"<Nnet> \n", b"")
    if not end:
        bare = bare[: bare.rindex(b"</Nnet>")]
    (tmp_path / "bare").write_bytes(bare)
    assert nnet_copy.main([f"--binary={binary}", str(tmp_path / "bare"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == whole


def test_a_transform_of_gen_splice_is_read(tmp_path):
    (tmp_path / "splice").write_text("<Splice> 9 3\n[ -1 0 1 ]")
    (component,) = read_network(tmp_path / "splice").components
    assert (component.kind, component.input_dim, component.offsets) == ("Splice", 3, [-1, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Splice> 9 3\n[ -1 0", r"component 1 <Splice>, byte \d+: no '\]' closes offsets"),
        ("<Splice> 9 3\n[ -1 0 ]\n", "expected offsets of 3, got 2"),
        ("<Splice> 9 3\n[ -1 0 1 ]\n</Nnet> \n<Tanh> 9 9\n", r"end, byte \d+: 11 bytes follow </Nnet>"),
        ("<Splice> 9 3\n[ -1 0 1 ]\nTanh 9 9\n", "expected a token like <Nnet>, got 'Tanh'"),
        ("<Splice> 9 3\n[ -1 0 1 ]\n<Nnet> \n", "unknown component <Nnet>"),
        ("<Splice> 9 3\n[ -1 0 1 ]\n<Tanh", "expected a token like <Nnet>, got '<Tanh'"),
        (
            "<Splice> <InputDim> 3 <OutputDim> 9\n",
            "output dimension holds something that is not an integer: .*<Inp",
        ),
        ("<Splicer> 9 3\n[ -1 0 1 ]\n", "does not begin with <Nnet> or a component"),
    ],
)
def test_what_is_wrong_without_the_brackets_is_named_as_with_them(text, message, tmp_path):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(UserError, match=rf"bad: .*{message}"):
        read_network(tmp_path / "bad")


def test_a_block_of_frames_has_its_loss_logged(tmp_path, capsys):
    words = ["--minibatch-size=32", "--randomize=false", f"--feature-transform={SMALL}/transf.nnet"]
    words += ["--loss-report-frames=500", FEATS, POST, str(SMALL / "dnn/dnn.init")]
    assert nnet_train_frmshuff.main(["--learn-rate=0.02", *words, str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if "ProgressLoss" in line]
    value = line.partition("]: ")[2].split()[0]
    assert "ProgressLoss[last 0h of 0h]: " in line
    assert f"progress: [{value} ]\n" in err
    with pytest.raises(SystemExit):
        nnet_train_lstm_streams.main(["--loss-report-frames=500", FEATS, POST, "in", "out"])


def test_info_describes_a_copy(tmp_path, capsys):
    (tmp_path / "copy").write_text("<Copy> 3 4\n[ 1 4 2 ]\n")
    assert nnet_info.main([str(tmp_path / "copy")]) == 0
    assert "component 1 : <Copy>, input-dim 4, output-dim 3, \n  min 0, max 3\n" in capsys.readouterr().out


def test_the_seed_and_the_shuffling_are_named_as_they_were_given(capsys):
    words = [f"--feature-transform={SMALL}/transf.nnet", "--minibatch-size=32", "--randomizer-seed=5"]
    words += ["--cross-validate=true", FEATS, POST, str(FILES / "dnn.init")]
    assert nnet_train_frmshuff.main(words) == 0
    err = capsys.readouterr().err
    assert "Seeding by srand with : 5\n" in err
    assert "[CROSS-VALIDATION, RANDOMIZED, " in err

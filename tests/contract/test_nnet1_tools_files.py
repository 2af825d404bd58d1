"""The nnet1 tools as command lines: Kaldi's arguments, files and log lines; memory for much data."""

import re
from pathlib import Path

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_copy, nnet_initialize
from steps.nnet1.initialize import dnn_prototype, lstm_prototype

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "nnet1" / "files"
STEPS = Path(__file__).resolve().parents[2] / "steps" / "nnet1"


@pytest.fixture
def call(run_cli, tmp_path):
    return lambda tool, *argv, **options: run_cli(STEPS / tool, *argv, cwd=tmp_path, **options)


def test_initialize_writes_kaldis_network_and_log(call, tmp_path):
    out = tmp_path / "nnet.init"
    done = call("nnet_initialize.py", "--seed=777", FILES / "dnn.proto", out)
    assert done.returncode == 0
    assert out.read_bytes() == (FILES / "dnn.init").read_bytes()
    lines = done.stderr.splitlines()
    proto = (FILES / "dnn.proto").read_text().splitlines()
    assert lines[0] == f"nnet_initialize.py --seed=777 {FILES / 'dnn.proto'} {out}"
    assert lines[1:-1] == [f"VLOG[1] (nnet_initialize.py) {line}" for line in proto]
    assert lines[-1] == f"LOG (nnet_initialize.py) Written initialized model to {out}"


def test_copy_between_binary_and_text(call, tmp_path):
    call("nnet_copy.py", "--binary=false", FILES / "head.bin", tmp_path / "txt", check=True)
    assert (tmp_path / "txt").read_bytes() == (FILES / "head.txt").read_bytes()
    done = call("nnet_copy.py", FILES / "transf.nnet", tmp_path / "bin", check=True)
    assert (tmp_path / "bin").read_bytes() == (FILES / "transf.nnet.bin").read_bytes()
    assert done.stderr.splitlines()[-1] == f"LOG (nnet_copy.py) Written model to {tmp_path / 'bin'}"


@pytest.mark.parametrize(("trained", "shift"), [("bd_d5.it3", 5), ("bd_d0.it3", 0), ("bd_d5_b60.it2", 5)])
def test_copy_to_the_test_time_form_of_every_reference(call, shared, tmp_path, trained, shift):
    folder = shared / "reference" / "kaldi_nnet1" / "lstm"
    options = ("--to-test", "true", "--shift", str(shift))
    call("nnet_copy.py", *options, folder / trained, tmp_path / "final", check=True)
    expected = folder / f"{trained.rpartition('.')[0]}.final_std"
    assert (tmp_path / "final").read_bytes() == expected.read_bytes()


def test_copy_for_another_generation(call, tmp_path):
    to_2014 = ("--generation=2014", FILES / "dnn.init", tmp_path / "old")
    call("nnet_copy.py", *to_2014, check=True)
    assert (tmp_path / "old").read_bytes() == (FILES / "dnn2014.init").read_bytes()
    call("nnet_copy.py", "--generation=modern", tmp_path / "old", tmp_path / "new", check=True)
    assert (tmp_path / "new").read_bytes() == (FILES / "dnn.init").read_bytes()
    for option, said in (
        ("--generation=modern", "component 1 <Transmit>"),
        ("--remove-last-layers=9", "no component"),
    ):
        done = call("nnet_copy.py", option, FILES / "google.bin", tmp_path / "no")
        assert done.returncode == 1
        assert said in done.stderr


def test_info_is_kaldis_to_the_digits_that_float32_sums_have(call):
    done = call("nnet_info.py", FILES / "head_d0_noclip.it1", check=True)
    number = re.compile(r"-?[0-9.]+(?:e-?[0-9]+)?")
    ours = done.stdout.rstrip().splitlines()
    kaldis = (FILES / "head_d0_noclip.info.txt").read_text().splitlines()
    assert len(ours) == len(kaldis)
    for left, right in zip(ours, kaldis, strict=True):
        assert number.sub("N", left).rstrip() == number.sub("N", right).rstrip()
        values = [[float(text) for text in number.findall(line)] for line in (left, right)]
        np.testing.assert_allclose(values[0], values[1], rtol=2e-5, atol=1e-8)


def test_cmvn_to_nnet_is_kaldis(call, tmp_path):
    done = call("cmvn_to_nnet.py", FILES / "cmvn-g.stats", tmp_path / "t", check=True)
    assert (tmp_path / "t").read_bytes() == (FILES / "transf.nnet").read_bytes()
    assert f"LOG (cmvn_to_nnet.py) Written cmvn in 'nnet1' model to: {tmp_path / 't'}" in done.stderr
    call("nnet_copy.py", "--binary=false", "--generation=2014", tmp_path / "t", tmp_path / "t", check=True)
    assert (tmp_path / "t").read_bytes() == (FILES / "transf2014.nnet.txt").read_bytes()


def test_dnn_prototype_is_kaldis():
    hidden = "<OutputDim> 1024 <BiasMean> -2.000000 <BiasRange> 4.000000"
    assert dnn_prototype(525, 6, 2, 1024) == [
        "<NnetProto>",
        f"<AffineTransform> <InputDim> 525 {hidden} <ParamStddev> 0.036305 <MaxNorm> 0.000000",
        "<Sigmoid> <InputDim> 1024 <OutputDim> 1024",
        f"<AffineTransform> <InputDim> 1024 {hidden} <ParamStddev> 0.109375 <MaxNorm> 0.000000",
        "<Sigmoid> <InputDim> 1024 <OutputDim> 1024",
        "<AffineTransform> <InputDim> 1024 <OutputDim> 6 <BiasMean> 0.000000 <BiasRange> 0.000000 "
        "<ParamStddev> 0.154228 <LearnRateCoef> 1.000000 <BiasLearnRateCoef> 0.100000",
        "<Softmax> <InputDim> 6 <OutputDim> 6",
        "</NnetProto>",
    ]


def test_lstm_prototype_is_kaldi_lstms():
    sizes = {"num_layers": 2, "cell_dim": 24, "proj_dim": 12, "num_stream": 4, "param_scale": 0.3}
    lstm = "<OutputDim> 12 <CellDim> 24 <ParamScale> 0.3 <NumStream> 4"
    assert lstm_prototype(20, 3, **sizes) == [
        "<NnetProto>",
        "<Transmit> <InputDim> 20 <OutputDim> 20",
        f"<LstmProjectedStreams> <InputDim> 20 {lstm}",
        f"<LstmProjectedStreams> <InputDim> 12 {lstm}",
        "<AffineTransform> <InputDim> 12 <OutputDim> 3 <BiasMean> 0 <BiasRange> 0 <ParamStddev> 0.04",
        "<Softmax> <InputDim> 3 <OutputDim> 3",
        "</NnetProto>",
    ]


def test_copy_to_the_test_time_form(call, tmp_path):
    out = tmp_path / "final"
    call("nnet_copy.py", "--to-test=true", "--shift=5", FILES / "bd_d5.it3", out, check=True)
    assert out.read_bytes() == (FILES / "bd_d5.final_std").read_bytes()


NUM_FRAMES, DIM = 500, 200
SMALL, LARGE = 40, 320
DIFFERENCE = (LARGE - SMALL) * NUM_FRAMES * DIM * 4 / 2**20  # MB


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Corpora ``small`` (16 MB of features) and ``large`` (128 MB), and three tiny networks."""
    root = tmp_path_factory.mktemp("corpora")
    base = np.random.default_rng(1).normal(size=(NUM_FRAMES, DIM)).astype(np.float32)
    for name, size in (("small", SMALL), ("large", LARGE)):
        folder = root / name
        folder.mkdir()
        with (
            archive.Writer(f"ark,scp:{folder}/f.ark,{folder}/f.scp") as feats,
            archive.Writer(f"ark,scp:{folder}/l.ark,{folder}/l.scp", kind="posterior") as labels,
        ):
            for number in range(size):
                feats.write(f"utt{number:04}", base + np.float32(number % 7))
                labels.write(f"utt{number:04}", [[(number % 3, 1.0)]] * NUM_FRAMES)
    affine = "<AffineTransform> <InputDim> {0} <OutputDim> 3 <BiasMean> 0 <BiasRange> 0 <ParamStddev> 0.01"
    softmax = "<Softmax> <InputDim> 3 <OutputDim> 3"
    lstm = "<LstmProjectedStreams> <InputDim> {0} <OutputDim> 4 <CellDim> 4 <NumStream> 4 <ParamScale> 0.01"
    transmit = f"<Transmit> <InputDim> {DIM} <OutputDim> {DIM}"
    protos = {
        "dnn": [affine.format(DIM), softmax],
        "lstm": [transmit, lstm.format(DIM), affine.format(4), softmax],
    }
    for name, lines in protos.items():
        (root / f"{name}.proto").write_text("\n".join(lines) + "\n")
        nnet_initialize.main([f"{root}/{name}.proto", f"{root}/{name}.nnet"])
    nnet_copy.main(["--to-test=true", f"{root}/lstm.nnet", f"{root}/test.nnet"])
    return root


FRAMES = "nnet_train_frmshuff.py --learn-rate=1e-6 --randomizer-size=4096"
STREAMS = "nnet_train_lstm_streams.py --learn-rate=1e-8 --batch-size=100"
RUNS = {  # {d}: the corpus, {r}: the networks, {o}: the output
    "frames of archives": f"{FRAMES} ark:{{d}}/f.ark ark:{{d}}/l.ark {{r}}/dnn.nnet {{o}}",
    "frames of script files": f"{FRAMES} scp:{{d}}/f.scp scp:{{d}}/l.scp {{r}}/dnn.nnet {{o}}",
    "streams of archives": f"{STREAMS} ark:{{d}}/f.ark ark,s,cs:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    "streams of script files": f"{STREAMS} scp:{{d}}/f.scp ark:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    "forward from an archive": "nnet_forward.py {r}/dnn.nnet ark:{d}/f.ark ark:{o}",
    "forward from a script file": "nnet_forward.py {r}/test.nnet scp:{d}/f.scp ark,scp:{o},{o}.scp",
}


@pytest.mark.parametrize("name", RUNS)
def test_memory_does_not_grow_with_the_corpus(name, corpora, tmp_path, run_cli):
    peaks = []
    for corpus in ("small", "large"):
        places = {"d": corpora / corpus, "r": corpora, "o": tmp_path / "out"}
        tool, *words = RUNS[name].format(**places).split(" ")
        peaks.append(run_cli(f"steps/nnet1/{tool}", *words, cwd=tmp_path, check=True).peak_mib)
    assert peaks[1] - peaks[0] < DIFFERENCE / 10, f"{peaks} MB for the small and the large corpus"

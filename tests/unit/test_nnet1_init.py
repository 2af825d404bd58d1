"""First parameters and transforms: random numbers, prototypes, Kaldi's networks bit for bit, whitening."""

import ctypes
import math
from pathlib import Path

import numpy as np
import pytest

from local.make_training_data import make_transform
from steps import archive
from steps.nnet1.components import LstmProjectedStreams
from steps.nnet1.feature_transform import global_stats, stats_to_network, whitening
from steps.nnet1.initialize import (
    RAND_MAX,
    default_generation,
    initialize,
    parse_line,
    rand,
    read_prototype,
)
from steps.nnet1.model_file import read_network, write_network
from utils.cli import UserError

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "nnet1" / "files"
KALDI = {  # prototype: the network that Kaldi made of it with --seed=777, and its generation
    "dnn.proto": ("dnn.init", "modern"),
    "lstm_modern.proto": ("modern_tanh.init", "modern"),
    "head.proto": ("head.bin", "modern"),
    "lstm_google.proto": ("google.init", "2014"),
    "google.proto": ("google.bin", "2014"),
    "std.proto": ("std.bin", "2014"),
}


@pytest.fixture(scope="module")
def libc():
    try:
        library = ctypes.CDLL("libc.so.6")
        library.gnu_get_libc_version  # noqa: B018
    except (OSError, AttributeError):
        pytest.skip("no GNU C library")
    return library


@pytest.mark.parametrize("seed", [1, 2**32 + 1])
def test_rand_is_that_of_the_gnu_c_library(libc, seed):  # noqa: ARG001
    initialize([parse_line("<Sigmoid> <InputDim> 2 <OutputDim> 2", "x:1")], seed, "modern")
    assert rand(5).tolist() == [1804289383, 846930886, 1681692777, 1714636915, 1957747793]


@pytest.mark.parametrize("seed", [0, 777, RAND_MAX, 2**32 - 1])
def test_rand_r_is_the_c_librarys(libc, seed):
    state = ctypes.c_uint(seed)
    assert rand(1001, seed).tolist() == [libc.rand_r(ctypes.byref(state)) for _ in range(1001)]


@pytest.mark.parametrize("name", KALDI)
def test_initial_network_is_kaldis_bit_for_bit(name, tmp_path):
    expected, generation = KALDI[name]
    protos, _ = read_prototype(FILES / name)
    assert default_generation(protos) == generation
    write_network(initialize(protos, 777, generation), tmp_path / "nnet")
    assert (tmp_path / "nnet").read_bytes() == (FILES / expected).read_bytes()


def test_defaults_of_the_options():
    lines = [
        "<AffineTransform> <InputDim> 50 <OutputDim> 80",
        "<LstmProjected> <InputDim> 80 <OutputDim> 9 <CellDim> 7",
    ]
    protos = [parse_line(line, "x:1") for line in lines]
    affine, lstm = initialize(protos, 777, "modern").components
    assert affine.weight.std().item() == pytest.approx(0.1, rel=0.1)
    assert -3 <= affine.bias.min() < affine.bias.max() <= -1
    assert 0.099 < np.abs(lstm.w_gifo_x).max() <= 0.1
    protos[1].kind = LstmProjectedStreams
    streams = initialize(protos, 777, "2014").components[1]
    assert 0.0199 < np.abs(streams.w_gifo_x).max() <= 0.02
    assert (streams.num_stream, streams.grad_clip) == (4, 0)


@pytest.mark.parametrize(
    ("vector", "expected"),
    [("1 2 3", [1, 2, 3]), ("-2:2", [-2, -1, 0, 1, 2]), ("1:2:5 9:-3:2", [1, 3, 5, 9, 6, 3]), ("4:4", [4])],
)
def test_build_vector(vector, expected):
    line = f"<Splice> <InputDim> 2 <OutputDim> 4 <BuildVector> {vector} </BuildVector>"
    assert parse_line(line, "x:1").options["<BuildVector>"] == expected


DIMS = "<InputDim> 2 <OutputDim> 2"


def test_todays_generation_refuses_what_it_does_not_know():
    transmit = parse_line(f"<Transmit> {DIMS}", "nnet.proto:1")
    with pytest.raises(UserError, match="nnet.proto:1: <Transmit>: only the generation 2014"):
        initialize([transmit], 777, "modern")
    lstm = parse_line(f"<LstmProjected> {DIMS} <CellDim> 2 <ParamScale> 1", "nnet.proto:1")
    with pytest.raises(UserError, match="the generation modern has no <ParamScale>"):
        initialize([lstm], 777, "modern")


def test_statistics_are_kaldis(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    for rspecifier, name in (("ark:feats.ark", "cmvn-g.stats"), ("scp:feats.scp", "cmvn-g.stats.txt")):
        stats = global_stats(archive.read_matrices(rspecifier)).astype(np.float32)
        archive.write_matrix_file(tmp_path / "stats", stats)
        wanted = archive.read_matrix_file(FILES / name)
        assert np.allclose(archive.read_matrix_file(tmp_path / "stats"), wanted, rtol=1e-6)
    assert (FILES / "cmvn-g.stats").read_bytes() == (tmp_path / "stats").read_bytes()


def test_features_that_cannot_be_normalised_are_named():
    for second, message in (
        (np.zeros((2, 4)), "b: the features have 4 columns"),
        (np.array([[0, 1, np.nan]]), "b: feature nan in frame 0, column 2"),
    ):
        with pytest.raises(UserError, match=message):
            global_stats([("a", np.ones((2, 3))), ("b", second)])
    with pytest.raises(UserError, match="no features"):
        global_stats([("a", np.ones((0, 3)))])


def test_statistics_are_precise_far_from_zero():
    rng = np.random.default_rng(1)
    feats = [(str(i), rng.normal(-40, 0.5, (1000, 3)).astype(np.float32)) for i in range(20)]
    stats = global_stats(feats)
    whole = np.concatenate([matrix for _, matrix in feats]).astype(np.float64)
    mean = stats[0, :-1] / stats[0, -1]
    np.testing.assert_allclose(stats[1, :-1] / stats[0, -1] - mean**2, whole.var(axis=0), rtol=1e-10)


def test_small_variances_are_floored(capsys):
    stats = np.array([[20.0, 10, 10], [40, 30, 0]])
    scale = stats_to_network(stats, var_floor=0.25).components[1].scale
    assert scale.tolist() == pytest.approx([2, 1 / math.sqrt(2)])
    assert "1 of 2 dimensions, dimension 0 first" in capsys.readouterr().err


def made(dim=5):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(dim, dim))
    classes = {f"u{n:02}": "ab"[n % 2] for n in range(20)}
    return [
        (u, rng.normal(size=(300, dim)) @ mix + 100 + 50 * (c == "a")) for u, c in classes.items()
    ], classes


def test_frames_come_out_white_within_classes():
    feats, classes = made()
    weight, bias = whitening(feats, classes, 1e-9)
    out = {c: np.concatenate([x @ weight.T + bias for u, x in feats if classes[u] == c]) for c in "ab"}
    within = np.mean([np.cov(x.T, bias=True) for x in out.values()], axis=0)
    np.testing.assert_allclose(within, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(out.values())).mean(axis=0), 0, atol=1e-8)
    shrunk, _ = whitening(feats, classes, 1.0)
    np.testing.assert_allclose(shrunk, np.diag(np.diag(shrunk)), atol=1e-12)


def test_program_writes_a_network_and_refuses_nan(tmp_path):
    from steps import archive

    feats, classes = made()
    with archive.Writer(f"ark,scp:{tmp_path}/f.ark,{tmp_path}/feats.scp") as writer:
        for utt, matrix in feats:
            writer.write(utt, matrix.astype(np.float32))
    (tmp_path / "utt2genre").write_text("".join(f"{u} {c}\n" for u, c in classes.items()))
    make_transform(tmp_path, tmp_path, "whiten", 0.03)
    (component,) = read_network(f"{tmp_path}/feature_transform.nnet").components
    weight, _ = whitening(feats, classes, 0.03)
    np.testing.assert_allclose(component.weight, weight, rtol=1e-4, atol=1e-5)
    feats[3][1][0, 0] = np.nan
    with pytest.raises(UserError, match="u03"):
        whitening(feats, classes, 0.03)

"""nnet1 files: byte-exact round trips, Kaldi's text; tests/contract has the malformed ones."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps.nnet1 import components as nnet1
from steps.nnet1.components import Network
from steps.nnet1.model_file import read_network, write_network
from utils.cli import UserError

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "nnet1" / "files"
BINARY = sorted(path.name for path in FILES.iterdir() if path.read_bytes()[:8] == b"\0B<Nnet>")
TEXT = sorted(path.name for path in FILES.iterdir() if path.read_bytes()[:6] == b"<Nnet>")
TEXT_OF = {f"{name}.bin": f"{name}.txt" for name in ("google", "head", "std")} | {"dnn.init": "dnn.init.txt"}
SAMPLES = {name: (FILES / name).read_bytes() for name in ("head.bin", "google.bin", "std.bin", "head.txt")}


def test_fixtures_are_there():
    assert (len(BINARY), len(TEXT)) == (13, 7)


@pytest.mark.parametrize("name", BINARY + TEXT)
def test_round_trip_is_byte_exact(name, tmp_path):
    write_network(read_network(FILES / name), tmp_path / "nnet", binary=name in BINARY)
    assert (tmp_path / "nnet").read_bytes() == (FILES / name).read_bytes()


@pytest.mark.parametrize("binary", TEXT_OF)
def test_binary_as_text_is_what_kaldi_writes(binary, tmp_path):
    write_network(read_network(FILES / binary), tmp_path / "nnet", binary=False)
    assert (tmp_path / "nnet").read_bytes() == (FILES / TEXT_OF[binary]).read_bytes()


def test_full_reference_set_round_trips(shared, tmp_path):
    folder = shared / "reference" / "kaldi_nnet1"
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and b"<Nnet> " in path.read_bytes()[:10]:
            data = path.read_bytes()
            write_network(read_network(path), tmp_path / "nnet", binary=data[:2] == b"\0B")
            assert (tmp_path / "nnet").read_bytes() == data, path
            count += 1
            text = path.with_name(path.name + ".txt")
            if data[:2] == b"\0B" and text.is_file() and text.read_bytes()[:2] != b"\0B":
                write_network(read_network(path), tmp_path / "nnet", binary=False)
                assert (tmp_path / "nnet").read_bytes() == text.read_bytes(), path
    assert count > 100


def test_contents_of_the_two_generations():
    old, new = read_network(FILES / "google.bin"), read_network(FILES / "head.bin")
    assert (old.generation, new.generation) == ("2014", "modern")
    kinds = "Transmit LstmProjectedStreams AffineTransform Softmax"
    assert [c.kind for c in old.components] == kinds.split()
    lstm = old.components[1]
    clips = (lstm.cell_clip, lstm.diff_clip, lstm.grad_clip)
    assert (lstm.cell_dim, lstm.num_stream, *clips) == (2, 4, 50, 0, 0)
    assert new.components[0].offsets == [-1, 0, 1]
    assert new.components[3].indices == [0, 1, 2, 3, 4, 5]
    lstm = new.components[4]
    assert (lstm.cell_clip, lstm.diff_clip, lstm.cell_diff_clip, lstm.grad_clip) == (50, 1, 0, 250)
    affine = new.components[8]
    assert (affine.learn_rate_coef, affine.max_norm) == (0.5, 3)
    assert affine.bias_learn_rate_coef == pytest.approx(0.1)
    assert (new.input_dim, new.output_dim) == (2, 2)


def test_options_may_stand_in_any_order_or_not_at_all(tmp_path):
    text = (FILES / "head.txt").read_text()
    text = text.replace("<CellDim> 2 <LearnRateCoef> 1 ", "<GradClip> 7 <LearnRateCoef> 3 <CellDim> 2 ")
    text = text.replace(" <GradClip> 250", "")
    text = text.replace("<LearnRateCoef> 0.5 <BiasLearnRateCoef> 0.1 <MaxNorm> 3 ", "")
    (tmp_path / "nnet").write_text(text)
    network = read_network(tmp_path / "nnet")
    lstm, affine = network.components[4], network.components[8]
    assert (lstm.learn_rate_coef, lstm.grad_clip, lstm.cell_dim) == (3, 7, 2)
    assert (affine.learn_rate_coef, affine.bias_learn_rate_coef, affine.max_norm) == (1, 1, 0)


def test_double_precision_is_read(tmp_path):
    data = (
        b"\0B<Nnet> <AddShift> \4\2\0\0\0\4\2\0\0\0DV \4\2\0\0\0" + struct.pack("<2d", 0.1, -3) + b"</Nnet> "
    )
    (tmp_path / "nnet").write_bytes(data)
    assert read_network(tmp_path / "nnet").components[0].shift.tolist() == pytest.approx([0.1, -3])


def test_nan_and_infinity_are_kept_to_the_bit(tmp_path):
    bits = struct.pack("<4I", 0x7FC00001, 0xFFC00000, 0x7F800000, 0x80000000)
    head = b"\0B<Nnet> <AddShift> \4\4\0\0\0\4\4\0\0\0FV \4\4\0\0\0"
    (tmp_path / "nnet").write_bytes(head + bits + b"</Nnet> ")
    write_network(read_network(tmp_path / "nnet"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == head + bits + b"</Nnet> "


def test_components_that_a_generation_does_not_have_are_not_written(tmp_path):
    transmit = nnet1.Transmit(2, 2)
    with pytest.raises(UserError, match="component 1 <Transmit>: only the files of 2014"):
        write_network(Network([transmit], "modern"), tmp_path / "nnet")
    lstm = read_network(FILES / "head.bin").components[4]
    with pytest.raises(
        UserError, match="component 1 <LstmProjected>: the files of 2014 have no diff_clip, here 1"
    ):
        write_network(Network([lstm], "2014"), tmp_path / "nnet")
    assert list(tmp_path.iterdir()) == []


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_every_truncation_is_refused(tmp_path, name, data):
    keep = data.draw(st.integers(0, len(SAMPLES[name]) - (1 if name.endswith("bin") else 3)))
    (tmp_path / "cut").write_bytes(SAMPLES[name][:keep])
    with pytest.raises(UserError):
        read_network(tmp_path / "cut")

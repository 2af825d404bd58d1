"""Networks, prototypes, options and recordings of random and of damaged bytes: read, or refused by name."""

import contextlib
import functools
import io
import tracemalloc

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from steps import audio
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.prototype import read_prototype
from tests.conftest import REPO
from tests.fuzzing import DAMAGE, FEW, MANY, damaged
from utils.cli import UserError

MODELS = sorted(
    path for path in (REPO / "tests/fixtures/nnet1/files").iterdir() if b"<Nnet>" in path.read_bytes()[:9]
)
KINDS = ("AffineTransform", "Softmax", "Sigmoid", "Splice", "Copy", "LstmProjectedStreams", "TimeShift")
OPTIONS = ("Nnet", "/Nnet", "CellDim", "Shift", "LearnRateCoef", "MaxNorm", "!EndOfComponent")
NUMBERS = ("[", "]", "0", "1", "2", "3", "-1", "0.5", "nan", "1e99", "2147483647", "FM", "FV", "\n")
PROTOTYPE = ("<InputDim>", "<OutputDim>", "<BuildVector>", "1:3")
TOKENS = st.sampled_from((*(f"<{word}>" for word in (*KINDS, *OPTIONS)), *NUMBERS))


@FEW
@given(which=st.sampled_from(MODELS), changes=DAMAGE)
def test_damaged_networks_are_read_or_refused(which, changes, tmp_path):
    path = tmp_path / "x.nnet"
    path.write_bytes(damaged(which.read_bytes(), changes))
    tracemalloc.start()
    try:
        network = read_network(path)
    except UserError as error:
        assert str(path) in str(error)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    else:
        write_network(network, tmp_path / "y.nnet", binary=True)
        again = read_network(tmp_path / "y.nnet")
        assert [c.kind for c in again.components] == [c.kind for c in network.components]
    finally:
        tracemalloc.stop()


@MANY
@given(words=st.lists(st.one_of(TOKENS, st.sampled_from(PROTOTYPE)), max_size=30))
def test_networks_and_prototypes_of_random_tokens_are_read_or_refused(words, tmp_path):
    path = tmp_path / "x"
    for begin, read in (("<Nnet> ", read_network), ("", read_prototype)):
        path.write_text(begin + " ".join(words))
        with contextlib.suppress(UserError):
            read(path)


@functools.cache
def sound(kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(1).uniform(-0.3, 0.3, 22050), 22050, format=kind)
    return buffer.getvalue()


@FEW
@given(kind=st.sampled_from(("WAV", "FLAC", "OGG", "MP3", "AU", "AIFF", "CAF")), changes=DAMAGE)
def test_damaged_recordings_are_converted_or_refused_and_nothing_is_lost_without_a_word(
    kind, changes, tmp_path
):
    path, target = tmp_path / "x", tmp_path / "y.wav"
    path.write_bytes(damaged(sound(kind), changes))
    target.unlink(missing_ok=True)
    try:
        audio.convert_track(path, target, audio.Conversion())
    except audio.AudioError as error:
        assert str(path) in str(error)
        assert not target.exists()
    else:
        assert soundfile.info(str(target)).samplerate == 22050
        with audio.Track(path) as track:
            taken = sum(len(block) for block in track.blocks())
        # A header may lie about rate or channels; then nobody knows the length.
        known = (track.sample_rate, track.channels) == (22050, 1)
        assert track.warnings or taken > 22050 - 4096 or not known
    assert {p.name for p in tmp_path.iterdir()} <= {"x", "y.wav"}

"""Files of random and of damaged bytes are read, or refused by name: archives, networks, recordings.

Short and the same each time by default. ``FUZZ_EXAMPLES=20000 pytest tests/unit/test_fuzz.py`` tries that
many examples of everything, other ones each time.
"""

import contextlib
import functools
import io
import os
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from steps import archive, audio
from steps.archive import ArchiveError
from steps.nnet1.model_file import read_network, write_network
from tests.conftest import REPO
from tests.contract.malformed import as_lists
from utils import tables
from utils.cli import UserError

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def _settings(usual: int) -> settings:
    return settings(
        max_examples=_EXAMPLES or usual,
        deadline=None,
        derandomize=not _EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


MANY = _settings(120)
"""For what takes a millisecond."""
FEW = _settings(30)
"""For what writes a file or starts a process."""

_BYTES = st.one_of(
    st.sampled_from((0, 1, 4, 10, 32, 45, 46, 60, 62, 91, 93, 127, 128, 255)), st.integers(0, 255)
)
_CHANGE = st.tuples(st.sampled_from(("set", "insert", "delete", "cut", "repeat")), st.floats(0, 1), _BYTES)
DAMAGE = st.lists(_CHANGE, min_size=1, max_size=3)
"""Changes for :func:`damaged`."""


def damaged(data: bytes, changes: Sequence[tuple[str, float, int]]) -> bytes:
    """Return the data after changes (what, where from 0 to 1, byte)."""
    result = bytearray(data)
    for how, where, byte in changes:
        place = int(where * len(result))
        if how == "set":
            result[place : place + 1] = bytes((byte,))
        elif how == "insert":
            result.insert(place, byte)
        elif how == "delete":
            del result[place : place + 1]
        elif how == "repeat":
            result[place:place] = result[place : place + byte]
        else:
            del result[place:]
    return bytes(result)


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=FLOATS)
VALUES = {
    "matrix": MATRICES,
    "vector": arrays.arrays(np.float32, st.integers(0, 6), elements=FLOATS),
    "posterior": st.lists(st.lists(st.tuples(st.integers(0, 9), FLOATS), max_size=3), max_size=4),
}
KEYS = st.text(st.characters(exclude_categories=("Z", "C"), codec="utf-8"), min_size=1, max_size=8)
KINDS = pytest.mark.parametrize("kind", sorted(VALUES))


def read_or_refuse(kind: str, path) -> None:
    """Read an archive to its end; anything but success and an error that names it is a failure."""
    try:
        for _ in archive.read_objects(f"ark:{path}", kind):
            pass
    except ArchiveError as error:
        assert str(path) in str(error)


@KINDS
@FEW
@given(data=st.data())
def test_what_is_written_is_read(kind, data, tmp_path):
    text = data.draw(st.booleans())
    values = data.draw(st.dictionaries(KEYS, VALUES[kind], max_size=3))
    path, scp = tmp_path / "x.ark", tmp_path / "x.scp"
    with archive.Writer(f"ark,scp{',t' * text}:{path},{scp}", kind) as writer:
        for key, value in values.items():
            writer.write(key, value)
    for spec in (f"ark:{path}", f"scp:{scp}"):
        found = dict(archive.read_objects(spec, kind))
        assert list(found) == list(values)
        for key, value in values.items():
            if kind == "posterior":
                assert [[c for c, _ in frame] for frame in as_lists(found[key])] == [
                    [c for c, _ in f] for f in value
                ]
            else:
                np.testing.assert_allclose(found[key], value, rtol=1e-6 if text else 0, atol=1e-44)


@KINDS
@MANY
@given(data=st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(kind, data, tmp_path):
    path = tmp_path / "x.ark"
    path.write_bytes(b"u1 " * (len(data) % 2) + b"\0B" * (len(data) % 3 > 0) + data)
    read_or_refuse(kind, path)


@KINDS
@FEW
@given(data=st.data())
def test_damaged_archives_are_read_or_refused(kind, data, tmp_path):
    path = tmp_path / "x.ark"
    value = data.draw(VALUES[kind])
    text = data.draw(st.booleans())
    with archive.Writer(f"ark{',t' * text}:{path}", kind) as writer:
        writer.write("u1", value)
        writer.write("u2", value)
    path.write_bytes(damaged(path.read_bytes(), data.draw(DAMAGE)))
    read_or_refuse(kind, path)


@MANY
@given(
    data=st.one_of(
        st.binary(max_size=60), st.text(alphabet="u1:[],| \n\t\r/x.ark09é\0", max_size=60).map(str.encode)
    )
)
def test_script_files_are_read_or_refused(data, tmp_path):
    scp, ark = tmp_path / "x.scp", tmp_path / "x.ark"
    ark.write_bytes(b"u1 \0BFM \4\1\0\0\0\4\1\0\0\0\0\0\x80?")
    scp.write_bytes(data.replace(b"x.ark", str(ark).encode()))
    for kind in VALUES:
        with contextlib.suppress(UserError):
            list(archive.read_objects(f"scp:{scp}", kind))
    with contextlib.suppress(UserError):
        tables.read_table(scp)
    with contextlib.suppress(UserError):
        archive.RandomReader(f"scp:{scp}")


MODELS = sorted(
    path for path in (REPO / "tests/fixtures/nnet1/files").iterdir() if b"<Nnet>" in path.read_bytes()[:9]
)


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

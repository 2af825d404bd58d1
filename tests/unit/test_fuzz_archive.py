"""Archives, script files and tables of random and of damaged bytes: read, or refused by name."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from steps import archive
from steps.archive import ArchiveError
from tests.fuzzing import DAMAGE, FEW, MANY, damaged
from utils import tables
from utils.cli import UserError

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MATRICES = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=FLOATS)
VALUES = {
    "matrix": MATRICES,
    "vector": arrays.arrays(np.float32, st.integers(0, 6), elements=FLOATS),
    "int_vector": arrays.arrays(np.int32, st.integers(0, 6)),
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
                assert [[c for c, _ in frame] for frame in found[key].as_lists()] == [
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


@MANY
@given(spec=st.one_of(st.text(max_size=20), st.text(alphabet="arkscpt,o:-|. ", max_size=12)))
def test_specifiers_are_parsed_or_refused(spec):
    for parse in (archive.parse_rspecifier, archive.parse_wspecifier):
        with contextlib.suppress(UserError):
            parse(spec)

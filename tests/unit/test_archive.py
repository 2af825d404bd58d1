"""Archives: golden bytes of Kaldi's own files and round trips; tests/contract has the broken ones."""

from pathlib import Path

import numpy as np
import pytest

from steps import archive
from steps.archive import ArchiveError
from tests.contract.malformed import as_lists
from utils.cli import UserError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "archive"
KINDS = {"m": "matrix", "v": "vector", "p": "posterior"}


def as_plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else as_lists(value)


def read_all(rspecifier, kind="matrix", **kwargs):
    return {key: as_plain(value) for key, value in archive.read_objects(rspecifier, kind, **kwargs)}


@pytest.mark.parametrize("name", KINDS)
def test_text_and_binary_of_kaldi_hold_the_same(name):
    binary = read_all(f"ark:{FIXTURES / name}.ark", KINDS[name])
    assert binary == read_all(f"ark,t:{FIXTURES / name}.txt", KINDS[name])
    assert binary


@pytest.mark.parametrize("name", KINDS)
def test_binary_is_written_byte_for_byte_as_kaldi_does(name, tmp_path):
    values = list(archive.read_objects(f"ark:{FIXTURES / name}.ark", KINDS[name]))
    with archive.Writer(f"ark:{tmp_path / 'x.ark'}", KINDS[name]) as writer:
        for key, value in values:
            writer.write(key, as_lists(value) if name == "p" else value)
    assert (tmp_path / "x.ark").read_bytes() == (FIXTURES / f"{name}.ark").read_bytes()


def test_compressed_matrix_is_expanded_as_kaldi_does():
    ((_, expanded),) = archive.read_matrices(f"ark:{FIXTURES / 'compressed.ark'}")
    ((_, wanted),) = archive.read_matrices(f"ark:{FIXTURES / 'compressed_expanded.txt'}")
    np.testing.assert_allclose(expanded, wanted, rtol=1e-5, atol=1e-5)


def test_script_file_ranges_and_random_access(tmp_path):
    ark, scp = tmp_path / "x.ark", tmp_path / "x.scp"
    values = {f"utt{i}": np.full((i + 2, 3), i, np.float32) for i in range(4)}
    with archive.Writer(f"ark,scp:{ark},{scp}") as writer:
        for key, value in values.items():
            writer.write(key, value)
    assert read_all(f"scp:{scp}") == {key: value.tolist() for key, value in values.items()}
    for reader in (archive.RandomReader(f"scp:{scp}"), archive.RandomReader(f"ark:{ark}")):
        assert reader.get("utt2").shape == (4, 3)
        assert reader.get("utt0").shape == (2, 3)
        assert reader.get("utt9") is None
    line = scp.read_text().splitlines()[3]
    (tmp_path / "range.scp").write_text(f"{line}[1:2,0:1]\n")
    assert read_all(f"scp:{tmp_path / 'range.scp'}") == {"utt3": [[3.0, 3.0], [3.0, 3.0]]}
    (tmp_path / "beyond.scp").write_text(f"{line}[3:7]\n")
    assert read_all(f"scp:{tmp_path / 'beyond.scp'}") == {"utt3": [[3.0] * 3] * 2}
    (tmp_path / "tab.scp").write_text(line.replace(" ", "\t") + "\r\n")
    assert read_all(f"scp:{tmp_path / 'tab.scp'}") == {"utt3": [[3.0] * 3] * 5}
    (tmp_path / "tab.ark").write_text("a\t[ 1 2\n 3 4 ]\n")
    assert read_all(f"ark:{tmp_path / 'tab.ark'}") == {"a": [[1.0, 2.0], [3.0, 4.0]]}
    (tmp_path / "far.scp").write_text(f"{line}[0:8]\n")
    with pytest.raises(ArchiveError, match=r"far\.scp:1: the range"):
        read_all(f"scp:{tmp_path / 'far.scp'}")


def test_commands_are_run_with_permission():
    assert len(read_all(f"ark:cat {FIXTURES / 'm.ark'} |", allow_pipes=True)) == 2


@pytest.mark.parametrize("spec", ["feats.ark", "ark:", "ark,scp:a.ark", "bark:x", "ark,zz:x", ""])
def test_wrong_specifiers_are_refused(spec):
    with pytest.raises(UserError, match="specifier"):
        archive.parse_rspecifier(spec)


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path):
    def fail():
        with archive.Writer(f"ark,scp:{tmp_path / 'x.ark'},{tmp_path / 'x.scp'}") as writer:
            writer.write("a", np.zeros((1, 1), np.float32))
            raise UserError("stop")

    with pytest.raises(UserError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_single_matrices_keep_double_precision(tmp_path):
    matrix = np.array([[1.0, 2.0**-40], [3.0, 4.0]])
    archive.write_matrix_file(tmp_path / "stats", matrix)
    assert archive.read_matrix_file(tmp_path / "stats").dtype == np.float64
    np.testing.assert_array_equal(archive.read_matrix_file(tmp_path / "stats"), matrix)


def test_full_reference_archives(shared):
    folder = shared / "reference" / "kaldi_nnet1"
    feats = read_all(f"ark:{folder / 'feats.ark'}")
    assert feats == read_all(f"ark,t:{folder / 'feats.txt'}")
    assert read_all(f"ark:{folder / 'post.ark'}", "posterior") == read_all(
        f"ark,t:{folder / 'post.txt'}", "posterior"
    )

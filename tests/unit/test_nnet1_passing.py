"""Objects by key from an archive that is read along: what is found, what is kept, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from steps import archive
from steps.nnet1.passing import by_key
from utils.cli import UserError


@pytest.fixture
def path(tmp_path):
    """Archive of the vectors a to j; each holds its number."""
    with archive.Writer(f"ark:{tmp_path}/v.ark", kind="vector") as writer:
        for number, key in enumerate("abcdefghij"):
            writer.write(key, np.array([number], np.float32))
    return tmp_path / "v.ark"


def walk(rspecifier, keys):
    """Ask for keys in this order; return those found and the most objects that were kept meanwhile."""
    table, found, most = by_key(rspecifier, "vector", False), "", 0
    for key in keys:
        if key in table:
            most = max(most, len(table))
            assert table[key][0] == "abcdefghij".index(key)
            found += key
        most = max(most, len(table))
    return found, most


ORDERS = [
    # options, keys asked for, keys found, most objects kept
    ("ark", "abcdefghij", "abcdefghij", 1),
    ("ark", "acegi", "acegi", 5),
    ("ark", "jihgfedcba", "jihgfedcba", 10),
    ("ark", "abXcd", "abcd", 8),
    ("ark,s", "abcdefghij", "abcdefghij", 1),
    ("ark,s", "jihgfedcba", "jihgfedcba", 10),
    ("ark,s", "aaXbcd", "abcd", 1),
    ("ark,s,cs", "abcdefghij", "abcdefghij", 1),
    ("ark,s,cs", "acegi", "acegi", 1),
    ("s,cs,ark", "aabbcz", "abc", 1),
    ("ark,cs", "acegi", "acegi", 5),
]


@pytest.mark.parametrize("case", ORDERS, ids=str)
def test_what_is_found_and_kept(case, path):
    options, keys, found, most = case
    assert walk(f"{options}:{path}", keys) == (found, most)


def test_a_script_file_is_asked_in_any_order(path, tmp_path):
    with archive.Writer(f"ark,scp:{tmp_path}/w.ark,{tmp_path}/w.scp", kind="vector") as writer:
        for key, value in archive.read_vectors(f"ark:{path}"):
            writer.write(key, value)
    table = by_key(f"scp:{tmp_path}/w.scp", "vector", False)
    assert [float(table[key][0]) for key in "jajc"] == [9, 0, 9, 2]


def test_cs_is_held_to_its_word(path):
    with pytest.raises(UserError, match="'b' is wanted after 'c', but the rspecifier says cs"):
        walk(f"ark,s,cs:{path}", "acb")


def test_s_is_held_to_its_word(tmp_path):
    with archive.Writer(f"ark:{tmp_path}/v.ark", kind="vector") as writer:
        for key in "ba":
            writer.write(key, np.zeros(1, np.float32))
    with pytest.raises(UserError, match="'a' comes after 'b', but the rspecifier says sorted"):
        walk(f"ark,s:{tmp_path}/v.ark", "c")

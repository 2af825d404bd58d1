"""Kaldi's text tables: what is refused, what is taken as it stands, and names with odd characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import tables
from utils.cli import UserError

BAD = {
    "no value": ("a\n", ":1: expected '<key> <value>'"),
    "empty line": ("a 1\n\nb 2\n", ":2: expected"),
    "duplicate": ("a 1\na 2\n", ":2: duplicate key 'a', also in line 1"),
    "unsorted": ("b 1\na 2\n", ":2: 'a' comes after 'b': not sorted"),
    "carriage return": ("a 1\r\n", ":1: ends in a carriage return"),
    "no end of line": ("a 1\nb 2", ": truncated: the last line has no end"),
    "tab": ("a\t1\n", ":1: expected"),
    "blank first": (" a 1\n", ":1: expected"),
    "control character": ("a 1\x07\n", ":1: holds a control character"),
    "not UTF-8": (b"a \xff\n", ":1: not UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_with_file_and_line(name, tmp_path):
    text, message = BAD[name]
    path = tmp_path / "utt2spk"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        tables.read_table(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert tables.scan(path).problems[0] == str(caught.value)


def test_tables_are_c_sorted_and_keep_blanks_in_values(tmp_path):
    tables.write_table(tmp_path / "t", {"b": "/x y/z.wav", "B": 1, "a-1": 2, "a1": 3})
    assert (tmp_path / "t").read_text() == "B 1\na-1 2\na1 3\nb /x y/z.wav\n"
    assert tables.read_table(tmp_path / "t")["b"] == "/x y/z.wav"
    with pytest.raises(UserError):
        tables.write_table(tmp_path / "u", {"a b": 1})
    assert not (tmp_path / "u").exists()


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1)))
def test_what_can_be_written_is_read_again(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("t") / "t"
    try:
        tables.write_table(path, entries)
    except (UserError, UnicodeEncodeError):
        return
    assert tables.read_table(path) == entries


@pytest.mark.parametrize("odd", ["\u0085", "\u2028", "\u2029", "\u00a0", "\u3000"])
def test_only_a_line_feed_ends_a_line(odd, tmp_path):
    entries = {"a": f"x{odd}y.wav", "b": f"z.wav{odd}", f"c{odd}": "1"}
    tables.write_table(tmp_path / "t", entries)
    assert tables.read_table(tmp_path / "t") == entries
    rows = tables.csv_rows("t", f"path,artist\na{odd}b,c\n")
    assert list(rows) == [(1, ["path", "artist"]), (2, [f"a{odd}b", "c"])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.ark:12", ("a.ark", 12)),
        ("a:b", ("a:b", None)),
        ("a:1:2", ("a:1", 2)),
        (":3", (":3", None)),
        ("a:\u00b3", ("a:\u00b3", None)),
    ],
)
def test_split_offset(name, expected):
    assert tables.split_offset(name) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "at least two"),
        ("a\na\n", ":2: the class 'a' stands twice"),
        ("a b\nc\n", ":1: expected one class name"),
        ("\na\n", ":1:"),
    ],
)
def test_bad_lists_of_classes(text, message, tmp_path):
    (tmp_path / "genres.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        tables.read_classes(tmp_path / "genres.txt")

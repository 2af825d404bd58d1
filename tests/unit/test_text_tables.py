"""Kaldi's text tables and booleans: what is taken as it stands, and names with odd characters."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import cli, tables
from utils.cli import UserError


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
    (tmp_path / "x.conf").write_text(f"--csv=a{odd}b.csv # {odd}\n--seed=1{odd}\n", encoding="utf-8")
    assert cli.read_config(tmp_path / "x.conf") == [(1, f"--csv=a{odd}b.csv"), (2, f"--seed=1{odd}")]


@pytest.mark.parametrize("value", [True, False])
def test_kaldis_words_are_taken(value):
    for text in ("true True TRUE t T 1" if value else "false False FALSE f F 0").split():
        assert cli.boolean(text) is value


@pytest.mark.parametrize("text", ["", "yes", "no", "on", "2", "-1", "tr", " true", "true ", "None", "１"])
def test_others_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected true or false"):
        cli.boolean(text)

"""Booleans on the command line, as Kaldi reads them."""

from __future__ import annotations

import argparse

import pytest

from utils import cli


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "True", "TRUE", "t", "T", "1")),
        *((text, False) for text in ("false", "False", "FALSE", "f", "F", "0")),
    ],
)
def test_is_taken(text, value):
    assert cli.boolean(text) is value


@pytest.mark.parametrize("text", ["", "yes", "no", "on", "2", "-1", "tr", " true", "true ", "None", "１"])
def test_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected true or false"):
        cli.boolean(text)


@pytest.mark.parametrize("words", [["--flag=T"], ["--flag", "1"]])
def test_as_an_option(words):
    parser = cli.KaldiParser("x.py")
    parser.add_argument("--flag", type=cli.boolean, default=False)
    assert parser.parse_args(words).flag is True
    with pytest.raises(SystemExit):
        parser.parse_args(["--flag"])

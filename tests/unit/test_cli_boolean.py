"""Booleans on the command line, as Kaldi reads them."""

import argparse

import pytest

from utils import cli


@pytest.mark.parametrize("value", [True, False])
def test_kaldis_words_are_taken(value):
    for text in ("true True TRUE t T 1" if value else "false False FALSE f F 0").split():
        assert cli.boolean(text) is value


@pytest.mark.parametrize("text", ["", "yes", "no", "on", "2", "-1", "tr", " true", "true ", "None", "１"])
def test_others_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected true or false"):
        cli.boolean(text)

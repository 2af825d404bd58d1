"""The systems by name, their options, and the file of a trained one.

A system is a module of this package with ``KINDS`` (of features that it decides by), ``features(signal,
options, network)`` (a matrix of each kind, from one pass over the signal), ``fit(tracks, options)`` (named
arrays), ``SCORES`` (accuracy -> what gives the scores of shape (n, C) from ``(arrays, tracks)``; the first is
the published rule), ``NOTES`` (accuracy -> what results.txt says beside it) and ``add_options(parser)``.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from steps.arrays import read_model
from steps.systems.tracks import Arrays
from utils import cli

NAMES = ("lee2009", "son2008", "hol2008", "leo2012", "sig2014")


def load(name: str) -> ModuleType:
    """Import the module of a system: they stand on large libraries, and a program needs one of them.

    The imports are spelt out so that utils/code_closure.py sees them.
    """
    if name == "lee2009":
        from steps.systems import lee2009

        return lee2009
    if name == "son2008":
        from steps.systems import son2008

        return son2008
    if name == "hol2008":
        from steps.systems import hol2008

        return hol2008
    if name == "leo2012":
        from steps.systems import leo2012

        return leo2012
    from steps.systems import sig2014

    return sig2014


def parse(parser: cli.KaldiParser, argv: Sequence[str]) -> Namespace:
    """Parse a command line that names a system (``--system NAME``) and may hold this system's options."""
    chooser = ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--system", default="")
    name = chooser.parse_known_args(list(argv))[0].system
    parser.add_argument("--system", choices=NAMES, required=True, help="which of the systems")
    parser.add_argument("--seed", type=int, default=777, help="of everything random")
    parser.add_argument("--use-gpu", choices=("yes", "no", "optional"), default="no", help="for sig2014")
    if name in NAMES:
        load(name).add_options(parser)
    return parser.parse_args(argv)


def read_options(name: str, config: Path, use_gpu: str = "no") -> Namespace:
    """Return the options of a system that a configuration file sets."""
    parser = cli.KaldiParser("", "")
    return parse(parser, ["--system", name, "--config", str(config), "--use-gpu", use_gpu])


def read_arrays(path: str | Path) -> Arrays:
    """Read the arrays of a trained system."""
    return read_model(path, "a trained system", lambda arrays: arrays)

"""The systems by name, and their options.

A system is a module of this package with ``KINDS`` (of features that it decides by), ``features(signal,
options, network)`` (a matrix of each kind, from one pass over the signal), ``fit(tracks, options)`` (named
arrays), ``SHAPES`` (of these, and of its network's), ``SCORES`` (accuracy -> what gives the scores of shape
(n, C) from ``(arrays, tracks)``, and what results.txt says beside it; the first is the published rule) and
``OPTIONS``, explained in conf/systems.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from utils import cli

if TYPE_CHECKING:  # and for utils/stamp.py, which reads imports
    from steps.systems import hol2008 as hol2008
    from steps.systems import lee2009 as lee2009
    from steps.systems import leo2012 as leo2012
    from steps.systems import sig2014 as sig2014
    from steps.systems import son2008 as son2008

NAMES = ("lee2009", "son2008", "hol2008", "leo2012", "sig2014")


def load(name: str) -> ModuleType:
    """Import the module of a system: they stand on large libraries, and a program needs one of them."""
    return import_module(f"steps.systems.{name}")


def parse(parser: cli.KaldiParser, argv: Sequence[str]) -> Namespace:
    """Parse a command line that names a system (``--system NAME``) and may hold this system's options."""
    parser.add_argument("--system", choices=NAMES, required=True, help="which of the systems")
    parser.add_argument("--seed", type=int, default=777, help="of everything random")
    parser.add_argument("--use-gpu", choices=("yes", "no", "optional"), default="no", help="for sig2014")
    chooser = ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--system")
    name = chooser.parse_known_args(argv)[0].system
    for option, default in vars(load(name).OPTIONS).items() if name in NAMES else ():
        kind = cli.finite_float if isinstance(default, float) else cli.positive_int
        words = {"type": kind, "default": default, "help": f"see conf/systems/{name}.conf"}
        parser.add_argument(f"--{option.replace('_', '-')}", **words)
    return parser.parse_args(argv)

#!/usr/bin/env python3
"""Run several of the recipe's programs one after the other in one process, up to the first that fails.

A program that computes for a tenth of a second takes a second to load the libraries that it stands on;
behind each other they load them once. Output, errors and exit status are those of the programs.

Usage: utils/in_turn.py <program> <arguments…> [:: <program> <arguments…>]…
"""

import importlib
import itertools
import sys

from utils import cli


def main(words: list[str]) -> None:
    """Run the programs; raises SystemExit with the status of the one that fails."""
    calls = [list(group) for end, group in itertools.groupby(words, lambda word: word == "::") if not end]
    for program, *arguments in calls:
        module = importlib.import_module(program.removesuffix(".py").replace("/", "."))
        sys.argv = [program, *arguments]
        cli.PROGRAM = program.rpartition("/")[2]
        try:
            cli.run(module.main)
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main(sys.argv[1:])

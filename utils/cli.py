"""The command line of every program here: Kaldi's options, log lines and exit codes.

Options accept ``--name=value`` and ``--name value``, never an abbreviation, and ``--config FILE``
reads more of them, one ``--name=value`` a line; what stands on the command line wins. Messages go to
stderr as ``LOG (program) text``, data to stdout. A program ends with 0, with 1 when it failed and
with 2 when it was called wrongly.
"""

import argparse
import math
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

PROGRAM = Path(sys.argv[0]).name or "python"


class UserError(Exception):
    """A mistake in the input or its use: says what, where, expected and got, and the remedy."""

    status = 1  # with which the program ends


class UsageError(UserError):
    """The program was called wrongly."""

    status = 2


def log(text: str) -> None:
    """Write a ``LOG`` line to stderr."""
    print(f"LOG ({PROGRAM}) {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Write a ``WARNING`` line to stderr."""
    print(f"WARNING ({PROGRAM}) {text}", file=sys.stderr, flush=True)


def boolean(text: str) -> bool:
    """Parse Kaldi's booleans: ``true``, ``t`` or ``1``, ``false``, ``f`` or ``0``, in either case."""
    word = text.lower()
    if word not in ("true", "t", "1", "false", "f", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false, got '{text}'")
    return word in ("true", "t", "1")


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got '{text}'")
    return int(text)


def finite_float(text: str) -> float:
    """Parse a float that is neither NaN nor infinite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got '{text}'")
    return value


def read_config(path: str | Path) -> list[tuple[int, str]]:
    """Read a configuration file as ``(line number, '--name=value')`` pairs.

    Empty lines and comments (a ``#`` at the start or after a blank) are skipped. A value is taken as it
    stands: nothing is expanded and nothing is run. Anything else is a UserError.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text file"
        raise UserError(f"{path}: cannot read the configuration: {reason}") from error
    options = []
    for number, line in enumerate(lines, start=1):
        text = line.split(" #")[0].split("\t#")[0].strip(" \t")
        if not text or text.startswith("#"):
            continue
        name, equals, _ = text.partition("=")
        if not text.startswith("--") or not equals or len(name) == 2 or any(c.isspace() for c in name):
            raise UserError(f"{path}:{number}: expected '--name=value', got '{text}'")
        options.append((number, text))
    return options


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the default of every option that has one behind what it is for."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        empty = action.default in (None, "", (), []) or not action.option_strings
        return action.help if empty else super()._get_help_string(action)


class KaldiParser(argparse.ArgumentParser):
    """An argument parser with Kaldi's manners.

    ``usage`` is shown before a message about wrong use, and ``description`` (the module docstring)
    is printed by ``--help`` as it is written.
    """

    def __init__(self, usage: str, description: str | None = None) -> None:
        super().__init__(
            prog=PROGRAM,
            usage=usage,
            description=description,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        self.add_argument("--config", metavar="FILE", help="read options from FILE, one --name=value a line")

    @classmethod
    def of(cls, doc: str | None, **kinds: Callable) -> "KaldiParser":
        """Return the parser of the program whose docstring has ``Usage: program [options] <a-b> <c>...``.

        Its arguments are ``a_b`` and the list ``cs``: texts if a name says specifier, of ``kinds``, or paths.
        One in brackets, ``[<d>]``, may be left out.
        """
        usage = re.findall(r"^Usage: +(.*)$", doc or "", re.MULTILINE)[0]
        parser = cls(usage, doc)
        for optional, name, more in re.findall(r"(\[?)<([a-z0-9-]+)[^>]*>(\.\.\.)?", usage):
            kind = kinds.get(name.replace("-", "_"), str if "specifier" in name else Path)
            words = {"nargs": "+", "metavar": name} if more else {"nargs": "?"} if optional else {}
            parser.add_argument(name.replace("-", "_") + "s" * bool(more), type=kind, **words)
        return parser

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with 2."""
        self.print_usage(sys.stderr)
        print(f"ERROR ({PROGRAM}) {message}", file=sys.stderr)
        raise SystemExit(2)

    def parse_args(self, args=None, namespace=None):  # type: ignore[override]
        """Parse ``args``; options of ``--config`` files count as if they stood before all others."""
        words = list(sys.argv[1:] if args is None else args)
        return super().parse_args(self._config_options(words) + words, namespace)

    def _config_options(self, words: Sequence[str]) -> list[str]:
        known = set(self._option_string_actions) - {"-h", "--help", "--config"}
        expanded: list[str] = []
        before = words[: words.index("--")] if "--" in words else words
        for word, after in zip(before, [*before[1:], ""], strict=False):
            name, equals, path = word.partition("=")
            if name == "--config":
                try:
                    lines = read_config(path if equals else after)
                except UserError as error:
                    self.error(str(error))
                for number, text in lines:
                    if (option := text.partition("=")[0]) not in known:
                        where = f"{path if equals else after}:{number}"
                        names = " ".join(sorted(known))
                        self.error(f"{where}: unknown option '{option}'; this program knows {names}")
                    expanded.append(text)
        return expanded


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def run(main: Callable[[list[str]], int], *, echo: bool = True, tidy: bool = True) -> NoReturn:
    """Run a program's ``main`` and exit with its status.

    With ``echo`` the command line is shown on stderr first, as Kaldi's programs do, unless RECIPE_VERBOSE is
    false. A :class:`UserError` or an error of the operating system becomes one ``ERROR`` line and exit
    status 1; there is no traceback.
    With ``tidy`` temporary files are removed when SIGTERM ends the program.
    """
    if tidy:
        signal.signal(signal.SIGTERM, _stop)
    if echo and os.environ.get("RECIPE_VERBOSE") != "false":
        print(shlex.join([PROGRAM, *sys.argv[1:]]), file=sys.stderr, flush=True)
    status, message = 1, ""
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        status, message = error.status, str(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message = "the reader of the standard output went away"
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        message = f"{where}{error.strerror or error}"
    except MemoryError:
        message = "out of memory"
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    if message:
        print(f"ERROR ({PROGRAM}) {message}", file=sys.stderr)
    raise SystemExit(status)

"""The command line of every program here: Kaldi's options, log lines and exit codes.

Options are ``--name=value`` or ``--name value``, no abbreviation; ``--config FILE`` reads more of them, one
``--name=value`` a line; what stands on the command line wins. Messages go to stderr as ``LOG (program)
text``, data to stdout. A program ends with 0, with 1 when it failed and with 2 when it was called wrongly.
"""

import argparse
import math
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

PROGRAM = Path(sys.argv[0]).name or "python"
CLEAR: list[Callable[[], object]] = []
"""What takes the lines of a terminal's progress away before another line is written."""


class UserError(Exception):
    """A mistake in the input or its use: says what, where, expected and got, and the remedy."""

    status = 1  # with which the program ends


class UsageError(UserError):
    """The program was called wrongly."""

    status = 2


def _say(kind: str, text: str) -> None:
    for clear in CLEAR:
        clear()
    print(f"{kind} ({PROGRAM}) {text}", file=sys.stderr, flush=True)


def log(text: str) -> None:
    """Write a ``LOG`` line to stderr."""
    _say("LOG", text)


def warn(text: str) -> None:
    """Write a ``WARNING`` line to stderr."""
    _say("WARNING", text)


def boolean(text: str) -> bool:
    """Parse Kaldi's booleans: ``true``, ``t`` or ``1``, ``false``, ``f`` or ``0``, in either case."""
    if text.lower() not in ("true", "t", "1", "false", "f", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false, got '{text}'")
    return text.lower() in ("true", "t", "1")


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    if not re.fullmatch("0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got '{text}'")
    return int(text)


def finite_float(text: str) -> float:
    """Parse a float that is neither NaN nor infinite."""
    with suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a finite number, got '{text}'")


def read_config(path: str | Path) -> list[tuple[int, str]]:
    """Read a configuration file as ``(line number, '--name=value')`` pairs; values are taken as they stand.

    Empty lines and comments (a ``#`` at the start or after a blank) are skipped; all else is a UserError.
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
    """An argument parser with Kaldi's manners; ``description`` is printed by ``--help`` as it is written."""

    def __init__(self, usage: str, description: str | None = None) -> None:
        super().__init__(PROGRAM, usage, description, formatter_class=_Help, allow_abbrev=False)
        self.add_argument("--config", metavar="FILE", help="read options from FILE, one --name=value a line")

    @classmethod
    def of(cls, doc: str | None, **kinds: Callable) -> "KaldiParser":
        """Return the parser of the program whose docstring has ``Usage: program [options] <a-b> <c>...``.

        Its arguments are ``a_b`` and the list ``cs``: texts if a name says specifier, of ``kinds``, or paths;
        one in brackets, ``[<d>]``, may be left out.
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
        known = self._option_string_actions.keys() - {"-h", "--help", "--config"}
        expanded: list[str] = []
        before = words[: words.index("--")] if "--" in words else words
        for word, after in zip(before, [*before[1:], ""], strict=False):
            name, equals, path = word.partition("=")
            path = path if equals else after
            try:
                for number, text in read_config(path) if name == "--config" else ():
                    if (option := text.partition("=")[0]) not in known:
                        self.error(f"{path}:{number}: unknown option '{option}'; see --help")
                    expanded.append(text)
            except UserError as error:
                self.error(str(error))
        return super().parse_args(expanded + words, namespace)


def run(main: Callable[[list[str]], int], *, echo: bool = True, tidy: bool = True) -> NoReturn:
    """Run a program's ``main`` and exit with its status; users' mistakes and the system's errors are a line.

    With ``echo`` the command line is shown, as by Kaldi's programs, unless RECIPE_VERBOSE is false; with
    ``tidy`` temporary files are removed when SIGTERM, or a terminal that is closed, ends the program.
    """

    def stop(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP) if tidy else ():
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
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
        _say("ERROR", message)
    raise SystemExit(status)

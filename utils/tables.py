"""Kaldi's text tables (utt2spk, wav.scp, feats.scp …), lists of classes and CSV: their one reader and writer.

A table has one ``<key> <value>`` a line, C-sorted by key, in UTF-8 with Unix line ends; the value is the
rest of the line and may contain blanks. Lines end at a line feed and nowhere else: U+0085 and U+2028 are
characters of a name. What is refused is decided here, by :func:`parse_values`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from utils import atomic
from utils.cli import UserError

T = TypeVar("T")

# ASCII: what str.split() and str.strip() take for blanks besides may be in a file's name.
_ENTRY = re.compile(r"\s*(\S*)\s*(.*?)\s*", re.ASCII | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f]")
_OFFSET = re.compile(r"(.+):([0-9]{1,18})", re.DOTALL)


def _read_bytes(path: str | Path, what: str = "the file", remedy: str = "") -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{path}: cannot read {what}: {reason}{remedy and f'; {remedy}'}") from error


def _decode(path: str | Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8; convert the file (iconv)") from error


def read_text(path: str | Path, what: str = "the file", remedy: str = "") -> str:
    """Return the text of a UTF-8 file that a person wrote, with every line end as a line feed.

    Raises UserError if it cannot be opened, saying ``what`` it holds and the ``remedy``, or is not UTF-8.
    """
    return _decode(path, _read_bytes(path, what, remedy)).replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path) -> list[str]:
    """Read a UTF-8 file that a program wrote as lines without their ends; its last line must have one."""
    text = _decode(path, _read_bytes(path))
    if text and not text.endswith("\n"):
        raise UserError(f"{path}: truncated: the last line has no end")
    return text.split("\n")[:-1]


def split_line(line: str) -> tuple[str, str]:
    """Return key and value of a line as Kaldi takes it apart: at the first run of blanks or tabs."""
    match = _ENTRY.fullmatch(line)
    return (match[1], match[2]) if match else (line, "")


def split_offset(name: str) -> tuple[str, int | None]:
    """Take ``file:offset`` apart; the offset is ``None`` where there is none."""
    match = _OFFSET.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


def parse_values(path: str | Path, parse: Callable[[str], T], *, is_sorted: bool = True) -> dict[str, T]:
    """Read a table of ``key value`` lines: what ``parse`` makes of each value, in the file's order.

    A UserError names ``path:line`` of what is wrong, such as a value that ``parse`` refuses by a ValueError.
    """
    found: dict[str, T] = {}
    previous = ""
    for number, line in enumerate(read_lines(path), start=1):
        key, value = split_line(line)
        problem = ""
        if line.endswith("\r"):
            problem = "ends in a carriage return; convert the file to Unix line ends"
        elif _CONTROL.search(line):
            problem = f"holds a control character: {line[:80]!r}"
        elif not value or not line.startswith(f"{key} "):
            problem = f"expected '<key> <value>' with a blank between them, got {line[:80]!r}"
        elif key in found:
            problem = f"duplicate key '{key}'"
        elif is_sorted and key.encode() < previous.encode():
            problem = f"'{key}' comes after '{previous}': not sorted; sort with LC_ALL=C sort"
        else:
            try:
                found[key] = parse(value)
            except ValueError as error:
                problem = f"'{key}': {error}"
        if problem:
            raise UserError(f"{path}:{number}: {problem}")
        previous = key
    return found


def read_table(path: str | Path, *, is_sorted: bool = True) -> dict[str, str]:
    """Read a table of ``key value`` lines as it stands."""
    return parse_values(path, str, is_sorted=is_sorted)


def read_scp(path: str | Path) -> dict[str, str]:
    """Read a script file: key to extended file name, in the file's order."""
    return read_table(path, is_sorted=False)


def write_table(path: str | Path, entries: Mapping[str, object]) -> None:
    """Write ``key value`` lines, C-sorted by key; UserError if one cannot be read again as it is."""
    lines = []
    for key, value in sorted(entries.items(), key=lambda entry: entry[0].encode()):
        lines.append(f"{key} {value}\n")
        if not key or split_line(lines[-1]) != (key, str(value)) or _CONTROL.search(lines[-1][:-1]):
            raise UserError(f"{path}: cannot write the entry {key!r} {str(value)!r} as one line of a table")
    with atomic.replacing(path) as file:
        file.writelines(lines)


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Read genres.txt: one class a line, in the order of the networks' outputs; at least two."""
    names = read_lines(path)
    for number, name in enumerate(names, start=1):
        if split_line(f"{name} x") != (name, "x") or not name.isprintable():
            raise UserError(f"{path}:{number}: expected one class name, got '{name}'")
        if name in names[: number - 1]:
            raise UserError(f"{path}:{number}: the class '{name}' stands twice")
    if len(names) < 2:
        raise UserError(f"{path}: expected at least two classes, got {len(names)}")
    return tuple(names)


def csv_rows(path: str | Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row of CSV; UserError for a line that cannot be taken apart."""
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}") from error


def read_tsv(path: str | Path, parse: Callable[[dict[str, str]], T], remedy: str) -> list[T]:
    """Return what ``parse`` makes of each row, by column, of a table with a header and tabs.

    What it refuses by a ValueError, or a column that it does not find, is a UserError with line and remedy.
    """
    text = read_text(path, remedy=remedy).rstrip("\n")
    lines = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        names = next(lines, [])
        return [parse(dict(zip(names, line, strict=True))) for line in lines]
    except KeyError as error:
        raise UserError(f"{path}:1: expected the column {error}; {remedy}") from error
    except (ValueError, csv.Error) as error:
        problem = f"{path}:{lines.line_num}: not a line of this table ({error})"
        raise UserError(f"{problem}; {remedy}") from error

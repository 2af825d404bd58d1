"""Kaldi's text tables, one ``key value`` a line, C-sorted by key: utt2spk, wav.scp, feats.scp."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steps.archive.specifiers import ArchiveError
from utils import atomic


def read_lines(path: str | Path) -> list[str]:
    """Read a UTF-8 text file as lines without their ends; its last line must have one."""
    try:
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 text ({error})"
        raise ArchiveError(f"{path}: cannot read: {reason}") from error
    if text and not text.endswith("\n"):
        raise ArchiveError(f"{path}: truncated: the last line has no end")
    return text.split("\n")[:-1]


def read_table(path: str | Path, *, is_sorted: bool = True) -> dict[str, str]:
    """Read a table of ``key value`` lines.

    Parameters
    ----------
    path : str or Path
        The file. The value is the rest of the line and may contain blanks.
    is_sorted : bool
        Whether keys must be in C order.

    Raises
    ------
    ArchiveError
        With ``path:line``, for a line without a value, a duplicate or unsorted key, or a carriage return.
    """
    table: dict[str, str] = {}
    previous = ""
    for number, line in enumerate(read_lines(path), start=1):
        key, blank, value = line.partition(" ")
        if not key or not blank or not value.strip() or "\t" in key or "\0" in line:
            raise ArchiveError(f"{path}:{number}: expected '<key> <value>', got '{line[:80]}'")
        if line.endswith("\r"):
            raise ArchiveError(
                f"{path}:{number}: ends in a carriage return; convert the file to Unix line ends"
            )
        if key in table:
            raise ArchiveError(f"{path}:{number}: duplicate key '{key}'")
        if is_sorted and key.encode() < previous.encode():
            raise ArchiveError(
                f"{path}:{number}: '{key}' comes after '{previous}': not sorted; sort with LC_ALL=C sort"
            )
        table[key] = value.strip()
        previous = key
    return table


def read_scp(path: str | Path) -> dict[str, str]:
    """Read a script file: key to extended file name, in the file's order."""
    return read_table(path, is_sorted=False)


def write_table(path: str | Path, table: Mapping[str, object]) -> None:
    """Write ``key value`` lines, C-sorted by key, atomically."""
    for key, value in table.items():
        if not key or any(c.isspace() for c in key) or "\n" in str(value) or not str(value).strip():
            raise ArchiveError(
                f"{path}: cannot write the entry {key!r} {str(value)!r} as one line of a table"
            )
    with atomic.replacing(path) as file:
        for key in sorted(table, key=str.encode):
            file.write(f"{key} {table[key]}\n")

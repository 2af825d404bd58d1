"""Reading text whose encoding is not certain: an error names the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from utils.cli import UserError


def read(path: str | Path, what: str = "the file", remedy: str = "") -> str:
    """Return the text of a UTF-8 file, with every line end as a line feed.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What it holds, for the message.
    remedy : str
        What to do if it cannot be read, for the message.

    Raises
    ------
    UserError
        If it cannot be opened, or with the line that is not UTF-8.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        more = f"; {remedy}" if remedy else ""
        raise UserError(f"{path}: cannot read {what}: {reason}{more}") from error
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8; convert the file (iconv)") from error


def csv_rows(path: str | Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each row of a table in CSV.

    Raises
    ------
    UserError
        With the line that cannot be taken apart, such as one with a field of more than 128 KiB.
    """
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}") from error

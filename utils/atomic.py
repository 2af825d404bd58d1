"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file that replaces ``path`` when the block ends; it is removed if the block raises.

    Folders that are missing are made. ``mode`` is ``"w"`` for UTF-8 with Unix line ends, ``"wb"`` for bytes.
    What writers of ``path`` that were killed left is removed, but not that of other machines: they may live.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.tmp.{os.uname().nodename}."
    for other in path.parent.iterdir():
        number = other.name.removeprefix(prefix)
        if other.name.startswith(prefix) and number.isdecimal() and not Path("/proc", number).exists():
            other.unlink(missing_ok=True)
    temporary = path.with_name(f"{prefix}{os.getpid()}")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with temporary.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON, sorted and indented, so that a rerun is the same file."""
    with replacing(path) as file:
        json.dump(value, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")

"""Kaldi's rspecifiers, wspecifiers and extended file names."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from utils.cli import UserError


class ArchiveError(UserError):
    """An archive or table cannot be read: the message gives its path and the byte offset or line."""


@dataclass(frozen=True)
class ReadSpec:
    """A parsed rspecifier: ``ark`` or ``scp``, the file, and the options that change reading."""

    type: str
    path: str
    permissive: bool = False
    is_sorted: bool = False


@dataclass(frozen=True)
class WriteSpec:
    """A parsed wspecifier: the archive, the script file that points into it, and text mode."""

    ark: str
    scp: str = ""
    text: bool = False


def parse_rspecifier(rspecifier: str) -> ReadSpec:
    """Parse ``[opts,]ark:rxfilename`` or ``[opts,]scp:rxfilename``.

    Options ``s`` (sorted), ``cs`` (asked for in sorted order), ``p`` (permissive), ``o``/``no``, ``bg``,
    ``b`` and ``t`` are known.
    """
    head, colon, path = rspecifier.partition(":")
    words = head.split(",")
    kinds = [word for word in words if word in ("ark", "scp")]
    unknown = [
        word
        for word in words
        if word not in ("ark", "scp", "o", "no", "s", "ns", "cs", "ncs", "p", "np", "bg", "b", "t")
    ]
    if not colon or len(kinds) != 1 or unknown or not path.strip():
        raise UserError(f"'{rspecifier}' is no rspecifier; expected 'ark:FILE' or 'scp:FILE'")
    return ReadSpec(kinds[0], path.strip(), "p" in words, "s" in words)


def parse_wspecifier(wspecifier: str) -> WriteSpec:
    """Parse ``ark[,t]:wxfilename`` or ``ark,scp[,t]:archive,script``."""
    head, colon, path = wspecifier.partition(":")
    words = head.split(",")
    kinds = [word for word in words if word in ("ark", "scp")]
    unknown = [word for word in words if word not in ("ark", "scp", "t", "b", "f", "nf", "p", "np")]
    text = "t" in words
    if colon and not unknown and path.strip():
        if kinds == ["ark"]:
            return WriteSpec(path.strip(), "", text)
        ark, comma, scp = path.strip().partition(",")
        if kinds == ["ark", "scp"] and comma and ark.strip() and scp.strip():
            return WriteSpec(ark.strip(), scp.strip(), text)
    raise UserError(
        f"'{wspecifier}' is no wspecifier; expected 'ark:FILE', 'ark,t:FILE' or 'ark,scp:ARK,SCP'"
    )


def refuse_pipe(name: str, allow_pipes: bool, where: str = "") -> None:
    """Raise if ``name`` is a command and commands were not allowed."""
    if not allow_pipes:
        prefix = f"{where}: " if where else ""
        raise UserError(f"{prefix}'{name}' is a command; commands run only with --allow-pipes=true")


@contextmanager
def open_input(name: str, *, allow_pipes: bool = False, where: str = "") -> Iterator[IO[bytes]]:
    """Open an rxfilename for reading bytes: a file, ``-``, a ``.gz`` file, or ``command |``.

    A command that fails is an error here, after what it wrote has been read.
    """
    name = name.strip()
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        refuse_pipe(name, allow_pipes, where)
        command = name[:-1].strip()
        with subprocess.Popen(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE) as process:
            if process.stdout is None:
                raise ArchiveError(f"'{name}' gives no output")
            yield process.stdout
            process.stdout.read()
        if process.returncode != 0:
            raise ArchiveError(f"'{name}' failed with exit status {process.returncode}")
    else:
        try:
            opened = gzip.open(name, "rb") if name.endswith(".gz") else Path(name).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            prefix = f"{where}: " if where else ""
            raise ArchiveError(f"{prefix}cannot open '{name}': {reason}") from error
        with opened as file:
            yield file  # type: ignore[misc]

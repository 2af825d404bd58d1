"""Kaldi's rspecifiers, wspecifiers and extended file names."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from utils.cli import UserError


class ArchiveError(UserError):
    """An archive or table cannot be read: the message gives its path and the byte offset or line."""


class ReadSpec(NamedTuple):
    """A parsed rspecifier: ``ark`` or ``scp``, the file, and the options that change reading."""

    type: str
    path: str
    permissive: bool = False
    is_sorted: bool = False


class WriteSpec(NamedTuple):
    """A parsed wspecifier: the archive, the script file that points into it, and text mode."""

    ark: str
    scp: str = ""
    text: bool = False


def _parse(specifier: str, known: str) -> tuple[list[str], list[str], str]:
    """Return ``ark`` and ``scp`` as they occur (nothing if it is wrong), all words, and the path."""
    head, _, path = specifier.partition(":")
    words = head.split(",")
    kinds = [word for word in words if word in ("ark", "scp")]
    is_known = path.strip() and all(word in ("ark", "scp", *known.split()) for word in words)
    return kinds if is_known else [], words, path.strip()


def parse_rspecifier(rspecifier: str) -> ReadSpec:
    """Parse ``[opts,]ark:rxfilename`` or ``[opts,]scp:rxfilename``; of the options ``s`` and ``p`` count."""
    kinds, words, path = _parse(rspecifier, "o no s ns cs ncs p np bg b t")
    if len(kinds) != 1:
        raise UserError(f"'{rspecifier}' is no rspecifier; expected 'ark:FILE' or 'scp:FILE'")
    return ReadSpec(kinds[0], path, "p" in words, "s" in words)


def parse_wspecifier(wspecifier: str) -> WriteSpec:
    """Parse ``ark[,t]:wxfilename`` or ``ark,scp[,t]:archive,script``."""
    kinds, words, path = _parse(wspecifier, "t b f nf p np")
    ark, _, scp = (part.strip() for part in path.partition(","))
    if kinds == ["ark"]:
        return WriteSpec(path, "", "t" in words)
    if kinds == ["ark", "scp"] and ark and scp:
        return WriteSpec(ark, scp, "t" in words)
    raise UserError(
        f"'{wspecifier}' is no wspecifier; expected 'ark:FILE', 'ark,t:FILE' or 'ark,scp:ARK,SCP'"
    )


@contextmanager
def open_input(name: str, *, allow_pipes: bool = False, where: str = "") -> Iterator[IO[bytes]]:
    """Open a file, ``-``, ``.gz``, or ``command |``, whose failure is an error; ``where`` begins messages."""
    name, prefix = name.strip(), where and f"{where}: "
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        if not allow_pipes:
            raise UserError(f"{prefix}'{name}' is a command; commands run only with --allow-pipes=true")
        command = ["bash", "-o", "pipefail", "-c", name[:-1].strip()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            stdout: IO[bytes] = process.stdout  # type: ignore[assignment]
            yield stdout
            stdout.read()
        if process.returncode != 0:
            raise ArchiveError(f"'{name}' failed with exit status {process.returncode}")
    else:
        try:
            opened = gzip.open(name, "rb") if name.endswith(".gz") else Path(name).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ArchiveError(f"{prefix}cannot open '{name}': {reason}") from error
        with opened as file:
            yield file  # type: ignore[misc]

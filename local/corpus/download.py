"""Fetching a corpus over HTTP: resumed where it broke off, checked against size and checksum."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import ssl
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from utils import cli

_PIECE = 1 << 20
_UNREACHED = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.EHOSTDOWN)
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class RemoteFile:
    """One file of a record.

    Attributes
    ----------
    name : str
        File name, without folders.
    url : str
        Where its bytes are.
    size : int or None
        In bytes, if the record gives it.
    checksum : str
        ``md5:...`` or ``sha256:...``, empty if the record gives none.
    """

    name: str
    url: str
    size: int | None
    checksum: str


def open_url(url: str, offset: int, timeout: float) -> http.client.HTTPResponse:
    """Ask for a URL's bytes from ``offset`` on.

    Raises
    ------
    UserError
        If the URL is neither http nor https.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise cli.UserError(f"{url}: expected an http or https address")
    request = urllib.request.Request(url, headers={"User-Agent": "kaldi-recipe"})  # noqa: S310 - checked above
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    return urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - checked above


def read_record(url: str, retries: int, timeout: float) -> list[RemoteFile]:
    """Read the list of files of a Zenodo record.

    Raises
    ------
    UserError
        If it cannot be fetched or does not look like a record.
    """
    for attempt in _attempts(retries, url):
        try:
            with open_url(url, 0, timeout) as response:
                record = json.load(response)
            break
        except urllib.error.HTTPError as error:
            attempt.failed(f"status {error.code}", final=_is_final(error.code))
        except _BROKEN as error:
            attempt.failed(str(error))
        except ValueError as error:
            raise cli.UserError(f"{url}: not JSON ({error}); is it the address of a record?") from error
    try:
        files = [
            RemoteFile(PurePosixPath(f["key"]).name, f["links"]["self"], f.get("size"), f.get("checksum", ""))
            for f in record["files"]
        ]
    except (KeyError, TypeError) as error:
        raise cli.UserError(
            f"{url}: no list of files in the record; is it the address of a record?"
        ) from error
    if not files:
        raise cli.UserError(f"{url}: the record has no files")
    return files


def _is_final(status: int) -> bool:
    """Tell whether another attempt would be in vain: of the client's errors all but a full queue."""
    return 400 <= status < 500 and status not in (408, 425, 429)


class Attempt:
    """One of several attempts; what went wrong in it."""

    def __init__(self, url: str, is_last: bool, wait: float) -> None:
        self._url, self._is_last, self._wait = url, is_last, wait

    def failed(self, why: str, *, final: bool = False) -> None:
        """Wait for the next attempt, or give up.

        Raises
        ------
        UserError
            After the last attempt, or if another would be in vain.
        """
        if final or self._is_last:
            raise cli.UserError(
                f"{self._url}: {why}; check the network and run it again: it goes on where it was"
            )
        cli.warn(f"{self._url}: {why}; trying again in {self._wait:g} s")
        time.sleep(self._wait)


def _attempts(retries: int, url: str) -> Iterator[Attempt]:
    for number in range(retries + 1):
        yield Attempt(url, number == retries, min(60.0, 0.5 * 2**number))


def fetch(remote: RemoteFile, folder: Path, retries: int, timeout: float) -> Path:
    """Download a file, going on where an earlier attempt broke off, and check it.

    Parameters
    ----------
    remote : RemoteFile
        The file.
    folder : Path
        Where it is written, as ``<name>.part`` until it is complete and checked.
    retries : int
        Attempts in a row that may bring no byte.
    timeout : float
        Seconds without a byte after which a connection counts as broken.

    Raises
    ------
    UserError
        If it cannot be fetched or its size or checksum is wrong.
    """
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    if target.is_file():
        check(target, remote)
        cli.log(f"{target}: complete")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        before = part.stat().st_size if part.is_file() else 0
        for attempt in _attempts(retries, remote.url):
            why = _transfer(remote, part, timeout)
            if why is None:
                check(part, remote)
                os.replace(part, target)  # noqa: PTH105 - atomic within the folder
                cli.log(f"{target}: {target.stat().st_size} bytes, checked")
                return target
            now = part.stat().st_size if part.is_file() else 0
            attempt.failed(why, final=why.startswith("status ") and _is_final(int(why.split()[1])))
            if now > before:
                break


def _transfer(remote: RemoteFile, part: Path, timeout: float) -> str | None:
    """Append what is missing to ``part``; return what went wrong, or ``None``."""
    offset = part.stat().st_size if part.is_file() else 0
    if remote.size is not None and offset == remote.size:
        return None
    if remote.size is not None and offset > remote.size:
        part.unlink()
        offset = 0
    try:
        with open_url(remote.url, offset, timeout) as response:
            resumed = response.status == 206
            expected = response.length
            with part.open("ab" if resumed else "wb") as file:
                while piece := response.read(_PIECE):
                    file.write(piece)
                    expected = None if expected is None else expected - len(piece)
        if expected:
            return f"the connection broke off with {expected} bytes to come"
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer
            part.unlink(missing_ok=True)
            return "the server has no such range; starting anew"
        return f"status {error.code}"
    except http.client.IncompleteRead as error:
        with part.open("ab") as file:
            file.write(error.partial)
        return "the connection broke off"
    except _BROKEN as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    except OSError as error:
        if error.errno not in _UNREACHED:
            raise
        return error.strerror or "the network is down"
    if remote.size is not None and part.stat().st_size < remote.size:
        return f"{part.stat().st_size} of {remote.size} bytes came"
    return None


def check(path: Path, remote: RemoteFile) -> None:
    """Compare a file with the record; a file that does not match is removed.

    Raises
    ------
    UserError
        If it does not match.
    """
    size = path.stat().st_size
    problem = None
    if remote.size is not None and size != remote.size:
        problem = f"{size} bytes, the record says {remote.size}"
    elif remote.checksum:
        kind, _, expected = remote.checksum.partition(":")
        if kind not in ("md5", "sha256"):
            cli.warn(f"{path}: checksum of an unknown kind: {remote.checksum}; not checked")
            return
        digest = hashlib.new(kind, usedforsecurity=False)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        if digest.hexdigest() != expected.lower():
            problem = f"{kind} {digest.hexdigest()}, the record says {expected}"
    else:
        cli.warn(f"{path}: the record gives no checksum; only its size was checked")
    if problem:
        path.unlink()
        raise cli.UserError(f"{path}: {problem}; removed: run it again")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive; anything that would lie outside ``folder``, and any link, is refused.

    Raises
    ------
    UserError
        If the archive is damaged or holds such a member.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for name in packed.namelist():
                    _check_member(archive, name)
                packed.extractall(folder)  # noqa: S202 - every name is checked above
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed_tar:
                for member in packed_tar:
                    _check_member(archive, member.name)
                    if not (member.isfile() or member.isdir()):
                        raise cli.UserError(
                            f"{archive}: member '{member.name}' is neither a file nor a folder"
                        )
                    packed_tar.extract(member, folder, set_attrs=False)
        else:
            cli.log(f"{archive}: not an archive, left as it is")
            return
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise cli.UserError(f"{archive}: damaged ({error}); remove it and run this again") from error
    cli.log(f"{archive}: unpacked to {folder}")


def _check_member(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise cli.UserError(f"{archive}: member '{name}' would lie outside the folder; not unpacked")

"""Locks that one run at a time holds, and which processes live.

A lock is held by the process and by what it started, so it is gone as soon as they are, whatever killed
them. Who finds it taken is told by which process and host. On a file system without locks nothing is run,
unless the environment says WITHOUT_LOCKS=true: then see to it yourself that no two runs do the same work.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from utils import cli

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
ENDING_SECONDS = 60.0


class HeldError(cli.UserError):
    """Another process, which lives, holds the lock."""

    status = 75


def _facts(pid: int | str) -> list[str]:
    """Return what Linux says of a process, from its state on; nothing if it does not live."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return facts if facts[0] not in "ZX" else []


def is_ancestor(pid: int) -> bool:
    """Tell whether a process is this one's parent, or an ancestor further up."""
    each = os.getppid()
    while each > 1 and each != pid:
        each = int((_facts(each) or "00")[1])
    return each == pid


def try_open(path: Path) -> int | None:
    """Open a file and lock it; return its descriptor, or None if somebody else has it.

    Raises UserError if the file system has no locks and ``WITHOUT_LOCKS`` does not permit to go on.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except OSError as error:
        if error.errno in NO_LOCKS and os.environ.get("WITHOUT_LOCKS") == "true":
            cli.warn(f"{path}: this file system has no locks; going on without, as WITHOUT_LOCKS says")
            return descriptor
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        if error.errno not in NO_LOCKS:
            raise
        raise cli.UserError(
            f"{path}: this file system has no locks ({error.strerror}); to go on without them, give run.sh "
            "--without-locks true, or set WITHOUT_LOCKS=true in the environment, and see to it that no two "
            "runs do the same work"
        ) from error


def _holder(path: Path) -> str | None:
    """Say which process holds a lock that could not be had; None if it is dead: its jobs are ending."""
    try:
        pid, host = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return f"another process (see: fuser {path})"
    if host != os.uname().nodename:
        return f"process {pid} on {host}"  # which cannot be looked up here
    return f"process {pid} on this host" if _facts(pid) else None


def _is(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still has its name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


@contextmanager
def held(path: str | Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock, a file that is removed at the end, while the block and what it starts run.

    A process that holds it is waited for (``wait``), or :class:`HeldError` tells it and ``what`` it works on.
    Jobs of a dead one are waited for a minute, then it is a UserError.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    began, told = time.monotonic(), False
    while (descriptor := try_open(path)) is None or not _is(descriptor, path):
        if descriptor is not None:  # its last holder removes it just now
            os.close(descriptor)
            continue
        who = _holder(path)
        if who and not wait:
            raise HeldError(f"{what}: {who} is at work on it; wait for it, or stop that process")
        if not who and time.monotonic() - began >= ENDING_SECONDS:
            raise cli.UserError(f"{what}: jobs of a run that was killed still work on it; see: fuser {path}")
        if not told:
            cli.log(f"{what}: waiting for {who or 'the jobs of a run that was killed'}")
        told = True
        time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} {os.uname().nodename}\n".encode())
    os.set_inheritable(descriptor, True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)

"""Whether other processes of this host live, by Linux's /proc."""

import os
from pathlib import Path


def _fields(pid: int) -> list[str]:
    """Return what Linux says of a process, from its state on; nothing if it does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot, None if it does not live."""
    fields = _fields(pid)
    return fields[19] if fields and fields[0] not in "ZX" else None


def is_alive(pid: int, started: str = "0") -> bool:
    """Tell whether a process lives and is the one that started then ("0": whichever it is)."""
    found = start_time(pid)
    return found is not None and started in ("0", found)


def is_ancestor(pid: int) -> bool:
    """Tell whether a process is this one's parent, or an ancestor further up."""
    each = os.getppid()
    while each > 1 and each != pid:
        fields = _fields(each)
        each = int(fields[1]) if fields else 0
    return each == pid

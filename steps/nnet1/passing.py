"""Objects by key from an archive that is read along with the features, in as little memory as order allows.

What is handed out is forgotten. In the order of the features nothing else is kept; in another order what
has been passed on the way is kept, as Kaldi does. The options of the rspecifier say more: behind
``ark,s:`` (sorted) a key that is not there is missed at the first greater one, without reading on;
``ark,s,cs:`` (asked for in sorted order, too) never keeps what it has passed.
"""

from __future__ import annotations

from typing import Any

from steps import archive
from steps.archive import reader
from utils.cli import UserError


class Passing:
    """Objects of an archive by key, each handed out once.

    Parameters
    ----------
    rspecifier : str
        ``[s,][cs,]ark:FILE``.
    kind : str
        See ``archive.read_objects``.
    allow_pipes : bool
        Whether commands may be run.
    """

    def __init__(self, rspecifier: str, kind: str, allow_pipes: bool) -> None:
        spec = archive.parse_rspecifier(rspecifier)
        self._path = spec.path
        self._sorted = spec.is_sorted
        self._called_sorted = spec.is_sorted and spec.is_called_sorted
        self._rest = reader.read_objects(rspecifier, kind, allow_pipes=allow_pipes)
        self._ahead: tuple[str, Any] | None = None
        self._waiting: dict[str, Any] = {}
        self._asked = ""

    def __contains__(self, key: str) -> bool:
        if self._called_sorted:
            self._check_order(key)
        while key not in self._waiting:
            self._ahead = self._ahead or next(self._rest, None)
            if self._ahead is None:
                return False
            name, value = self._ahead
            if self._sorted and name.encode() > key.encode():
                return False
            if name == key or not self._called_sorted:
                self._waiting[name] = value
            self._ahead = None
        return True

    def __getitem__(self, key: str) -> Any:
        return self._waiting.pop(key)

    def __len__(self) -> int:
        """Objects that are kept in memory."""
        return len(self._waiting) + (self._ahead is not None)

    def _check_order(self, key: str) -> None:
        if key.encode() < self._asked.encode():
            raise UserError(
                f"{self._path}: '{key}' is wanted after '{self._asked}', but the rspecifier says cs, called "
                "in sorted order; sort the features or leave the option cs out"
            )
        self._asked = key
        for name in [name for name in self._waiting if name != key]:
            del self._waiting[name]


def by_key(rspecifier: str, kind: str, allow_pipes: bool) -> Any:
    """Objects by key: a script file seeks in its archives, an archive is read along."""
    if archive.parse_rspecifier(rspecifier).type == "scp":
        return archive.open_random(rspecifier, kind, allow_pipes=allow_pipes)
    return Passing(rspecifier, kind, allow_pipes)

"""How the fuzzing tests run, and how they damage a file that was right.

Short and the same each time by default. ``FUZZ_EXAMPLES=20000 pytest tests/unit/test_fuzz_*.py`` tries
that many examples of everything, other ones each time.
"""

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def _settings(usual: int) -> settings:
    return settings(
        max_examples=_EXAMPLES or usual,
        deadline=None,
        derandomize=not _EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


MANY = _settings(120)
"""For what takes a millisecond."""
FEW = _settings(30)
"""For what writes a file or starts a process."""

_BYTES = st.one_of(
    st.sampled_from((0, 1, 4, 10, 32, 45, 46, 60, 62, 91, 93, 127, 128, 255)), st.integers(0, 255)
)
_CHANGE = st.tuples(st.sampled_from(("set", "insert", "delete", "cut", "repeat")), st.floats(0, 1), _BYTES)
DAMAGE = st.lists(_CHANGE, min_size=1, max_size=3)
"""Changes for :func:`damaged`."""


def damaged(data: bytes, changes: Sequence[tuple[str, float, int]]) -> bytes:
    """Return the data after changes (what, where from 0 to 1, byte)."""
    result = bytearray(data)
    for how, where, byte in changes:
        place = int(where * len(result))
        if how == "set":
            result[place : place + 1] = bytes((byte,))
        elif how == "insert":
            result.insert(place, byte)
        elif how == "delete":
            del result[place : place + 1]
        elif how == "repeat":
            result[place:place] = result[place : place + byte]
        else:
            del result[place:]
    return bytes(result)

"""McNemar's test between systems on the same tracks, corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from steps.scoring.predictions import Predictions
from steps.scoring.significance import holm, mcnemar


@dataclass(frozen=True)
class Pair:
    """Two systems and whether they differ."""

    first: str
    second: str
    first_correct: int
    second_correct: int
    only_first: int
    only_second: int
    p_value: float
    p_holm: float
    """Holm-adjusted over the pairs of the same call."""
    exact: bool


def same_tracks(first: Predictions, second: Predictions) -> bool:
    """Return whether two systems were scored on the same tracks with the same labels."""
    if first.classes != second.classes or first.utts != second.utts:
        return False
    return bool(np.array_equal(first.ref, second.ref))


def compare_pairs(
    systems: Mapping[str, Predictions], pairs: list[tuple[str, str]] | None = None
) -> list[Pair]:
    """Test pairs of systems, all of them by default.

    Parameters
    ----------
    systems : mapping of str to Predictions
        Hypotheses by the name of the system, of the same tracks.
    pairs : list of pairs of str, optional
        The family of tests; pairs of systems of different tracks are not allowed.

    Returns
    -------
    list of Pair
        In the order of ``pairs``, or of the systems.
    """
    names = pairs if pairs is not None else list(combinations(systems, 2))
    tests = []
    for first, second in names:
        if not same_tracks(systems[first], systems[second]):
            raise ValueError(f"'{first}' and '{second}' were not scored on the same tracks")
        tests.append(mcnemar(systems[first].right, systems[second].right))
    adjusted = holm([test.p_value for test in tests])
    return [
        Pair(
            first,
            second,
            int(systems[first].right.sum()),
            int(systems[second].right.sum()),
            test.only_first,
            test.only_second,
            test.p_value,
            float(p),
            test.exact,
        )
        for (first, second), test, p in zip(names, tests, adjusted, strict=True)
    ]

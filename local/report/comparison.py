"""McNemar's test between systems on the same tracks, in families that were named before any result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.report import paper
from local.report.experiments import Run
from steps.scoring.predictions import Predictions
from steps.scoring.significance import holm, mcnemar

OURS = ("best", "Seg_acc"), ("lstm_512", "FSeg_acc")
"""What stands for this recipe where others are compared with it: the first that there is."""
FUSION = ("lstm_512", "FSeg_acc")
MEAN_FRAME = ("sc", "ScSeg_acc")

System = tuple[str, str]
"""An experiment and one of its accuracies."""


@dataclass(frozen=True)
class Pair:
    """Two systems and whether they differ."""

    family: str
    first: str
    second: str
    first_correct: int
    second_correct: int
    only_first: int
    only_second: int
    p_value: float
    p_holm: float  # Holm-adjusted over the pairs of the family


def compare(family: str, pairs: Sequence[tuple[str, Predictions, str, Predictions]]) -> list[Pair]:
    """Test pairs of systems, each with its name; their Holm-adjusted p values count all pairs.

    ValueError if the systems of a pair were not scored on the same tracks.
    """
    tests = []
    for first, one, second, other in pairs:
        if not one.same_tracks(other):
            raise ValueError(f"'{first}' and '{second}' were not scored on the same tracks")
        tests.append(mcnemar(one.right, other.right))
    adjusted = holm([test.p_value for test in tests])
    return [
        Pair(
            family,
            first,
            second,
            int(one.right.sum()),
            int(other.right.sum()),
            test.only_first,
            test.only_second,
            test.p_value,
            float(p),
        )
        for (first, one, second, other), test, p in zip(pairs, tests, adjusted, strict=True)
    ]


def families(runs: Sequence[Run]) -> Iterator[tuple[str, list[tuple[System, System]]]]:
    """Yield the questions that are asked of the results, and the pairs that answer each."""
    lstms = [run.model for run in runs if run.kind == "LSTM"]
    ours = next((system for system in OURS if _predictions(runs, system)), OURS[0])
    yield "LSTM votes against those of DNN1", [((m, "Seg_acc"), ("dnn1", "Seg_acc")) for m in lstms]
    yield "fusion against the votes of the same LSTM", [((m, "FSeg_acc"), (m, "Seg_acc")) for m in lstms]
    yield "fusion against the SVM on the mean frame", [((m, "FSeg_acc"), MEAN_FRAME) for m in lstms]
    yield f"systems of others against {ours[0]}", [((name, "Seg_acc"), ours) for name in paper.SYSTEMS]
    yield "best against our other systems", [(OURS[0], FUSION), (OURS[0], MEAN_FRAME)]


def _predictions(runs: Sequence[Run], system: System) -> Predictions | None:
    found = (run.scores.predictions.get(system[1]) for run in runs if run.model == system[0])
    return next(found, None)


def test_families(runs: Sequence[Run]) -> list[Pair]:
    """Run the tests (first seed) of every family, as far as its systems were scored."""
    tests = []
    for family, pairs in families(runs):
        known = []
        for first, second in pairs:
            one, other = _predictions(runs, first), _predictions(runs, second)
            if one and other:
                known.append((_name(first), one, _name(second), other))
        tests += compare(family, known)
    return tests


def _name(system: System) -> str:
    return f"{system[0]} {system[1].removesuffix('_acc')}"

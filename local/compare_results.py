#!/usr/bin/env python3
"""Compare result directories: every accuracy in one table, with differences and McNemar's p.

The first directory is what the others are compared with. McNemar's test needs the same test tracks; where
they differ, and for frames, p is '-'. "p Holm" is corrected for the number of rows.

Usage: local/compare_results.sh [options] <exp-dir>...
e.g.:  local/compare_results.sh exp/synth_*_512
       local/compare_results.sh exp/ismir04_folds_dnn1 exp/ismir04_folds_lstm_512
"""

from collections.abc import Sequence

from local.report.experiments import EXPLANATIONS, compare, load_scores
from local.report.tables import Table
from steps.scoring.scores import Scores
from utils import cli

COLUMNS = ("measure", "experiment", "%", "counts", "balanced", "difference")
TESTED = ("only first", "only this", "p", "p Holm")


def rows(systems: dict[str, Scores], measures: Sequence[str]) -> list[list[str]]:
    """Return the cells of the table, grouped by measure."""
    reference = next(iter(systems))
    found = [
        (name, path, scores.measures[name])
        for name in measures
        for path, scores in systems.items()
        if name in scores.measures
    ]
    first = systems[reference].measures
    others = [item for item in found if item[1] != reference]
    pairs = [((name, reference), first.get(name), (name, path), measure) for name, path, measure in others]
    tests = {test["second"]: [*test.values()][-4:] for test in compare("all rows", pairs)}
    cells = []
    for name, path, measure in found:
        row = [name, path, f"{measure.percent:.2f}", f"[ {measure.correct} / {measure.total} ]"]
        row.append(f"{measure.balanced:.2f}")
        if path == reference:
            row += [""] * (1 + len(TESTED))
        else:
            row.append(f"{measure.percent - first[name].percent:+.2f}" if name in first else "-")
            tested = tests.get((name, path), ["-"] * len(TESTED))
            row += [f"{x:.4f}" if isinstance(x, float) else str(x) for x in tested]
        cells.append(row)
    return cells


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = cli.KaldiParser.of(__doc__)
    args = parser.parse_args(argv)
    if len(set(args.exp_dirs)) < max(2, len(args.exp_dirs)):
        parser.error("expected at least two different directories")
    systems = {str(path): load_scores(path) for path in args.exp_dirs}
    measures = [name for name in EXPLANATIONS if any(name in scores.measures for scores in systems.values())]
    print("\n".join(Table("", COLUMNS + TESTED, rows(systems, measures), left=2).lines()[2:]))
    first, *others = systems
    for name in others:
        if not systems[name].tracks.same_tracks(systems[first].tracks):
            cli.warn(f"{name} was not scored on the tracks of {first}: no test, only numbers")
    return 0


if __name__ == "__main__":
    cli.run(main)

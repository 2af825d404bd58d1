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
    reference, *others = systems
    base = systems[reference]
    pairs = []
    for name in measures:
        for path in others:
            one, other = base.predictions.get(name), systems[path].predictions.get(name)
            if one and other and one.same_tracks(other):
                pairs.append(((name, reference), one, (name, path), other))
    tests = {test["second"]: [*test.values()][-4:] for test in compare("all rows", pairs)}
    cells = []
    for name in measures:
        for path, system in systems.items():
            if (measure := system.measures.get(name)) is None:
                continue
            row = [name, path, f"{measure.percent:.2f}", f"[ {measure.correct} / {measure.total} ]"]
            row.append(f"{measure.balanced:.2f}")
            if path == reference:
                row += [""] * (1 + len(TESTED))
            else:
                first = base.measures.get(name)
                row.append(f"{measure.percent - first.percent:+.2f}" if first else "-")
                found = tests.get((name, path), ["-"] * len(TESTED))
                row += [f"{x:.4f}" if isinstance(x, float) else str(x) for x in found]
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
        if not systems[name].first_predictions().same_tracks(systems[first].first_predictions()):
            cli.warn(f"{name} was not scored on the tracks of {first}: no test, only numbers")
    return 0


if __name__ == "__main__":
    cli.run(main)

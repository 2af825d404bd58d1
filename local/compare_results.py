#!/usr/bin/env python3
"""Compare result directories: every accuracy in one table, with differences and McNemar's p.

The first directory is what the others are compared with, each with the accuracy of the same name. McNemar's
test needs the same test tracks; where they differ, and for frames, p is '-'. p is not corrected for the
number of rows: "p Holm" is. Pooled results of a cross-validation can be compared with each other.

Usage: local/compare_results.sh [options] <exp-dir> <exp-dir>...
e.g.:  local/compare_results.sh --measures Seg_acc,FSeg_acc exp/synth_*_512
       local/compare_results.sh exp/ismir04_folds_dnn1 exp/ismir04_folds_lstm_512
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.report.comparison import Pair, compare
from local.report.experiments import EXPLANATIONS, load_scores
from local.report.tables import Table
from steps.scoring.scores import Scores
from utils import cli

COLUMNS = (
    "measure",
    "experiment",
    "%",
    "counts",
    "balanced",
    "difference",
    "only first",
    "only this",
    "p",
    "p Holm",
)


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/compare_results.sh [options] <exp-dir> <exp-dir>...", __doc__)
    parser.add_argument("--measures", default="", metavar="A,B", help="accuracies to show, if not all")
    parser.add_argument("--test-set", default="test", metavar="SET", help="the set of the accuracies")
    parser.add_argument(
        "exp_dirs", nargs="+", metavar="exp_dir", help="scored experiments, the reference first"
    )
    return parser


def test_against_first(systems: dict[str, Scores], measures: Sequence[str]) -> dict[tuple[str, str], Pair]:
    """Test all systems' measures against the first's, Holm-corrected over all; by measure and directory."""
    first, *others = systems
    pairs = []
    for name in measures:
        base = systems[first].predictions.get(name)
        for path in others:
            other = systems[path].predictions.get(name)
            if base and other and base.same_tracks(other):
                pairs.append((f"{name} {first}", base, f"{name} {path}", other))
    tests = compare("all rows", pairs)
    return {tuple(test.second.split(" ", 1)): test for test in tests}  # type: ignore[misc]


def rows(systems: dict[str, Scores], measures: Sequence[str]) -> list[list[str]]:
    """Return the cells of the table, grouped by measure."""
    tests = test_against_first(systems, measures)
    reference = next(iter(systems))
    table = []
    for name in measures:
        base = systems[reference].measures.get(name)
        for path, system in systems.items():
            measure = system.measures.get(name)
            if measure is None:
                continue
            first = path == reference
            difference = "" if first else "-" if base is None else f"{measure.percent - base.percent:+.2f}"
            cells = [name, path, f"{measure.percent:.2f}", f"[ {measure.correct} / {measure.total} ]"]
            cells += [f"{measure.balanced:.2f}", difference]
            test = tests.get((name, path))
            if test:
                cells += [
                    str(test.only_first),
                    str(test.only_second),
                    f"{test.p_value:.4f}",
                    f"{test.p_holm:.4f}",
                ]
            else:
                cells += [""] * 4 if first else ["-"] * 4
            table.append(cells)
    return table


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if len(args.exp_dirs) < 2 or len(set(args.exp_dirs)) < len(args.exp_dirs):
        parser.error("expected at least two different directories")
    systems = {name: load_scores(Path(name), args.test_set) for name in args.exp_dirs}
    wanted = [name for name in args.measures.split(",") if name]
    for name in wanted:
        if name not in EXPLANATIONS:
            parser.error(f"--measures: '{name}' is not one of {' '.join(EXPLANATIONS)}")
    present = [name for name in EXPLANATIONS if any(name in scores.measures for scores in systems.values())]
    measures = [name for name in present if not wanted or name in wanted]
    table = Table("", COLUMNS, rows(systems, measures), left=2)
    print("\n".join(table.lines()[2:]))
    first, *others = systems
    for name in others:
        if not systems[name].first_predictions().same_tracks(systems[first].first_predictions()):
            cli.warn(f"{name} was not scored on the tracks of {first}: no test, only numbers")
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Compare result directories: every accuracy in one table, with differences and McNemar's p.

The first directory is what the others are compared with, each with the accuracy of the same name. McNemar's
test needs the same test tracks; where they differ, and for frames, p is '-'. p is not corrected for the
number of rows: "p Holm" is. Pooled results of a cross-validation can be compared with each other.

Usage: local/compare_results.py [options] <exp-dir> <exp-dir>...
e.g.:  local/compare_results.py exp/synth_lstm_512 exp/synth_lstm_1024 exp/synth_dnn1
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.report.layout import render
from steps.scoring.comparison import Pair, compare_pairs, same_tracks
from steps.scoring.pooling import is_pooled, load_pooled
from steps.scoring.system import EXPLANATIONS, SystemResults, load_system
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
    parser.add_argument("--measures", default="", metavar="A,B", help="accuracies to show (all)")
    parser.add_argument("--test-set", default="test", metavar="SET", help="the set of the accuracies (test)")
    parser.add_argument(
        "exp_dirs", nargs="+", metavar="exp_dir", help="scored experiments, the reference first"
    )
    return parser


def load(exp_dir: Path, test_set: str) -> SystemResults:
    """Read the results of one directory, whether of one division or of all folds."""
    if not is_pooled(exp_dir):
        return load_system(exp_dir, test_set)
    if test_set != "test":
        raise cli.UserError(f"{exp_dir} has the pooled results of folds, which have no set {test_set}")
    return load_pooled(exp_dir)


def test_against_first(
    systems: Sequence[SystemResults], measures: Sequence[str]
) -> dict[tuple[str, str], Pair]:
    """Test every system's measures against the first system's, Holm-corrected over all of the tests.

    Returns
    -------
    dict
        By measure and directory; without those that the first system lacks or has of other tracks.
    """
    predictions = {}
    pairs = []
    for name in measures:
        base = systems[0].predictions.get(name)
        if base is None:
            continue
        for system in systems[1:]:
            other = system.predictions.get(name)
            if other is not None and same_tracks(base, other):
                first, second = f"{name} {systems[0].path}", f"{name} {system.path}"
                predictions.update({first: base, second: other})
                pairs.append((first, second))
    tests = compare_pairs(predictions, pairs)
    return {tuple(test.second.split(" ", 1)): test for test in tests}  # type: ignore[misc]


def rows(systems: Sequence[SystemResults], measures: Sequence[str]) -> list[list[str]]:
    """Return the cells of the table, grouped by measure."""
    tests = test_against_first(systems, measures)
    table = []
    for name in measures:
        base = systems[0].measures.get(name)
        for system in systems:
            measure = system.measures.get(name)
            if measure is None:
                continue
            first = system is systems[0]
            difference = "" if first else "-" if base is None else f"{measure.percent - base.percent:+.2f}"
            cells = [
                name,
                str(system.path),
                f"{measure.percent:.2f}",
                f"[ {measure.correct} / {measure.total} ]",
            ]
            cells += [f"{measure.balanced:.2f}", difference]
            test = tests.get((name, str(system.path)))
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
    systems = [load(Path(name), args.test_set) for name in args.exp_dirs]
    wanted = [name for name in args.measures.split(",") if name]
    for name in wanted:
        if name not in EXPLANATIONS:
            parser.error(f"--measures: '{name}' is not one of {' '.join(EXPLANATIONS)}")
    present = [name for name in EXPLANATIONS if any(name in system.measures for system in systems)]
    measures = [name for name in present if not wanted or name in wanted]
    print("\n".join(render(COLUMNS, rows(systems, measures), left=2)))
    labels = systems[0].first_predictions()
    for system in systems[1:]:
        if not same_tracks(labels, system.first_predictions()):
            cli.warn(
                f"{system.path} was not scored on the tracks of {systems[0].path}: no test, only numbers"
            )
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Compare result directories: every accuracy in one table, with differences and McNemar's p.

The first directory is what the others are compared with. McNemar's test needs the same test tracks; where
they differ, and for frames, p is '-'.

Usage: local/compare_results.sh [options] <exp-dir>...
e.g.:  local/compare_results.sh exp/synth_*_512
       local/compare_results.sh exp/ismir04_folds_dnn1 exp/ismir04_folds_lstm_512
"""

from local.report.experiments import EXPLANATIONS, compare, load_scores
from local.report.tables import Table
from utils import cli

COLUMNS = ("measure", "experiment", "%", "counts", "difference", "only first", "only this", "p")


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    args = cli.KaldiParser.of(__doc__).parse_args(argv)
    systems = {str(path): load_scores(path).measures for path in args.exp_dirs}
    reference = systems[str(args.exp_dirs[0])]
    rows = []
    for name in EXPLANATIONS:
        for path, measures in systems.items():
            if not (measure := measures.get(name)):
                continue
            row = [name, path, f"{measure.percent:.2f}", f"[ {measure.correct} / {measure.total} ]", *"----"]
            if (first := reference.get(name)) and measure is not first:
                row[4] = f"{measure.percent - first.percent:+.2f}"
                for test in compare("", [("A", "B")], {"A": first, "B": measure}):
                    row[5:] = str(test["only_first"]), str(test["only_second"]), f"{test['p_value']:.4f}"
            rows.append(row)
    print("\n".join(Table("", COLUMNS, rows).lines()[2:]))
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Write Tables 1, 2 and 4 in the paper's layout, with its figures beside ours, and print 2 and 4.

Reads results.json and the predictions of experiments that write_results.py has described, and with
--num-seeds N also of their repetitions <exp-dir>_seed2 … _seedN, which the tables then average. Writes
into <summary-dir>: results.txt (the tables, every accuracy with counts and intervals, McNemar's test of
every pair of systems, artist overlap), tables.txt (what is printed), tables.json, table1.csv, table2.csv,
table4.csv and mcnemar.csv. A further test set X has tables of its own there, and table_X.csv, mcnemar_X.csv.

Usage: local/make_tables.py [options] <data-dir> <summary-dir> <exp-dir>...
e.g.:  local/make_tables.py data/synth exp/synth_summary exp/synth_dnn1 exp/synth_lstm_512 exp/synth_sc
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.report import extra_sets, paper, tables
from local.report.corpus import artist_overlap, corpus_table
from local.report.extra_sets import ExtraSet
from local.report.runs import Run, load_runs
from steps.scoring.measures import write_json
from utils import atomic, cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/make_tables.py [options] <data-dir> <summary-dir> <exp-dir>...", __doc__)
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions to average (1)")
    extra_sets.add_option(parser)
    parser.add_argument("data_dir", help="corpus directory with train and test")
    parser.add_argument("summary_dir", help="folder of the tables")
    parser.add_argument(
        "exp_dirs", nargs="+", metavar="exp_dir", help="experiments, in the order of the tables"
    )
    return parser


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of the same keys; numbers keep four digits after the point, None is empty."""
    with atomic.replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        for row in rows:
            writer.writerow([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row.values()])


def provenance_lines(runs: Sequence[Run]) -> list[str]:
    """Return what produced the tables."""
    record = runs[0].record
    lines = [
        f"# corpus {record['corpus']}, data sha256 {record['data_sha256'][:16]}",
        f"# git commit {', '.join(sorted({run.record['commit'] for run in runs}))}",
        f"# seeds {max(len(run.seeds) for run in runs)}",
    ]
    return lines + [f"# {run.system.name}: seed {run.record['seed']}, {run.label}" for run in runs]


def write_extra_sets(out: Path, extras: Sequence[ExtraSet], content: dict[str, Any]) -> None:
    """Write the CSV files of the further test sets, and add them to ``content``."""
    for extra in extras:
        write_csv(out / f"table_{extra.name}.csv", extra_sets.table_rows(extra))
        write_csv(out / f"mcnemar_{extra.name}.csv", [dataclasses.asdict(pair) for pair in extra.pairs])
    if extras:
        content["extra_sets"] = {extra.name: extra_sets.as_json(extra) for extra in extras}


def main(argv: list[str] | None = None) -> int:
    """Write and print the tables."""
    args = get_parser().parse_args(argv)
    exp_dirs = [Path(name) for name in args.exp_dirs]
    runs = load_runs(exp_dirs, args.num_seeds)
    out, data_dir = Path(args.summary_dir), Path(args.data_dir)
    extras = extra_sets.load_extra_sets(data_dir, args.extra_sets, exp_dirs, args.num_seeds)
    corpus, overlap = corpus_table(data_dir), artist_overlap(data_dir)
    pairs = tables.test_pairs(runs)
    notes = tables.caveats(runs)
    networks = [run for run in runs if run.kind]
    rows2 = tables.table_rows(networks, [*tables.TABLE2, "LogSeg_acc"])
    rows4 = tables.table_rows(runs, [*tables.TABLE4, *tables.CROSSFIT, "ScSeg_acc"])
    write_csv(out / "table1.csv", corpus)
    write_csv(out / "table2.csv", rows2)
    write_csv(out / "table4.csv", rows4)
    write_csv(out / "mcnemar.csv", [dataclasses.asdict(pair) for pair in pairs])
    content = {
        "corpus": runs[0].record["corpus"],
        "caveats": notes,
        "table1": corpus,
        "table2": rows2,
        "table4": rows4,
        "quoted": [{"system": key, "authors": who, "accuracy": value} for key, who, value in paper.QUOTED],
        "mcnemar": [dataclasses.asdict(pair) for pair in pairs],
        "artist_overlap": overlap.as_json(),
    }
    write_extra_sets(out, extras, content)
    write_json(out / "tables.json", content)
    interval = "Intervals: Wilson's for tracks; for frames the one that takes tracks as the trials."
    shown = [*tables.table2(runs), "", *tables.table4(runs), interval, *notes, overlap.line()]
    shown += [line for extra in extras for line in ("", *extra_sets.accuracy_lines(extra))]
    lines = [*provenance_lines(runs), "", *tables.table1(corpus), "", *shown, paper.SLIP, ""]
    lines += [*tables.all_accuracies(runs), "", *tables.mcnemar_table(pairs)]
    lines += [line for extra in extras for line in ("", *extra_sets.detail_lines(extra))]
    with atomic.replacing(out / "results.txt") as file:
        file.write("\n".join(lines) + "\n")
    with atomic.replacing(out / "tables.txt") as file:
        file.write("\n".join(shown) + "\n")
    print("\n".join(shown))
    cli.log(f"wrote {out}/results.txt, tables.json, table1.csv, table2.csv, table4.csv, mcnemar.csv")
    return 0


if __name__ == "__main__":
    cli.run(main)

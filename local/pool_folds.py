#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads results.json, predictions and SVMs of the experiments <exp>_fold<k>_<model>[_seedN], and utt2spk of
the data directories <data>_fold<k>. Writes for each model <exp>_folds_<model>/:
  results.txt   what produced it; lines such as '%Seg_acc 87.52 [ 638 / 729 ] Wilson95 [ 84.92 89.73 ]
                balanced 80.12 folds 87.40 ± 1.93', whose counts are sums over the folds and whose last
                numbers are mean and standard deviation over them; classes; confusion matrices
  results.json, predictions_<measure>.tsv, confusion_<measure>.csv
and for all of them <exp>_folds_summary/:
  results.txt   Tables 2 and 4, accuracy by fold, McNemar's tests, and results.txt of every model
  tables.txt    its first part, which is also printed
  results.csv   a row a model, accuracy and fold; results.json

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.make_tables import provenance_lines, write_csv
from local.report import tables
from local.report.folds import FoldedRun, fold_rows, fold_table, load_folds, overlap_line, trainings
from local.write_results import class_table, confusion_tables
from steps.scoring.measures import write_confusion, write_json
from steps.scoring.predictions import write_predictions
from steps.scoring.system import EXPLANATIONS
from utils import atomic, cli

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/pool_folds.py [options] <data> <exp> <model>...", __doc__)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are (5)")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made (spk)")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions to average (1)")
    parser.add_argument("data", type=Path, help="data directories without _fold<k>")
    parser.add_argument("exp", type=Path, help="experiment directories without _fold<k>_<model>")
    parser.add_argument("models", nargs="+", metavar="model", help="in the order of the tables")
    return parser


def header(record: dict[str, Any], fold_by: str) -> list[str]:
    """Return the lines that say what produced the pooled results of one model."""
    folds, network = record["folds"], record["network"]
    files = " ".join(record["configuration"]) or "none"
    train = " ".join(str(fold["num_tracks"]["train"]) for fold in folds)
    test = " ".join(str(fold["num_tracks"]["test"]) for fold in folds)
    lines = [
        f"# git commit {record['commit']}",
        f"# configuration sha256 {record['configuration_sha256'][:16]} ({files})",
        f"# seed {record['seed']}",
        f"# data sha256 {record['data_sha256'][:16]} ({record['corpus']})",
        f"# folds {len(folds)}, {UNITS[fold_by]}",
        f"# tracks {record['num_tracks']['test']}; by fold {train} train, {test} test",
    ]
    if network:
        lines.append(f"# network {network['kind']} ({'-'.join(map(str, network['dims']))})")
    for name, svm in record["svms"].items():
        k = "" if svm["k"] is None else f", k {svm['k']:g}"
        costs = " ".join(f"{cost:g}" for cost in svm["C"])
        lines.append(
            f"# svm {name}: {svm['dim']} dimensions{k}, C {costs} (chosen on the train of each fold)"
        )
    return lines


def measure_lines(run: FoldedRun) -> list[str]:
    """Return the greppable lines of the pooled accuracies, with their spread over the folds."""
    lines = []
    for name, measure in run.pooled.system.measures.items():
        mean, deviation = run.spread(name)
        lines.append(f"{measure.line()} folds {mean:.2f} ± {deviation:.2f}")
    return lines


def write_model(run: FoldedRun, fold_by: str) -> list[str]:
    """Write the pooled results of one training; return the lines of its results.txt."""
    system, record = run.pooled.system, run.pooled.record
    lines = [*header(record, fold_by), *measure_lines(run), "", *fold_table([run], list(system.measures))]
    lines += class_table(system) + confusion_tables(system)
    measures = [
        {**measure.as_json(), "by_fold": run.by_fold(name)} for name, measure in system.measures.items()
    ]
    for name, predictions in system.predictions.items():
        write_predictions(system.path / f"predictions_{name}.tsv", predictions)
    for name, measure in system.measures.items():
        write_confusion(system.path / f"confusion_{name}.csv", system.classes, measure.confusion)
    write_json(system.path / "results.json", {**record, "measures": measures})
    with atomic.replacing(system.path / "results.txt") as file:
        file.write("\n".join(lines) + "\n")
    return lines


def describe_pooling(runs: Sequence[FoldedRun], fold_by: str) -> str:
    """Return what stands above the tables."""
    record, count = runs[0].pooled.record, len(runs[0].folds)
    return (
        f"{record['corpus']}, {count}-fold cross-validation, {UNITS[fold_by]}. Each of "
        f"{record['num_tracks']['test']} tracks was tested once; counts and intervals are those of all folds."
    )


def write_summary(runs: Sequence[FoldedRun], out: Path, fold_by: str, overlap: str, texts: list[str]) -> str:
    """Write the tables of all models; return what is to be printed."""
    pooled = [run.pooled for run in runs]
    pairs = tables.test_pairs(pooled)
    notes = [
        "Intervals: Wilson's for tracks; for frames the one that takes tracks as the trials.",
        *tables.caveats(pooled),
        "The paper divides its corpus once; its figures are not of a cross-validation.",
        overlap,
    ]
    shown = [describe_pooling(runs, fold_by), "", *tables.table2(pooled), "", *tables.table4(pooled), ""]
    shown += [*fold_table(runs, list(EXPLANATIONS)), "", *notes]
    lines = [*provenance_lines(pooled), "", *shown, "", *tables.all_accuracies(pooled), ""]
    lines += [*tables.mcnemar_table(pairs), *texts]
    rows = fold_rows(runs)
    content = {
        "corpus": pooled[0].record["corpus"],
        "folds": len(runs[0].folds),
        "fold_by": fold_by,
        "notes": notes,
        "accuracies": rows,
        "models": [run.record for run in pooled],
        "mcnemar": [dataclasses.asdict(pair) for pair in pairs],
    }
    write_csv(out / "results.csv", rows)
    write_json(out / "results.json", content)
    for name, part in (("results.txt", lines), ("tables.txt", shown)):
        with atomic.replacing(out / name) as file:
            file.write("\n".join(part) + "\n")
    return "\n".join(shown)


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error(f"--folds: expected at least 2, got {args.folds}")
    runs = load_folds(args.exp, args.folds, args.models, args.num_seeds)
    data_dirs = [args.data.with_name(f"{args.data.name}_fold{fold + 1}") for fold in range(args.folds)]
    overlap = overlap_line(data_dirs)
    texts: list[str] = []
    for training in [training for run in runs for training in trainings(run)]:
        title = f"== {training.pooled.system.name}, {training.pooled.label}"
        texts += ["", title, *write_model(training, args.fold_by)]
    out = args.exp.with_name(f"{args.exp.name}_folds_summary")
    print(write_summary(runs, out, args.fold_by, overlap, texts))
    cli.log(f"wrote {out}/results.txt, tables.txt, results.csv, results.json")
    return 0


if __name__ == "__main__":
    cli.run(main)

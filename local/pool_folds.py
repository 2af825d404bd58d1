#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads <exp>_fold<k>_<model>[_seedN], and utt2spk of <data>_fold<k>. Writes <exp>_folds_<model>[_seedN], each
an experiment like any other, whose counts are sums, and <data>_folds/tables.json: the division into folds,
and accuracies fold by fold.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from local.corpus.overlap import shared_artists
from local.report.experiments import load_scores, seed_paths
from local.report.tables import EXTRA_TABLES
from steps.scoring.scores import Measure, Predictions, Scores, write_scores
from utils import atomic, cli
from utils.cli import UserError
from utils.provenance import read_record, write_record

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def pool_predictions(folds: Sequence[Predictions]) -> Predictions:
    """Put the tables of several folds into one, in C order; UserError for a track that is in two of them."""
    utts = [utt for fold in folds for utt in fold.utts]
    order = sorted(range(len(utts)), key=lambda row: utts[row].encode())
    in_order = tuple(utts[row] for row in order)
    if twice := next((a for a, b in pairwise(in_order) if a == b), None):
        again = "folds of two divisions; run stages 3 to 9 of all folds again"
        raise UserError(f"track '{twice}' was tested in two folds: {again}")
    names = ("ref", "hyp", "scores")
    ref, hyp, scores = (np.concatenate([getattr(fold, name) for fold in folds])[order] for name in names)
    return Predictions(folds[0].classes, in_order, ref, hyp, scores, folds[0].probabilities)


def pool_scores(folds: Sequence[Scores]) -> Scores:
    """Pool one training's results over the folds: counts are sums.

    UserError unless all have the same classes and accuracies.
    """
    kinds = [f"{' '.join(fold.measures)} of {' '.join(fold.classes)}" for fold in folds]
    if len({*kinds}) > 1:
        raise UserError(f"the folds have different accuracies: {'; '.join(kinds)}; run all of them again")
    measures: dict[str, Measure] = {}
    for name, first in folds[0].measures.items():
        parts = [fold.measures[name] for fold in folds]
        extra: dict[str, Any] = {"folds": [part.percent for part in parts]}
        if "frames" in first.extra:
            extra["frames"] = [track for part in parts for track in part.extra["frames"]]
        if "notes" in first.extra:
            notes = (f"fold {number}: {part.extra['notes']}" for number, part in enumerate(parts, start=1))
            extra["notes"] = "; ".join(notes)
        found = [part.tracks for part in parts if part.tracks]
        tracks = pool_predictions(found) if found else None
        measures[name] = Measure(name, np.sum([part.confusion for part in parts], axis=0), extra, tracks)
    return Scores(measures)


def pool_records(folds: Sequence[Path]) -> dict[str, Any]:
    """Return training.json of the pooled results, empty where the folds have none; they must agree."""
    records = [record for record in map(read_record, folds) if record]
    if not records:
        return {}
    facts = [{name: record.get(name) for name in ("configuration", "seed", "network")} for record in records]
    if any(fact != facts[0] for fact in facts):
        raise UserError(f"{folds[0]}: not the configuration, seed or network of all folds; run them alike")
    commits = {part for record in records for part in str(record.get("commit", "unknown")).split(", ")}
    machines = {str(name) for record in records for name in record.get("machines", [])}
    return {**facts[0], "commit": ", ".join(sorted(commits)), "machines": sorted(machines)}


def fold_table(scores: dict[str, Scores], text: str) -> dict[str, Any]:
    """Return accuracies fold by fold with their mean and standard deviation, for ``tables.json``."""
    rows = []
    for name, system in scores.items():
        for measure in system.measures.values():
            values = measure.extra["folds"]
            spread = f"{fmean(values):.2f} ± {stdev(values):.2f}"
            rows.append([name, measure.name, *(f"{x:.2f}" for x in values), spread, f"{measure.percent:.2f}"])
    count = len(rows[0]) - 4
    return {
        "title": f"Accuracy by fold (%, mean and standard deviation over {count} folds)",
        "text": text,
        "columns": ["model", "measure", *(f"fold {k + 1}" for k in range(count)), "mean ± sd", "pooled"],
        "rows": rows,
    }


def describe_folds(data_dirs: Sequence[Path], division: str) -> str:
    """Say how the folds divide the corpus, and how many test tracks share artists with their train."""
    found = [shared_artists(path, "test") for path in data_dirs]
    shared, total = sum(item.tracks for item in found), sum(item.total for item in found)
    overlap = f"{shared} of {total} test tracks are by an artist who is also in their fold's train"
    if all(item.unknown for item in found):
        overlap = f"unknown: {found[0].unknown}"
    return (
        f"{len(data_dirs)}-fold cross-validation, {division}. Each track was tested once; counts and "
        f"intervals are those of all folds. Artist overlap within the folds: {overlap}"
    )


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = cli.KaldiParser.of(__doc__, model=str)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions of a model")
    args = parser.parse_args(argv)
    ends = ["folds", *(f"fold{number}" for number in range(1, args.folds + 1))]
    exps, data = ([x.with_name(f"{x.name}_{end}") for end in ends] for x in (args.exp, args.data))
    shown = {}
    for model in args.models:
        trainings = zip(*(seed_paths(exp, model, args.num_seeds) for exp in exps), strict=True)
        for number, (target, *parts) in enumerate(trainings):
            if number and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts])
            write_scores(target / "score_test", list(pooled.measures.values()))
            if record := pool_records(parts):
                write_record(target, record)
            shown[target.name.removeprefix(f"{exps[0].name}_")] = pooled
    text = describe_folds(data[1:], UNITS[args.fold_by])
    atomic.write_json(data[0] / EXTRA_TABLES, [fold_table(shown, text)])
    return 0


if __name__ == "__main__":
    cli.run(main)

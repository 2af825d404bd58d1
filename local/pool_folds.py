#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads <exp>_fold<k>_<model>[_seedN], and utt2spk of <data>_fold<k>. Writes <exp>_folds_<model>[_seedN], each
an experiment like any other, whose counts are sums, and <data>_folds/tables.json: the division into folds.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from local.corpus.overlap import describe_artists
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


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = cli.KaldiParser.of(__doc__, model=str)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions of a model")
    args = parser.parse_args(argv)
    ends = ["folds", *(f"fold{number}" for number in range(1, args.folds + 1))]
    exps, data = ([x.with_name(f"{x.name}_{end}") for end in ends] for x in (args.exp, args.data))
    for model in args.models:
        trainings = zip(*(seed_paths(exp, model, args.num_seeds) for exp in exps), strict=True)
        for number, (target, *parts) in enumerate(trainings):
            if number and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts])
            write_scores(target / "score_test", list(pooled.measures.values()))
            if record := pool_records(parts):
                write_record(target, record)
    table = {
        "title": f"{args.folds}-fold cross-validation, {UNITS[args.fold_by]}",
        "text": "Each track was tested once; counts and intervals are those of all folds.",
        "columns": ["fold", "what its test shares with its train"],
        "rows": [[path.name, describe_artists(path, "test")] for path in data[1:]],
    }
    atomic.write_json(data[0] / EXTRA_TABLES, [table])
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads <exp>_fold<k>_<model>[_seedN], and utt2spk of <data>_fold<k>. Writes <exp>_folds_<model>[_seedN], each
an experiment like any other, whose counts are sums, and <data>_folds/tables.json: the division into folds,
and accuracies fold by fold.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from local.corpus.overlap import ALONE, shared_artists
from local.report.experiments import load_scores, seed_paths
from local.report.tables import EXTRA_TABLES
from steps.scoring.scores import Measure, Predictions, Scores, write_scores
from steps.scoring.significance import interval_by_track
from utils import atomic, cli
from utils.cli import UserError
from utils.provenance import read_record, write_record

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def pool_predictions(folds: Sequence[Predictions], sources: Sequence[object]) -> Predictions:
    """Put the tables of several folds into one, in C order; a track in two of them is an error."""
    seen: dict[str, object] = {}
    for fold, source in zip(folds, sources, strict=True):
        if twice := next((utt for utt in fold.utts if utt in seen), None):
            where = f"track '{twice}' was also tested in {seen[twice]}"
            raise UserError(f"{source}: {where}: of another division; run stages 3 to 9 of all folds again")
        seen |= dict.fromkeys(fold.utts, source)
    utts = sorted(seen, key=str.encode)
    rows = {utt: row for row, utt in enumerate(seen)}
    order = [rows[utt] for utt in utts]
    names = ("ref", "hyp", "scores")
    ref, hyp, scores = (np.concatenate([getattr(fold, name) for fold in folds])[order] for name in names)
    counts = {name: np.concatenate([fold.counts[name] for fold in folds])[order] for name in folds[0].counts}
    return Predictions(folds[0].classes, tuple(utts), ref, hyp, scores, counts, folds[0].probabilities)


def pool_scores(folds: Sequence[Scores], sources: Sequence[object]) -> Scores:
    """Pool one training's results over the folds, which must have the same accuracies and classes.

    Counts and ties are sums; the interval by track is that of the pooled votes.
    """
    first = folds[0]
    for fold, source in zip(folds, sources, strict=True):
        if (fold.classes, fold.measures.keys()) != (first.classes, first.measures.keys()):
            has, other = (f"{' '.join(x.measures)} of {' '.join(x.classes)}" for x in (fold, first))
            raise UserError(f"{source} has {has}, {sources[0]} {other}; run both folds again")
    measures: dict[str, Measure] = {}
    votes = pool_predictions([fold.tracks for fold in folds], sources).counts
    for name in first.measures:
        parts = [fold.measures[name] for fold in folds]
        extra: dict[str, Any] = {"folds": [item.percent for item in parts]}
        given = {key: [item.extra[key] for item in parts] for key in parts[0].extra}
        if "ties" in given:
            extra["ties"] = sum(given["ties"])
        if "by_track" in given:
            ends = interval_by_track(votes["frames_correct"], votes["frames"])
            extra["by_track"] = [100.0 * end for end in ends]
        if "notes" in given:
            extra["notes"] = "; ".join(f"fold {n}: {text}" for n, text in enumerate(given["notes"], start=1))
        found = [item.tracks for item in parts if item.tracks]
        tracks = pool_predictions(found, sources) if found else None
        measures[name] = Measure(name, np.sum([item.confusion for item in parts], axis=0), extra, tracks)
    return Scores(measures)


def pool_records(folds: Sequence[Path]) -> dict[str, Any]:
    """Return training.json of the pooled results, empty where the folds have none; they must agree."""
    records = [read_record(path) for path in folds]
    if not any(records):
        return {}
    defaults: dict[str, Any] = {"configuration": {}, "seed": "-", "network": None}
    facts = [{name: record.get(name, value) for name, value in defaults.items()} for record in records]
    for path, fact in zip(folds, facts, strict=True):
        if different := [f"{name} {value}" for name, value in fact.items() if value != facts[0][name]]:
            raise UserError(f"{path}/training.json: other than {folds[0]}: {different[0]}; run both alike")
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
    text = (
        f"{len(data_dirs)}-fold cross-validation, {division}. Each track was tested once; counts and "
        "intervals are those of all folds. Artist overlap within the folds: "
    )
    found = [shared_artists(path, "test") for path in data_dirs]
    known = [item for item in found if not isinstance(item, str)]
    if reasons := [item for item in found if isinstance(item, str) and (item != ALONE or not known)]:
        return f"{text}unknown: {reasons[0]}"
    shared, total = sum(item.tracks for item in known), sum(item.total for item in known)
    return f"{text}{shared} of {total} test tracks are by an artist who is also in their fold's train"


def main(argv: list[str] | None = None) -> int:
    """Pool the folds."""
    parser = cli.KaldiParser.of(__doc__, model=str)
    parser.add_argument("--folds", type=cli.positive_int, default=5, help="how many there are")
    parser.add_argument("--fold-by", choices=tuple(UNITS), default="spk", help="how they were made")
    parser.add_argument("--num-seeds", type=cli.positive_int, default=1, help="repetitions of a model")
    args = parser.parse_args(argv)

    def named(path: Path, end: str) -> Path:
        return path.with_name(f"{path.name}_{end}")

    names = [f"fold{number}" for number in range(1, args.folds + 1)]
    shown = {}
    for model in args.models:
        trainings = (seed_paths(named(args.exp, end), model, args.num_seeds) for end in ("folds", *names))
        for number, (target, *parts) in enumerate(zip(*trainings, strict=True)):
            if number and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts], parts)
            write_scores(target / "score_test", list(pooled.measures.values()))
            if record := pool_records(parts):
                write_record(target, record)
            shown[target.name.removeprefix(f"{args.exp.name}_folds_")] = pooled
    text = describe_folds([named(args.data, name) for name in names], UNITS[args.fold_by])
    atomic.write_json(named(args.data, "folds") / EXTRA_TABLES, [fold_table(shown, text)])
    return 0


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Pool the results of a cross-validation: every track was tested once, by the models of its fold.

Reads the scores and training.json of the experiments <exp>_fold<k>_<model>[_seedN], and utt2spk of the
data directories <data>_fold<k>. Writes <exp>_folds_<model>[_seedN]/{score_test,training.json}, experiments
like any other, whose counts are sums over the folds, and <data>_folds/tables.json: how the folds divide the
corpus, and the accuracies fold by fold. write_results.py and make_report.py make their tables and page.

Usage: local/pool_folds.py [options] <data> <exp> <model>...
e.g.:  local/pool_folds.py --folds 5 --fold-by spk data/ismir04 exp/ismir04 dnn1 lstm_512 sc
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from local.corpus.overlap import ALONE, shared_artists
from local.report.experiments import load_scores, read_network, seed_paths
from local.report.tables import EXTRA_TABLES
from steps.scoring.scores import Measure, Predictions, Scores, write_scores
from steps.scoring.significance import interval_by_track
from utils import atomic, cli
from utils.cli import UserError
from utils.provenance import read_record, write_record

UNITS = {"spk": "no artist in two folds", "utt": "tracks dealt one by one, whoever their artist"}


def pool_predictions(folds: Sequence[Predictions], sources: Sequence[str]) -> Predictions:
    """Put the tables of several folds into one, in C order; a track in two of them is an error."""
    seen: dict[str, str] = {}
    for fold, source in zip(folds, sources, strict=True):
        if twice := next((utt for utt in fold.utts if utt in seen), None):
            raise UserError(
                f"{source}: track '{twice}' was also tested in {seen[twice]}: results of different divisions "
                "into folds; run stages 3 to 9 of all folds again"
            )
        seen |= dict.fromkeys(fold.utts, source)
    utts = list(seen)
    order = sorted(range(len(utts)), key=lambda row: utts[row].encode())

    def rows(columns: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(columns)[order]

    return Predictions(
        classes=folds[0].classes,
        utts=tuple(utts[row] for row in order),
        ref=rows([fold.ref for fold in folds]),
        hyp=rows([fold.hyp for fold in folds]),
        scores=rows([fold.scores for fold in folds]),
        counts={name: rows([fold.counts[name] for fold in folds]) for name in folds[0].counts},
        probabilities=all(fold.probabilities for fold in folds),
    )


def pool_measures(folds: Sequence[Measure], votes: Predictions | None = None) -> Measure:
    """Add up counts and ties of one accuracy; the interval by track is that of the pooled ``votes``."""
    extra: dict[str, Any] = {"folds": [item.percent for item in folds]}
    if all("ties" in item.extra for item in folds):
        extra["ties"] = sum(item.extra["ties"] for item in folds)
    if votes is not None and all("by_track" in item.extra for item in folds):
        ends = interval_by_track(votes.counts["frames_correct"], votes.counts["frames"])
        extra["by_track"] = [100.0 * end for end in ends]
    if all("notes" in item.extra for item in folds):
        notes = [f"fold {number}: {item.extra['notes']}" for number, item in enumerate(folds, start=1)]
        extra["notes"] = "; ".join(notes)
    return Measure(folds[0].name, np.sum([item.confusion for item in folds], axis=0), extra)


def pool_scores(folds: Sequence[Scores], sources: Sequence[str]) -> Scores:
    """Pool one training's results over the folds, which must have the same accuracies and classes."""
    first = folds[0]
    for fold, source in zip(folds, sources, strict=True):
        if different := sorted(fold.measures.keys() ^ first.measures.keys()):
            raise UserError(
                f"{source} and {sources[0]}: only one of them has {' '.join(different)}; "
                "run stages 7 to 9 of both folds again"
            )
        if fold.classes != first.classes:
            ours, theirs = " ".join(fold.classes), " ".join(first.classes)
            raise UserError(f"{source}: scored with the classes '{ours}', {sources[0]} with '{theirs}'")
    predictions = {
        name: pool_predictions([fold.predictions[name] for fold in folds], sources)
        for name in first.predictions
    }
    votes = predictions.get("Seg_acc")
    votes = votes if votes and "frames" in votes.counts else None
    measures = {name: pool_measures([f.measures[name] for f in folds], votes) for name in first.measures}
    return Scores(first.classes, measures, predictions)


def pool_records(folds: Sequence[Path]) -> dict[str, Any]:
    """Return training.json of the pooled results, empty where the folds have none; they must agree."""
    records = [read_record(path) for path in folds]
    if not any(records):
        return {}
    facts: list[dict[str, Any]] = []
    for path, record in zip(folds, records, strict=True):
        read_network(path, record)
        fact: dict[str, Any] = {"configuration": {}, "seed": "-", "network": None}
        facts.append({name: record.get(name, value) for name, value in fact.items()})
        for name, value in facts[0].items():
            if facts[-1][name] != value:
                raise UserError(
                    f"{path}/training.json: {name} is {facts[-1][name]}, in {folds[0]} it is {value}; "
                    "run the folds with the same options and configuration"
                )
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
    data, exp = args.data, args.exp
    names = [f"fold{number}" for number in range(1, args.folds + 1)]
    pooled_exp = exp.with_name(f"{exp.name}_folds")
    shown = {}
    for model in args.models:
        prefixes = [pooled_exp, *(exp.with_name(f"{exp.name}_{name}") for name in names)]
        for target, *parts in zip(
            *(seed_paths(path, model, args.num_seeds) for path in prefixes), strict=True
        ):
            if target.name.startswith(f"{pooled_exp.name}_{model}_seed") and not parts[0].is_dir():
                continue  # what has no network has no repetitions
            pooled = pool_scores([load_scores(path) for path in parts], list(map(str, parts)))
            write_scores(target / "score_test", list(pooled.measures.values()), pooled.predictions)
            if record := pool_records(parts):
                write_record(target, record)
            shown[target.name.removeprefix(f"{pooled_exp.name}_")] = pooled
    text = describe_folds([data.with_name(f"{data.name}_{name}") for name in names], UNITS[args.fold_by])
    atomic.write_json(data.with_name(f"{data.name}_folds") / EXTRA_TABLES, [fold_table(shown, text)])
    return 0


if __name__ == "__main__":
    cli.run(main)

"""Cross-validation: the results of K folds, pooled and fold by fold, ready for tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from local.corpus.overlap import unknown_artists
from local.report.corpus import artist_overlap
from local.report.layout import BAR, percent, render
from local.report.runs import Run, load_record, load_runs
from steps.scoring.pooling import pool_systems
from steps.scoring.system import describe_svm
from utils.cli import UserError

SAME = ("configuration_sha256", "seed", "network", "classes")
"""What all folds of a model have in common."""


@dataclass(frozen=True)
class FoldedRun:
    """A model's pooled results, which are a :class:`Run` like any other, and those of its folds."""

    pooled: Run
    folds: tuple[Run, ...]

    def by_fold(self, measure: str) -> list[float]:
        """Return the accuracy of every fold, in percent; its mean over the seeds where there are several."""
        values = [run.value(measure) for run in self.folds]
        return [value.percent for value in values if value is not None]

    def spread(self, measure: str) -> tuple[float, float]:
        """Return mean and standard deviation (K - 1) of the accuracy over the folds, in percent."""
        values = self.by_fold(measure)
        return fmean(values), stdev(values)


def load_folds(prefix: Path, num_folds: int, models: Sequence[str], num_seeds: int = 1) -> list[FoldedRun]:
    """Load the experiments ``<prefix>_fold<k>_<model>`` and pool them as ``<prefix>_folds_<model>``.

    Raises
    ------
    UserError
        If results are missing, of different configurations, or not of one division into folds.
    """
    table: list[list[Run]] = []
    for fold in range(1, num_folds + 1):
        paths = [prefix.with_name(f"{prefix.name}_fold{fold}_{model}") for model in models]
        table.append(load_runs(paths, num_seeds))
    found = []
    for runs in zip(*table, strict=True):
        path = prefix.with_name(f"{prefix.name}_folds_{runs[0].model}")
        systems = []
        for number in range(len(runs[0].seeds)):
            target = path if number == 0 else path.with_name(f"{path.name}_seed{number + 1}")
            systems.append(pool_systems([run.seeds[number] for run in runs], target))
        num_tracks = len(systems[0].first_predictions().utts)
        for run in runs:
            if sum(run.record["num_tracks"].values()) != num_tracks:
                raise UserError(
                    f"{run.path}: {sum(run.record['num_tracks'].values())} tracks are in train and test, but "
                    f"{num_tracks} were tested in {num_folds} folds: results of different divisions into "
                    "folds; run stages 3 to 9 of all folds again"
                )
        record = pooled_record(prefix.name, runs, num_tracks)
        found.append(FoldedRun(Run(runs[0].model, record, tuple(systems)), runs))
    return found


def trainings(run: FoldedRun) -> list[FoldedRun]:
    """Return the trainings of a model, one a seed, each with its own record."""
    found = []
    for number, system in enumerate(run.pooled.seeds):
        parts = [fold.seeds[number] for fold in run.folds]
        folds = tuple(Run(run.pooled.model, load_record(part.path), (part,)) for part in parts)
        record = pooled_record(run.pooled.record["corpus"], folds, run.pooled.record["num_tracks"]["test"])
        found.append(FoldedRun(Run(run.pooled.model, record, (system,)), folds))
    return found


def _check_alike(runs: Sequence[Run]) -> None:
    for run in runs[1:]:
        for key in SAME:
            if run.record.get(key) != runs[0].record.get(key):
                raise UserError(
                    f"{run.path}/results.json: {key} is {run.record.get(key)}, in {runs[0].path} it is "
                    f"{runs[0].record.get(key)}; run the folds with the same options and configuration"
                )


def pooled_record(corpus: str, runs: Sequence[Run], num_tracks: int) -> dict[str, Any]:
    """Return results.json of the pooled results, without the accuracies.

    Its keys are those of one fold's; the data hash is that of the folds' hashes, in their order, and of
    each SVM there are the C of all folds.

    Raises
    ------
    UserError
        If the folds were not run with the same configuration and seed.
    """
    _check_alike(runs)
    records = [run.record for run in runs]
    hashes = " ".join(record["data_sha256"] for record in records)
    svms = {}
    for name, first in runs[0].system.svms.items():
        facts = describe_svm(first)
        costs = [run.system.svms[name].cost for run in runs]
        svms[name] = {"dim": facts["dim"], "k": facts["k"], "C": costs}
    return {
        **{key: records[0].get(key) for key in (*SAME, "model", "configuration")},
        "corpus": corpus,
        "commit": ", ".join(sorted({record["commit"] for record in records})),
        "data_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        "num_tracks": {"test": num_tracks},
        "svms": svms,
        "folds": [
            {
                "experiment": run.system.name,
                "data_sha256": run.record["data_sha256"],
                "num_tracks": run.record["num_tracks"],
                "measures": [measure.as_json() for measure in run.system.measures.values()],
            }
            for run in runs
        ],
    }


def fold_table(runs: Sequence[FoldedRun], measures: Sequence[str]) -> list[str]:
    """Lay out the accuracies fold by fold, their mean and standard deviation, and the pooled ones."""
    count = len(runs[0].folds)
    rows = []
    for run in runs:
        for name in measures:
            value = run.pooled.value(name)
            if value is None:
                continue
            mean, deviation = run.spread(name)
            cells = [percent(item) for item in run.by_fold(name)]
            rows.append([run.pooled.label, name, *cells, f"{mean:.2f} ± {deviation:.2f}", value.cell()])
    columns = ["model", "measure", *(f"fold {fold + 1}" for fold in range(count)), BAR, "mean ± sd", "pooled"]
    title = f"Accuracy by fold (%, mean and standard deviation over {count} folds)"
    return [title, "", *render(columns, rows, left=2)]


def fold_rows(runs: Sequence[FoldedRun]) -> list[dict[str, Any]]:
    """Return one row for each experiment, accuracy and fold, and for the pooled ones, as CSV wants it."""
    rows = []
    for run in runs:
        parts = [(str(number), fold) for number, fold in enumerate(run.folds, start=1)]
        for name, part in [*parts, ("pooled", run.pooled)]:
            for system in part.seeds:
                for measure in system.measures.values():
                    rows.append(
                        {
                            "model": run.pooled.label,
                            "experiment": system.name,
                            "measure": measure.name,
                            "fold": name,
                            "correct": measure.correct,
                            "total": measure.total,
                            "percent": measure.percent,
                            "low95": measure.wilson[0],
                            "high95": measure.wilson[1],
                            "balanced": measure.balanced,
                        }
                    )
    return rows


def overlap_line(data_dirs: Sequence[Path]) -> str:
    """Say how many test tracks are by an artist whom the network of their fold was trained on."""
    for path in data_dirs:
        if reason := unknown_artists(path).get("test"):
            return f"Artist overlap within the folds: unknown: {reason}"
    found = [artist_overlap(path) for path in data_dirs]
    if all(item.unknown for item in found):
        return f"Artist overlap within the folds: {found[0].line().partition(': ')[2]}"
    shared, total = sum(item.shared_tracks for item in found), sum(item.test_tracks for item in found)
    return (
        f"Artist overlap within the folds: {shared} of {total} test tracks are by an artist who is also in "
        "their fold's train"
    )

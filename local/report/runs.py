"""The experiments of one corpus, with their repetitions from other seeds, ready for tables and figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from local.report import paper
from steps.scoring.system import SystemResults, load_system
from utils.cli import UserError


@dataclass(frozen=True)
class Value:
    """One accuracy of a model: that of the first seed, and the spread over all seeds."""

    percent: float
    """Mean over the seeds."""
    deviation: float | None
    """Standard deviation over the seeds (n - 1), None with one seed."""
    num_seeds: int
    correct: int
    total: int
    wilson: tuple[float, float]
    interval: tuple[float, float]
    """95 %: Wilson's for tracks, the one by track for frames."""
    balanced: float

    def cell(self) -> str:
        """Return what stands in a table."""
        if self.deviation is not None:
            return f"{self.percent:.2f} ± {self.deviation:.2f}"
        return f"{self.percent:.2f} [{self.interval[0]:.1f} {self.interval[1]:.1f}]"


@dataclass(frozen=True)
class Run:
    """A model of the corpus: the results of its first seed and of the further ones."""

    model: str
    record: dict[str, Any]
    """results.json of the first seed."""
    seeds: tuple[SystemResults, ...]

    @property
    def system(self) -> SystemResults:
        """Results of the first seed."""
        return self.seeds[0]

    @property
    def path(self) -> Path:
        """Experiment directory of the first seed."""
        return self.system.path

    @property
    def kind(self) -> str:
        """LSTM or DNN; empty where there is no network."""
        return self.record["network"]["kind"] if self.record["network"] else ""

    @property
    def label(self) -> str:
        """Return the paper's way to name a model, with the dimensions of this one."""
        if not self.record["network"]:
            svm = self.record["svms"].get("ScSeg_acc")
            return f"SVM on f_sc ({svm['dim']})" if svm else self.model
        dims = "-".join(str(dim) for dim in self.record["network"]["dims"])
        return f"LSTM ({dims})" if self.kind == "LSTM" else f"baseline-{self.model.upper()} ({dims})"

    @property
    def in_paper(self) -> paper.PaperModel | None:
        """The model of the paper that this one stands for."""
        return paper.MODELS.get(self.model)

    def value(self, measure: str) -> Value | None:
        """Return one accuracy, None where it was not computed for every seed."""
        found = [system.measures.get(measure) for system in self.seeds]
        present = [item for item in found if item is not None]
        if len(present) < len(found) or not present:
            return None
        percents = [item.percent for item in present]
        first = present[0]
        return Value(
            percent=fmean(percents),
            deviation=stdev(percents) if len(percents) > 1 else None,
            num_seeds=len(percents),
            correct=first.correct,
            total=first.total,
            wilson=first.wilson,
            interval=tuple(first.extra.get("by_track", first.wilson)),
            balanced=fmean(item.balanced for item in present),
        )


def load_record(exp_dir: Path) -> dict[str, Any]:
    """Read results.json of an experiment.

    Raises
    ------
    UserError
        If it is missing or is not one of write_results.py.
    """
    path = exp_dir / "results.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = {"corpus", "model", "network", "num_tracks", "data_sha256", "configuration", "seed"} - set(
            record
        )
        if missing:
            raise ValueError(f"without {min(missing)}")
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}; run local/write_results.py first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a file of write_results.py ({error}); write it again") from error
    return record


def _data_hash(exp_dir: Path, test_set: str) -> str:
    record = load_record(exp_dir)
    if test_set == "test":
        return record["data_sha256"]
    try:
        return record["extra_sets"][test_set]["data_sha256"]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{exp_dir}/results.json: has no results of the set {test_set}; run stages 7 to 9 again"
        ) from error


def load_runs(exp_dirs: list[Path], num_seeds: int = 1, test_set: str = "test") -> list[Run]:
    """Load experiments and their repetitions ``<exp-dir>_seed2`` … ``_seed<num_seeds>``.

    An experiment without a network (the SVM on mean frames) has nothing random in it and no repetitions.
    The accuracies are those of ``test_set``.

    Raises
    ------
    UserError
        If results are missing, or experiments are of different data.
    """
    runs: list[Run] = []
    first = ""
    for exp_dir in exp_dirs:
        record = load_record(exp_dir)
        count = num_seeds if record["network"] else 1
        paths = [exp_dir, *(exp_dir.with_name(f"{exp_dir.name}_seed{n}") for n in range(2, count + 1))]
        for path in paths:
            other = _data_hash(path, test_set)
            first = first or other
            if other != first:
                raise UserError(
                    f"{path}/results.json: scored on data {other[:16]}, the experiments before on "
                    f"{first[:16]}; run stages 6 to 9 again for all of them"
                )
        runs.append(Run(record["model"], record, tuple(load_system(path, test_set) for path in paths)))
    return runs


def figure_run(runs: list[Run], name: str = "") -> Run:
    """Return the run that Figure 2 and the confident errors are shown of: ``name`` or the first LSTM.

    Raises
    ------
    UserError
        If no run has that name.
    """
    if not name:
        return next((run for run in runs if run.kind == "LSTM"), runs[0])
    for run in runs:
        if name in (run.model, run.system.name):
            return run
    raise UserError(f"--figure2-model: expected one of {' '.join(run.model for run in runs)}, got '{name}'")

"""The experiments of one corpus: their scores, their repetitions from other seeds, the tests between them.

An experiment is a folder ``exp/<corpus>_<name>``; README.md says what it holds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from local.report import paper
from steps.scoring.scores import ACCURACY, Measure, Scores, read_scores
from steps.scoring.significance import holm, mcnemar
from utils import cli
from utils.provenance import read_record

EXPLANATIONS = {
    "Frame_acc": "frames, largest posterior",
    "Seg_acc": "majority vote of the frames, or the system's own answer",
    "LogSeg_acc": "largest mean log posterior",
    "LSeg_acc": "SVM on f_lstm",
    "FSeg_acc": "SVM on f_fusion",
    "LSeg_cf_acc": "SVM on f_lstm, trained on out-of-fold posteriors",
    "FSeg_cf_acc": "SVM on f_fusion, trained on out-of-fold posteriors",
    "ScSeg_acc": "SVM on f_sc, the mean input frame",
    "TransSeg_acc": "the audio of the test tracks took part in training",
    "FullSeg_acc": "without its filter of candidates",
}
"""What the accuracies are, in the order of the tables; others follow them."""
BEST = "best"
OURS = f"{BEST} Seg", "lstm_512 FSeg"
"""What stands for this recipe where others are compared with it: the first that there is."""


def load_scores(exp_dir: Path, test_set: str = "test") -> Scores:
    """Read everything that an experiment scored on a set; UserError if it does not belong together."""
    files = [path for at in ("", "*/") for path in sorted(exp_dir.glob(f"{at}score_{test_set}/{ACCURACY}"))]
    found = read_scores(*(path.parent for path in files))
    if not found.measures:
        raise cli.UserError(f"{exp_dir}: nothing of the set {test_set} was scored there; run stages 7 and 8")
    order = sorted(found.measures, key=[*EXPLANATIONS, *found.measures].index)
    return Scores({name: found.measures[name] for name in order})


@dataclass(frozen=True)
class Run:
    """An experiment on one test set: the scores of its first seed and of the further ones."""

    model: str
    path: Path  # experiment directory of the first seed
    record: dict[str, Any]  # training.json; empty where there is none
    seeds: tuple[Scores, ...]

    @property
    def scores(self) -> Scores:
        """Scores of the first seed."""
        return self.seeds[0]

    @property
    def kind(self) -> str:
        """LSTM or DNN; empty where there is no network."""
        return (self.record.get("network") or {"kind": ""})["kind"]

    @property
    def dims(self) -> str:
        """Dimensions of the network, input, layers and classes, joined by dashes."""
        return "-".join(map(str, (self.record.get("network") or {"dims": ()})["dims"]))

    @property
    def label(self) -> str:
        """The paper's way to name an experiment, with the dimensions of this one."""
        if self.kind:
            return f"{'LSTM' if self.kind == 'LSTM' else f'baseline-{self.model.upper()}'} ({self.dims})"
        return "SVM on f_sc" if self.model == "sc" else self.model

    def repeated(self, measure: str) -> list[Measure]:
        """Return one accuracy of every seed; empty where it was not computed for all of them."""
        present = [scores.measures[measure] for scores in self.seeds if measure in scores.measures]
        return present if len(present) == len(self.seeds) else []

    def cell(self, measure: str) -> str:
        """Return what stands in a table: mean and deviation (n - 1) of the seeds, or of one an interval.

        It is Wilson's for tracks, the one by track for frames.
        """
        found = self.repeated(measure)
        percents = [item.percent for item in found]
        if len(found) > 1:
            return f"{fmean(percents):.2f} ± {stdev(percents):.2f}"
        if not found:
            return "-"
        return "{:.2f} [{:.1f} {:.1f}]".format(*percents, *(found[0].by_track or found[0].wilson))


def seed_paths(prefix: Path, model: str, num_seeds: int) -> list[Path]:
    """Return the experiment directories of a model's trainings: the first, then ``_seed2`` and so on."""
    first = prefix.with_name(f"{prefix.name}_{model}")
    return [first, *(first.with_name(f"{first.name}_seed{number}") for number in range(2, num_seeds + 1))]


def load_runs(prefix: Path, models: Sequence[str], num_seeds: int = 1, test_set: str = "test") -> list[Run]:
    """Load ``<prefix>_<model>`` and its repetitions ``_seed2`` … ``_seed<num_seeds>``, of the same tracks.

    What has no network is averaged over the repetitions that there are: most have nothing random in them.
    """
    runs: list[Run] = []
    for model in models:
        first, *further = seed_paths(prefix, model, num_seeds)
        record = read_record(first)
        paths = [first, *(path for path in further if record.get("network") or path.is_dir())]
        runs.append(Run(model, first, record, tuple(load_scores(path, test_set) for path in paths)))
        expected = runs[0].scores.tracks
        for path, scores in zip(paths, runs[-1].seeds, strict=True):
            if not scores.tracks.same_tracks(expected):
                other = f"{runs[0].path}; run stages 6 to 9 again for both"
                raise cli.UserError(f"{path} was not scored on the tracks of {other}")
    return runs


def compare(
    family: str, pairs: Iterable[tuple[str, str]], found: Mapping[str, Measure]
) -> list[dict[str, Any]]:
    """Test pairs of accuracies that were ``found``, of the same tracks, by McNemar's test; leave out others.

    A test's values are the cells of its row; ``p_holm`` is adjusted over all pairs by Holm's method.
    """
    tests: list[dict[str, Any]] = []
    for first, second in pairs:
        one, other = (found[name].tracks if name in found else None for name in (first, second))
        if one and other and one.same_tracks(other):
            only_first, only_second, p = mcnemar(one.right, other.right)
            right = {"first_correct": int(one.right.sum()), "second_correct": int(other.right.sum())}
            counts = {**right, "only_first": only_first, "only_second": only_second}
            tests.append({"family": family, "first": first, "second": second, **counts, "p_value": p})
    adjusted = holm([test["p_value"] for test in tests]).tolist()
    return [{**test, "p_holm": p} for test, p in zip(tests, adjusted, strict=True)]


def test_families(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Test (first seed) the families that were named before any result, as far as they were scored."""
    found = {
        f"{run.model} {name.removesuffix('_acc')}": item
        for run in runs
        for name, item in run.scores.measures.items()
    }
    lstms = [run.model for run in runs if run.kind == "LSTM"]
    ours = next((system for system in OURS if system in found), OURS[0])
    families = {
        "LSTM votes against those of DNN1": [(f"{m} Seg", "dnn1 Seg") for m in lstms],
        "fusion against the votes of the same LSTM": [(f"{m} FSeg", f"{m} Seg") for m in lstms],
        "fusion against the SVM on the mean frame": [(f"{m} FSeg", "sc ScSeg") for m in lstms],
        f"systems of others against {ours.split()[0]}": [(f"{m} Seg", ours) for m in paper.SYSTEMS],
        "best against our other systems": [OURS, (OURS[0], "sc ScSeg")],
    }
    for family, pairs in families.items():
        yield from compare(family, pairs, found)

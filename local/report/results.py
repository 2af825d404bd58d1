"""results.txt and results.json of one training: what made it, its accuracies, its confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.report import tables
from local.report.corpus import DataSummary, class_labels
from local.report.experiments import load_scores, read_network
from steps.scoring.scores import Scores
from utils import atomic
from utils.cli import UserError
from utils.provenance import git_commit, hash_texts, read_record

OUT_OF_FOLD = "train"
"""The set name of out-of-fold results of the training tracks, which an experiment may have."""


def provenance(exp_dir: Path, extra_conf: Mapping[str, str]) -> dict[str, Any]:
    """Return what made an experiment, as its own training recorded it.

    What was not trained (an SVM on features, made by the stage before) is of the commit that writes this.
    ``extra_conf``: path and content of configurations beside the training's.
    """
    record = read_record(exp_dir)
    now = git_commit()
    texts = {**record.get("configuration", {}), **extra_conf}
    network = read_network(exp_dir, record)
    return {
        "commit": str(record.get("commit", "unknown (the training did not record it)")) if record else now,
        "reported_by": now,
        "configuration": texts,
        "configuration_sha256": hash_texts(texts),
        "seed": str(record.get("seed", "-")),
        "machines": [str(name) for name in record.get("machines", [])],
        "half_way": str(record.get("half_way", "")),
        "network": network and {"kind": network[0], "dims": list(network[1])},
    }


def header(made: Mapping[str, Any], data: DataSummary, corpus: str, scores: Scores) -> list[str]:
    """Return the lines that say what produced the results."""
    files = " ".join(made["configuration"]) or "none"
    lines = [
        f"# git commit {made['commit']}",
        f"# configuration sha256 {made['configuration_sha256'][:16]} ({files})",
        f"# seed {made['seed']}",
        f"# data sha256 {data.sha256[:16]} ({corpus})",
        f"# tracks {', '.join(f'{count} {name}' for name, count in data.num_tracks.items())}",
    ]
    if made["network"]:
        lines.append(f"# network {made['network']['kind']} ({'-'.join(map(str, made['network']['dims']))})")
    if made["machines"]:
        mixed = "mixed, the last bits depend on who did what: " if len(made["machines"]) > 1 else ""
        lines.append(f"# trained on {mixed}{'; '.join(made['machines'])}")
    if made["half_way"]:
        lines.append(f"# {made['half_way']}")
    if made["reported_by"] != made["commit"]:
        lines.append(f"# scored and written by git commit {made['reported_by']}")
    notes = {name: item.extra["notes"] for name, item in scores.measures.items() if "notes" in item.extra}
    return lines + [f"# {name}: {text}" for name, text in notes.items()]


def set_lines(scores: Scores, prefix: str, labels: list[str]) -> tuple[list[str], list[str]]:
    """Return the greppable lines of one set; then classes, confusion matrices, calibration."""
    lines = [f"%{prefix}{measure.line()[1:]}" for measure in scores.measures.values()]
    found = [tables.class_table(scores, labels)]
    found += [tables.confusion_table(measure, scores.classes, labels) for measure in scores.measures.values()]
    found += [
        tables.calibration_table(name, table)
        for name, table in scores.predictions.items()
        if table.probabilities
    ]
    return lines, [line for table in found for line in ("", *table.lines())]


def write_results(exp_dir: Path, data_dir: Path, data: DataSummary, sets: list[str], extra: dict) -> None:
    """Write results.txt and results.json of one training.

    Lines of all test sets but the first begin with their name: ``%evaluation_Seg_acc``; so do
    ``%train_Seg_acc`` of out-of-fold predictions, where there are any. ``extra`` is that of
    :func:`provenance`. UserError if a set was not scored, or with other tracks than it has.
    """
    found = {name: load_scores(exp_dir, name) for name in sets}
    for name, scores in found.items():
        count = len(scores.first_predictions().utts)
        if count != data.num_tracks[name]:
            raise UserError(
                f"{exp_dir}: {count} tracks were scored, {data_dir / name} has {data.num_tracks[name]}; "
                "run stages 6 to 8 again"
            )
    if (exp_dir / f"score_{OUT_OF_FOLD}").is_dir():
        found[OUT_OF_FOLD] = load_scores(exp_dir, OUT_OF_FOLD)
    made = provenance(exp_dir, extra)
    lines = header(made, data, data_dir.name, found[sets[0]])
    labels = class_labels(data_dir / sets[0], found[sets[0]].classes)
    details: list[str] = []
    for name, scores in found.items():
        first = name == sets[0]
        if not first:
            what = "out of fold on train" if name == OUT_OF_FOLD else f"test set {name}"
            details += ["", f"# {what}"]
        accuracies, tail = set_lines(scores, "" if first else f"{name}_", labels)
        lines += accuracies
        details += tail
    lines += details
    for table in tables.extra_tables(exp_dir):
        lines += ["", *table.lines()]
    content = {
        **made,
        "experiment": exp_dir.name,
        "corpus": data_dir.name,
        "data_sha256": data.sha256,
        "num_tracks": data.num_tracks,
        "num_frames": data.num_frames,
        "classes": list(found[sets[0]].classes),
        "sets": {
            name: [item.as_json() for item in scores.measures.values()] for name, scores in found.items()
        },
    }
    atomic.write_json(exp_dir / "results.json", content)
    with atomic.replacing(exp_dir / "results.txt") as file:
        file.write("\n".join(lines) + "\n")

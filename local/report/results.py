"""results.txt of one training: what made it, its accuracies, its confusion matrices."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local.corpus.overlap import shared_artists
from local.report import tables
from local.report.experiments import load_scores, read_network
from steps import archive
from steps.scoring.reference import read_artists, read_reference
from utils import atomic
from utils.cli import UserError
from utils.provenance import git_commit, hash_texts, read_record

OUT_OF_FOLD = "train"
"""The set name of out-of-fold results of the training tracks, which an experiment may have."""


class DataSummary(NamedTuple):
    """Identity and size of some sets of a corpus directory."""

    sha256: str
    num_tracks: dict[str, int]


def summarise_data(data_dir: Path, sets: Sequence[str]) -> DataSummary:
    """Hash labels, artists and features of the sets, wherever they lie and however they are split."""
    digest = hashlib.sha256()
    tracks = {}
    for part in sets:
        reference = read_reference(data_dir / part)
        artists = dict(zip(reference.genre, read_artists(reference), strict=True))
        scp = f"scp:{data_dir}/{part}/feats.scp"
        for utt, feats in reference.exactly(archive.read_matrices(scp), scp):
            genre = reference.classes[reference.genre[utt]]
            rows, columns = feats.shape
            digest.update(f"{part} {utt} {genre} {artists[utt]} {rows} {columns} ".encode())
            digest.update(feats.tobytes())
        tracks[part] = len(reference.genre)
    return DataSummary(digest.hexdigest(), tracks)


def overlap_line(data_dir: Path, test_set: str = "test") -> str:
    """Say how many tracks of a test set are by an artist of the training set."""
    found = shared_artists(data_dir, test_set)
    if isinstance(found, str):
        return f"Artist overlap: unknown: {found}"
    return (
        f"Artist overlap: {found.both} of the {found.other} artists of {test_set} are also among the "
        f"{found.train} of train; {found.tracks} of {found.total} {test_set} tracks are by them"
    )


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


def header(made: Mapping[str, Any], data: DataSummary, corpus: str) -> list[str]:
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
    return lines


def write_results(exp_dir: Path, data_dir: Path, data: DataSummary, sets: list[str], extra: dict) -> None:
    """Write results.txt of one training.

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
    first = found[sets[0]]
    lines = header(made, data, data_dir.name)
    lines += [f"# {m.name}: {m.extra['notes']}" for m in first.measures.values() if "notes" in m.extra]
    labels = tables.class_labels(data_dir / sets[0], first.classes)
    details: list[str] = []
    for name, scores in found.items():
        if scores is not first:
            details += ["", "# out of fold on train" if name == OUT_OF_FOLD else f"# test set {name}"]
        prefix = "" if scores is first else f"{name}_"
        lines += [f"%{prefix}{measure.line()[1:]}" for measure in scores.measures.values()]
        shown = [tables.class_table(scores, labels)]
        shown += [tables.confusion_table(m, scores.classes, labels) for m in scores.measures.values()]
        shown += tables.calibration_tables(scores.predictions)
        details += [line for table in shown for line in ("", *table.lines())]
    for table in tables.extra_tables(exp_dir):
        details += ["", *table.lines()]
    with atomic.replacing(exp_dir / "results.txt") as file:
        file.write("\n".join([*lines, *details]) + "\n")

"""results.txt of every training, and the tables of all of them beside the paper's figures.

There is no time in any of it and nothing is appended to: the same results are the same files.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.corpus.overlap import shared_artists
from local.report import paper, tables
from local.report.experiments import Run, dims, load_scores, seed_paths, test_families
from steps import archive
from steps.scoring.reference import read_artists, read_reference
from steps.scoring.scores import Scores
from utils import atomic
from utils.cli import UserError
from utils.provenance import git_commit, hash_texts, read_record

OUT_OF_FOLD = "train"
"""The set name of out-of-fold results of the training tracks, which an experiment may have."""


def summarise_data(data_dir: Path, sets: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Hash labels, artists and features of sets, wherever they lie; return also how many tracks they have."""
    digest, tracks = hashlib.sha256(), {}
    for part in sets:
        reference = read_reference(data_dir / part)
        artists = dict(zip(reference.genre, read_artists(reference), strict=True))
        scp = f"scp:{data_dir}/{part}/feats.scp"
        for utt, feats in reference.exactly(archive.read_matrices(scp), scp):
            rows, columns = feats.shape
            genre = reference.classes[reference.genre[utt]]
            digest.update(f"{part} {utt} {genre} {artists[utt]} {rows} {columns} ".encode())
            digest.update(feats.tobytes())
        tracks[part] = len(reference.genre)
    return digest.hexdigest(), tracks


def overlap_line(data_dir: Path, test_set: str = "test") -> str:
    """Say how many tracks of a test set are by an artist of the training set."""
    found = shared_artists(data_dir, test_set)
    if isinstance(found, str):
        return f"Artist overlap: unknown: {found}"
    return (
        f"Artist overlap: {found.both} of the {found.other} artists of {test_set} are also among the "
        f"{found.train} of train; {found.tracks} of {found.total} {test_set} tracks are by them"
    )


def provenance(exp_dir: Path, extra: Mapping[str, str]) -> dict[str, Any]:
    """Return what made an experiment, as its own training recorded it.

    What was not trained (an SVM on features, made by the stage before) is of the commit that writes this.
    ``extra``: path and content of configurations beside the training's.
    """
    record = read_record(exp_dir)
    texts = {**record.get("configuration", {}), **extra}
    commit = "unknown (the training did not record it)" if record else git_commit()
    made = {"commit": commit, "seed": "-", "machines": [], "half_way": "", **record}
    return {**made, "configuration": texts, "sha256": hash_texts(texts)}


def header(exp_dir: Path, extra: Mapping[str, str], data: str, tracks: Mapping[str, int]) -> list[str]:
    """Return the lines that say what produced the results, of ``data`` and so many tracks a set."""
    made = provenance(exp_dir, extra)
    lines = [
        f"# git commit {made['commit']}",
        f"# configuration sha256 {made['sha256'][:16]} ({' '.join(made['configuration']) or 'none'})",
        f"# seed {made['seed']}",
        f"# data sha256 {data}",
        f"# tracks {', '.join(f'{count} {name}' for name, count in tracks.items())}",
    ]
    if made.get("network"):
        lines.append(f"# network {made['network']['kind']} ({dims(made)})")
    if machines := made["machines"]:
        mixed = "mixed, the last bits depend on who did what: " if len(machines) > 1 else ""
        lines.append(f"# trained on {mixed}{'; '.join(machines)}")
    if made["half_way"]:
        lines.append(f"# {made['half_way']}")
    if (now := git_commit()) != made["commit"]:
        lines.append(f"# scored and written by git commit {now}")
    return lines


def accuracies(exp_dir: Path, found: dict[str, Scores], data_dir: Path) -> list[str]:
    """Return the lines of results.txt about a training's scores by test set.

    Those of all sets but the first begin with their name: ``%evaluation_Seg_acc``; so do ``%train_Seg_acc``,
    out-of-fold predictions, where there are any.
    """
    first, *_ = found
    if (exp_dir / f"score_{OUT_OF_FOLD}").is_dir():
        found = {**found, OUT_OF_FOLD: load_scores(exp_dir, OUT_OF_FOLD)}
    measures = found[first].measures.values()
    lines = [f"# {m.name}: {m.extra['notes']}" for m in measures if "notes" in m.extra]
    labels = tables.class_labels(data_dir / first, found[first].classes)
    details: list[str] = []
    for name, scores in found.items():
        prefix = "" if name == first else f"{name}_"
        if prefix:
            details += ["", "# out of fold on train" if name == OUT_OF_FOLD else f"# test set {name}"]
        lines += [f"%{prefix}{measure.line()[1:]}" for measure in scores.measures.values()]
        shown = [tables.class_table(scores, labels)]
        shown += [tables.confusion_table(m, scores.classes, labels) for m in scores.measures.values()]
        details += _lines(shown + tables.calibration_tables(scores))
    return [*lines, *details, *_lines(tables.extra_tables(exp_dir))]


def _write(path: Path, lines: Sequence[str]) -> None:
    with atomic.replacing(path) as file:
        file.write("\n".join(lines) + "\n")


def _lines(shown: Sequence[tables.Table]) -> list[str]:
    return [line for table in shown for line in ("", *table.lines())]


def write(by_set: Mapping[str, Sequence[Run]], data_dir: Path, exp: Path, extra: Mapping[str, str]) -> None:
    """Write what was loaded by test set: results.txt of each training, and ``<exp>_summary``.

    Of all: tables.txt (Tables 2 and 4), results.txt (with Table 1, every accuracy, McNemar, artist overlap),
    results.csv, mcnemar.csv and results.json.
    """
    parts = [name for name in (OUT_OF_FOLD, *by_set) if (data_dir / name).is_dir() or name in by_set]
    digest, tracks = summarise_data(data_dir, parts)
    data = f"{digest[:16]} ({data_dir.name})"
    first, *others = by_set
    runs = by_set[first]
    head = [f"# corpus {data_dir.name}, data sha256 {digest[:16]}"]
    for index, run in enumerate(runs):
        for number, path in enumerate(seed_paths(exp, run.model, len(run.seeds))):
            found = {name: scored[index].seeds[number] for name, scored in by_set.items()}
            for name, scores in found.items():
                if (count := len(scores.first_predictions().utts)) != tracks[name]:
                    has = f"{count} tracks were scored, {data_dir / name} has {tracks[name]}"
                    raise UserError(f"{path}: {has}; run stages 6 to 8 again")
            lines = header(path, extra, data, tracks) + accuracies(path, found, data_dir)
            _write(path / "results.txt", lines)
        commit = f", commit {run.record['commit']}" if "commit" in run.record else ""
        head.append(f"# {run.path.name}: seed {run.record.get('seed', '-')}{commit}, {run.label}")

    networks = tables.table2(runs)
    shown = [*networks.lines(), ""] if networks.rows else []
    shown += [*tables.table4(runs).lines(), ""]
    shown += ["Intervals: Wilson's for tracks; for frames the one that takes tracks as the trials."]
    shown += tables.caveats(runs, data_dir.name)
    shown += _lines([tables.set_table(by_set[name], name) for name in others])
    shown += ["", *(overlap_line(data_dir, name) for name in by_set if OUT_OF_FOLD in parts)]
    shown += _lines(tables.extra_tables(data_dir))
    details = [tables.table1(data_dir, parts)]
    rows, tests = [], []
    for name, scored in by_set.items():
        pairs = list(test_families(scored))
        details += [tables.all_accuracies(scored), tables.mcnemar_table(pairs)]
        rows += tables.flat_rows(scored, name)
        tests += [{"set": name, **pair} for pair in pairs]

    out = exp.with_name(f"{exp.name}_summary")
    for name, content in (("results.csv", rows), ("mcnemar.csv", tests)):
        tables.write_csv(out / name, content[0] if content else [], (row.values() for row in content))
    _write(out / "results.txt", [*head, "", *shown, paper.SLIP, *_lines(details)])
    _write(out / "tables.txt", shown)
    summary = {"corpus": data_dir.name, "accuracies": rows, "mcnemar": tests, "text": shown}
    atomic.write_json(out / "results.json", summary)

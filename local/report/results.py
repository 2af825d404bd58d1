"""results.txt of every training, the tables of all of them beside the paper's, and the page, by templates.

There is no time in any of it and nothing is appended to: the same results are the same files.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from local.corpus.overlap import shared_artists
from local.report import paper, tables
from local.report.experiments import Run, load_scores, seed_paths, test_families
from steps import archive
from steps.scoring.reference import read_artists, read_reference
from utils import atomic
from utils.cli import UserError
from utils.provenance import git_commit, hash_texts, read_record, read_texts

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
    if found.unknown:
        return f"Artist overlap: unknown: {found.unknown}"
    return (
        f"Artist overlap: {found.both} of the {found.other} artists of {test_set} are also among the "
        f"{found.train} of train; {found.tracks} of {found.total} {test_set} tracks are by them"
    )


def provenance(exp_dir: Path, data_dir: Path) -> dict[str, Any]:
    """Return what made an experiment, as its own training, that of its SVMs and the features recorded it.

    What was not trained (an SVM on features, made by the stage before) is of the commit that writes this.
    """
    record = read_record(exp_dir)
    files = [*sorted(exp_dir.glob("svm_*/svm.conf"))[:1], *data_dir.glob("train/scattering.conf")]
    texts = {**record.get("configuration", {}), **read_texts(files)}
    commit = "unknown (the training did not record it)" if record else git_commit()
    made = {"commit": commit, "seed": "-", "machines": [], "half_way": "", **record}
    return {**made, "configuration": texts, "sha256": hash_texts(texts)}


def render(template: str, **content: Any) -> str:
    """Return what a template of this folder makes of ``content``, which it escapes if it is HTML."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=jinja2.select_autoescape(("html.j2",)))
    return environment.get_template(template).render(content)


def write(by_set: Mapping[str, Sequence[Run]], data_dir: Path, exp: Path) -> None:
    """Write what was loaded by test set: results.txt of each training, and ``<exp>_summary``.

    Of all: tables.txt (Tables 2 and 4), results.txt (with Table 1, every accuracy, McNemar, artist overlap),
    results.csv, mcnemar.csv and results.json.
    """
    first, runs = next(iter(by_set.items()))
    parts = [name for name in (OUT_OF_FOLD, *by_set) if (data_dir / name).is_dir() or name in by_set]
    digest, tracks = summarise_data(data_dir, parts)
    known = {"data": f"{digest[:16]} ({data_dir.name})", "tracks": tracks, "first": first, "tables": tables}
    for index, run in enumerate(runs):
        for number, path in enumerate(seed_paths(exp, run.model, len(run.seeds))):
            found = {name: scored[index].seeds[number] for name, scored in by_set.items()}
            for name, scores in found.items():
                if (count := len(scores.tracks.utts)) != tracks[name]:
                    has = f"{count} tracks were scored, {data_dir / name} has {tracks[name]}"
                    raise UserError(f"{path}: {has}; run stages 6 to 8 again")
            if (path / f"score_{OUT_OF_FOLD}").is_dir():
                found[OUT_OF_FOLD] = load_scores(path, OUT_OF_FOLD)
            labels = tables.class_labels(data_dir / first, found[first].classes)
            made = {"made": provenance(path, data_dir), "now": git_commit(), "path": path}
            content = render("results.txt.j2", found=found, labels=labels, **made, **known)
            _write(path / "results.txt", content)

    known |= {"corpus": data_dir.name, "data_dir": data_dir, "by_set": by_set, "runs": runs}
    shown = render("tables.txt.j2", overlap_line=overlap_line, **known)
    tests = {name: list(test_families(scored)) for name, scored in by_set.items()}
    out = exp.with_name(f"{exp.name}_summary")
    _write(out / "tables.txt", shown)
    text = render("summary.txt.j2", shown=shown, slip=paper.SLIP, tests=tests, **known)
    _write(out / "results.txt", text)
    rows = [row for name, scored in by_set.items() for row in tables.flat_rows(scored, name)]
    pairs = [{"set": name, **pair} for name, found in tests.items() for pair in found]
    for file, lines in (("results.csv", rows), ("mcnemar.csv", pairs)):
        tables.write_csv(out / file, lines[0] if lines else [], (row.values() for row in lines))
    summary = {"corpus": data_dir.name, "accuracies": rows, "mcnemar": pairs, "text": shown.split("\n")}
    atomic.write_json(out / "results.json", summary)


def write_page(
    by_set: Mapping[str, Sequence[Run]], data_dir: Path, figures: Path, errors: object, out: Path
) -> None:
    """Write ``out``/index.html about experiments by test set, the paper's first, and their figures."""

    def read(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode("ascii")

    def links(run: Run) -> list[tuple[Path, str]]:
        files = [run.path / "results.txt", *sorted(run.path.glob("log/*.log"))]
        return [(path, quote(f"../{path.relative_to(out.parent)}")) for path in files if path.is_file()]

    (test_set, runs), *others = by_set.items()
    content = {"corpus": data_dir.name, "data_dir": data_dir, "test_set": test_set, "runs": runs}
    content |= {"others": others, "figures": figures, "errors": errors, "slip": paper.SLIP}
    content["sets"] = [name for name in ("train", *by_set) if (data_dir / name).is_dir()]
    functions = [read, links, test_families, overlap_line, provenance]
    content |= {"commit": git_commit(), "tables": tables, **{f.__name__: f for f in functions}}
    _write(out / "index.html", render("page.html.j2", **content), end="")


def _write(path: Path, text: str, end: str = "\n") -> None:
    with atomic.replacing(path) as file:
        file.write(text + end)

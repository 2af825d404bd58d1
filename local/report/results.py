"""results.txt of every training, the tables of all of them beside the paper's, and the page, by templates.

There is no time in any of it and nothing is appended to: the same results are the same files.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from local.corpus.overlap import describe_overlap
from local.report import paper, tables
from local.report.experiments import Run, load_scores, seed_paths, test_families
from steps import archive
from steps.scoring.reference import read_reference
from utils import atomic
from utils.provenance import git_commit, hash_texts, read_record, read_texts


def summarise_data(data_dir: Path, sets: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Hash labels, artists and features of sets, wherever they lie; return also how many tracks they have."""
    digest, tracks = hashlib.sha256(), {}
    for part in sets:
        folder = data_dir / part
        reference, scp = read_reference(folder), f"scp:{folder}/feats.scp"
        for name in ("utt2genre", "utt2spk"):
            digest.update((folder / name).read_bytes())
        for utt, feats in reference.exactly(archive.read_matrices(scp), scp):
            digest.update(f"{part} {utt} {feats.shape} ".encode())
            digest.update(feats.tobytes())
        tracks[part] = len(reference.genre)
    return digest.hexdigest(), tracks


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


def write(by_set: Mapping[str, Sequence[Run]], data_dir: Path, exp: Path) -> None:
    """Write what was loaded by test set: results.txt of each training, and ``<exp>_summary``.

    Of all: tables.txt (Tables 2 and 4), results.txt (with Table 1, every accuracy, McNemar, artist overlap).
    """
    first, runs = next(iter(by_set.items()))
    digest, tracks = summarise_data(data_dir, ["train"] * (data_dir / "train").is_dir() + [*by_set])
    known: dict[str, Any] = {"data": f"{digest[:16]} ({data_dir.name})", "tracks": tracks, "first": first}
    for index, run in enumerate(runs):
        for number, path in enumerate(seed_paths(exp, run.model, len(run.seeds))):
            found = {name: scored[index].seeds[number] for name, scored in by_set.items()}
            if (path / "score_train").is_dir():  # out-of-fold results of the training tracks
                found["train"] = load_scores(path, "train")
            known["labels"] = tables.class_labels(data_dir / first, found[first].classes)
            _write(path / "results.txt", found=found, made=provenance(path, data_dir), path=path, **known)

    known |= {"data_dir": data_dir, "by_set": by_set, "runs": runs}
    out = exp.with_name(f"{exp.name}_summary")
    known["shown"] = _write(out / "tables.txt", **known)
    _write(out / "results.txt", "summary.txt", **known)


def write_page(by_set: Mapping[str, Sequence[Run]], data_dir: Path, figures: Path, out: Path) -> None:
    """Write ``out``/index.html about experiments by test set, the paper's first, and their figures."""
    (test_set, runs), *others = by_set.items()
    sets = [name for name in ("train", *by_set) if (data_dir / name).is_dir()]
    pictures = {
        path.stem: base64.b64encode(path.read_bytes()).decode() for path in figures.glob("figure*.png")
    }
    known = {"data_dir": data_dir, "test_set": test_set, "runs": runs, "others": others, "sets": sets}
    _write(out / "index.html", "page.html", pictures=pictures, **known)


def _write(path: Path, template: str = "", /, **content: Any) -> str:
    """Write what a template of this folder makes of ``content``, which it escapes if it is HTML."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=jinja2.select_autoescape(("html.j2",)))
    for function in (test_families, describe_overlap, provenance, git_commit):
        environment.globals[function.__name__] = function
    environment.globals |= {"tables": tables, "slip": paper.SLIP}
    text = environment.get_template(f"{template or path.name}.j2").render(content)
    with atomic.replacing(path) as file:
        file.write(f"{text}\n")
    return text

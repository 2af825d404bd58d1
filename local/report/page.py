"""What stands on the report page; how it looks is in page.html.j2, which escapes everything."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from local.report import paper, tables
from local.report.experiments import Run, test_families
from local.report.figures import Errors
from local.report.results import overlap_line, provenance
from utils import atomic
from utils.provenance import git_commit

FIGURES = {
    "figure2.png": "Figure 2. Scores of all test tracks and frames; dotted lines part the true classes.",
    "figure3.png": "Figure 3. Test accuracy against k. The tables use k = 0.9 whatever this shows.",
    "training.png": "Training: loss, frame accuracy and learning rate by iteration.",
}
READING = (
    "Intervals of tracks are Wilson's; those of frames take tracks as the independent trials, since the "
    "frames of a track are right or wrong together. Nothing was chosen on the test set."
)
Part = dict[str, Any]
"""A part of the page as the template takes it: a title and any of texts, tables, pictures and so on."""


def write(
    by_set: Mapping[str, Sequence[Run]], data_dir: Path, figures: Path, errors: Errors | None, out: Path
) -> None:
    """Write ``out``/index.html about experiments by test set, the paper's first, and their figures."""
    corpus, runs = data_dir.name, next(iter(by_set.values()))
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    text = template.render(
        title=f"Segment features for music genres: {corpus}",
        subtitle=f"Corpus {corpus}, {len(runs[0].scores.first_predictions().utts)} test tracks. After Dai, "
        "Liang, Xue, Ni, Liu: Long Short-term Memory Recurrent Neural Network based Segment Features for "
        "Music Genre Classification.",
        sections=sections(by_set, data_dir, figures, errors, out),
        footer=f"Written by local/make_report.py at commit {git_commit()}.",
    )
    with atomic.replacing(out / "index.html") as file:
        file.write(text)


def picture(path: Path, caption: str, alt: str = "") -> Part:
    """Return a PNG file, for the page to hold."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"data": data, "caption": caption, "alt": alt or caption}


def sections(
    by_set: Mapping[str, Sequence[Run]], data_dir: Path, figures: Path, errors: Errors | None, out: Path
) -> list[Part]:
    """Return the sections of the page in their order."""
    (first, runs), *others = by_set.items()
    sets = [name for name in ("train", *by_set) if (data_dir / name).is_dir()]
    own = [{"title": run.label, "tables": tables.extra_tables(run.path)} for run in runs]
    table4, table1 = tables.table4(runs).paper_first(), tables.table1(data_dir, sets)
    found: list[Part] = [
        {"anchor": "systems", "title": "Systems", "caveats": tables.caveats(runs, data_dir.name),
         "texts": [READING], "tables": [table4], "parts": [part for part in own if part["tables"]]},
        {"anchor": "networks", "title": "Frames and votes", "texts": [paper.SLIP],
         "tables": [tables.table2(runs), tables.all_accuracies(runs)]},
    ]  # fmt: skip
    for name, scored in others:
        shown = [tables.set_table(scored, name), tables.mcnemar_table([*test_families(scored)])]
        text = overlap_line(data_dir, name)
        found.append({"anchor": f"set-{name}", "title": f"Test set {name}", "texts": [text], "tables": shown})
    drawn = [picture(figures / name, text) for name, text in FIGURES.items() if (figures / name).is_file()]
    matrices = []
    for run in runs:
        text = f"Confusion matrices of {run.label}: counts; shades are shares of the true class."
        matrices.append(picture(figures / f"confusion_{run.path.name}.png", text))
    found += [
        {"anchor": "corpus", "title": "Corpus", "tables": [table1, *tables.extra_tables(data_dir)],
         "texts": [overlap_line(data_dir, first)] if "train" in sets else []},
        {"anchor": "figures", "title": "Figures", "pictures": drawn,
         "parts": [{"title": "Confusion matrices", "pictures": matrices}]},
        *([errors_section(errors)] if errors else []),
        {"anchor": "tests", "title": "Tests", "tables": [tables.mcnemar_table([*test_families(runs)])]},
        {"anchor": "experiments", "title": "Experiments", "parts": [experiment(run, out) for run in runs]},
    ]  # fmt: skip
    return found


def errors_section(errors: Errors) -> Part:
    """Return the most confidently wrong tracks of a network with their posteriorgrams."""
    run, files = errors
    table = run.scores.predictions["Seg_acc"]
    pictures = []
    for row, path in files.items():
        utt, ref, hyp = table.utts[row], table.ref[row], table.hyp[row]
        shares = 100 * table.scores[row]
        caption = (
            f"{utt}: {table.classes[ref]} taken for {table.classes[hyp]} by {shares[hyp]:.0f} % "
            f"of the frames ({shares[ref]:.0f} % for the true class)"
        )
        pictures.append(picture(path, caption, f"Posteriors of {utt} by class and time"))
    name = f"{run.label} ({run.path.name})"
    text = (
        f"The tracks of the test set whose frames speak most clearly for a wrong class in the majority vote "
        f"of {name}. Green: the true class; orange: the hypothesis."
    )
    text = text if pictures else f"{name} has every test track right."
    return {"anchor": "errors", "title": "Confident errors", "texts": [text], "grid": pictures}


def experiment(run: Run, report_dir: Path) -> Part:
    """Return what made a result, its calibration, and links to results.txt and logs."""
    made = provenance(run.path, {})
    further = f" and {len(run.seeds) - 1} more" if len(run.seeds) > 1 else ""
    facts = {
        "commit": made["commit"],
        "configuration": f"sha256 {made['sha256']}",
        "seed": f"{made['seed']}{further}",
        "trained on": "; ".join(made["machines"]) or "–",
    }
    facts |= {name: m.extra["notes"] for name, m in run.scores.measures.items() if "notes" in m.extra}
    calibrations = tables.calibration_tables(run.scores)
    listings = {t.title.lstrip("# ").partition(":")[0]: "\n".join(t.lines()) for t in calibrations}
    files = [run.path / "results.txt", *sorted(run.path.glob("log/*.log"))]
    links = [(path, quote(f"../{path.relative_to(report_dir.parent)}")) for path in files if path.is_file()]
    return {
        "title": f"{run.label}: {run.path.name}",
        "links": [(path.name, target) for path, target in links],
        "facts": facts.items(),
        "listings": [*listings.items(), *made["configuration"].items()],
    }

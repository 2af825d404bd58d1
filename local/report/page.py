"""What stands on the report page; how it looks is in page.html.j2, which escapes everything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import jinja2

from local.report import paper, tables
from local.report.comparison import test_families
from local.report.corpus import count_tracks, overlap_line
from local.report.errors import ConfidentError
from local.report.experiments import Run
from local.report.results import provenance
from local.report.tables import Table

FIGURES = {
    "figure2.png": "Figure 2. Scores of all test tracks and frames; dotted lines part the true classes.",
    "figure3.png": "Figure 3. Test accuracy against k. The tables use k = 0.9 whatever this shows.",
    "training.png": "Training: loss, frame accuracy and learning rate by iteration.",
}
READING = (
    "Intervals of tracks are Wilson's; those of frames take tracks as the independent trials, since the "
    "frames of a track are right or wrong together. Nothing was chosen on the test set."
)


@dataclass(frozen=True)
class Picture:
    """A PNG file inside the page."""

    path: Path
    caption: str
    alt: str

    @property
    def data(self) -> str:
        """The file in base64."""
        return base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Part:
    """A part of a section with a heading of its own."""

    title: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    links: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()
    listings: Sequence[tuple[str, str]] = ()  # texts that unfold, each with its name


@dataclass(frozen=True)
class Section:
    """A section that the navigation points to."""

    anchor: str
    title: str
    caveats: Sequence[str] = ()
    texts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    grid: Sequence[Picture] = ()
    parts: Sequence[Part] = field(default=())


def render(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("page.html.j2")
    return template.render(title=title, subtitle=subtitle, sections=sections, footer=footer)


def systems_section(runs: Sequence[Run], corpus: str) -> Section:
    """Return Table 4, and what an experiment has to say about its own parts."""
    parts = [Part(run.label, tables=found) for run in runs if (found := tables.extra_tables(run.path))]
    table = tables.table4(runs).paper_first()
    return Section("systems", "Systems", tables.caveats(runs, corpus), [READING], [table], parts=parts)


def networks_section(runs: Sequence[Run]) -> Section:
    """Return Table 2 and every accuracy."""
    found = [tables.table2(runs), tables.all_accuracies(runs)]
    return Section("networks", "Frames and votes", tables=found, texts=[paper.SLIP])


def set_section(runs: Sequence[Run], name: str, data_dir: Path) -> Section:
    """Return the part about a test set that the paper has no figures for."""
    found = [tables.set_table(runs, name), tables.mcnemar_table(test_families(runs))]
    return Section(f"set-{name}", f"Test set {name}", texts=[overlap_line(data_dir, name)], tables=found)


def corpus_section(data_dir: Path, test_set: str, sets: Sequence[str]) -> Section:
    """Return Table 1, the artist overlap, and what the corpus has to say about itself."""
    texts = [overlap_line(data_dir, test_set)] if "train" in sets else []
    found = [tables.table1(count_tracks(data_dir, sets), sets), *tables.extra_tables(data_dir)]
    return Section("corpus", "Corpus", texts=texts, tables=found)


def figures_section(runs: Sequence[Run], folder: Path) -> Section:
    """Return Figures 2 and 3, training curves and confusion matrices, as far as they were drawn."""
    pictures = [
        Picture(folder / name, text, text) for name, text in FIGURES.items() if (folder / name).is_file()
    ]
    matrices = []
    for run in runs:
        path = folder / f"confusion_{run.path.name}.png"
        text = f"Confusion matrices of {run.label}: counts; shades are shares of the true class."
        matrices.append(Picture(path, text, text))
    return Section("figures", "Figures", pictures=pictures, parts=[Part("Confusion matrices", matrices)])


def errors_section(run: Run, errors: Sequence[ConfidentError], files: Sequence[Path]) -> Section:
    """Return the most confidently wrong tracks of a network with their posteriorgrams."""
    classes = run.scores.classes
    pictures = []
    for error, path in zip(errors, files, strict=True):
        caption = (
            f"{error.utt}: {classes[error.ref]} taken for {classes[error.hyp]} by {100 * error.share:.0f} % "
            f"of the frames ({100 * error.ref_share:.0f} % for the true class)"
        )
        pictures.append(Picture(path, caption, f"Posteriors of {error.utt} by class and time"))
    name = f"{run.label} ({run.path.name})"
    text = (
        f"The tracks of the test set whose frames speak most clearly for a wrong class in the majority vote "
        f"of {name}. Green: the true class; orange: the hypothesis."
    )
    return Section(
        "errors",
        "Confident errors",
        texts=[text if errors else f"{name} has every test track right."],
        grid=pictures,
    )


def tests_section(runs: Sequence[Run]) -> Section:
    """Return McNemar's tests."""
    return Section("tests", "Tests", tables=[tables.mcnemar_table(test_families(runs))])


def experiments_section(runs: Sequence[Run], report_dir: Path) -> Section:
    """Return what made each result, its calibration, and links to results.txt and logs."""
    parts = []
    for run in runs:
        made = provenance(run.path, {})
        facts = [
            ("commit", made["commit"]),
            ("configuration", f"sha256 {made['configuration_sha256']}"),
            ("seed", made["seed"] + (f" and {len(run.seeds) - 1} more" if len(run.seeds) > 1 else "")),
            ("trained on", "; ".join(made["machines"]) or "–"),
        ]
        facts += [
            (name, str(item.extra["notes"]))
            for name, item in run.scores.measures.items()
            if "notes" in item.extra
        ]
        parts.append(
            Part(
                f"{run.label}: {run.path.name}",
                links=_links(run.path, report_dir),
                facts=facts,
                listings=[
                    *(
                        (f"calibration of {name}", "\n".join(tables.calibration_table(name, table).lines()))
                        for name, table in run.scores.predictions.items()
                        if table.probabilities
                    ),
                    *made["configuration"].items(),
                ],
            )
        )
    return Section("experiments", "Experiments", parts=parts)


def _links(exp_dir: Path, report_dir: Path) -> list[tuple[str, str]]:
    """Return results.txt and the logs of an experiment, as links from the folder of the page."""
    files = [exp_dir / "results.txt", *sorted((exp_dir / "log").glob("*.log"))]
    return [
        (path.name, quote(f"../{path.relative_to(report_dir.parent)}"))
        for path in files
        if path.is_file() and path.is_relative_to(report_dir.parent)
    ]

"""What stands on the report page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.report import page as html
from local.report import paper, tables
from local.report.corpus import Overlap
from local.report.errors import confident_errors, draw_posteriorgrams
from local.report.layout import percent
from local.report.runs import Run
from steps.scoring.system import EXPLANATIONS
from utils.cli import UserError

FIGURES = {
    "figure2.png": "Figure 2. Scores of all test tracks and frames; dotted lines part the true classes.",
    "figure3.png": "Figure 3. Test accuracy against k. The tables use k = 0.9 whatever this shows.",
    "training.png": "Training: loss, frame accuracy and learning rate by iteration.",
}


def read_tables(summary_dir: Path) -> dict[str, Any]:
    """Read tables.json; raises UserError if it is missing or broken."""
    path = summary_dir / "tables.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}; run local/make_tables.py first") from error
    except ValueError as error:
        raise UserError(f"{path}: not a file of make_tables.py ({error}); run it again") from error


def _cells(run: Run, measures: Sequence[str]) -> list[str]:
    return [value.cell() if (value := run.value(name)) else "–" for name in measures]


def _paper(run: Run, measures: Sequence[str]) -> list[str]:
    known = run.in_paper
    return [percent(known.accuracy(name)) if known else "–" for name in measures]


def _seeds(runs: Sequence[Run]) -> str:
    seeds = max(len(run.seeds) for run in runs)
    return f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "with 95 % interval, one seed"


def _paper_headings(measures: Sequence[str]) -> list[str]:
    return ["paper's network", *(f"paper {name.removesuffix('_acc')}" for name in measures)]


def _network(run: Run) -> str:
    return run.in_paper.label.partition("(")[2].rstrip(")") if run.in_paper else "–"


def table2(runs: Sequence[Run]) -> str:
    """Return Table 2."""
    measures = [*tables.TABLE2, "LogSeg_acc"]
    rows = [
        [run.label, *_cells(run, measures), _network(run), *_paper(run, tables.TABLE2)]
        for run in runs
        if run.kind
    ]
    caption = (
        f"Table 2. Frame accuracy, segment accuracy by majority vote, and (LogSeg) by mean log posterior, "
        f"%, {_seeds(runs)}"
    )
    return html.table(["model", *measures, *_paper_headings(tables.TABLE2)], rows, caption, paper_from=4)


def table4(runs: Sequence[Run]) -> str:
    """Return Table 4 with the quoted systems and the rows that are not in the paper."""
    measures = [*tables.TABLE4, *(name for name in tables.CROSSFIT if any(run.value(name) for run in runs))]
    blank = [""] * len(measures)
    rows = [
        [run.label, *_cells(run, measures), _network(run), *_paper(run, tables.TABLE4)]
        for run in runs
        if run.kind == "LSTM"
    ]
    first_quoted = len(rows)
    rows += [[f"{key} ({who})", *blank, "quoted", percent(value), "", ""] for key, who, value in paper.QUOTED]
    quoted = range(first_quoted, len(rows))
    for run in runs:
        if run.value("ScSeg_acc"):
            rows.append([run.label, *_cells(run, ["ScSeg_acc"]), *blank[1:], "–", "–", "–", "–"])
        if run.kind == "DNN" and run.value("LSeg_acc"):
            rows.append([run.label, *_cells(run, measures), "–", "–", "–", "–"])
    caption = f"Table 4. Majority vote (Seg), SVM on f_lstm (LSeg) and on f_fusion (FSeg), %, {_seeds(runs)}"
    columns = ["model", *measures, *_paper_headings(tables.TABLE4)]
    return html.table(columns, rows, caption, paper_from=1 + len(measures), quoted=quoted)


def all_measures(runs: Sequence[Run]) -> str:
    """Return every accuracy with its counts, intervals and balanced accuracy."""
    rows = []
    for run in runs:
        for name, measure in run.system.measures.items():
            low, high = measure.wilson
            by_track = measure.extra.get("by_track")
            rows.append(
                [
                    run.system.name,
                    name,
                    EXPLANATIONS.get(name, ""),
                    percent(measure.percent),
                    f"{measure.correct} / {measure.total}",
                    f"{low:.2f} – {high:.2f}",
                    f"{by_track[0]:.2f} – {by_track[1]:.2f}" if by_track else "",
                    percent(measure.balanced),
                ]
            )
    columns = ["experiment", "measure", "how", "%", "counts", "Wilson 95 %", "by track 95 %", "balanced"]
    return "<details><summary>Every accuracy with counts</summary>" + html.table(columns, rows) + "</details>"


def results_section(runs: Sequence[Run], content: dict[str, Any]) -> str:
    """Return the tables and what to know before reading them."""
    notes = [html.paragraph(text, "caveat") for text in content["caveats"]]
    text = (
        "Intervals of tracks are Wilson's; those of frames take tracks as the independent trials, since the "
        "frames of a track are right or wrong together. Nothing was chosen on the test set."
    )
    parts = [*notes, table2(runs), table4(runs), html.paragraph(text), html.paragraph(paper.SLIP, "soft")]
    return html.section("results", "Results", *parts, all_measures(runs))


def corpus_section(content: dict[str, Any]) -> str:
    """Return Table 1 and the artist overlap."""
    rows = []
    for row in content["table1"]:
        cells = [row["class"]]
        for prefix in ("", "paper_"):
            for part in ("train", "test"):
                count = row[f"{prefix}{part}_tracks"]
                cells += ["–" if count is None else str(count), percent(row[f"{prefix}{part}_hours"])]
        rows.append(cells)
    names = ["train tracks", "hours", "test tracks", "hours"]
    columns = ["class", *names, *(f"paper {name}" for name in names)]
    caption = "Table 1. The corpus, and the paper's"
    overlap = Overlap(**content["artist_overlap"]).line()
    return html.section(
        "corpus", "Corpus", html.table(columns, rows, caption, paper_from=5), html.paragraph(overlap)
    )


def figures_section(runs: Sequence[Run], folder: Path) -> str:
    """Return Figures 2 and 3, training curves and confusion matrices, as far as they were drawn."""
    parts = [html.picture(folder / name, text) for name, text in FIGURES.items() if (folder / name).is_file()]
    matrices = [(run, folder / f"confusion_{run.system.name}.png") for run in runs]
    pictures = [
        html.picture(path, f"Confusion matrices of {run.label}: counts; shades are shares of the true class.")
        for run, path in matrices
        if path.is_file()
    ]
    if not parts and not pictures:
        raise UserError(f"{folder}: no figures there; run local/plot_figures.py first")
    return html.section("figures", "Figures", *parts, "<h3>Confusion matrices</h3>", *pictures)


def _frame_shift(data_dir: Path) -> float:
    path = data_dir / "test" / "frame_shift"
    try:
        return float(path.read_text(encoding="utf-8").split()[0]) if path.is_file() else 0.0
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: expected a frame shift in seconds ({error}); run stage 2 again") from error


def errors_section(run: Run, data_dir: Path, out: Path, count: int) -> str:
    """Return the most confidently wrong tracks of a model with their posteriorgrams."""
    predictions = run.system.predictions.get("Seg_acc")
    if predictions is None or not run.kind:
        return html.section("errors", "Confident errors", html.paragraph("No network was scored."))
    errors = confident_errors(predictions, count)
    classes = run.system.classes
    rspecifier = f"scp:{run.path}/post_test/post.scp"
    files = draw_posteriorgrams(errors, classes, rspecifier, _frame_shift(data_dir), out)
    figures = []
    for error, path in zip(errors, files, strict=True):
        caption = (
            f"{error.utt}: {classes[error.ref]} taken for {classes[error.hyp]} by {100 * error.share:.0f} % "
            f"of the frames ({100 * error.ref_share:.0f} % for the true class)"
        )
        figures.append(html.picture(path, caption, f"Posteriors of {error.utt} by class and time"))
    text = (
        "The tracks of the test set whose frames speak most clearly for a wrong class in the majority vote "
        f"of {run.label} ({run.system.name}). Green: the true class; orange: the hypothesis."
    )
    if not errors:
        text = f"{run.label} ({run.system.name}) has every test track right."
    grid = f'<div class="grid">{"".join(figures)}</div>' if figures else ""
    return html.section("errors", "Confident errors", html.paragraph(text), grid)


def tests_section(content: dict[str, Any]) -> str:
    """Return McNemar's tests, the smallest p first."""
    pairs = sorted(content["mcnemar"], key=lambda pair: pair["p_value"])
    rows = [
        [
            pair["first"],
            pair["second"],
            str(pair["first_correct"]),
            str(pair["second_correct"]),
            str(pair["only_first"]),
            str(pair["only_second"]),
            f"{pair['p_value']:.4f}",
            f"{pair['p_holm']:.4f}",
            "exact" if pair["exact"] else "chi-square",
        ]
        for pair in pairs
    ]
    differing = sum(pair["p_holm"] < 0.05 for pair in pairs)
    text = (
        f"McNemar's test on the same test tracks, first seed, Holm-corrected for {len(pairs)} pairs: "
        f"{differing} differ at the 5 % level. A pair that does not differ is not thereby equal."
    )
    columns = ["A", "B", "A right", "B right", "only A", "only B", "p", "p Holm", "test"]
    body = html.table(columns, rows[:15])
    rest = html.table(columns, rows[15:])
    more = (
        f"<details><summary>The other {len(rows) - 15} pairs</summary>{rest}</details>"
        if len(rows) > 15
        else ""
    )
    return html.section("tests", "Tests", html.paragraph(text), body, more)


def provenance_section(runs: Sequence[Run]) -> str:
    """Return what produced each result, with the configurations."""
    record = runs[0].record
    general = html.definitions(
        [("commit", record["commit"]), ("data", f"{record['corpus']}, sha256 {record['data_sha256']}")]
    )
    parts = []
    for run in runs:
        svms = [
            f"{name}: C {svm['C']:g}" + ("" if svm["k"] is None else f", k {svm['k']:g}")
            for name, svm in run.record["svms"].items()
        ]
        facts = [
            ("experiment", run.system.name),
            ("configuration", f"sha256 {run.record['configuration_sha256']}"),
            ("seed", run.record["seed"] + (f" and {len(run.seeds) - 1} more" if len(run.seeds) > 1 else "")),
            ("SVM", "; ".join(svms) or "–"),
        ]
        listings = [html.listing(path, text) for path, text in run.record["configuration"].items()]
        parts.append(f"<h3>{html.escape(run.label)}</h3>" + html.definitions(facts) + "".join(listings))
    return html.section("provenance", "Provenance", general, *parts)

"""Tables, made once: text for results.txt, HTML in the page's template, flat rows for CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm.utils import disp_len

from local.report import paper
from local.report.comparison import OURS, Pair
from local.report.experiments import EXPLANATIONS, Run
from steps.scoring.calibration import expected_calibration_error, reliability
from steps.scoring.measures import Measure
from steps.scoring.predictions import Predictions
from steps.scoring.scores import Scores
from utils import atomic
from utils.cli import UserError

TABLE2 = ("Frame_acc", "Seg_acc")
TABLE4 = ("Seg_acc", "LSeg_acc", "FSeg_acc")
VARIANTS = ("TransSeg_acc", "FullSeg_acc")
CROSSFIT = ("LSeg_cf_acc", "FSeg_cf_acc")
EXTRA_TABLES = "tables.json"


@dataclass(frozen=True)
class Table:
    """Text cells with their headings."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    text: str = ""  # what to know before reading it
    left: int = 1  # columns, from the first, that are flush left
    paper: range = range(0)  # columns of the paper's figures

    @property
    def flush(self) -> list[bool]:
        """Tell for each column whether it is flush left: names and sentences are, numbers are not."""
        words = [any(row[c][:1].isalpha() and len(row[c]) > 12 for row in self.rows)
                 for c in range(len(self.columns))]  # fmt: skip
        return [c < self.left or word for c, word in enumerate(words)]

    def lines(self) -> list[str]:
        """Lay the table out as text, without trailing blanks; a bar stands before the paper's figures."""
        cells = [list(self.columns), *self.rows]
        widths = [max(disp_len(row[c]) for row in cells) for c in range(len(self.columns))]  # 音 takes two

        def line(row: Sequence[str]) -> str:
            blanks = [" " * (width - disp_len(text)) for text, width in zip(row, widths, strict=True)]
            parts = [
                text + blank if flush else blank + text
                for text, blank, flush in zip(row, blanks, self.flush, strict=True)
            ]
            if self.paper:
                parts.insert(self.paper.start, "|")
            return "  ".join(parts).rstrip()

        body = [line(row) for row in cells]
        rule = "-" * max(map(disp_len, body))
        return [self.title, *([self.text] if self.text else []), "", body[0], rule, *body[1:]]

    def paper_first(self) -> Table:
        """Return the table with the paper's figures behind the name, before ours."""
        first, last = self.paper.start, self.paper.stop
        order = [0, *self.paper, *range(1, first), *range(last, len(self.columns))]
        columns = tuple(self.columns[c] for c in order)
        rows = [[row[c] for c in order] for row in self.rows]
        return replace(self, columns=columns, rows=rows, paper=range(1, 1 + len(self.paper)))


def percent(value: float | None) -> str:
    """Return a percentage with two digits, or '-' where there is none."""
    return "-" if value is None else f"{value:.2f}"


def _how(runs: Sequence[Run]) -> str:
    seeds = max(len(run.seeds) for run in runs)
    return f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "[95 % interval], 1 seed"


def _cells(run: Run | None, measures: Sequence[str]) -> list[str]:
    values = [run.value(name) if run else None for name in measures]
    return [value.cell() if value else "-" for value in values]


def _paper_cells(known: paper.PaperModel | None, measures: Sequence[str]) -> list[str]:
    figures = [percent(known.accuracy(name) if known else None) for name in measures]
    return [*figures, known.network or "-" if known else "-"]


def _paper_columns(measures: Sequence[str]) -> list[str]:
    return [*(f"paper {name.removesuffix('_acc')}" for name in measures), "paper's network"]


def _with_paper(
    title: str, ours: list[str], papers: list[str], rows: list[list[str]], text: str = ""
) -> Table:
    columns = (*ours, *papers)
    return Table(title, columns, rows, text, paper=range(len(ours), len(columns)))


def table2(runs: Sequence[Run]) -> Table:
    """Return Table 2: the networks, with the vote by mean log posterior beside the majority vote."""
    measures = [*TABLE2, "LogSeg_acc"]
    rows = [
        [run.label, *_cells(run, measures), *_paper_cells(run.in_paper, TABLE2)] for run in runs if run.kind
    ]
    title = f"Table 2. Frame accuracy, majority vote, and vote by mean log posterior (%, {_how(runs)})"
    return _with_paper(title, ["model", *measures], _paper_columns(TABLE2), rows)


def table4(runs: Sequence[Run]) -> Table:
    """Return Table 4: ``best``, LSTMs, the systems that the paper quotes, the rest that is ours alone."""
    measures = [*TABLE4, *(name for name in CROSSFIT if any(run.value(name) for run in runs))]
    by_name = {run.model: run for run in runs}
    lstms = [run for run in runs if run.kind == "LSTM"]
    first = [by_name[OURS[0][0]]] if OURS[0][0] in by_name else []
    own = [run for run in runs if run not in first + lstms and run.model not in paper.SYSTEMS]
    known_by = [(run, run.in_paper) for run in first + lstms]
    rows = [[run.label, *_cells(run, measures), *_paper_cells(known, TABLE4)] for run, known in known_by]
    for name, known in paper.SYSTEMS.items():
        label = known.label if name in by_name else f"{known.label}, quoted"
        run = by_name.get(name)
        rows.append([label, *_cells(run, measures), *_paper_cells(known, TABLE4)])
        for variant in VARIANTS:
            if run and run.value(variant):
                cells = [*_cells(run, [variant]), *["-"] * (len(measures) - 1)]
                rows.append([f"  {name}, {EXPLANATIONS[variant]}", *cells, *_paper_cells(None, TABLE4)])
    for run in own:
        cells = _cells(run, measures)
        if run.value("ScSeg_acc"):
            cells[0] = _cells(run, ["ScSeg_acc"])[0]
        elif run.kind and not run.value("LSeg_acc"):
            continue
        rows.append([run.label, *cells, *_paper_cells(None, TABLE4)])
    title = (
        f"Table 4. One answer a track (Seg), SVM on f_lstm (LSeg) and on f_fusion (FSeg) (%, {_how(runs)})"
    )
    text = "Quoted: the paper's figure alone. Rows without figures of the paper are this recipe's own."
    if len(measures) > len(TABLE4):
        text += " cf: the SVM was trained on out-of-fold posteriors (--post-crossfit)."
    return _with_paper(title, ["model", *measures], _paper_columns(TABLE4), rows, text)


def set_table(runs: Sequence[Run], name: str) -> Table:
    """Return every accuracy on a test set that the paper has no figures for."""
    measures = [item for item in EXPLANATIONS if any(run.value(item) for run in runs)]
    total = len(runs[0].scores.first_predictions().utts)
    title = f"Test set {name}, {total} tracks, not in the paper: every accuracy (%, {_how(runs)})"
    return Table(title, ("model", *measures), [[run.label, *_cells(run, measures)] for run in runs])


def table1(rows: Sequence[dict[str, Any]], sets: Sequence[str]) -> Table:
    """Return Table 1, the corpus, from the rows of :func:`local.report.corpus.count_tracks`."""
    cells = []
    for row in rows:
        known = paper.TABLE1_TOTAL if row["class"] == "total" else paper.TABLE1.get(row["class"])
        counts = [x for part in sets for x in (str(row[f"{part}_tracks"]), percent(row[f"{part}_hours"]))]
        figures = ["-"] * 4
        if known:
            figures = [
                str(known.train),
                percent(known.train_hours),
                str(known.test),
                percent(known.test_hours),
            ]
        cells.append([row["label"], *counts, *figures])
    ours = ["class", *(text for part in sets for text in (part, "hours"))]
    papers = ["paper train", "hours", "paper test", "hours"]
    return _with_paper("Table 1. The corpus, and the paper's", ours, papers, cells)


def all_accuracies(runs: Sequence[Run]) -> Table:
    """List every accuracy with counts, intervals and balanced accuracy."""
    rows = []
    for run in runs:
        for name, item in run.scores.measures.items():
            by_track = item.extra.get("by_track")
            rows.append(
                [
                    run.path.name,
                    name,
                    percent(item.percent),
                    f"[ {item.correct} / {item.total} ]",
                    "[ {:.2f} {:.2f} ]".format(*item.wilson),
                    "[ {:.2f} {:.2f} ]".format(*by_track) if by_track else "",
                    percent(item.balanced),
                    EXPLANATIONS.get(name, ""),
                ]
            )
    columns = ("experiment", "measure", "%", "counts", "Wilson 95 %", "by track 95 %", "balanced", "how")
    return Table("All accuracies of the first seed", columns, rows, left=2)


def mcnemar_table(pairs: Sequence[Pair]) -> Table:
    """List the tests, family by family."""
    rows = [
        [
            pair.family,
            pair.first,
            pair.second,
            *map(str, (pair.first_correct, pair.second_correct, pair.only_first, pair.only_second)),
            f"{pair.p_value:.4f}",
            f"{pair.p_holm:.4f}",
        ]
        for pair in pairs
    ]
    differing = sum(pair.p_holm < 0.05 for pair in pairs)
    title = f"McNemar's exact test, first seed: {differing} of {len(pairs)} pairs differ at the 5 % level"
    text = (
        "The families were named before the results; p Holm is corrected for the pairs of its family. "
        "A pair that does not differ is not thereby equal."
    )
    columns = ("family", "A", "B", "A right", "B right", "only A", "only B", "p", "p Holm")
    return Table(title, columns, rows, text, left=3)


def class_table(scores: Scores, labels: Sequence[str]) -> Table:
    """Return the accuracies by class, a row a class and a column a measure."""
    rows = []
    for index, name in enumerate(labels):
        cells = []
        for measure in scores.measures.values():
            right, total = int(measure.confusion[index, index]), int(measure.confusion[index].sum())
            cells.append(f"{right} / {total} {percent(100.0 * right / total if total else None):>6}")
        rows.append([name, *cells])
    return Table("# accuracy by class, right / all and %", ("class", *scores.measures), rows)


def confusion_table(measure: Measure, classes: Sequence[str], labels: Sequence[str]) -> Table:
    """Return a confusion matrix with the names of the classes, and their labels before the rows."""
    rows = [
        [label, *map(str, counts)] for label, counts in zip(labels, measure.confusion.tolist(), strict=True)
    ]
    title = f"# confusion matrix of {measure.name}: a row a true class, a column a hypothesis"
    return Table(title, ("", *classes), rows)


def calibration_table(name: str, predictions: Predictions) -> Table:
    """Return how often hypotheses of each confidence are right, and the expected calibration error."""
    bins = reliability(predictions.confidence, predictions.right)
    rows = [
        [f"{b.low:.1f} - {b.high:.1f}", str(b.count), percent(100 * b.confidence), percent(100 * b.accuracy)]
        for b in bins
    ]
    error = 100 * expected_calibration_error(bins)
    title = f"# calibration of {name}: expected calibration error {error:.2f} points"
    return Table(title, ("probability", "tracks", "mean %", "right %"), rows)


def extra_tables(folder: Path) -> list[Table]:
    """Read the tables that an experiment or a corpus brings with it, if it does.

    UserError if the file is not a list of tables: title, text, columns, rows of as many cells.
    """
    path = folder / EXTRA_TABLES
    if not path.is_file():
        return []
    try:
        found = []
        for item in json.loads(path.read_text(encoding="utf-8")):
            columns = tuple(map(str, item["columns"]))
            rows = [[str(cell) for cell in row] for row in item["rows"]]
            if any(len(row) != len(columns) for row in rows):
                raise ValueError(f"'{item['title']}' has rows of another length than its columns")
            found.append(Table(str(item["title"]), columns, rows, str(item.get("text", ""))))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not a list of tables ({error}); run what writes it again") from error
    return found


def caveats(runs: Sequence[Run], corpus: str) -> list[str]:
    """Return what a reader must know before comparing our columns with the paper's."""
    total = len(runs[0].scores.first_predictions().utts)
    lines = []
    if corpus.endswith("_folds"):
        lines.append("The paper divides its corpus once; its figures are not of a cross-validation.")
        corpus = corpus.removesuffix("_folds")
    if corpus != paper.CORPUS:
        lines.append(
            f"The paper's figures are for another corpus ({paper.CORPUS_NAME}, {paper.NUM_TEST} test tracks) "
            f"than {corpus} ({total}): they stand here for the layout, not for comparison."
        )
    elif total != paper.NUM_TEST:
        lines.append(f"The paper tests on {paper.NUM_TEST} tracks, this is on {total}.")
    if any(run.in_paper and run.kind and run.dims != run.in_paper.network for run in runs):
        lines.append(
            "Networks of other dimensions than the paper's stand in the row of the one they replace."
        )
    lines += [f"{run.model}: {run.record['half_way']}." for run in runs if run.record.get("half_way")]
    return lines


def flat_rows(runs: Sequence[Run], test_set: str) -> list[dict[str, Any]]:
    """Return a row for each experiment and accuracy, for CSV and JSON: numbers are of all seeds' mean."""
    rows = []
    for run in runs:
        for measure in run.scores.measures:
            if value := run.value(measure):
                row = {
                    "set": test_set,
                    "model": run.label,
                    "experiment": run.path.name,
                    "measure": measure,
                    "seeds": len(run.seeds),
                    "percent": value.percent,
                    "sd": value.deviation,
                    "correct": value.correct,
                    "total": value.total,
                    "low95": value.wilson[0],
                    "high95": value.wilson[1],
                    "balanced": value.balanced,
                    "paper": run.in_paper.accuracy(measure) if run.in_paper and test_set == "test" else None,
                }
                rows.append(row)
    return rows


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; floats keep six significant digits, None is empty."""
    with atomic.replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row])

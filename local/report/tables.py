"""Tables, made once: text for results.txt, HTML in the page's template."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.utils import disp_len

from local.report import paper
from local.report.experiments import BEST, EXPLANATIONS, Run
from steps.scoring.reference import read_reference
from steps.scoring.scores import Measure, Scores
from steps.scoring.significance import expected_calibration_error, reliability
from utils import tables as text_tables
from utils.cli import UserError

TABLE2 = ("Frame_acc", "Seg_acc")
TABLE4 = ("Seg_acc", "LSeg_acc", "FSeg_acc")
EXTRA_TABLES = "tables.json"


@dataclass(frozen=True)
class Table:
    """Text cells with their headings."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: str = ""  # what to know before reading it
    paper: int = 0  # columns of the paper's figures, behind the first

    @property
    def flush(self) -> list[bool]:
        """Tell for each column whether it is flush left: names and sentences are, numbers are not."""
        columns = range(len(self.columns))
        return [c == 0 or any(row[c][:1].isalpha() for row in self.rows) for c in columns]

    def lines(self) -> list[str]:
        """Lay the table out as text, without trailing blanks; a bar stands behind the paper's figures."""
        cells = [self.columns, *self.rows]
        widths = [max(map(disp_len, column)) for column in zip(*cells, strict=True)]  # 音 takes two
        body = []
        for row in cells:
            parts = []
            for text, width, flush in zip(row, widths, self.flush, strict=True):
                blank = " " * (width - disp_len(text))
                parts.append(text + blank if flush else blank + text)
            if self.paper:
                parts.insert(1 + self.paper, "|")
            body.append("  ".join(parts).rstrip())
        rule = "-" * max(map(disp_len, body))
        return [self.title, *([self.text] if self.text else []), "", body[0], rule, *body[1:]]


def percent(value: float | None) -> str:
    """Return a percentage with two digits, or '-' where there is none."""
    return "-" if value is None else f"{value:.2f}"


def _with_paper(
    title: str, runs: Sequence[Run], papers: Sequence[str], ours: Sequence[str], rows: list, text: str = ""
) -> Table:
    """Return the paper's measures and ours; a row: label, run or None, the paper's row, first of ours."""
    cells = []
    for label, run, model, first in rows:
        figures = [percent(paper.ACCURACIES.get(model, {}).get(name)) for name in papers]
        found = [run.cell(name) if run else "-" for name in (first, *ours[1:])]
        cells.append([label, *figures, paper.NETWORKS.get(model, "-"), *found])
    columns = ["model", *(f"paper {name.removesuffix('_acc')}" for name in papers), "paper's network", *ours]
    seeds = max(len(run.seeds) for run in runs)
    how = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "[95 % interval], 1 seed"
    return Table(f"{title} (%, {how})", columns, cells, text, paper=len(papers) + 1)


def table2(runs: Sequence[Run]) -> Table:
    """Return Table 2: the networks, with the vote by mean log posterior beside the majority vote."""
    rows = [(run.label, run, run.model, TABLE2[0]) for run in runs if run.kind]
    title = "Table 2. Frame accuracy, majority vote, and vote by mean log posterior"
    return _with_paper(title, runs, TABLE2, [*TABLE2, "LogSeg_acc"], rows)


def table4(runs: Sequence[Run]) -> Table:
    """Return Table 4: ``best``, LSTMs, the systems that the paper quotes, the rest that is ours alone."""
    vote = TABLE4[0]
    by_name = {run.model: run for run in runs}
    ours = [run for run in runs if run.model == BEST] + [run for run in runs if run.kind == "LSTM"]
    rows: list[tuple[str, Run | None, str, str]] = [(run.label, run, run.model, vote) for run in ours]
    for name, authors in paper.SYSTEMS.items():
        known = by_name.get(name)
        rows.append((f"{name} ({authors}){'' if known else ', quoted'}", known, name, vote))
        for variant in ("TransSeg_acc", "FullSeg_acc"):
            if known and known.repeated(variant):
                rows.append((f"  {name}, {EXPLANATIONS[variant]}", known, "", variant))
    for run in runs:
        if run not in ours and run.model not in paper.SYSTEMS and (not run.kind or run.repeated("LSeg_acc")):
            rows.append((run.label, run, "", "ScSeg_acc" if run.repeated("ScSeg_acc") else vote))
    title = "Table 4. One answer a track (Seg), SVM on f_lstm (LSeg) and on f_fusion (FSeg)"
    text = "Quoted: the paper's figure alone. Rows without figures of the paper are this recipe's own."
    crossfit = ["LSeg_cf_acc", "FSeg_cf_acc"] if any(run.repeated("LSeg_cf_acc") for run in runs) else []
    if crossfit:
        text += " cf: the SVM was trained on out-of-fold posteriors (--post-crossfit)."
    return _with_paper(title, runs, TABLE4, [*TABLE4, *crossfit], rows, text)


def class_labels(folder: Path, classes: Sequence[str]) -> list[str]:
    """Return how classes are shown: with the name that people write, where it is another."""
    path = folder / "genre2name"
    named = text_tables.read_table(path, is_sorted=False) if path.is_file() else {}
    return [f"{name} ({named[name]})" if name in named else name for name in classes]


def table1(data_dir: Path, sets: Sequence[str]) -> Table:
    """Return Table 1, the corpus: tracks and hours of each set, by class and in total."""
    references = [read_reference(data_dir / part) for part in sets]
    classes = references[0].classes
    columns = ["class", "paper train", "hours", "paper test", "hours"]
    rows = [[label] for label in [*class_labels(data_dir / sets[0], classes), "total"]]
    for name, row in zip([*classes, "total"], rows, strict=True):
        row += [percent(x) if isinstance(x, float) else str(x) for x in paper.TABLE1.get(name, "----")]
    for part, reference in zip(sets, references, strict=True):
        path = data_dir / part / "utt2dur"
        seconds = text_tables.read_table(path) if path.is_file() else {}
        for index, row in enumerate(rows):
            utts = [utt for utt, genre in reference.genre.items() if index in (genre, len(classes))]
            hours = sum(float(seconds[utt]) for utt in utts) / 3600 if seconds else None
            row += [str(len(utts)), percent(hours)]
        columns += [part, "hours"]
    return Table("Table 1. The corpus, and the paper's", columns, rows, paper=4)


def all_accuracies(runs: Sequence[Run], test_set: str) -> Table:
    """List every accuracy on a test set with counts, intervals and balanced accuracy."""
    rows = []
    for run in runs:
        for name, item in run.scores.measures.items():
            intervals = ["[ {:.2f} {:.2f} ]".format(*x) if x else "" for x in (item.wilson, item.by_track)]
            counts = f"[ {item.correct} / {item.total} ]"
            seeds = run.cell(name) if len(run.seeds) > 1 else ""
            cells = [percent(item.percent), counts, *intervals, percent(item.balanced), seeds]
            rows.append([run.path.name, name, *cells, EXPLANATIONS.get(name, "")])
    names = ["Wilson 95 %", "by track 95 %", "balanced", "seeds", "how"]
    columns = ["experiment", "measure", "%", "counts", *names]
    total = len(runs[0].scores.tracks.utts)
    return Table(f"Test set {test_set}, {total} tracks: every accuracy of the first seed", columns, rows)


def mcnemar_table(tests: Sequence[dict[str, Any]]) -> Table:
    """List the tests, family by family."""
    rows = [[f"{x:.4f}" if isinstance(x, float) else str(x) for x in test.values()] for test in tests]
    differing = sum(test["p_holm"] < 0.05 for test in tests)
    title = f"McNemar's exact test, first seed: {differing} of {len(tests)} pairs differ at the 5 % level"
    text = (
        "The families were named before the results; p Holm is corrected for the pairs of its family. "
        "A pair that does not differ is not thereby equal."
    )
    columns = ("family", "A", "B", "A right", "B right", "only A", "only B", "p", "p Holm")
    return Table(title, columns, rows, text)


def class_table(scores: Scores, labels: Sequence[str]) -> Table:
    """Return the accuracies by class, a row a class and a column a measure."""
    rows = [[label] for label in labels]
    for confusion in (measure.confusion for measure in scores.measures.values()):
        for row, right, total in zip(rows, np.diag(confusion), confusion.sum(axis=1), strict=True):
            row.append(f"{right} / {total} {percent(100.0 * right / total if total else None):>6}")
    return Table("# accuracy by class, right / all and %", ("class", *scores.measures), rows)


def confusion_table(measure: Measure, classes: Sequence[str], labels: Sequence[str]) -> Table:
    """Return a confusion matrix with the names of the classes, and their labels before the rows."""
    rows = [[label, *map(str, row)] for label, row in zip(labels, measure.confusion.tolist(), strict=True)]
    title = f"# confusion matrix of {measure.name}: a row a true class, a column a hypothesis"
    return Table(title, ("", *classes), rows)


def calibration_tables(scores: Scores) -> list[Table]:
    """Return how often hypotheses of each confidence are right, where there are probabilities."""
    found = []
    for name, measure in scores.measures.items():
        if (table := measure.tracks) and table.probabilities:
            confidence = np.take_along_axis(table.scores, table.hyp[:, None], axis=1)[:, 0]
            bins = reliability(confidence, table.right)
            rows = []
            for low, high, count, *means in bins.tolist():
                rows.append([f"{low:.1f} - {high:.1f}", f"{count:.0f}", *(percent(100 * x) for x in means)])
            error = f"expected calibration error {100 * expected_calibration_error(bins):.2f} points"
            columns = ("probability", "tracks", "mean %", "right %")
            found.append(Table(f"# calibration of {name}: {error}", columns, rows))
    return found


def extra_tables(folder: Path) -> list[Table]:
    """Read the tables (title, text, columns, rows) that an experiment or a corpus brings with it, if any."""
    path = folder / EXTRA_TABLES
    try:
        return [Table(**item) for item in json.loads(path.read_bytes())] if path.is_file() else []
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not a list of tables ({error}); run what writes it again") from error


def caveats(runs: Sequence[Run], corpus: str) -> list[str]:
    """Return what a reader must know before comparing our columns with the paper's."""
    total, name = len(runs[0].scores.tracks.utts), corpus.removesuffix("_folds")
    lines = []
    if name != corpus:
        lines.append("The paper divides its corpus once; its figures are not of a cross-validation.")
    if name != paper.CORPUS:
        lines.append(
            f"The paper's figures are for another corpus ({paper.CORPUS_NAME}, {paper.NUM_TEST} test tracks) "
            f"than {name} ({total}): they stand here for the layout, not for comparison."
        )
    elif total != paper.NUM_TEST:
        lines.append(f"The paper tests on {paper.NUM_TEST} tracks, this is on {total}.")
    if any(run.kind and run.dims != paper.NETWORKS.get(run.model, run.dims) for run in runs):
        lines.append(
            "Networks of other dimensions than the paper's stand in the row of the one they replace."
        )
    return lines + [f"{run.model}: {run.record['half_way']}." for run in runs if run.record.get("half_way")]

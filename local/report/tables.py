"""Tables 1, 2 and 4 in the paper's layout: our figures, and beside them the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local.report import paper
from local.report.layout import BAR, percent, render
from local.report.runs import Run
from steps.scoring.comparison import Pair, compare_pairs, same_tracks
from steps.scoring.system import EXPLANATIONS
from utils.cli import UserError

TABLE2 = ("Frame_acc", "Seg_acc")
TABLE4 = ("Seg_acc", "LSeg_acc", "FSeg_acc")
CROSSFIT = ("LSeg_cf_acc", "FSeg_cf_acc")
TESTED = ("Seg_acc", "LSeg_acc", "FSeg_acc", "ScSeg_acc")


def caveats(runs: Sequence[Run]) -> list[str]:
    """Return what a reader must know before comparing our columns with the paper's."""
    record = runs[0].record
    lines = []
    if record["corpus"] != paper.CORPUS:
        lines.append(
            f"The paper's figures are for another corpus ({paper.CORPUS_NAME}, {paper.NUM_TEST} test tracks) "
            f"than {record['corpus']} ({record['num_tracks']['test']}): they stand here for the layout, not "
            "for comparison."
        )
    elif record["num_tracks"]["test"] != paper.NUM_TEST:
        lines.append(
            f"The paper tests on {paper.NUM_TEST} tracks, this is on {record['num_tracks']['test']}."
        )
    if any(run.in_paper and f"({dims_text(run)})" not in run.in_paper.label for run in runs):
        lines.append(
            "Networks of other dimensions than the paper's stand in the row of the one they replace."
        )
    return lines


def dims_text(run: Run) -> str:
    """Return a model's dimensions joined by dashes, empty where there is no network."""
    return "-".join(str(dim) for dim in run.record["network"]["dims"]) if run.record["network"] else ""


def table_rows(runs: Sequence[Run], measures: Sequence[str]) -> list[dict[str, Any]]:
    """Return a table as flat rows for CSV and JSON, a row a model.

    Every measure has percent, standard deviation (None with one seed), counts, Wilson interval, balanced
    accuracy and the paper's figure.
    """
    rows = []
    for run in runs:
        row: dict[str, Any] = {"model": run.label, "experiment": run.system.name, "seeds": len(run.seeds)}
        row["paper_model"] = run.in_paper.label if run.in_paper else None
        for measure in measures:
            value = run.value(measure)
            row[measure] = value.percent if value else None
            row[f"{measure}_sd"] = value.deviation if value else None
            row[f"{measure}_correct"] = value.correct if value else None
            row[f"{measure}_total"] = value.total if value else None
            row[f"{measure}_low95"] = value.wilson[0] if value else None
            row[f"{measure}_high95"] = value.wilson[1] if value else None
            row[f"{measure}_balanced"] = value.balanced if value else None
            row[f"{measure}_paper"] = run.in_paper.accuracy(measure) if run.in_paper else None
        rows.append(row)
    return rows


def _cell(run: Run, measure: str) -> str:
    value = run.value(measure)
    return value.cell() if value else "-"


def _paper_cells(run: Run, measures: Sequence[str]) -> list[str]:
    known = run.in_paper
    figures = [percent(known.accuracy(m) if known else None) for m in measures]
    return [*figures, known.label.partition("(")[2].rstrip(")") if known else "-"]


def _how(runs: Sequence[Run]) -> str:
    seeds = max(len(run.seeds) for run in runs)
    return f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "[95 % interval], 1 seed"


def _headings(measures: Sequence[str]) -> list[str]:
    first, *others = (name.removesuffix("_acc") for name in measures)
    return [*measures, BAR, f"paper: {first}", *others, "network"]


def table2(runs: Sequence[Run]) -> list[str]:
    """Lay out Table 2, with the vote by mean log posterior in an extra row below each model."""
    rows = []
    for run in (run for run in runs if run.kind):
        rows.append([run.label, *(_cell(run, name) for name in TABLE2), *_paper_cells(run, TABLE2)])
        if run.value("LogSeg_acc"):
            rows.append(["  vote by mean log posterior", "", _cell(run, "LogSeg_acc"), "", "", ""])
    title = f"Table 2. Frame accuracy, and segment accuracy by majority vote (%, {_how(runs)})"
    return [title, "", *render(["model", *_headings(TABLE2)], rows)]


def table4(runs: Sequence[Run]) -> list[str]:
    """Lay out Table 4: the LSTMs, then what the paper quotes, then what is ours beyond the paper."""
    extra = [name for name in CROSSFIT if any(run.value(name) for run in runs)]
    measures = [*TABLE4, *extra]
    columns = ["model", *measures, BAR, *_headings(TABLE4)[len(TABLE4) + 1 :]]
    rows = []
    for run in (run for run in runs if run.kind == "LSTM"):
        rows.append([run.label, *(_cell(run, name) for name in measures), *_paper_cells(run, TABLE4)])
    blank = [""] * len(measures)
    for key, _, accuracy in paper.QUOTED:
        rows.append([f"{key} (quoted)", *blank, percent(accuracy), "", "", ""])
    for run in runs:
        if run.value("ScSeg_acc"):
            cells = [_cell(run, "ScSeg_acc"), *blank[1:]]
            rows.append([run.label, *cells, "-", "-", "-", "-"])
        if run.kind == "DNN" and any(run.value(name) for name in TABLE4[1:]):
            cells = [_cell(run, name) for name in measures]
            rows.append([run.label, *cells, "-", "-", "-", "-"])
    title = f"Table 4. Majority vote, SVM on f_lstm (LSeg) and on f_fusion (FSeg) (%, {_how(runs)})"
    notes = [
        "quoted: systems that the paper cites ("
        + ", ".join(f"{key}: {who}" for key, who, _ in paper.QUOTED)
        + "), not rerun. Rows without figures of the paper are this recipe's own."
    ]
    if extra:
        notes.append("cf: the SVM was trained on out-of-fold posteriors (--post-crossfit).")
    return [title, "", *render(columns, rows), "", *notes]


def table1(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lay out Table 1, the corpus."""
    columns = ["class", "tracks train", "test", "hours train", "test", BAR]
    columns += ["paper tracks train", "test", "hours train", "test"]
    cells = []
    for row in rows:
        words = [row["class"]]
        for prefix in ("", "paper_"):
            words += [
                str(n) if (n := row[f"{prefix}{part}_tracks"]) is not None else "-"
                for part in ("train", "test")
            ]
            words += [percent(row[f"{prefix}{part}_hours"]) for part in ("train", "test")]
        cells.append(words)
    return ["Table 1. The corpus, and the paper's", "", *render(columns, cells)]


def all_accuracies(runs: Sequence[Run]) -> list[str]:
    """List every accuracy with counts, interval and balanced accuracy."""
    rows = []
    for run in runs:
        for name, measure in run.system.measures.items():
            low, high = measure.wilson
            rows.append(
                [
                    run.system.name,
                    name,
                    percent(measure.percent),
                    f"[ {measure.correct} / {measure.total} ]",
                    f"[ {low:.2f} {high:.2f} ]",
                    percent(measure.balanced),
                    EXPLANATIONS.get(name, ""),
                ]
            )
    columns = ["experiment", "measure", "%", "counts", "Wilson 95 %", "balanced", "how"]
    return ["All accuracies of the first seed", "", *render(columns, rows, left=2)]


def test_pairs(runs: Sequence[Run]) -> list[Pair]:
    """Test every pair of our systems (first seed): majority vote, SVMs on f_lstm, f_fusion and f_sc.

    Raises
    ------
    UserError
        If the systems were not scored on the same tracks.
    """
    systems = {}
    for run in runs:
        for name in TESTED:
            if name in run.system.predictions and not (run.kind == "DNN" and name in TABLE4[1:]):
                systems[f"{run.system.name} {name.removesuffix('_acc')}"] = run.system.predictions[name]
    names = list(systems)
    for name in names[1:]:
        if not same_tracks(systems[names[0]], systems[name]):
            raise UserError(
                f"'{names[0]}' and '{name}' were not scored on the same tracks; run stages 6 to 9 again"
            )
    return compare_pairs(systems)


def mcnemar_table(pairs: Sequence[Pair]) -> list[str]:
    """List the tests, the smallest p first."""
    rows = [
        [
            pair.first,
            pair.second,
            str(pair.first_correct),
            str(pair.second_correct),
            str(pair.only_first),
            str(pair.only_second),
            f"{pair.p_value:.4f}",
            f"{pair.p_holm:.4f}",
            "exact" if pair.exact else "chi2",
        ]
        for pair in sorted(pairs, key=lambda pair: pair.p_value)
    ]
    differing = sum(pair.p_holm < 0.05 for pair in pairs)
    title = (
        f"McNemar's test of every pair of our systems, Holm-corrected for {len(pairs)} pairs: "
        f"{differing} differ at the 5 % level"
    )
    columns = ["A", "B", "A right", "B right", "only A", "only B", "p", "p Holm", "test"]
    return [title, "", *render(columns, rows, left=2)]

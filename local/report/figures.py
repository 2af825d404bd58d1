"""Figures 2 and 3, training curves, confusion matrices and posteriorgrams: each as .png, .pdf and .csv.

Colours are for colour-blind readers, line styles for print; files hold no dates.
"""

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from cycler import cycler

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from local.report.experiments import Run
from local.report.tables import write_csv
from steps import archive
from steps.scoring.reference import Reference, read_reference
from steps.scoring.scores import Measure, Predictions
from steps.scoring.segment import read_posteriors
from steps.scoring.svm import read_svm
from utils import atomic, tables

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe and Ito's palette, the most different first."""
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5)), (0, (7, 2, 1, 1, 1, 1)), (0, (2, 1.5)))
STYLES = cycler(color=COLOURS) + cycler(linestyle=(*LINES, *LINES[:2]))
GREY, HEAT = "#444444", "Blues"
EDGE = {"color": GREY, "linestyle": ":", "linewidth": 0.9}
ITERS = ("iter", "lr", "tr_loss", "tr_acc", "cv_loss", "cv_acc", "accepted")
NUM_ERRORS = 4  # confident errors that are shown
Errors = tuple[Run, dict[int, Path]]
"""A network, and the pictures of its most confident errors by the row of the track in its predictions."""

mpl.rcParams.update(
    {
        **{"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9},
        **{"legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.titlelocation": "left"},
        **{"axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.grid": True},
        **{"grid.color": "#dddddd", "grid.linewidth": 0.5, "lines.linewidth": 1.2, "axes.prop_cycle": STYLES},
        **{"pdf.fonttype": 3, "figure.constrained_layout.use": True},
    }
)


def draw(runs: Sequence[Run], data_dir: Path, drawn: Path, out: Path, nj: int) -> Errors | None:
    """Draw every figure that there are data for into ``drawn``, ``nj`` side by side, the longest first.

    ``runs`` were scored on the set ``data_dir``. Posteriorgrams of the confident errors of the first LSTM (or
    network) go to ``out``; returns what they are, or None where no posteriors are left.
    """
    networks = [run for run in runs if run.kind]
    names = [run.label for run in networks]
    labels = {
        run.label if names.count(run.label) < 2 else f"{run.label} {run.model}": run for run in networks
    }
    shown = next((run for run in networks if run.kind == "LSTM"), [*networks, *runs][0])
    posteriors = shown.path / f"post_{data_dir.name}" / "post.scp"
    calls, errors = [], None
    if posteriors.is_file():
        scp, table = f"scp:{posteriors}", shown.scores.tracks
        title = f"Figure 2. Scores of {shown.label} on the test set of {data_dir.parent.name}"
        calls.append(partial(draw_figure2, read_reference(data_dir), scp, title, drawn / "figure2"))
        shift = data_dir / "frame_shift"
        seconds = float(tables.read_text(shift)) if shift.is_file() else 0.0
        pictures = {row: out / f"error_{n}.png" for n, row in enumerate(confident_errors(table), start=1)}
        for row, file in pictures.items():
            calls.append(partial(draw_posteriorgram, table, row, scp, seconds, file.with_suffix("")))
        errors = shown, pictures
    swept, curves = (
        {label: run.path / name for label, run in labels.items() if (run.path / name).is_file()}
        for name in ("sweep_k.tsv", "iters.tsv")
    )
    if lstms := {label: path for label, path in swept.items() if labels[label].kind == "LSTM"}:
        k = read_svm(next(iter(lstms.values())).parent / "svm_lstm/svm.npz").k
        calls.append(partial(draw_figure3, lstms, k, drawn / "figure3"))
    if curves:
        calls.append(partial(draw_training, curves, drawn / "training"))
    for run in runs:
        title, stem = f"{run.label}, {run.path.name}", drawn / f"confusion_{run.path.name}"
        calls.append(partial(draw_confusion, run.scores.measures, run.scores.classes, title, stem))
    with ProcessPoolExecutor(nj, multiprocessing.get_context("fork")) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()
    return errors


def save(figure: Figure, stem: Path, *, dpi: int = 160) -> None:
    """Write ``stem``.png and ``stem``.pdf atomically, and close the figure."""
    figure.set_dpi(dpi)
    if layout := figure.get_layout_engine():
        for _ in range(2 if len(figure.axes) > 2 else 1):  # until it settles; then both files are the same
            layout.execute(figure)
    figure.set_layout_engine("none")
    with atomic.replacing(stem.with_suffix(".png"), "wb") as file:  # savefig draws twice
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    with atomic.replacing(stem.with_suffix(".pdf"), "wb") as file:
        FigureCanvasPdf(figure).print_pdf(file, metadata={"CreationDate": None, "Creator": None})
    plt.close(figure)


def _legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    handles, names = axes.get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    for line in legend.get_lines():
        line.set(linewidth=1.4, alpha=1.0)


def _frame_lines(axes: Axes, values: np.ndarray) -> None:
    """Draw a line a class through very many frames so that no class hides the others.

    The lines are drawn in short pieces, the classes taking turns, and the thinner the more frames there are.
    """
    total, count = values.shape
    length = max(2, total // 8000)
    positions = np.arange(total) + 0.5
    pieces, colours = [], []
    for start in range(0, total - 1, length):
        part = slice(start, start + length + 1)
        for turn in range(count):
            index = (turn + start // length) % count
            pieces.append(np.column_stack([positions[part], values[part, index]]))
            colours.append(COLOURS[index % len(COLOURS)])
    alpha = float(np.clip((1500.0 / total) ** 0.5, 0.06, 0.8))
    axes.add_collection(LineCollection(pieces, colors=colours, linewidths=0.4, alpha=alpha, rasterized=True))


def draw_figure2(reference: Reference, rspecifier: str, title: str, stem: Path) -> None:
    """Draw the scores of every track and frame in the order of the true classes; frames go to _frames.csv."""
    classes = reference.classes
    read = {utt: post.copy() for utt, post in read_posteriors(reference, rspecifier)}
    utts = sorted(reference.genre, key=lambda utt: (reference.genre[utt], utt.encode()))
    labels, posts = [reference.genre[utt] for utt in utts], [read[utt] for utt in utts]
    frames, lengths = np.concatenate(posts), [len(post) for post in posts]
    tracks = np.array([(p.max(axis=0), p.min(axis=0), p.mean(axis=0, dtype=np.float64)) for p in posts])
    names = ("maximum", "minimum", "mean")
    figure, panels = plt.subplots(4, 1, figsize=(7.5, 9.5))
    for number, values in enumerate((*tracks.transpose(1, 0, 2), frames)):
        axes, dense, crowded = panels[number], values is frames, len(values) > 200
        if dense:
            _frame_lines(axes, values)
        elif crowded:
            axes.set_prop_cycle(color=COLOURS)
        for name, column in zip(() if dense else classes, values.T, strict=False):
            thin = {"linewidth": 0.5, "alpha": 0.75} if crowded else {}
            axes.plot(np.arange(len(values)) + 0.5, column, label=name, **thin)
        sizes = np.bincount(labels, weights=lengths if dense else None, minlength=len(classes))
        edges = np.cumsum(sizes)
        for edge in edges[:-1]:
            axes.axvline(edge, **EDGE)
        top = axes.secondary_xaxis("top")
        top.set_xticks(edges - sizes / 2, classes, fontsize=6.5, rotation=20, ha="left")
        top.tick_params(length=0, pad=1)
        top.spines["top"].set_visible(False)
        axes.set(xlim=(0, len(values)), ylim=(-0.02, 1.02), ylabel="posterior")
        axes.grid(visible=False, axis="x")
        heading = (
            "Posterior of each frame" if dense else f"{names[number].capitalize()} posterior of each track"
        )
        axes.set_title(f"({'abcd'[number]}) {heading}")
        axes.set_xlabel(f"{'frame' if dense else 'track'}, in the order of the true classes")
    _legend_below(figure, panels[0], len(classes))
    figure.suptitle(title, fontsize=10)
    save(figure, stem)
    header = ["index", "utt", "ref", *(f"{panel}:{name}" for panel in names for name in classes)]
    by_track = zip(utts, labels, tracks.reshape(len(utts), -1).tolist(), strict=True)
    rows = ([row, utt, classes[ref], *values] for row, (utt, ref, values) in enumerate(by_track))
    write_csv(stem.with_suffix(".csv"), header, rows)
    places = ((utt, frame) for utt, length in zip(utts, lengths, strict=True) for frame in range(length))
    by_frame = ([row, *place, *frames[row].tolist()] for row, place in enumerate(places))
    write_csv(stem.with_name(f"{stem.name}_frames.csv"), ["index", "utt", "frame", *classes], by_frame)


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Read numbers by column of a table with tabs; '-' is a gap, true and false are 1 and 0."""

    def parse(row: dict[str, str]) -> list[float]:
        return [float({"-": "nan", "true": "1", "false": "0"}.get(row[name], row[name])) for name in columns]

    found = tables.read_tsv(path, columns, parse, "run what writes it again")
    return dict(zip(columns, np.array(found).T, strict=True))


def draw_figure3(sweeps: Mapping[str, Path], k: float, stem: Path) -> None:
    """Draw accuracy against k of each model's sweep_k.tsv, f_lstm left, f_fusion right; ``k`` is marked."""
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.9), sharey=True)
    rows = []
    for axes, letter, kind in zip(panels, "ab", ("lstm", "fusion"), strict=True):
        for number, (label, path) in enumerate(sweeps.items()):
            found = read_columns(path, ("k", f"{kind}_correct", "total"))
            accuracy = 100 * found[f"{kind}_correct"] / found["total"]
            marks = {"marker": "os^DvP"[number % 6], "markersize": 3.2, "markevery": (number, 5)}
            axes.plot(found["k"], accuracy, label=label, **marks)
            rows += [[label, kind, *map(float, row)] for row in zip(*found.values(), accuracy, strict=True)]
        axes.axvline(k, **EDGE)
        axes.text(k, 1.01, f"k = {k:g}", transform=axes.get_xaxis_transform(), ha="center", fontsize=7)
        axes.set(title=f"({letter}) SVM on f_{kind}", xlabel="k, threshold of the share of frames")
        axes.set_xlim(0.495, 1.0)
    panels[0].set_ylabel("test accuracy (%)")
    _legend_below(figure, panels[0], 4 if max(map(len, sweeps)) < 22 else 2)
    save(figure, stem)
    write_csv(stem.with_suffix(".csv"), ["model", "feature", "k", "correct", "total", "percent"], rows)


def draw_training(curves: Mapping[str, Path], stem: Path) -> None:
    """Draw loss, frame accuracy and learning rate of each model's iters.tsv against the iteration."""
    size = (7.5, 1.2 + 1.55 * len(curves))
    figure, grid = plt.subplots(len(curves), 3, figsize=size, squeeze=False, sharex="row")
    rows: list[list[object]] = []
    for panels, (label, path) in zip(grid, curves.items(), strict=True):
        found = read_columns(path, ITERS)
        steps, refused = found["iter"], found["accepted"] == 0
        for axes, part in zip(panels, ("loss", "acc"), strict=False):
            for side, name in (("tr", "training"), ("cv", "held out (cv)")):
                axes.plot(steps, found[f"{side}_{part}"], label=name)
            rejected = found[f"cv_{part}"][refused]
            axes.plot(steps[refused], rejected, "x", markersize=4, color=GREY, label="rejected")
        known = found["lr"] > 0
        rates = found["lr"][known]
        panels[2].step(steps[known], rates, where="mid", color=COLOURS[2])
        panels[2].set_yscale("log")
        panels[0].set_ylabel(label.replace(" (", "\n("), fontsize=7.5)
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        rows += [[label, *map(float, row)] for row in zip(*found.values(), strict=True)]
    titles = ("cross-entropy per frame", "frame accuracy (%)", "learning rate")
    for first, last, title in zip(grid[0], grid[-1], titles, strict=True):
        first.set_title(title)
        last.set_xlabel("iteration")
    _legend_below(figure, grid[0][0], 3)
    save(figure, stem)
    write_csv(stem.with_suffix(".csv"), ["model", *ITERS], rows)


def draw_confusion(measures: Mapping[str, Measure], classes: Sequence[str], title: str, stem: Path) -> None:
    """Draw confusion matrices side by side: colours are shares of the true class, numbers are counts."""
    columns = min(3, len(measures))
    lines = -(-len(measures) // columns)
    size = (2.35 * columns + 0.9, 2.75 * lines + 0.5)
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False)
    rows = []
    for axes in grid.flat[len(measures) :]:
        axes.set_visible(False)
    for number, (axes, (name, measure)) in enumerate(zip(grid.flat, measures.items(), strict=False)):
        counts = measure.confusion
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap=HEAT, vmin=0.0, vmax=1.0)
        for (i, j), n in np.ndenumerate(counts):
            colour = "white" if shares[i, j] > 0.55 else "black"
            if n:
                axes.text(j, i, str(n), ha="center", va="center", fontsize=6.5, color=colour)
            rows.append([name, classes[i], classes[j], int(n), float(shares[i, j])])
        axes.set_title(f"{name} {measure.percent:.2f} %", fontsize=8.5, loc="center")
        places, small = range(len(classes)), {"fontsize": 6.5}
        axes.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor", **small)
        axes.set_yticks(places, [""] * len(classes) if number % columns else classes, **small)
        axes.grid(visible=False)
        axes.tick_params(length=0)
    figure.supylabel("true class", fontsize=8.5)
    figure.supxlabel("hypothesis", fontsize=8.5)
    figure.suptitle(title, fontsize=10)
    save(figure, stem)
    write_csv(stem.with_suffix(".csv"), ["measure", "ref", "hyp", "count", "share"], rows)


def confident_errors(table: Predictions) -> list[int]:
    """Return the rows of the wrong tracks with the largest margin of the wrong class over the true one."""
    rows = np.arange(len(table.utts))
    margins = table.scores[rows, table.hyp] - table.scores[rows, table.ref]
    return sorted(np.flatnonzero(~table.right).tolist(), key=lambda row: (-margins[row], row))[:NUM_ERRORS]


def draw_posteriorgram(table: Predictions, row: int, rspecifier: str, frame_shift: float, stem: Path) -> None:
    """Draw the posteriors of a track, class against time, or against frames if the shift (s) is 0."""
    classes = table.classes
    post = archive.RandomReader(rspecifier).get(table.utts[row])
    figure, axes = plt.subplots(figsize=(5.2, 1.9))
    extent = (0.0, len(post) * (frame_shift or 1.0), len(classes) - 0.5, -0.5)
    image = axes.imshow(post.T, cmap=HEAT, aspect="auto", interpolation="nearest", extent=extent)
    image.set_clim(0.0, 1.0)
    axes.set_yticks(range(len(classes)), classes)
    for index, colour in ((table.ref[row], COLOURS[2]), (table.hyp[row], COLOURS[1])):
        axes.get_yticklabels()[index].set(color=colour, fontweight="bold")
    axes.set_xlabel("time (s)" if frame_shift else "frame")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    figure.colorbar(image, ax=axes, pad=0.015).ax.tick_params(labelsize=7)
    save(figure, stem, dpi=130)
    write_csv(stem.with_suffix(".csv"), ["frame", *classes], ([n, *p] for n, p in enumerate(post.tolist())))

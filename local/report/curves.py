"""Figure 3, training curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from local.report import style
from local.report.tables import write_csv
from steps.scoring.measures import Measure
from steps.scoring.sweep import SweepPoint
from utils import tables

ITERS = ("iter", "lr", "tr_loss", "tr_acc", "cv_loss", "cv_acc", "accepted", "seconds")


def draw_figure3(sweeps: Mapping[str, Sequence[SweepPoint]], k: float, stem: Path) -> None:
    """Draw accuracy against k, f_lstm left and f_fusion right, a line a model; ``k`` is marked."""
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.9), sharey=True)
    rows = []
    for axes, kind, title in zip(
        panels, ("lstm", "fusion"), ("(a) SVM on f_lstm", "(b) SVM on f_fusion"), strict=True
    ):
        for number, (label, points) in enumerate(sweeps.items()):
            accuracy = [100.0 * getattr(point, kind) / point.total for point in points]
            rows += [
                [label, kind, p.k, getattr(p, kind), p.total, a]
                for p, a in zip(points, accuracy, strict=True)
            ]
            axes.plot(
                [point.k for point in points],
                accuracy,
                color=style.COLOURS[number % len(style.COLOURS)],
                linestyle=style.LINES[number % len(style.LINES)],
                marker=style.MARKERS[number % len(style.MARKERS)],
                markersize=3.2,
                markevery=(number, 5),
                label=label,
            )
        axes.axvline(k, color="#444444", linestyle=":", linewidth=0.9)
        axes.text(k, 1.01, f"k = {k:g}", transform=axes.get_xaxis_transform(), ha="center", fontsize=7)
        axes.set_title(title, loc="left")
        axes.set_xlabel("k, threshold of the share of frames")
        axes.set_xlim(0.495, 1.0)
    panels[0].set_ylabel("test accuracy (%)")
    handles, names = panels[0].get_legend_handles_labels()
    columns = 4 if max(len(name) for name in names) < 22 else 2
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    style.save(figure, stem)
    write_csv(stem.with_suffix(".csv"), ["model", "feature", "k", "correct", "total", "percent"], rows)


@dataclass(frozen=True)
class Iteration:
    """A row of iters.tsv."""

    number: int
    learn_rate: float
    tr_loss: float
    tr_acc: float
    cv_loss: float
    cv_acc: float
    accepted: bool


def read_iterations(path: Path) -> list[Iteration]:
    """Read iters.tsv; columns beyond the known ones are ignored, 'nan' and '-' are gaps.

    UserError naming the line that does not fit.
    """

    def parse(row: dict[str, str]) -> Iteration:
        values = [float("nan") if row[name] in ("-", "") else float(row[name]) for name in ITERS[1:6]]
        lr, tr_loss, tr_acc, cv_loss, cv_acc = values
        accepted = row["accepted"].lower() in ("true", "1", "yes", "accepted")
        return Iteration(int(row["iter"]), lr, tr_loss, tr_acc, cv_loss, cv_acc, accepted)

    return tables.read_tsv(path, ITERS[:-1], parse, "train the model again")


def _draw_model(panels: np.ndarray, label: str, iterations: Sequence[Iteration]) -> None:
    """Draw loss, frame accuracy and learning rate of one model into a row of three panels."""
    steps = [item.number for item in iterations]
    refused = [item for item in iterations if not item.accepted]
    for axes, part in zip(panels, ("loss", "acc"), strict=False):
        for side, name, colour, line in (
            ("tr", "training", style.COLOURS[0], "-"),
            ("cv", "held out (cv)", style.COLOURS[1], style.LINES[1]),
        ):
            values = [getattr(item, f"{side}_{part}") for item in iterations]
            axes.plot(steps, values, color=colour, linestyle=line, label=name)
        rejected = [getattr(item, f"cv_{part}") for item in refused]
        axes.plot(
            [item.number for item in refused], rejected, "x", markersize=4, color="#444444", label="rejected"
        )
    rates = [(item.number, item.learn_rate) for item in iterations if item.learn_rate > 0]
    values = [rate for _, rate in rates]
    panels[2].step([number for number, _ in rates], values, where="mid", color=style.COLOURS[2])
    if values and max(values) > 5 * min(values):
        panels[2].set_yscale("log")
    else:
        panels[2].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        panels[2].set_ylim(bottom=0.0)
    panels[0].set_ylabel(label.replace(" (", "\n("), fontsize=7.5)
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_training(curves: Mapping[str, Sequence[Iteration]], stem: Path) -> None:
    """Draw loss, frame accuracy and learning rate against the iteration, a row of panels a model."""
    figure, grid = plt.subplots(
        len(curves), 3, figsize=(7.5, 1.2 + 1.55 * len(curves)), squeeze=False, sharex="row"
    )
    for panels, (label, iterations) in zip(grid, curves.items(), strict=True):
        _draw_model(panels, label, iterations)
    for axes, title in zip(
        grid[0], ("cross-entropy per frame", "frame accuracy (%)", "learning rate"), strict=True
    ):
        axes.set_title(title, loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("iteration")
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    style.save(figure, stem)
    rows = [
        [label, i.number, i.learn_rate, i.tr_loss, i.tr_acc, i.cv_loss, i.cv_acc, str(i.accepted).lower()]
        for label, iterations in curves.items()
        for i in iterations
    ]
    write_csv(stem.with_suffix(".csv"), ["model", *ITERS[:-1]], rows)


def draw_confusion(measures: Mapping[str, Measure], classes: Sequence[str], title: str, stem: Path) -> None:
    """Draw confusion matrices side by side: colours are shares of the true class, numbers are counts."""
    count = len(measures)
    columns = min(3, count)
    lines = -(-count // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(2.35 * columns + 0.9, 2.75 * lines + 0.5), squeeze=False
    )
    rows = []
    for number, (name, measure) in enumerate(measures.items()):
        axes = grid[number // columns][number % columns]
        counts = measure.confusion
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap=style.HEAT, vmin=0.0, vmax=1.0)
        for (i, j), n in np.ndenumerate(counts):
            colour = "white" if shares[i, j] > 0.55 else "black"
            if n:
                axes.text(j, i, str(n), ha="center", va="center", fontsize=6.5, color=colour)
            rows.append([name, classes[i], classes[j], int(n), float(shares[i, j])])
        axes.set_title(f"{name} {measure.percent:.2f} %", fontsize=8.5)
        axes.set_xticks(
            range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=6.5
        )
        axes.set_yticks(
            range(len(classes)), classes if number % columns == 0 else [""] * len(classes), fontsize=6.5
        )
        axes.grid(visible=False)
        axes.tick_params(length=0)
    for number in range(count, lines * columns):
        grid[number // columns][number % columns].set_visible(False)
    figure.supylabel("true class", fontsize=8.5)
    figure.supxlabel("hypothesis", fontsize=8.5)
    figure.suptitle(title, fontsize=10)
    style.save(figure, stem)
    write_csv(stem.with_suffix(".csv"), ["measure", "ref", "hyp", "count", "share"], rows)

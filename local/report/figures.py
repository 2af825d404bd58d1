"""Figures 2 and 3 of the paper from our results, each as .png and .pdf.

Colours are for colour-blind readers, line styles for print; files hold no dates.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from cycler import cycler

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from local.report.experiments import Run
from steps.scoring.reference import Reference, read_reference
from steps.scoring.segment import read_posteriors
from steps.scoring.svm import read_svm
from utils import atomic, tables

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe and Ito's palette, the most different first."""
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5)), (0, (7, 2, 1, 1, 1, 1)), (0, (2, 1.5)))
EDGE = {"color": "#444444", "linestyle": ":", "linewidth": 0.9}

mpl.rcParams.update(
    {
        **{"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9},
        **{"legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.titlelocation": "left"},
        **{"axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.grid": True},
        **{"grid.color": "#dddddd", "grid.linewidth": 0.5, "lines.linewidth": 1.2, "legend.frameon": False},
        **{"axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=(*LINES, *LINES[:2]))},
        **{"pdf.fonttype": 3, "figure.constrained_layout.use": True},
    }
)


def draw(runs: Sequence[Run], data_dir: Path, drawn: Path) -> None:
    """Draw Figure 2 of the first LSTM, or network, and Figure 3, as far as there are data for them.

    ``runs`` were scored on the set ``data_dir``.
    """
    lstms = [run for run in runs if run.kind == "LSTM"]
    for run in [*lstms, *(run for run in runs if run.kind)][:1]:
        posteriors = run.path / f"post_{data_dir.name}" / "post.scp"
        title = f"Figure 2. Scores of {run.label} on the test set of {data_dir.parent.name}"
        if posteriors.is_file():
            draw_figure2(read_reference(data_dir), f"scp:{posteriors}", title, drawn / "figure2")
    if swept := [run for run in lstms if (run.path / "sweep_k.tsv").is_file()]:
        draw_figure3(swept, drawn / "figure3")


def save(figure: Figure, stem: Path) -> None:
    """Write ``stem``.png and ``stem``.pdf, and close the figure."""
    for suffix, no_date in ((".png", {"Software": None}), (".pdf", {"CreationDate": None, "Creator": None})):
        with atomic.replacing(stem.with_suffix(suffix), "wb") as file:
            figure.savefig(file, format=suffix[1:], dpi=160, metadata=no_date)
    plt.close(figure)


def draw_figure2(reference: Reference, rspecifier: str, title: str, stem: Path) -> None:
    """Draw the scores of every track and of every frame in the order of the true classes."""
    classes = reference.classes
    read = {utt: post.copy() for utt, post in read_posteriors(reference, rspecifier)}
    utts = sorted(reference.genre, key=lambda utt: (reference.genre[utt], utt.encode()))
    labels, posts = [reference.genre[utt] for utt in utts], [read[utt] for utt in utts]
    tracks = np.array([(p.max(axis=0), p.min(axis=0), p.mean(axis=0, dtype=np.float64)) for p in posts])
    names = ("Maximum", "Minimum", "Mean")
    figure, panels = plt.subplots(4, 1, figsize=(7.5, 9.5))
    for axes, letter, name in zip(panels, "abcd", (*names, "Posterior"), strict=True):
        dense = axes is panels[-1]
        unit = "frame" if dense else "track"
        values = np.concatenate(posts) if dense else tracks[:, names.index(name)]
        few = 200 / len(values)
        if few < 1:  # no class may hide the others
            axes.set_prop_cycle(color=COLOURS)
        thin = {"linewidth": np.clip(few**0.3, 0.3, 1.2), "alpha": np.clip((10 * few) ** 0.4, 0.1, 1.0)}
        lines = axes.plot(np.arange(len(values)) + 0.5, values, rasterized=dense, **thin)
        sizes = np.bincount(labels, [len(post) if dense else 1 for post in posts], len(classes))
        edges = np.cumsum(sizes)
        for edge in edges[:-1]:
            axes.axvline(edge, **EDGE)
        top = axes.secondary_xaxis("top")
        top.set_xticks(edges - sizes / 2, classes, fontsize=6.5, rotation=20, ha="left")
        top.tick_params(length=0, pad=1)
        top.spines["top"].set_visible(False)
        axes.set(xlim=(0, len(values)), ylim=(-0.02, 1.02), ylabel="posterior")
        axes.set_xlabel(f"{unit}, in the order of the true classes")
        axes.grid(visible=False, axis="x")
        axes.set_title(f"({letter}) {name}{'' if dense else ' posterior'} of each {unit}")
        if letter == "a":
            figure.legend(lines, classes, loc="outside lower center", ncols=len(classes))
    figure.suptitle(title, fontsize=10)
    save(figure, stem)


def draw_figure3(runs: Sequence[Run], stem: Path) -> None:
    """Draw accuracy against k of each model's sweep_k.tsv, f_lstm left, f_fusion right; its k is marked."""
    columns = ("k", "lstm_correct", "fusion_correct", "total")

    def parse(row: dict[str, str]) -> list[float]:
        return [float(row[name]) for name in columns]

    files = {run.model: run.path / "sweep_k.tsv" for run in runs}
    found = {model: tables.read_tsv(file, parse, "run stage 8") for model, file in files.items()}
    k = read_svm(runs[0].path / "svm_lstm/svm.npz").k
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.9), sharey=True)
    for kind, (axes, feature) in enumerate(zip(panels, ("f_lstm", "f_fusion"), strict=True), start=1):
        for number, (model, rows) in enumerate(found.items()):
            values = np.array(rows)
            marks = {"marker": "os^DvP"[number % 6], "markersize": 3.2, "markevery": (number, 5)}
            axes.plot(values[:, 0], 100 * values[:, kind] / values[:, 3], label=model, **marks)
        axes.axvline(k, **EDGE)
        axes.text(k, 1.01, f"k = {k:g}", transform=axes.get_xaxis_transform(), ha="center", fontsize=7)
        axes.set(title=f"({'ab'[kind - 1]}) SVM on {feature}", xlabel="k, threshold of the share of frames")
        axes.set_xlim(0.495, 1.0)
    panels[0].set_ylabel("test accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    save(figure, stem)

"""How pictures look and are saved: colours for colour-blind readers, line styles for print, no dates."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from utils import atomic

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe and Ito's palette, the most different first."""
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5)), (0, (7, 2, 1, 1, 1, 1)), (0, (2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HEAT = "Blues"

mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "legend.fontsize": 8,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "pdf.fonttype": 3,
        "figure.constrained_layout.use": True,
    }
)


def save(figure: Figure, stem: Path, *, dpi: int = 160) -> None:
    """Write ``stem``.png and ``stem``.pdf atomically and without dates, and close the figure."""
    figure.set_dpi(dpi)
    if layout := figure.get_layout_engine():
        for _ in range(2):  # it settles in two passes; then it is the same for both files
            layout.execute(figure)
    figure.set_layout_engine("none")
    with atomic.replacing(stem.with_suffix(".png"), "wb") as file:  # savefig draws twice
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    with atomic.replacing(stem.with_suffix(".pdf"), "wb") as file:
        FigureCanvasPdf(figure).print_pdf(file, metadata={"CreationDate": None, "Creator": None})
    plt.close(figure)

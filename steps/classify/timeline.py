"""Posteriors over the time of a track, for people who would rather look: a table and a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils import atomic


def write_table(path: Path, classes: Sequence[str], posteriors: NDArray, frame_shift: float) -> None:
    """Write a CSV: a row a frame, its time in seconds (the first at 0), a posterior of each class."""
    with atomic.replacing(path) as file:
        file.write(",".join(["seconds", *classes]) + "\n")
        for number, row in enumerate(posteriors):
            file.write(",".join([f"{number * frame_shift:.3f}", *(f"{value:.6f}" for value in row)]) + "\n")


def draw(path: Path, title: str, classes: Sequence[str], posteriors: NDArray, frame_shift: float) -> None:
    """Draw the classes as stacked areas over minutes, at most some thousand points wide (PNG)."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    step = max(1, len(posteriors) // 2000)
    usable = len(posteriors) // step * step
    heights = posteriors[:usable].reshape(-1, step, posteriors.shape[1]).mean(axis=1)
    minutes = np.arange(len(heights)) * step * frame_shift / 60
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.add_subplot()
    colours = [colormaps["tab20"](number % 20) for number in range(len(classes))]
    axes.stackplot(minutes, heights.T, labels=list(classes), colors=colours)
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="time (minutes)", ylabel="posterior", ylim=(0, 1))
    axes.set_xlim(0, max(minutes[-1], frame_shift / 60))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with atomic.replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": ""})

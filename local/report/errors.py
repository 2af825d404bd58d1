"""The tracks that a model is most confidently wrong about, with pictures of their posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from local.report import style
from local.report.tables import write_csv
from steps import archive
from steps.scoring.predictions import Predictions
from utils.cli import UserError


@dataclass(frozen=True)
class ConfidentError:
    """A wrong track and how sure the vote was."""

    utt: str
    ref: int
    hyp: int
    share: float  # share of the frames that voted for the wrong class
    ref_share: float  # share of the frames that voted for the true class


def confident_errors(predictions: Predictions, count: int) -> list[ConfidentError]:
    """Return the wrong tracks with the largest margin of the wrong class over the true one."""
    errors = []
    for row in np.flatnonzero(~predictions.right):
        ref, hyp = int(predictions.ref[row]), int(predictions.hyp[row])
        scores = predictions.scores[row]
        errors.append(ConfidentError(predictions.utts[row], ref, hyp, float(scores[hyp]), float(scores[ref])))
    return sorted(errors, key=lambda item: (item.ref_share - item.share, item.utt))[:count]


def draw_posteriorgrams(
    errors: list[ConfidentError], classes: tuple[str, ...], rspecifier: str, frame_shift: float, folder: Path
) -> list[Path]:
    """Draw the posteriors of each track, class against time, and return the files.

    They are error_1.png (.pdf, .csv) …. A frame shift of 0 is unknown; the axis then counts frames.
    """
    posts = archive.RandomReader(rspecifier)
    files = []
    for number, error in enumerate(errors, start=1):
        if error.utt not in posts:
            raise UserError(f"{rspecifier}: utterance '{error.utt}' is missing; dump the posteriors again")
        post = posts[error.utt]
        stem = folder / f"error_{number}"
        style.save(_posteriorgram(post, error, classes, frame_shift), stem, dpi=130)
        rows = ([frame, *(float(value) for value in row)] for frame, row in enumerate(post))
        write_csv(stem.with_suffix(".csv"), ["frame", *classes], rows)
        files.append(stem.with_suffix(".png"))
    return files


def _posteriorgram(
    post: np.ndarray, error: ConfidentError, classes: tuple[str, ...], frame_shift: float
) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 1.9))
    length = len(post) * (frame_shift or 1.0)
    image = axes.imshow(
        post.T,
        aspect="auto",
        interpolation="nearest",
        cmap=style.HEAT,
        vmin=0.0,
        vmax=1.0,
        extent=(0.0, length, len(classes) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(classes)), classes)
    for tick, index in zip(axes.get_yticklabels(), range(len(classes)), strict=True):
        if index == error.ref:
            tick.set_color(style.COLOURS[2])
            tick.set_fontweight("bold")
        elif index == error.hyp:
            tick.set_color(style.COLOURS[1])
            tick.set_fontweight("bold")
    axes.set_xlabel("time (s)" if frame_shift else "frame")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    figure.colorbar(image, ax=axes, pad=0.015).ax.tick_params(labelsize=7)
    return figure

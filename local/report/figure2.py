"""Figure 2: the scores of every test track and of every frame, ordered by true class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from local.report import style
from local.report.tables import write_csv
from steps.scoring.reference import Reference, read_num_frames
from steps.scoring.votes import read_posteriors

PANELS = ("maximum", "minimum", "mean", "frames")
MAX_FRAMES = 1_000_000
"""Of more frames every second, third … is shown: a thousand stand side by side in a dot already."""
TITLES = (
    "(a) Maximum posterior of each track",
    "(b) Minimum posterior of each track",
    "(c) Mean posterior of each track",
    "(d) Posterior of each frame",
)


@dataclass(frozen=True)
class ClassScores:
    """Scores in the order of the true classes, and by utterance within a class."""

    classes: tuple[str, ...]
    utts: tuple[str, ...]
    labels: np.ndarray  # class index of each track, shape (num_tracks,)
    tracks: dict[str, np.ndarray]  # ``maximum``, ``minimum`` and ``mean``, each of shape (num_tracks, C)
    frames: np.ndarray  # every ``step``th frame of each track, float32 of shape (num_frames, C)
    lengths: np.ndarray  # frames of each track in ``frames``, shape (num_tracks,)
    step: int = 1


def collect_scores(reference: Reference, rspecifier: str) -> ClassScores:
    """Read the posteriors of a set in the order of its classes; of long sets not every frame is kept."""
    step = -(-sum(read_num_frames(reference).values()) // MAX_FRAMES)
    posts, statistics = {}, {}
    for utt, post in read_posteriors(reference, rspecifier):
        posts[utt] = post[::step].copy()
        statistics[utt] = (post.max(axis=0), post.min(axis=0), post.mean(axis=0, dtype=np.float64))
    utts = sorted(reference.genre, key=lambda utt: (reference.genre[utt], utt.encode()))
    ordered = [posts[utt] for utt in utts]
    return ClassScores(
        classes=reference.classes,
        utts=tuple(utts),
        labels=np.array([reference.genre[utt] for utt in utts]),
        tracks={
            name: np.stack([statistics[utt][number] for utt in utts])
            for number, name in enumerate(PANELS[:3])
        },
        frames=np.concatenate(ordered),
        lengths=np.array([len(post) for post in ordered]),
        step=step,
    )


def _frame_lines(axes: Axes, values: np.ndarray) -> None:
    """Draw a line a class through very many frames so that no class hides the others.

    The lines are drawn in short pieces, the classes taking turns, and the thinner the more frames there are.
    """
    total, count = values.shape
    length = max(2, total // 8000)
    pieces, colours = [], []
    positions = np.arange(total) + 0.5
    for start in range(0, total - 1, length):
        part = slice(start, start + length + 1)
        for turn in range(count):
            index = (turn + start // length) % count
            pieces.append(np.column_stack([positions[part], values[part, index]]))
            colours.append(style.COLOURS[index % len(style.COLOURS)])
    alpha = float(np.clip((1500.0 / total) ** 0.5, 0.06, 0.8))
    axes.add_collection(LineCollection(pieces, colors=colours, linewidths=0.4, alpha=alpha, rasterized=True))


def _panel(
    axes: Axes, values: np.ndarray, edges: np.ndarray, classes: tuple[str, ...], *, dense: bool
) -> None:
    crowded_tracks = len(values) > 200
    if dense:
        _frame_lines(axes, values)
    for index in range(0 if dense else values.shape[1]):
        axes.plot(
            np.arange(len(values)) + 0.5,
            values[:, index],
            color=style.COLOURS[index % len(style.COLOURS)],
            linestyle="-" if crowded_tracks else style.LINES[index % len(style.LINES)],
            linewidth=0.5 if crowded_tracks else 1.0,
            alpha=0.75 if crowded_tracks else 1.0,
            label=classes[index],
        )
    for edge in edges[1:-1]:
        axes.axvline(edge, color="#444444", linestyle=":", linewidth=0.9)
    axes.set_xlim(0, len(values))
    axes.set_ylim(-0.02, 1.02)
    axes.grid(visible=False, axis="x")
    total = edges[-1]
    last = -1.0
    for index, name in enumerate(classes):
        centre = (edges[index] + edges[index + 1]) / 2 / total
        crowded = centre - last < 0.085
        last = centre
        axes.text(
            centre,
            1.075 if crowded else 1.015,
            name,
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=6.5,
            color="#333333",
        )
        last = -1.0 if crowded else last


def draw_figure2(scores: ClassScores, title: str, stem: Path) -> None:
    """Draw the four panels to ``stem``.png and .pdf, and write ``stem``.csv and ``stem``_frames.csv."""
    count = len(scores.classes)
    track_edges = np.concatenate([[0], np.cumsum(np.bincount(scores.labels, minlength=count))])
    frames_by_class = np.bincount(scores.labels, weights=scores.lengths, minlength=count)
    frame_edges = np.concatenate([[0], np.cumsum(frames_by_class)])
    figure, panels = plt.subplots(4, 1, figsize=(7.5, 9.5))
    for axes, name, heading in zip(panels, PANELS, TITLES, strict=True):
        dense = name == "frames"
        values = scores.frames if dense else scores.tracks[name]
        _panel(axes, values, frame_edges if dense else track_edges, scores.classes, dense=dense)
        axes.set_title(heading, loc="left", pad=16)
        what = "track" if not dense else "frame" if scores.step == 1 else f"frame (one in {scores.step})"
        axes.set_xlabel(f"{what}, in the order of the true classes")
        axes.set_ylabel("posterior")
    handles, names = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=count, frameon=False)
    for line in legend.get_lines():
        line.set(linewidth=1.4, alpha=1.0)
    figure.suptitle(title, fontsize=10)
    style.save(figure, stem)
    header = ["index", "utt", "ref", *(f"{panel}:{name}" for panel in PANELS[:3] for name in scores.classes)]
    write_csv(
        stem.with_suffix(".csv"),
        header,
        (
            [
                row,
                utt,
                scores.classes[scores.labels[row]],
                *(float(value) for panel in PANELS[:3] for value in scores.tracks[panel][row]),
            ]
            for row, utt in enumerate(scores.utts)
        ),
    )
    write_csv(
        stem.with_name(f"{stem.name}_frames.csv"),
        ["index", "utt", "frame", *scores.classes],
        _frame_rows(scores),
    )


def _frame_rows(scores: ClassScores) -> Iterator[list[object]]:
    position = 0
    for utt, length in zip(scores.utts, scores.lengths, strict=True):
        for frame in range(int(length)):
            yield [position, utt, frame * scores.step, *(float(value) for value in scores.frames[position])]
            position += 1

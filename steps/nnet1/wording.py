"""The words in which each of Kaldi's training tools opens and closes its log."""

from __future__ import annotations

from typing import NamedTuple

from steps.nnet1.components import Generation
from steps.nnet1.epoch import EpochResult
from utils import cli


class Wording(NamedTuple):
    """Where a tool differs from the others.

    ``speed`` is what today's says, those of 2014 say ``fps`` alone; ``seeding`` are the generations that name
    the seed. Today's tools ``of_streams`` never say whether frames are shuffled, give the classes before the
    counts, and describe the network with its buffers.
    """

    speed: str
    of_streams: bool = False
    seeding: tuple[Generation, ...] = ()


FPS = "fps{fps:g}"
WORDINGS = {
    "frmshuff": Wording(
        "processing {fps:g} frames per sec; i/o time {reading:g}%", seeding=("2014", "modern")
    ),
    "perutt": Wording("processing {fps:g} frames per sec.", seeding=("2014",)),
    "lstm-streams": Wording(FPS, seeding=("2014", "modern")),
    "multistream": Wording("processing {fps:g} frames per sec, GPU_time {computing:g}% ", of_streams=True),
    "multistream-perutt": Wording(FPS, of_streams=True),
}


def log_start(tool: str, generation: Generation, *, seed: int, cross_validate: bool) -> None:
    """Log what stands before the first minibatch."""
    if generation in WORDINGS[tool].seeding:
        cli.log(f"Seeding by srand with : {seed}")
    cli.log("CROSS-VALIDATION STARTED" if cross_validate else "TRAINING STARTED")


def log_end(tool: str, result: EpochResult, *, cross_validate: bool, randomize: bool) -> None:
    """Log counts, speed and loss; ``randomize`` is the option as it was given, in cross-validation, too."""
    wording, seconds = WORDINGS[tool], max(result.seconds, 1e-9)
    modern = result.xent.generation == "modern"
    words = ["CROSS-VALIDATION" if cross_validate else "TRAINING"]
    if not wording.of_streams:
        words.append("RANDOMIZED" if randomize else "NOT-RANDOMIZED")
    speed = (wording.speed if modern else FPS).format(
        fps=result.frames / seconds,
        reading=100 * result.reading / seconds,
        computing=100 * result.computing / seconds,
    )
    lines = [f"{result.counts} [{', '.join([*words, f'{seconds / 60:g} min', speed])}]"]
    if modern:
        lines.insert(0 if wording.of_streams else 1, result.xent.report_per_class())
    for line in [*lines, result.xent.report()]:
        cli.log(line)

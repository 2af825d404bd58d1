#!/usr/bin/env python3
"""Hold the results on the embedded corpus against what it was made to show (local/synth.py).

Usage: show_synth.py [options] <data-dir> <exp-prefix>
 e.g.: show_synth.py --dnns "dnn1 dnn2" --lstms "lstm_512 lstm_1024" data/synth exp/synth

Reads the accuracies in score_test of <exp-prefix>_<model>, of its svm_lstm and svm_fusion and of
<exp-prefix>_sc/svm_sc, and in score_test_shuffled of <exp-prefix>_<model>, a control: the same tracks, their
frames in a random order (local/shuffle_frames.py).
Writes <data-dir>/tables.json, which the report shows: every claim, what was found, and whether it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local import synth
from steps.scoring.scores import read_scores
from utils import atomic, cli

TEXT = (
    "This corpus is made: it says whether the machinery does what the paper says, and nothing about music. "
    "electronic and world, and metal_punk and jazz_blues, are the same pieces forwards and backwards (the "
    "order-only pairs), so that a system without memory must be at chance on them, and so must one that has "
    "it but gets the frames in a random order."
)


@dataclass(frozen=True)
class Claim:
    """Something that must hold: a sentence, and the accuracies, in percent, that decide it."""

    text: str
    system: str
    got: str
    holds: bool

    def row(self) -> list[str]:
        """Return the cells of the table's row."""
        return [self.text, self.system, self.got, "yes" if self.holds else "NO"]


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("show_synth.py [options] <data-dir> <exp-prefix>", __doc__)
    parser.add_argument("--dnns", default="", help="models that see one frame at a time")
    parser.add_argument("--lstms", default="", help="models that see the order of frames")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("exp_prefix")
    return parser


def read_confusions(folder: Path) -> dict[str, np.ndarray]:
    """Return the confusion matrices in a folder's accuracy.json by the names of the accuracies.

    UserError if it is not there, or is of other classes.
    """
    scores = read_scores(folder)
    if scores.classes != tuple(synth.GENRES):
        raise cli.UserError(f"{folder}: expected the classes of the embedded corpus, got {scores.classes}")
    return {name: measure.confusion for name, measure in scores.measures.items()}


def accuracy(confusion: np.ndarray, *, of_pairs: bool = False) -> float:
    """Return the accuracy in percent, of the tracks or frames of all classes, or of the pairs' alone."""
    genres = [genre for pair in synth.PAIRS for genre in pair] if of_pairs else list(synth.GENRES)
    rows = [list(synth.GENRES).index(genre) for genre in genres]
    return float(100 * confusion[rows, rows].sum() / confusion[rows].sum())


def find_claims(prefix: str, dnns: list[str], lstms: list[str]) -> Iterator[Claim]:
    """Yield every claim about these models."""
    at_chance = "order-only pairs: 40 to 60 % of tracks, which is chance"
    (on_mean,) = read_confusions(Path(f"{prefix}_sc/svm_sc/score_test")).values()
    found = accuracy(on_mean, of_pairs=True)
    yield Claim(at_chance, "SVM on f_sc", f"{found:.1f}", 40 <= found <= 60)
    best = {"Frame_acc": 0.0, "Seg_acc": 0.0}
    for name in dnns:
        measures = read_confusions(Path(f"{prefix}_{name}/score_test"))
        found = accuracy(measures["Seg_acc"], of_pairs=True)
        yield Claim(at_chance, name, f"{found:.1f}", 40 <= found <= 60)
        best = {key: max(value, accuracy(measures[key])) for key, value in best.items()}
    for name in lstms:
        yield from _lstm_claims(Path(f"{prefix}_{name}"), name, best if dnns else {}, accuracy(on_mean))


def _lstm_claims(folder: Path, name: str, best_dnn: dict[str, float], on_mean: float) -> Iterator[Claim]:
    votes, shuffled = (read_confusions(folder / f"score_{x}") for x in ("test", "test_shuffled"))
    found = accuracy(votes["Seg_acc"], of_pairs=True)
    yield Claim("order-only pairs: at least 85 % of tracks", name, f"{found:.1f}", found >= 85)
    for key, other in best_dnn.items():
        unit, found = {"Frame_acc": "frames", "Seg_acc": "tracks"}[key], accuracy(votes[key])
        text = f"{unit}: 10 points above the best DNN"
        yield Claim(text, name, f"{found:.1f} to {other:.1f}", found >= other + 10)
    (lstm,) = read_confusions(folder / "svm_lstm/score_test").values()
    found, other = accuracy(lstm), accuracy(votes["Seg_acc"])
    text = "tracks: SVM on f_lstm at least as good as the vote"
    yield Claim(text, name, f"{found:.1f} to {other:.1f}", found >= other)
    (fusion,) = read_confusions(folder / "svm_fusion/score_test").values()
    found = accuracy(fusion)
    text = "tracks: SVM on f_fusion 10 points above that on f_sc"
    yield Claim(text, name, f"{found:.1f} to {on_mean:.1f}", found >= on_mean + 10)
    found = accuracy(shuffled["Frame_acc"], of_pairs=True)
    text = "order-only pairs, frames shuffled: at most 60 % of frames, no more than chance"
    yield Claim(text, name, f"{found:.1f}", found <= 60)


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    claims = list(find_claims(args.exp_prefix, args.dnns.split(), args.lstms.split()))
    table = {
        "title": "What this corpus was made to show",
        "text": TEXT,
        "columns": ["claim", "system", "found (%)", "holds"],
        "rows": [claim.row() for claim in claims],
    }
    atomic.write_json(args.data_dir / "tables.json", [table])
    failed = [claim for claim in claims if not claim.holds]
    for claim in failed:
        cli.warn(f"{claim.system}: {claim.text}: does not hold: {claim.got}")
    cli.log(f"{len(claims) - len(failed)} of {len(claims)} claims hold")
    return 0


if __name__ == "__main__":
    cli.run(main)

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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from steps.scoring.scores import read_scores, write_json

from local import synth
from steps.scoring.measures import Measure
from utils import cli

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


def accuracy(measure: Measure, rows: Iterable[int] | None = None) -> float:
    """Return the accuracy in percent, on the tracks or frames of the given classes only."""
    chosen = np.arange(len(measure.confusion)) if rows is None else np.array(list(rows))
    return float(100 * measure.confusion[chosen, chosen].sum() / measure.confusion[chosen].sum())


def find_claims(prefix: str, dnns: list[str], lstms: list[str]) -> Iterator[Claim]:
    """Yield every claim about these models."""
    at_chance = "order-only pairs, tracks: at chance, 40 to 60 %"
    sc = read_scores(Path(f"{prefix}_sc/svm_sc/score_test"))
    classes = sc.classes
    pairs = [classes.index(genre) for pair in synth.PAIRS for genre in pair]
    (sc_measure,) = sc.measures.values()
    found = accuracy(sc_measure, pairs)
    yield Claim(at_chance, "SVM on f_sc", f"{found:.1f}", 40 <= found <= 60)
    best, best_pairs = {"Frame_acc": 0.0, "Seg_acc": 0.0}, 0.0
    for name in dnns:
        measures = read_scores(Path(f"{prefix}_{name}/score_test")).measures
        found = accuracy(measures["Seg_acc"], pairs)
        yield Claim(at_chance, name, f"{found:.1f}", 40 <= found <= 60)
        best = {key: max(value, accuracy(measures[key])) for key, value in best.items()}
        best_pairs = max(best_pairs, accuracy(measures["Frame_acc"], pairs))
    for name in lstms:
        folder = Path(f"{prefix}_{name}")
        parts = [folder / part / "score_test" for part in ("", "svm_lstm", "svm_fusion")]
        measures = read_scores(*parts).measures
        shuffled = read_scores(folder / "score_test_shuffled").measures
        found = accuracy(measures["Seg_acc"], pairs)
        yield Claim("order-only pairs, tracks: at least 85 %", name, f"{found:.1f}", found >= 85)
        for key, unit in (("Frame_acc", "frames"), ("Seg_acc", "tracks")) if dnns else ():
            found, other = accuracy(measures[key]), best[key]
            text = f"{unit}: 10 points above the best DNN"
            yield Claim(text, name, f"{found:.1f} to {other:.1f}", found >= other + 10)
        found, other = accuracy(measures["LSeg_acc"]), accuracy(measures["Seg_acc"])
        text = "f_lstm at least as good as the vote"
        yield Claim(text, name, f"{found:.1f} to {other:.1f}", found >= other)
        found, other = accuracy(measures["FSeg_acc"]), accuracy(sc_measure)
        yield Claim("f_fusion 10 points above f_sc", name, f"{found:.1f} to {other:.1f}", found >= other + 10)
        found = accuracy(shuffled["Frame_acc"], pairs)
        text = "order-only pairs, frames in a random order: at chance, 40 to 60 %"
        yield Claim(text, name, f"{found:.1f}", 40 <= found <= 60)


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
    write_json(args.data_dir / "tables.json", [table])
    failed = [claim for claim in claims if not claim.holds]
    for claim in failed:
        cli.warn(f"{claim.system}: {claim.text}: does not hold: {claim.got}")
    cli.log(f"{len(claims) - len(failed)} of {len(claims)} claims hold")
    return 0


if __name__ == "__main__":
    cli.run(main)

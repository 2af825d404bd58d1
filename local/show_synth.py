#!/usr/bin/env python3
"""Hold the results on the embedded corpus against what it was made to show (local/synth.py).

Reads the accuracies in score_test of <exp>_<model>, its svm_lstm and svm_fusion and <exp>_sc/svm_sc, and asks
the LSTMs as a control about the frames of <data-dir>/test in a random order. Writes <data-dir>/tables.json,
which the report shows: every claim, what was found (%), and whether it holds.

Usage: local/show_synth.py [options] <data-dir> <exp>
e.g.:  local/show_synth.py --dnns "dnn1 dnn2" --lstms "lstm_512 lstm_1024" data/synth exp/synth
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from local import synth
from steps import archive
from steps.nnet1.forward import Forward
from steps.nnet1.model_file import read_network
from steps.scoring.reference import read_reference
from steps.scoring.scores import read_scores
from utils import atomic, cli

TEXT = (
    "This corpus is made: it says whether the machinery does what the paper says, and nothing about music. "
    "electronic and world, and metal_punk and jazz_blues, are the same pieces forwards and backwards (the "
    "order-only pairs), so that a system without memory must be at chance on them, and so must one that has "
    "it but gets the frames in a random order."
)
PAIRED = sum(synth.PAIRS, ())


@cache
def accuracy(folder: str, name: str = "", *, of_pairs: bool = False) -> float:
    """Return an accuracy (%), the only one if unnamed, of all classes' tracks or of the pairs' alone."""
    scores = read_scores(Path(folder))
    confusion = scores.measures[name or next(iter(scores.measures))].confusion
    rows = [scores.classes.index(genre) for genre in (PAIRED if of_pairs else scores.classes)]
    return float(100 * confusion[rows, rows].sum() / confusion[rows].sum())


def shuffled_accuracy(network: str, data: Path, seed: int) -> float:
    """Return the accuracy (%) of a network on the pairs' test frames, each track's in a random order."""
    reference = read_reference(data / "test")
    feats = archive.read_matrices(f"scp:{data}/test/feats.scp")
    paired = ((utt, x) for utt, x in feats if reference.classes[reference.genre[utt]] in PAIRED)
    shuffled = ((utt, synth.generator(seed, utt).permutation(x)) for utt, x in paired)
    forward = Forward(read_network(network), read_network(str(data / "cmvn/feature_transform.nnet")))
    right = [post.argmax(axis=1) == reference.genre[utt] for utt, post in forward.all(shuffled)]
    return float(100 * np.concatenate(right).mean())


def find_claims(
    data: Path, prefix: str, dnns: list[str], lstms: list[str], seed: int
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what must hold, of which system, the accuracies (%) that decide it, and whether it holds."""
    mean_frame = f"{prefix}_sc/svm_sc/score_test"
    votes = {name: f"{prefix}_{name}/score_test" for name in (*dnns, *lstms)}
    on_pairs = {"SVM on f_sc": accuracy(mean_frame, of_pairs=True)}
    on_pairs |= {name: accuracy(votes[name], "Seg_acc", of_pairs=True) for name in dnns}
    for system, found in on_pairs.items():
        text = "order-only pairs: 40 to 60 % of tracks, which is chance"
        yield text, system, f"{found:.1f}", 40 <= found <= 60
    for name in lstms:
        found = accuracy(votes[name], "Seg_acc", of_pairs=True)
        yield "order-only pairs: at least 85 % of tracks", name, f"{found:.1f}", found >= 85
        frames, vote = (accuracy(votes[name], measure) for measure in ("Frame_acc", "Seg_acc"))
        lstm, fusion = (accuracy(f"{prefix}_{name}/svm_{kind}/score_test") for kind in ("lstm", "fusion"))
        than = [("tracks: SVM on f_lstm at least as good as the vote", lstm, vote, 0)]
        than += [("tracks: SVM on f_fusion 10 points above that on f_sc", fusion, accuracy(mean_frame), 10)]
        for measure, unit, found in (("Frame_acc", "frames", frames), ("Seg_acc", "tracks", vote)):
            if dnns:
                best = max(accuracy(votes[dnn], measure) for dnn in dnns)
                than.append((f"{unit}: 10 points above the best DNN", found, best, 10))
        for text, found, other, margin in than:
            yield text, name, f"{found:.1f} to {other:.1f}", found >= other + margin
        found = shuffled_accuracy(f"{prefix}_{name}/final_test.nnet", data, seed)
        text = "order-only pairs, frames shuffled: at most 60 % of frames, no more than chance"
        yield text, name, f"{found:.1f}", found <= 60


def main(argv: list[str] | None = None) -> int:
    """Write the claims."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--dnns", default="", help="models that see one frame at a time")
    parser.add_argument("--lstms", default="", help="models that see the order of frames")
    parser.add_argument("--seed", type=int, default=777, help="of the random orders")
    args = parser.parse_args(argv)
    dnns, lstms = args.dnns.split(), args.lstms.split()
    claims = list(find_claims(args.data_dir, str(args.exp), dnns, lstms, args.seed))
    table = {
        "title": "What this corpus was made to show",
        "text": TEXT,
        "columns": ["claim", "system", "found (%)", "holds"],
        "rows": [[*words, "yes" if holds else "NO"] for *words, holds in claims],
    }
    atomic.write_json(args.data_dir / "tables.json", [table])
    for text, system, got, holds in claims:
        if not holds:
            cli.warn(f"{system}: {text}: does not hold: {got}")
    cli.log(f"{sum(holds for *_, holds in claims)} of {len(claims)} claims hold")
    return 0


if __name__ == "__main__":
    cli.run(main)

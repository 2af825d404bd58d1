#!/usr/bin/env python3
"""Classify one set of tracks by the system `best`, and say what each of its parts adds.

Reads <exp>_best/best.npz, the frames of <data-dir>/<set> and the posteriors of networks that take part,
<exp>_<network>/post_<set>/post.scp. Writes <exp>_best/score_<set>/ (accuracy.json,
predictions_Seg_acc.tsv) and, of the set test, <exp>_best/tables.json: without each part, and each part alone.

Usage: local/score_best.py <data-dir> <exp> <set>
e.g.:  local/score_best.py data/synth exp/synth test
"""

from collections.abc import Mapping

import numpy as np

from steps.classifiers.model import Ensemble, read_ensemble, read_pieces
from steps.scoring.reference import read_reference
from steps.scoring.scores import write_decisions
from steps.scoring.significance import mcnemar
from utils import atomic, cli, provenance


def table(ensemble: Ensemble, scores: Mapping[str, np.ndarray], labels: np.ndarray) -> dict:
    """Return what each part adds, as tables.json holds it, from its log posteriors (num_tracks, C)."""
    systems = {"all parts": list(scores)}
    if len(scores) > 1:
        systems |= {f"without {name}": [other for other in scores if other != name] for name in scores}
        systems |= {f"{name} alone": [name] for name in scores}
    right = {
        title: np.sum([scores[name] for name in names], axis=0).argmax(axis=1) == labels
        for title, names in systems.items()
    }
    rows: list[list[str]] = []
    for title, hits in right.items():
        only_all, only_this, p = mcnemar(right["all parts"], hits)
        accuracy = [f"{100 * hits.mean():.2f}", f"{hits.sum()} / {len(hits)}"]
        rows.append([title, *accuracy, str(only_all), str(only_this), f"{p:.3f}" if rows else ""])
    shrinkages = ", ".join(f"{part.name} {part.setting:g}" for part in ensemble.members if part.setting)
    return {
        "title": "What each part of `best` adds",
        "text": "On the test tracks, which took no part in any choice; McNemar's test against all parts. "
        f"Shrinkages: {shrinkages}.",
        "columns": ["parts", "Seg_acc", "right", "only all parts right", "only this right", "p"],
        "rows": rows,
    }


def main(argv: list[str] | None = None) -> int:
    """Score one set."""
    args = cli.KaldiParser.of(__doc__, set=str).parse_args(argv)
    out = args.exp.with_name(f"{args.exp.name}_best")
    ensemble, reference = read_ensemble(out / "best.npz"), read_reference(args.data_dir / args.set)
    reference.require_classes(ensemble.classes, out / "best.npz")
    posteriors = f"{args.exp}_{{}}/post_{args.set}/post.scp"
    scores = ensemble.part_scores(read_pieces(reference, ensemble.members, posteriors))
    found = {"Seg_acc": (np.exp(ensemble.fused(scores)), provenance.read_record(out).get("notes", ""))}
    write_decisions(out / f"score_{args.set}", reference, found, probabilities=True)
    if args.set == "test":
        atomic.write_json(out / "tables.json", [table(ensemble, scores, reference.labels)])
    return 0


if __name__ == "__main__":
    cli.run(main)

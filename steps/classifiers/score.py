"""Log posteriors of labelled tracks as results: accuracy and predictions with their probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steps.scoring.measures import Measure
from steps.scoring.predictions import Predictions
from steps.scoring.reference import Reference
from steps.scoring.scores import write_scores


def write_score(out: Path, reference: Reference, log_posteriors: np.ndarray, notes: str) -> Predictions:
    """Write accuracy.json and predictions of one set from its log posteriors; return the predictions."""
    predictions = Predictions(
        classes=reference.classes,
        utts=tuple(reference.genre),
        ref=reference.labels,
        hyp=log_posteriors.argmax(axis=1),
        scores=np.exp(log_posteriors),
        probabilities=True,
    )
    measure = Measure("Seg_acc", predictions.confusion, {"notes": notes})
    write_scores(out, [measure], {measure.name: predictions})
    return predictions

"""Feature vectors of a data directory's tracks as one matrix, in the order of its labels."""

from __future__ import annotations

import numpy as np

from steps import archive
from steps.scoring.reference import Reference
from utils.cli import UserError


def read_vector_table(rspecifier: str) -> dict[str, np.ndarray]:
    """Read an archive of finite vectors of one length, float32 (dim,), C-sorted by utterance."""
    vectors: dict[str, np.ndarray] = {}
    dim = 0
    for utt, vector in archive.read_vectors(rspecifier):
        dim = dim or len(vector)
        if len(vector) != dim or not dim:
            raise UserError(f"{rspecifier}: utterance '{utt}': expected {dim} values, got {len(vector)}")
        if not np.isfinite(vector).all():
            raise UserError(f"{rspecifier}: utterance '{utt}' is not finite; compute the features again")
        vectors[utt] = vector
    if not vectors:
        raise UserError(f"{rspecifier}: no utterances")
    return dict(sorted(vectors.items(), key=lambda item: item[0].encode()))


def read_labelled(reference: Reference, rspecifier: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the vectors (n, dim) and class indices (n,) of exactly the reference's tracks, in its order."""
    vectors = read_vector_table(rspecifier)
    for utt in vectors:
        reference.require(utt, rspecifier)
    reference.require_all(vectors, rspecifier)
    values = np.stack([vectors[utt] for utt in reference.genre]).astype(np.float64)
    return values, reference.labels

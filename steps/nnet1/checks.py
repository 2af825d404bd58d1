"""What goes into networks is checked: features, frame weights and targets of an utterance."""

from typing import Any

import numpy as np

from utils.cli import UserError


def check_features(key: str, feats: np.ndarray, input_dim: int, first: int = 0) -> None:
    """Refuse features, from frame ``first`` on, of a wrong width or with values that are no numbers."""
    if feats.shape[1] != input_dim:
        raise UserError(f"{key}: the features have {feats.shape[1]} columns, the network takes {input_dim}")
    if not np.isfinite(feats).all():
        frame, column = np.argwhere(~np.isfinite(feats))[0]
        where = f"in frame {first + frame}, column {column} (from 0)"
        raise UserError(f"{key}: feature {feats[frame, column]} {where}")


def check_weights(key: str, weights: np.ndarray) -> np.ndarray:
    """Return the weights [frames] as float32; none may be negative or no finite number."""
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise UserError(
            f"{key}: weight {weights[bad[0]]:g} of frame {bad[0]} (from 0); "
            "expected a finite number of at least 0"
        )
    return np.ascontiguousarray(weights, dtype=np.float32)


def dense_targets(key: str, posterior: Any, num_classes: int) -> np.ndarray:
    """Posterior arrays as a matrix [frames, num_classes] float32; equal classes in a frame add up."""
    classes, weights = posterior.classes, posterior.weights
    frames = np.repeat(np.arange(len(posterior.offsets) - 1), np.diff(posterior.offsets))
    outside = (classes < 0) | (classes >= num_classes)
    if outside.any():
        first = int(np.argmax(outside))
        raise UserError(
            f"{key}: target class {classes[first]} in frame {frames[first]} (from 0), "
            f"but the network has the classes 0 to {num_classes - 1}"
        )
    if not np.isfinite(weights).all():
        raise UserError(f"{key}: a target weight is not a number")
    dense = np.zeros((len(posterior.offsets) - 1, num_classes), np.float32)
    np.add.at(dense, (frames, classes), weights)
    return dense

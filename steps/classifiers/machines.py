"""What classifies, as named arrays: shrinkage LDA, linear SVM, RBF SVM, logistic regression, and networks.

Every track weighs the same, however many vectors it has. Scores of others than LDAs, one class against the
rest on standardised vectors, are no posteriors until they are calibrated, as every part's are. Networks of
:mod:`steps.classifiers.cross_fit` do without torch here, whose import takes seconds.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from steps import mapped

Arrays = Mapping[str, np.ndarray]
"""``weight`` (C, dim) and ``bias`` (C,), float64: scores are log densities up to a constant of a vector. With
``support`` (n, dim) and ``scale`` (dim,) the weight, (C, n), is of exp(-|x scale - support|^2 / dim).
Of networks weight and bias whiten frames, and torch's parameters, whose names have a dot, are those of all
networks, stacked: ``enter``, maybe ``memory`` (an LSTM both ways), maybe ``attend``, ``leave``."""
SHAPES = {"weight": "classes of", "bias": "classes", "support": "of dim", "scale": "dim"}
LDA = "lda"
KINDS = (LDA, "svm", "rbf", "logistic")
ABSENT = -1e4  # bias of a class without a training track: it is never the hypothesis, and sums stay finite
ROWS = 8192  # of a block of vectors in double precision


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return ``scores`` of shape (…, C) less the logarithm of the sum of their exponentials."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_posteriors(machine: Arrays, vectors: np.ndarray) -> np.ndarray:
    """Return log posteriors, float64 of shape (n, C), of (n, dim) vectors."""
    values = np.asarray(vectors, dtype=np.float64)
    if "support" in machine:
        from sklearn.metrics.pairwise import rbf_kernel  # a second to import, which most systems do without

        values = rbf_kernel(values * machine["scale"], machine["support"], 1.0 / values.shape[1])
    return log_softmax(values @ machine["weight"].T + machine["bias"])


def fit(
    kind: str, vectors: Sequence[np.ndarray], labels: np.ndarray, num_classes: int, grid: Sequence[float]
) -> Iterator[Arrays]:
    """Train on the vectors (n, dim) of each track, for one shrinkage (of an LDA) or cost after the other."""
    lengths = np.array([len(some) for some in vectors])
    every, classes = np.concatenate(vectors), np.repeat(labels, lengths)
    share = np.repeat(1.0 / lengths, lengths)
    if kind == LDA:
        yield from _lda(every, classes, share, np.bincount(labels, minlength=num_classes) + 0.0, grid)
    else:
        yield from _one_against_rest(kind, every, classes, share, num_classes, grid)


def _lda(
    vectors: np.ndarray, classes: np.ndarray, share: np.ndarray, counts: np.ndarray, grid: Sequence[float]
) -> Iterator[Arrays]:
    """Train LDAs with covariances ``(1 - shrinkage) S + shrinkage trace(S) / dim I``.

    The classes are Gaussians with one covariance (Fisher 1936; Hastie, Tibshirani and Friedman, The Elements
    of Statistical Learning, 4.3), shrunk after every column was divided by its deviation within the classes
    (Friedman, Regularized Discriminant Analysis, 1989). One eigendecomposition serves all shrinkages.
    """
    means = np.zeros((len(counts), vectors.shape[1]))
    tall = len(vectors) >= vectors.shape[1]
    blocks, gram = [], np.zeros((vectors.shape[1],) * 2)
    for index in np.flatnonzero(counts):
        rows = np.flatnonzero(classes == index)
        parts = np.array_split(rows, len(rows) // ROWS + 1)
        sums = [share[part] @ vectors[part].astype(np.float64) for part in parts]
        means[index] = np.sum(sums, axis=0) / counts[index]
        for part in parts:
            values = (vectors[part] - means[index]) * np.sqrt(share[part] / counts.sum())[:, np.newaxis]
            if tall:
                gram += values.T @ values
            else:
                blocks.append(values)
    residuals = np.zeros((0, len(gram))) if tall else np.concatenate(blocks)
    centre = counts @ means / counts.sum()
    scale = np.sqrt(np.diag(gram) if tall else np.einsum("nd,nd->d", residuals, residuals))
    scale[scale <= 1e-8 * np.maximum(1.0, np.abs(centre))] = 1.0
    if tall:
        values, directions = _eigen(gram / np.outer(scale, scale))
    else:  # by way of the smaller Gram matrix
        residuals /= scale
        values, directions = _eigen(residuals @ residuals.T)
        directions = residuals.T @ directions / np.sqrt(values)
    means = np.where(counts[:, np.newaxis] > 0, (means - centre) / scale, 0.0)
    prior = counts / counts.sum()
    for shrinkage in grid:
        floor = shrinkage * max(float(values.sum()) / len(scale), 1e-12)
        gain = 1.0 / ((1.0 - shrinkage) * values + floor) - 1.0 / floor
        weight = (means @ directions * gain) @ directions.T + means / floor
        bias = -0.5 * np.einsum("cd,cd->c", weight, means)
        bias = np.where(prior > 0, bias + np.log(np.where(prior > 0, prior, 1.0)), ABSENT)
        weight = weight / scale
        yield {"weight": weight, "bias": bias - weight @ centre}


def _eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues that are not zero, and their eigenvectors."""
    from scipy import linalg  # half a second to import, which classification does without

    values, vectors = linalg.eigh(gram)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]


def _one_against_rest(
    kind: str,
    vectors: np.ndarray,
    classes: np.ndarray,
    share: np.ndarray,
    num_classes: int,
    grid: Sequence[float],
) -> Iterator[Arrays]:
    """Train machines of scikit-learn for each class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC, LinearSVC

    values = np.asarray(vectors, dtype=np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = 1.0 / np.where(scale <= 1e-8 * np.maximum(1.0, np.abs(mean)), 1.0, scale)
    # Distances, which an RBF is made of, need no centre.
    values = values * scale if kind == "rbf" else (values - mean) * scale
    for cost in grid:
        machine = {
            "svm": LinearSVC(C=cost, dual=False, tol=1e-3),
            "rbf": SVC(C=cost, gamma=1.0 / values.shape[1], cache_size=500),
            "logistic": LogisticRegression(C=cost, tol=1e-3, max_iter=500),
        }[kind]
        weight = np.zeros((num_classes, len(values) if kind == "rbf" else values.shape[1]))
        bias = np.full(num_classes, ABSENT)
        for index in np.unique(classes):
            machine.fit(values, classes == index, sample_weight=share)
            bias[index] = machine.intercept_[0]
            if kind == "rbf":
                weight[index, machine.support_] = machine.dual_coef_[0]
            else:
                weight[index] = machine.coef_[0]
        if kind == "rbf":
            used = np.abs(weight).max(axis=0) > 0
            yield {"weight": weight[:, used], "bias": bias, "scale": scale, "support": values[used]}
        else:
            yield {"weight": weight * scale, "bias": bias - weight * scale @ mean}


def network_log_posteriors(arrays: Arrays, frames: np.ndarray) -> np.ndarray:
    """Return the networks' mean log posteriors, float64 (C,), of a track's frames (num_frames, dim)."""
    logits = []
    for number in range(len(arrays["leave.bias"])):
        state = {name: array[number] for name, array in arrays.items() if "." in name}
        weight = state["enter.weight"].astype(np.float64) @ arrays["weight"]
        bias = state["enter.weight"] @ arrays["bias"] + state["enter.bias"]
        entered = (np.maximum(some @ weight.T + bias, 0.0) for some in mapped.blocks(frames))
        units = mapped.gathered(entered, len(frames))
        logits.append(_pooled(state, _both_ways(state, units) if "memory.weight_hh_l0" in state else units))
    return log_softmax(np.stack(logits)).mean(axis=0)


def _both_ways(state: Arrays, units: np.ndarray) -> np.ndarray:
    """Return the outputs of an LSTM forwards and backwards, (num_frames, 2 cells); gates as in torch."""
    cells = state["memory.weight_hh_l0"].shape[1]
    found = mapped.empty((len(units), 2 * cells), np.float64)
    for first, step, end in ((0, 1, "l0"), (cells, -1, "l0_reverse")):
        weight = np.hstack([state[f"memory.weight_ih_{end}"], state[f"memory.weight_hh_{end}"]])
        bias = state[f"memory.bias_ih_{end}"] + state[f"memory.bias_hh_{end}"]
        hidden, cell = np.zeros(cells), np.zeros(cells)
        for t in range(len(units))[::step]:
            gates = weight @ np.concatenate([units[t], hidden]) + bias
            enter, forget, leave = (0.5 + 0.5 * np.tanh(gates[n * cells :][:cells] / 2) for n in (0, 1, 3))
            cell = forget * cell + enter * np.tanh(gates[2 * cells : 3 * cells])
            hidden = leave * np.tanh(cell)
            found[t, first : first + cells] = hidden
            if t % mapped.ROWS == 0:
                mapped.let_go(units)
                mapped.let_go(found)
    return found


def _pooled(state: Arrays, units: np.ndarray) -> np.ndarray:
    """Return the logits (C,) of the mean of the units, or of what attention weighs of them."""
    most, mass, total = -np.inf, 0.0, np.zeros(())
    for some in mapped.blocks(units):
        says = np.zeros(len(some))
        if "attend.weight" in state:
            says = some @ state["attend.weight"][0] + state["attend.bias"]
        before, most = most, max(most, float(says.max()))
        shares = np.exp(says - most)
        mass = mass * np.exp(before - most) + shares.sum()
        total = total * np.exp(before - most) + shares @ some
    return state["leave.weight"] @ (total / mass) + state["leave.bias"]

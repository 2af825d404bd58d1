"""Networks of :mod:`steps.classifiers.cross_fit` as named arrays, without torch, whose import takes seconds.

``weight`` and ``bias`` whiten frames. Network n has torch's parameters under ``n.<parameter>``: the layer
``enter``, perhaps ``memory``, an LSTM in both directions, perhaps ``attend``, and ``leave``.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from steps import mapped
from steps.classifiers.machines import Arrays, log_softmax


def states(arrays: Arrays) -> list[dict[str, np.ndarray]]:
    """Return the parameters of each network."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        number, _, parameter = name.partition(".")
        if parameter:
            found.setdefault(number, {})[parameter] = array
    return list(found.values())


def log_posteriors(arrays: Arrays, frames: np.ndarray) -> np.ndarray:
    """Return the mean log posteriors of the networks, float64 (C,), of a track's frames (num_frames, dim)."""
    logits = [_pooled(state, _units(arrays, state, frames)) for state in states(arrays)]
    return log_softmax(np.stack(logits)).mean(axis=0)


def _units(arrays: Arrays, state: Arrays, frames: np.ndarray) -> Iterator[np.ndarray]:
    """Return what is pooled, block by block."""
    weight = state["enter.weight"].astype(np.float64) @ arrays["weight"]
    bias = state["enter.weight"] @ arrays["bias"] + state["enter.bias"]
    units = (np.maximum(block @ weight.T + bias, 0.0) for block in mapped.blocks(frames))
    if "memory.weight_hh_l0" not in state:
        return units
    return mapped.blocks(_both_ways(state, mapped.gathered(units, len(frames))))


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


def _pooled(state: Arrays, units: Iterable[np.ndarray]) -> np.ndarray:
    """Return the logits (C,) of the mean of the units, or of what attention weighs of them."""
    most, mass, total = -np.inf, 0.0, np.zeros(())
    for some in units:
        says = np.zeros(len(some))
        if "attend.weight" in state:
            says = some @ state["attend.weight"][0] + state["attend.bias"]
        before, most = most, max(most, float(says.max()))
        shares = np.exp(says - most)
        mass = mass * np.exp(before - most) + shares.sum()
        total = total * np.exp(before - most) + shares @ some
    return state["leave.weight"] @ (total / mass) + state["leave.bias"]

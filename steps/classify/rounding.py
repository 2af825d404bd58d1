"""Networks for a small zip: every row of weights as whole multiples of a step of its own.

Weights of networks are hardly compressible: those of the paper's largest LSTM are 98 MB. Rounded to 12 bits,
with high and low bytes apart, deflate stores them in a third. Biases, peepholes and all else keep their bits.
"""

from pathlib import Path

import numpy as np

from steps.nnet1.components import Network
from steps.nnet1.model_file import read_network, write_network
from utils.cli import UserError


def _matrices(network: Network) -> list[np.ndarray]:
    return [tensor for _, _, tensor in network.params() if tensor.ndim == 2]


def take_out(path: Path, bits: int, target: Path) -> bytes:
    """Write a network whose matrices are zero to ``target``, and return them rounded to so many bits (<= 16).

    Of each matrix: the step of every row (float32), the high bytes and the low bytes of its multiples.
    """
    network = read_network(path)
    planes = []
    for tensor in _matrices(network):
        steps = np.abs(tensor).max(axis=1) / np.float32(2 ** (bits - 1) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            multiples = np.where(steps[:, None] > 0, np.rint(tensor / steps[:, None]), 0).astype("<i2")
        low, high = multiples.reshape(-1, 1).view(np.uint8).T
        planes += [steps.astype("<f4").tobytes(), high.tobytes(), low.tobytes()]
        tensor[:] = 0
    write_network(network, target)
    return b"".join(planes)


def put_back(path: Path, planes: bytes) -> None:
    """Give a network that :func:`take_out` wrote its rounded matrices, unless their shapes are others."""
    network = read_network(path)
    matrices = _matrices(network)
    if len(planes) != sum(4 * len(tensor) + 2 * tensor.size for tensor in matrices):
        raise UserError(f"{path.name}: its rounded weights have other shapes; export the system again")
    position = 0
    for tensor in matrices:
        rows, size = len(tensor), tensor.size
        steps = np.frombuffer(planes, "<f4", rows, position)
        high, low = np.frombuffer(planes, np.uint8, 2 * size, position + 4 * rows).reshape(2, size)
        if not np.isfinite(steps).all():
            raise UserError(f"{path.name}: its rounded weights are not finite; export the system again")
        multiples = np.stack([low, high], axis=1).view("<i2").reshape(tensor.shape)
        tensor[:] = multiples.astype(np.float32) * steps[:, None]
        position += 4 * rows + 2 * size
    write_network(network, path)

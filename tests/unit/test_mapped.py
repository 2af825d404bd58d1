"""Frames in a file, and items made ahead: what comes block by block is what comes at once."""

import mmap
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

from steps import mapped
from steps.classifiers import machines
from steps.classifiers.cross_fit import NetworkOptions, TrackNetwork
from steps.classifiers.pieces import piece_vectors
from steps.scoring.segment import posterior_statistics, vote
from utils.read_ahead import read_ahead

FRAMES, DIM = 20000, 9


@pytest.fixture
def frames(monkeypatch):
    monkeypatch.setattr(mapped, "LARGEST", 1000)
    found = mapped.empty((FRAMES, DIM))
    found[:] = np.random.default_rng(0).dirichlet(np.ones(DIM), FRAMES)
    mapped.let_go(found)
    assert isinstance(found.base, mmap.mmap) and not isinstance(mapped.empty((2, DIM)).base, mmap.mmap)
    return found


def network(attention: int, memory: int = 0):
    torch.manual_seed(1)
    arrays = {"weight": np.eye(DIM, dtype=np.float32), "bias": np.ones(DIM, np.float32)}
    state = TrackNetwork(DIM, 3, NetworkOptions(hidden=8, memory=memory, attention=attention)).state_dict()
    arrays |= {name: np.stack([value, 2 * value]) for name, value in state.items()}
    return partial(machines.network_log_posteriors, arrays)


MADE = {
    "votes": lambda frames: vote(frames).counts,
    "log posteriors": lambda frames: vote(frames).mean_log_posterior,
    "statistics": lambda frames: posterior_statistics(frames, 0.3),
    "pieces": lambda frames: piece_vectors(frames, 90, "mean+extremes"),
    "one piece": lambda frames: piece_vectors(frames, 0, "mean+extremes+deviation+quantiles+changes"),
    "order": lambda frames: piece_vectors(frames, 0, "order", {"projection": np.eye(DIM)}),
    "attention": network(1),
    "LSTM and mean of logits": lambda frames: network(0, 4)(frames[:1000]),
}


@pytest.mark.parametrize("name", MADE)
def test_blocks_make_what_all_frames_make(name, frames, monkeypatch):
    wanted = MADE[name](np.array(frames))
    monkeypatch.setattr(mapped, "ROWS", 64)
    tracemalloc.start()
    found = MADE[name](frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert peak < 8 * FRAMES * DIM // 2  # NumPy's arrays: half the frames in double precision


def test_an_error_is_raised_where_its_item_would_be():
    def items():
        yield from (1, 2)
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"):
        for item in read_ahead(items(), 4):
            found.append(item)
    assert found == [1, 2]


def test_who_stops_early_does_not_wait_for_the_rest():
    made = []
    items = read_ahead((made.append(number) or number for number in range(1000)), 5)
    assert next(items) == 0
    items.close()
    assert len(made) <= 8

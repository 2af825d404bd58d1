"""How utterances become lists, minibatches and chunks, on frames that say where they come from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import archive
from steps.archive import Posterior
from steps.nnet1.inputs import Utterance, dense_targets
from steps.nnet1.minibatches import Frames, Minibatch, Streams
from steps.nnet1.schedule import Karel
from steps.nnet1.trainer import trainer_parser, write_list


def utterance(number: int, length: int) -> Utterance:
    """Frame t of utterance n has the feature 100 n + t and the target of class n % 2."""
    feats = torch.arange(length, dtype=torch.float32)[:, None] + 100 * number
    targets = torch.nn.functional.one_hot(torch.full((length,), number % 2), 2).float()
    return Utterance(feats, targets, torch.ones(length))


def table(chunk: Minibatch, num_stream: int) -> list[list[int]]:
    """Features of a chunk, one list a stream."""
    return chunk.feats.reshape(-1, num_stream).T.int().tolist()


def weights(chunk: Minibatch, num_stream: int) -> list[list[int]]:
    return chunk.weights.reshape(-1, num_stream).T.int().tolist()


def test_delayed_chunks_by_hand():
    chunks = list(
        Streams(batch_size=3, num_stream=2, targets_delay=1).of(
            [utterance(1, 5), utterance(2, 2), utterance(3, 3)]
        )
    )
    assert [table(chunk, 2) for chunk in chunks] == [
        [[101, 102, 103], [201, 201, 201]],
        [[104, 104, 104], [301, 302, 302]],
    ]
    assert [weights(chunk, 2) for chunk in chunks] == [[[1, 1, 1], [1, 1, 0]], [[1, 1, 0], [1, 1, 1]]]
    assert [chunk.new.tolist() for chunk in chunks] == [[True, True], [False, True]]
    assert chunks[0].targets.reshape(3, 2, 2)[:, 0].argmax(1).tolist() == [1, 1, 1]
    assert chunks[0].targets.reshape(3, 2, 2)[:, 1].argmax(1).tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 6),
)
def test_delayed_chunks_give_every_frame_once(lengths, num_stream, batch_size, delay):
    source = [utterance(n, length) for n, length in enumerate(lengths, start=1)]
    seen = []
    starts = 0
    for chunk in Streams(batch_size, num_stream, delay).of(source):
        starts += sum(chunk.new)
        feats = chunk.feats[chunk.weights > 0].flatten().int().tolist()
        classes = chunk.targets[chunk.weights > 0].argmax(1).tolist()
        assert [value // 100 % 2 for value in feats] == classes
        seen += feats
    expected = [
        100 * n + min(t + delay, length - 1) for n, length in enumerate(lengths, 1) for t in range(length)
    ]
    assert sorted(seen) == sorted(expected)
    assert starts == len(lengths)


def collect(source, **more):
    options = {"minibatch_size": 4, "randomizer_size": 10, "seed": None, **more}
    return [batch.feats.flatten().int().tolist() for batch in Frames(**options).of(source)]


def test_held_out_data_of_less_than_a_minibatch_are_one():
    def sizes(frames, training):
        return [batch.frames for batch in Frames(8).of([utterance(0, frames)], training=training)]

    assert [sizes(frames, False) for frames in (5, 8, 12)] == [[5], [8], [8]]
    assert [sizes(frames, True) for frames in (5, 8, 12)] == [[], [8], [8]]


def test_shuffling_is_a_permutation_that_the_seed_fixes():
    source = [utterance(n, 5) for n in range(9)]
    first, again, other = (collect(source, seed=seed) for seed in (777, 777, 778))
    assert first == again
    assert first != other
    assert first != collect(source)
    assert collect(source) == [
        batch.feats.flatten().int().tolist() for batch in Frames(4, 10, 777).of(source, training=False)
    ]
    values = sum(first, [])
    assert len(set(values)) == len(values) == 44


def posterior(*frames) -> Posterior:
    counts = [len(frame) for frame in frames]
    pairs = [pair for frame in frames for pair in frame]
    return Posterior(
        np.concatenate([[0], np.cumsum(counts)]).astype(int),
        np.array([pair[0] for pair in pairs]),
        np.array([pair[1] for pair in pairs], np.float32),
    )


def test_dense_targets_by_hand():
    dense = dense_targets("a", posterior([(0, 0.25), (2, 0.75)], [], [(1, 1.0)]), 3)
    assert dense.tolist() == [[0.25, 0, 0.75], [0, 0, 0], [0, 1, 0]]


KEYS = [f"utt{number:02d}" for number in range(23)]


def write_data(folder, num_jobs: int) -> str:
    """Write a data directory whose features lie in one archive for each of the jobs that made them."""
    folder.mkdir()
    for kind, name in (("matrix", "feats"), ("posterior", "labels")):
        lines = []
        for job, keys in enumerate(np.array_split(KEYS, num_jobs)):
            path = folder / f"{name}.{job}"
            with archive.Writer(f"ark,scp:{path}.ark,{path}.scp", kind=kind) as writer:
                for key in map(str, keys):
                    value = np.full((2, 3), KEYS.index(key), np.float32)
                    writer.write(key, value if kind == "matrix" else [[(0, 1.0)]] * 2)
            lines += (folder / f"{name}.{job}.scp").read_text().splitlines(keepends=True)
        (folder / f"{name}.scp").write_text("".join(lines))
    return str(folder)


def training_list(tmp_path, num_jobs: int, seed: int) -> tuple[list[str], list[float]]:
    """Return the keys of the list that the training reads, and what is behind each."""
    name = f"{num_jobs}.{seed}"
    data, exp = write_data(tmp_path / f"data{name}", num_jobs), tmp_path / f"exp{name}"
    exp.mkdir()
    words = [data, data, "transform.nnet", str(exp), f"--seed={seed}"]
    parser = trainer_parser("Usage: x <data-tr> <data-cv> <feature-transform> <exp-dir>", Karel)
    pairs = list(archive.read_matrices(write_list(parser.parse_args(words))))
    return [key for key, _ in pairs], [float(matrix[0, 0]) for _, matrix in pairs]


@pytest.mark.parametrize("seed", [777, 1])
def test_the_list_is_the_same_for_any_number_of_jobs(tmp_path, seed):
    keys, values = training_list(tmp_path, 1, seed)
    assert keys != KEYS and sorted(keys) == KEYS
    assert values == [KEYS.index(key) for key in keys]
    for num_jobs in (2, 3, 7, 23):
        assert training_list(tmp_path, num_jobs, seed) == (keys, values)
    assert training_list(tmp_path, 2, seed + 1)[0] != keys

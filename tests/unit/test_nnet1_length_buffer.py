"""Which utterances are trained on together, as Kaldi's buffer of matrices gives them out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steps.nnet1 import nnet_train_multistream_perutt
from steps.nnet1.inputs import Utterance
from steps.nnet1.length_buffer import LengthBuffer, batches
from steps.nnet1.streams import whole_utterances
from tests.unit.nnet1_cases import SMALL
from utils.cli import UserError

LENGTHS = [37, 140, 64, 91, 52, 113, 40, 77, 128, 45, 60, 101]


def pairs(lengths, dim=1):
    return [(f"u{number}", np.zeros((length, dim), np.float32)) for number, length in enumerate(lengths)]


def grouped(lengths, num_streams=4, max_frames=400, missing=(), **more):
    """Lengths of the utterances of each batch."""
    buffer = LengthBuffer(pairs(lengths), **more)
    source = (
        Utterance(key, torch.from_numpy(feats), torch.ones(len(feats), 1), torch.ones(len(feats)))
        for key, feats in buffer
        if key not in missing
    )
    found = batches(buffer, source, num_streams=num_streams, max_frames=max_frames)
    return [[len(utterance.feats) for utterance in batch] for batch in found]


def test_batches_of_the_reference():
    # rand() is 1804289383 first: the eighth of twelve lengths, 91, and what is next above it.
    groups = grouped(LENGTHS)
    assert groups[0] == [91, 101, 113]
    assert sorted(sum(groups, [])) == sorted(LENGTHS)[1:]
    assert all(max(group) * len(group) <= 400 for group in groups)


def test_limits_of_a_batch():
    assert [len(group) for group in grouped([10] * 9, num_streams=3)] == [3, 3, 2]
    assert [len(group) for group in grouped([10] * 9, num_streams=9, max_frames=40)] == [4, 4]
    assert [len(group) for group in grouped([10] * 4, num_streams=9, max_frames=5)] == [1, 1, 1]


def test_the_longest_are_taken_where_nothing_is_longer():
    assert grouped([5, 9, 9, 9], num_streams=4, max_frames=1000) == [[9, 9, 9]]


def test_the_last_one_is_left_over_as_in_kaldi():
    assert grouped([]) == grouped([7]) == []
    assert sum(grouped([7, 7]), []) == [7]


def test_utterances_that_cannot_be_used_are_passed_over():
    groups = grouped([10] * 6, num_streams=2, missing=("u1", "u2"))
    assert [len(group) for group in groups] == [2, 1]


def test_a_small_buffer_is_filled_again_and_gives_out_everything_but_one(capsys):
    lengths = [1 + number % 50 for number in range(200)]
    megabyte = 2**20 // 16
    groups = grouped([megabyte * length // 10 for length in lengths], max_frames=10**9, capacity=10)
    assert sum(map(len, groups)) == 199
    assert capsys.readouterr().err.count("Read() started... Buffer size in MB: ") > 3


def test_a_batch_is_interleaved_and_padded():
    def utterance(number, length):
        feats = torch.arange(length, dtype=torch.float32)[:, None] + 100 * number
        return Utterance(f"u{number}", feats, torch.ones(length, 1), torch.ones(length))

    chunk = whole_utterances([utterance(1, 3), utterance(2, 1)])
    assert chunk.feats.flatten().tolist() == [100, 200, 101, 0, 102, 0]
    assert chunk.weights.tolist() == [1, 1, 1, 0, 1, 0]
    assert (chunk.lengths, chunk.new) == ([3, 1], [True, True])


def test_one_utterance_alone_is_no_training(tmp_path):
    first = (SMALL / "feats.ark").read_bytes()[: len("utt01 ") + 15 + 37 * 20 * 4]
    (tmp_path / "f.ark").write_bytes(first)
    places = [f"ark:{tmp_path}/f.ark", f"ark:{SMALL}/post.ark", f"{SMALL}/lstm/head_noclip.init"]
    with pytest.raises(UserError, match="not one minibatch"):
        nnet_train_multistream_perutt.main([*places, str(tmp_path / "out")])

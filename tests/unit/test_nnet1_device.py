"""Which GPU a job takes."""

from __future__ import annotations

import os

import pytest
import torch

from steps.nnet1 import options


@pytest.mark.parametrize(
    ("free", "process", "chosen"),
    [([8], 5, 0), ([2, 8, 3], 4, 1), ([80, 79, 10], 6, 0), ([80, 79, 10], 7, 1), ([0, 0], 3, 1)],
)
def test_the_freest_gpu_is_taken_and_equals_are_shared(monkeypatch, free, process, chosen):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 80))
    monkeypatch.setattr(os, "getpid", lambda: process)
    assert options.freest_gpu() == chosen

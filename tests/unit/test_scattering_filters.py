"""The mathematics of the filter banks, the paths, and the filters as they are stored."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.scattering import Config, blocks, columns, filters, num_dims
from steps.scattering.config import groups, parse_quality
from utils.cli import UserError

GRID = 2**17
OMEGA = 2 * math.pi * np.arange(GRID) / GRID
BANKS = [filters.Bank(shape, Q, 1024) for shape in ("gabor", "morlet") for Q in (8, 1)]


@pytest.mark.parametrize("bank", BANKS)
def test_morlets_have_zero_mean_and_gabors_have_not(bank):
    at_zero = np.array([bank.response(n, np.zeros(1))[0] for n in range(len(bank.centres))])
    if bank.shape == "morlet":
        assert np.max(np.abs(at_zero)) < 1e-15
    else:
        assert np.max(at_zero) > 1e-3


@pytest.mark.parametrize("bank", BANKS)
def test_littlewood_paley_sum_has_the_maximum_two_and_no_hole(bank):
    total = np.zeros(GRID)
    for n in range(bank.num_logarithmic):
        total += bank.response(n, OMEGA) ** 2
    assert total.max() == pytest.approx(2.0, rel=1e-6)
    lowest = bank.centres[bank.num_logarithmic - 1]
    inside = (lowest < OMEGA) & (bank.centres[0] > OMEGA)
    assert total[inside].min() > 0.9


def test_lowpass_is_one_at_zero_and_widths_are_scatnets():
    assert filters.lowpass(np.zeros(1), 1781.0)[0] == 1.0
    assert filters.Bank("gabor", 8, 8192).lowpass_width == pytest.approx(1781, abs=0.5)
    assert filters.Bank("gabor", 1, 8192).lowpass_width == pytest.approx(2365, abs=0.5)


def test_columns_are_scatnets(repo):
    with (repo / "tests/fixtures/scattering/dims_525.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert len(expected) == len(columns(Config())) == 525
    for row, column in zip(expected, columns(Config()), strict=True):
        (Q1, Q2), (first, second) = Config().Q[column.block], Config().banks(column.block)
        found = {**column._asdict(), "Q1": Q1, "Q2": Q2, "res_log2": Config().hop.bit_length() - 1}
        for bank, n, layer in (first, column.n1, 1), (second, column.n2, 2):
            for name, values in (f"xi{layer}_hz", bank.centres), (f"bw{layer}_hz", bank.bandwidths):
                found[name] = f"{22050 / (2 * math.pi) * values[n] if n >= 0 else 0:.6f}"
        assert {name: str(value) for name, value in found.items()} == row


def test_path_rule_is_bandwidth_above_centre_not_kymatios():
    first, second = Config().banks(0)
    pairs = [(c.n1, c.n2) for c in columns(Config()) if (c.block, c.order) == (0, 2)]
    assert len(pairs) == 356
    assert all(first.bandwidths[a] > second.centres[b] for a, b in pairs)
    octave = [round(math.log2(math.pi / w)) for w in first.bandwidths]
    slower = [round(math.log2(math.pi / w)) for w in second.bandwidths]
    kymatios = {(a, b) for a in range(76) for b in range(13) if slower[b] > octave[a]}
    assert len(kymatios) == 441 - 77
    assert len(kymatios - set(pairs)) == 8
    assert sum((c.block, c.order) == (1, 2) for c in columns(Config())) == 78


def test_every_column_is_computed_by_exactly_one_group():
    config = Config()
    found = [c for g in groups(config) for c in g.columns]
    found += [c for g in groups(config) for child in g.children for c in child.columns]
    found += [c.dim for c in columns(config) if c.order == 0]
    assert sorted(found) == list(range(525))


@pytest.mark.parametrize(
    ("T", "Q", "max_order", "dims", "hop"),
    [
        (8192, "8,1:1,1", 2, 525, 4096),
        (8192, "8,1:1,1", 1, 91, 4096),
        (8192, "8,1", 2, 433, 4096),
        (8192, "1,1", 2, 92, 4096),
        (4096, "8,1:1,1", 2, 433, 2048),
        (32768, "8,1:1,1", 2, 736, 16384),
    ],
)
def test_dimension_and_hop_follow_the_configuration(T, Q, max_order, dims, hop):
    config = Config(T=T, Q=parse_quality(Q), max_order=max_order)
    assert num_dims(config) == len(columns(config)) == dims
    assert config.hop == hop


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"T": 32}, "T must lie between"),
        ({"max_order": 0}, "1 or 2"),
        ({"T": 64, "Q": ((64, 1),)}, "too short for Q=64"),
    ],
)
def test_impossible_configurations_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        Config(**values)
    for text in ("8", "8,1,1", "a,b", ""):
        with pytest.raises(UserError, match="expected Q1,Q2"):
            parse_quality(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(1, 900))
def test_a_block_beyond_its_track_is_the_mirror_image(block, length):
    signal, start, size = np.arange(1.0, length + 1), (8 * block - 12) * 16, 512
    if start < length:
        source = np.arange(start, start + size) % (2 * length)
        source = np.where(source < length, source, 2 * length - 1 - source)
        got = blocks.cut(signal, start, size)
        got = got[blocks.mirror_places(np.arange(size), start, length)]
        near = (source >= start) & (source < start + size)
        assert np.array_equal(got[near], signal[source[near]])
        assert not got[~near].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(8192, 30_000_000))
def test_blocks_cover_every_frame_once(num_samples):
    config = Config()
    num_hops, spans = blocks.layout(config, num_samples)
    assert spans[0][0] == 0
    assert spans[-1][1] == config.num_frames(num_samples)
    assert all(a[1] == b[0] and b[1] > b[0] for a, b in zip(spans, spans[1:], strict=False))
    assert num_hops % 16 == 0

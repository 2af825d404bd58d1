"""The features against ScatNet's own numbers, and the properties they must have."""

import numpy as np
import pytest

from steps.scattering import Config, columns, compiled, features, log_features, num_dims
from tests.fixtures.scattering import scatnet
from utils.cli import UserError

CONFIG = Config()
ORDER = np.array([column.order for column in columns(CONFIG)])
INNER = slice(12, -12)
ALL = slice(None)


@pytest.fixture(scope="module")
def known(repo):
    with np.load(repo / "tests/fixtures/scattering/signal_12s.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@pytest.fixture(scope="module")
def tune():
    rng = np.random.default_rng(7)
    time = np.arange(5 * 22050) / 22050
    tones = sum(np.sin(2 * np.pi * f * time + p) for f, p in ((220, 0.1), (331, 1.0), (1403, 2.0)))
    beat = 0.6 + 0.4 * np.sin(2 * np.pi * 4.3 * time)
    return (0.1 * tones * beat + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def distance(got, expected, order, rows=ALL):
    got, expected = got[rows][:, order == ORDER], expected[rows][:, order == ORDER]
    return np.linalg.norm(got.astype(np.float64) - expected) / np.linalg.norm(expected)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def test_float32_equals_scatnet_on_all_frames(known):
    raw = features(known["signal"], raw=True)
    assert raw.shape == (65, 525)
    assert raw.dtype == np.float32
    assert distance(raw, known["raw"], 0) <= 1e-5
    assert distance(raw, known["raw"], 1) <= 1e-5
    assert distance(raw, known["raw"], 2) <= 2e-4


def test_float32_log_features_equal_scatnets(known):
    error = features(known["signal"]) - log_features(known["raw"], CONFIG)
    assert rms(error) <= 3e-3
    assert np.quantile(np.abs(error), 0.999) <= 0.02


def test_float64_equals_scatnet_on_all_frames(known):
    raw = features(known["signal"], raw=True, dtype="float64")
    assert distance(raw, known["raw"], 0) <= 1e-6
    assert distance(raw, known["raw"], 1) <= 1e-6
    assert distance(raw, known["raw"], 2) <= 1e-4


def test_full_reference_data(known, shared):
    with np.load(shared / "reference/scatnet/signal_12s.npz", allow_pickle=False) as full:
        assert np.array_equal(full["signal"], known["signal"])
        error = features(full["signal"]) - full["S_renormlog_full"]
    assert rms(error) <= 3e-3
    assert np.quantile(np.abs(error), 0.999) <= 0.02


def test_kymatios_core_equals_scatnet_on_inner_frames(known):
    raw = features(known["signal"], raw=True, dtype="float64", backend="kymatio")
    assert distance(raw, known["raw"], 0, INNER) <= 1e-6
    assert distance(raw, known["raw"], 1, INNER) <= 1e-6
    assert distance(raw, known["raw"], 2, INNER) <= 1e-4
    # It does not extend again after a modulus: were the ends right, this test would test nothing.
    assert distance(raw, known["raw"], 1) > 1e-3


def test_cutting_into_blocks_changes_little(known):
    whole = features(known["signal"], num_hops=96)
    for num_hops in (32, 48):
        assert rms(features(known["signal"], num_hops=num_hops) - whole) <= 3e-3


def test_real_music_equals_scatnet(shared):
    soundfile = pytest.importorskip("soundfile")
    found = sorted((shared / "audio").glob("jazz_blues/*.mp3"))
    if not found:
        pytest.skip("no music beside the checkout")
    samples, rate = soundfile.read(found[0], dtype="float32", always_2d=True)
    music = samples[20 * rate : 20 * rate + 65536].mean(axis=1)
    expected = scatnet.raw(music, CONFIG)
    raw = features(music, raw=True)
    assert [distance(raw, expected, order) <= limit for order, limit in enumerate((1e-5, 1e-5, 2e-4))] == [
        True
    ] * 3
    error = log_features(raw, CONFIG) - log_features(expected, CONFIG)
    assert rms(error) <= 3e-3
    assert np.quantile(np.abs(error), 0.999) <= 0.02


@pytest.mark.parametrize(
    "config", [Config(T=2048), Config(T=1500, Q=((8, 1),)), Config(T=1024, Q=((1, 1), (4, 1)), max_order=1)]
)
def test_other_configurations_equal_scatnet(tune, config):
    signal = tune[:32768]
    expected = scatnet.raw(signal, config)
    got = features(signal, config, raw=True)
    assert got.shape == expected.shape == (config.num_frames(len(signal)), num_dims(config))
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) <= 1e-5
    error = log_features(got, config) - log_features(expected, config)
    assert rms(error) <= 3e-3


def test_shift_by_a_hop_shifts_the_frames():
    rng = np.random.default_rng(3)
    signal = rng.standard_normal(50 * 4096).astype(np.float32)
    later = features(signal[4096:])
    assert rms(later[INNER] - features(signal)[1:][INNER]) <= 3e-3
    assert rms(later[INNER] - features(signal)[:-1][INNER]) > 0.05


@pytest.fixture
def without_a_compiler(monkeypatch):
    monkeypatch.setattr(compiled, "library", lambda: None)


@pytest.mark.skipif(compiled.library() is None, reason="no compiler")
@pytest.mark.parametrize("num_hops", [32, 48, 96, 160, 192])
def test_what_is_compiled_is_in_use_and_has_torchs_numbers(known, num_hops):
    signal = known["signal"][: 7 * 22050]
    before = compiled.transform.cache_info().hits
    compiled.transform(CONFIG, num_hops)
    got = features(signal, raw=True, num_hops=num_hops)
    assert compiled.transform.cache_info().hits > before
    exact = features(signal, raw=True, dtype="float64", num_hops=num_hops)
    for order in range(3):
        assert distance(got, exact, order) <= 1e-6


@pytest.mark.usefixtures("without_a_compiler")
def test_without_a_compiler_torch_equals_scatnet(known):
    raw = features(known["signal"], raw=True)
    assert raw.dtype == np.float32
    assert [
        distance(raw, known["raw"], order) <= limit for order, limit in enumerate((1e-5, 1e-5, 2e-4))
    ] == [True] * 3


def test_silence_gives_finite_features():
    quiet = features(np.zeros(60000, dtype=np.float32))
    assert quiet.shape == (15, 525)
    assert np.all(np.isfinite(quiet))
    assert np.allclose(quiet, np.log(64 * 2.0**-20))


def test_repetition_changes_nothing(known):
    assert np.array_equal(features(known["signal"]), features(known["signal"]))


@pytest.mark.parametrize("num_samples", [8192, 8193, 12288, 50001])
def test_tracks_from_one_window_up(tune, num_samples):
    got = features(tune[:num_samples])
    assert got.shape == (1 + (num_samples - 1) // 4096, 525)
    assert np.all(np.isfinite(got))


def test_a_window_that_mirrors_evenly_equals_scatnet(tune):
    signal = tune[1000 : 1000 + 8192]
    error = features(signal) - log_features(scatnet.raw(signal, CONFIG), CONFIG)
    assert np.max(np.abs(error)) < 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tune, value):
    broken = tune.copy()
    broken[777] = value
    with pytest.raises(UserError, match="sample 777"):
        features(broken)

"""The path of CUDA where there is no GPU: tracks in batches, mirror images gathered, devices of tensors."""

from itertools import islice

import numpy as np
import pytest
import torch

from steps.scattering import Config, blocks, features, features_of_tracks, in_torch, num_dims
from tests.unit.test_nnet1_gpu import META, OneDevice
from utils.cli import UserError

CPU = torch.device("cpu", 0)  # with a number it takes the path of a GPU
CONFIGS = [Config(), Config(T=1500, Q=((8, 1),))]
SECONDS = (2.0, 3.1, 5.2, 0.5, 2.1, 7.0, 2.0, 3.3, 2.2)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Blocks three at a time, and no batch of other tests."""
    monkeypatch.setattr(in_torch, "TOGETHER", 3)
    in_torch.transform.cache_clear()
    yield
    in_torch.transform.cache_clear()


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = round(22050 * seconds)
    return (0.1 * rng.standard_normal(count) * np.linspace(0.2, 1, count)).astype(np.float32)


def all_raw(tracks, config):
    found = features_of_tracks(enumerate(tracks), config, raw=True, device=CPU)
    return [array for _, array in found]


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"T{config.T}")
def test_tracks_in_batches_have_the_bits_that_they_have_alone_and_the_numbers_of_the_cpu(config):
    tracks = [noise(seconds, number) for number, seconds in enumerate(SECONDS)]
    found = all_raw(tracks, config)
    assert [len(one) for one in found] == [config.num_frames(len(track)) for track in tracks]
    for number in (2, 5, 8):
        [alone] = all_raw([tracks[number]], config)
        assert np.array_equal(found[number], alone)
    for track, together in zip(tracks, found, strict=True):
        on_cpu = features(track, config, raw=True)
        assert np.linalg.norm(together - on_cpu) <= 1e-5 * np.linalg.norm(on_cpu)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_features_keep_labels_and_order_and_errors_name_the_track():
    tracks = [(f"track{n}", noise(seconds, n)) for n, seconds in enumerate(SECONDS)]
    calls = features_of_tracks(tracks, device=CPU), ((key, features(one)) for key, one in tracks)
    for (key, ours), (label, expected) in zip(*calls, strict=True):
        assert key == label
        assert np.sqrt(np.mean(np.square(ours - expected))) <= 1e-4
    tracks[7][1][100] = np.nan
    with pytest.raises(UserError, match="track7: sample 100 is nan"):
        list(features_of_tracks(tracks, device=CPU))
    tracks[3] = ("short", tracks[3][1][:5000])
    with pytest.raises(UserError, match="short: shorter than one window: expected 8192 samples, got 5000"):
        list(features_of_tracks(tracks, device=CPU))


@pytest.mark.usefixtures("as_on_a_gpu")
def test_tracks_are_not_all_read_before_the_first_is_given_out():
    begun = []

    def tracks():
        for number in range(200):
            begun.append(number)
            yield number, noise(0.4, number)

    config = Config(T=256)
    assert len(list(islice(features_of_tracks(tracks(), config, device=CPU), 2))) == 2
    assert len(begun) < 60


@pytest.mark.parametrize("num_samples", [3, 4096 * 3 + 5, 4096 * 17, 4096 * 40 + 1, 4096 * 95])
def test_mirror_images_are_found_by_torch_as_by_numpy(num_samples):
    for low in range(0, Config().num_frames(num_samples), 8):
        start = (low - 12) * 4096
        ends = torch.tensor([[start]]), torch.tensor([[num_samples]])
        places = blocks.mirror_places(np.arange(32 * 4096), start, num_samples)
        assert np.array_equal(blocks.mirror_places(torch.arange(32 * 4096), *ends)[0], places)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_every_tensor_of_a_batch_is_on_the_gpu():
    config = Config(T=512)
    with OneDevice():
        one = in_torch.Transform(config, 32, "float32", META, 3)
        [piece] = blocks.pieces([("a", np.zeros(2000))], config, "float32", 32)
        _, averages, _ = one.start([piece._replace(samples=torch.zeros(one.num_samples))] * 2)
    assert averages.device == META
    assert averages.shape == (3, num_dims(config), 32 - 2 * blocks.margin_hops(config))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_cuda_equals_the_cpu():
    tracks = [(str(n), noise(seconds, n)) for n, seconds in enumerate(SECONDS * 8)]
    for (_, on_gpu), (_, track) in zip(features_of_tracks(tracks, device="cuda"), tracks, strict=True):
        assert np.sqrt(np.mean(np.square(on_gpu - features(track)))) <= 1e-4

"""hol2008: spectral bases of half-second segments by NMF; a Gaussian mixture a genre; log likelihoods.

A. Holzapfel, Y. Stylianou: Musical genre classification using nonnegative matrix factorization-based
features, IEEE Transactions on Audio, Speech and Language Processing 16(2), 2008. 83.5 % on ISMIR2004,
probably by cross-validation and not on the official split.

Only the abstract was found: the bases of all segments of a genre form one mixture, and the likelihoods of all
bases of a track decide. Bands, segments, rank, divergence, number of Gaussians and the cosine transform are
from memory or our choice [O].
"""

from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from steps import mapped
from steps.scattering.wav import Signal
from steps.systems import spectra
from steps.systems.tracks import Arrays, Tracks

FRAME, HOP, NUM_FFT = 660, 220, 1024  # 30 ms, 10 ms
SEGMENT = 50  # frames, half a second
SILENCE = 1e-6  # segments with less than this share of the loudest one's energy (-60 dB) have no bases
TOGETHER = 1024  # segments that are factorised, and cease to be, together: eight and a half minutes [O]
EPSILON = 1e-10
CHECK_EVERY, TOLERANCE = 10, 1e-4
OPTIONS = Namespace(rank=3, max_iters=100, num_ceps=20, num_gauss=32, num_init=3, max_vectors=200_000)


def divergence(v: torch.Tensor, product: torch.Tensor) -> torch.Tensor:
    """Return the generalised Kullback-Leibler divergence of each segment, of shape (num_segments,)."""
    return (v * torch.log((v + EPSILON) / product) - v + product).sum(dim=(1, 2))


def factorise(v: torch.Tensor, rank: int, max_iters: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factorise all segments (S, bands, frames) at once by Lee and Seung's multiplicative updates.

    Stops before ``max_iters`` where the summed divergence changes by less than a ten-thousandth in ten
    updates. Returns w (S, bands, rank), whose columns sum to 1, and h (S, rank, frames), with the scale.
    """
    generator = torch.Generator().manual_seed(0)
    num, bands, frames = v.shape
    w = torch.rand(num, bands, rank, generator=generator) + 0.1
    h = torch.rand(num, rank, frames, generator=generator) + 0.1
    h *= (v.mean(dim=(1, 2)) / rank)[:, None, None]
    before = torch.inf
    for iteration in range(1, max_iters + 1):
        w *= torch.bmm(v / (torch.bmm(w, h) + EPSILON), h.mT) / (h.sum(dim=2)[:, None, :] + EPSILON)
        scale = w.sum(dim=1) + EPSILON
        w /= scale[:, None, :]
        h *= scale[:, :, None]
        h *= torch.bmm(w.mT, v / (torch.bmm(w, h) + EPSILON)) / (w.sum(dim=1)[:, :, None] + EPSILON)
        if iteration % CHECK_EVERY == 0:
            now = float(divergence(v, torch.bmm(w, h) + EPSILON).sum())
            if before - now < TOLERANCE * abs(before) and before < torch.inf:
                break
            before = now
    return w, h


def features(signal: Signal, options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return the bases of all segments that are not silent, (rank · segments, 30); rows sum to 1."""
    window = np.hamming(FRAME)
    # Quarter octaves from 62.5 Hz to 8 kHz, what is below and what is above.
    filters = spectra.octave_bands(0.25, NUM_FFT)
    blocks = spectra.frame_blocks(signal, FRAME, HOP)
    bands = (spectra.power_spectrum(some, window, NUM_FFT) @ filters for some in blocks)
    found = (segment[np.newaxis] for segment in spectra.windows(bands, SEGMENT, SEGMENT))
    count = spectra.num_frames(spectra.num_frames(len(signal), FRAME, HOP), SEGMENT, SEGMENT)
    segments = mapped.gathered(found, count).transpose(0, 2, 1)
    energy = np.concatenate([some.sum(axis=(1, 2)) for some in mapped.blocks(segments, TOGETHER)])
    loud = np.flatnonzero(energy >= SILENCE * energy.max())

    def bases() -> Iterator[NDArray]:
        for low in range(0, len(loud), TOGETHER):
            v = np.ascontiguousarray(segments[loud[low : low + TOGETHER]] / max(float(energy.max()), EPSILON))
            mapped.let_go(segments)
            w, _ = factorise(torch.from_numpy(v), options.rank, options.max_iters)
            yield w.mT.reshape(-1, w.shape[1]).numpy()

    return {"bases": mapped.gathered(bases(), options.rank * len(loud))}


def compress(rows: NDArray, num_ceps: int) -> NDArray:
    """Return the cosine transform of bases in dB without its mean."""
    decibels = 10.0 * np.log10(rows + EPSILON)
    return decibels @ spectra.cosine_transform(rows.shape[1], num_ceps, first=1) / rows.shape[1]


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Fit a mixture of as many Gaussians to the bases of each genre, as many of each of its tracks."""
    from sklearn.mixture import GaussianMixture  # a second; features do without it

    labels = tracks.labels
    model: Arrays = {"present": np.unique(labels), "num_ceps": np.array(options.num_ceps)}
    for label in model["present"]:
        share = max(1, options.max_vectors // int((labels == label).sum()))
        own = (rows for number, rows in tracks.matrices("bases") if labels[number] == label)
        thinned = (rows[:: max(1, -(-len(rows) // share))] for rows in own)
        vectors = np.concatenate([compress(rows, options.num_ceps) for rows in thinned])
        mixture = GaussianMixture(
            min(options.num_gauss, max(1, len(vectors) // 2)),
            covariance_type="diag",
            reg_covar=max(1e-3 * float(vectors.var(axis=0).mean()), 1e-6),
            n_init=options.num_init,
            random_state=options.seed,
        ).fit(vectors)
        found = {"weights": mixture.weights_, "means": mixture.means_, "variances": mixture.covariances_}
        model |= {f"{name}_{label}": array for name, array in found.items()}
    return model


def log_likelihoods(vectors: NDArray, weights: NDArray, means: NDArray, variances: NDArray) -> NDArray:
    """Return the log density of a mixture of diagonal Gaussians at each vector, of shape (n,)."""
    precision = 1.0 / variances
    quadratic = (
        np.square(vectors) @ precision.T
        - 2.0 * vectors @ (means * precision).T
        + (np.square(means) * precision).sum(axis=1)
    )
    constant = np.log(weights) - 0.5 * np.log(2.0 * np.pi * variances).sum(axis=1)
    return np.logaddexp.reduce(constant - 0.5 * quadratic, axis=1)


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return the mean log likelihood of each track's bases under each genre, equal priors, (n, C)."""
    total = np.zeros((len(tracks.genre), len(model["present"])))
    for number, rows in tracks.matrices("bases"):
        for some in mapped.blocks(rows):
            vectors = compress(some.astype(np.float64), int(model["num_ceps"]))
            for column, label in enumerate(model["present"]):
                parts = (model[f"{name}_{label}"] for name in ("weights", "means", "variances"))
                total[number, column] += log_likelihoods(vectors, *parts).sum() / len(rows)
    return tracks.spread(total, model["present"])


KINDS = ("bases",)
SHAPES = {
    f"{name}_{label}": f"gauss_{label}{shape}"
    for name, shape in (("weights", ""), ("means", " num_ceps"), ("variances", " num_ceps"))
    for label in range(256)
}
SCORES = {"Seg_acc": (scores, "hol2008 from its abstract: bands, rank and mixtures are our choice")}

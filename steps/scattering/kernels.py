"""The inner loops: modulus, mirrored spectra, folding and the decimating low-pass.

On the CPU, NumPy's vectorised loops work on torch's memory where they are several times faster than
torch's own; on other devices torch does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from steps.scattering.blocks import Run

# Where pocketfft (one signal, or four side by side in a vector) outruns torch's MKL, in samples.
LONG = 300_000
MEDIUM = 40_000


@dataclass(frozen=True)
class Band:
    """A filter as ``bands.Band``, cut into rows of the filter's own rate, every value twice.

    Twice for the real and the imaginary part: each row but the last, which may be short, has
    ``2 num_out`` values, and belongs to the bins from ``start`` on.
    """

    start: int
    rows: tuple[Tensor, ...]


def on_host(tensor: Tensor) -> bool:
    """Whether NumPy and SciPy can work on a tensor's memory."""
    return tensor.device.type == "cpu"


def inverse(spectrum: Tensor) -> Tensor:
    """Inverse transform along the last axis, not divided by the length; may overwrite its input."""
    rows, size = spectrum.numel() // spectrum.shape[-1], spectrum.shape[-1]
    if on_host(spectrum) and (size > LONG or (rows > 3 and rows % 4 <= 1 and size > MEDIUM)):
        return torch.from_numpy(scipy.fft.ifft(spectrum.numpy(), norm="forward", overwrite_x=True))
    return torch.fft.ifft(spectrum, norm="forward")


def forward(signals: Tensor) -> Tensor:
    """Half spectra of real signals along the last axis, divided by the length."""
    rows = signals.numel() // signals.shape[-1]
    if on_host(signals) and rows % 4 <= 1:
        return torch.from_numpy(scipy.fft.rfft(signals.numpy(), norm="forward"))
    return torch.fft.rfft(signals, norm="forward")


def mirror(signals: Tensor, runs: list[Run]) -> None:
    """Write the mirror images of ``blocks.outside`` into signals in place [shape=(rows, samples)]."""
    for run in runs:
        count = run.high - run.low
        if run.upwards:
            signals[:, run.low : run.high] = signals[:, run.source : run.source + count].clone()
        else:
            first = run.source - count + 1
            signals[:, run.low : run.high] = signals[:, first : run.source + 1].flip(-1)


def mirror_places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Say for each sample of blocks what it is a mirror image of, or itself: ``blocks.outside`` on a device.

    Parameters
    ----------
    start, length : Tensor [shape=(blocks, 1)]
        First sample of each block in its track, and samples of the track.
    size : int
        Samples of a block.

    Returns
    -------
    Tensor [shape=(blocks, size)]
        Places in the block; a sample whose source is farther off stands for itself.
    """
    place = torch.arange(size, device=start.device)
    period = (place + start).remainder(2 * length)
    source = torch.minimum(period, 2 * length - 1 - period) - start
    return torch.where((source >= 0) & (source < size), source, place)


def modulus(values: Tensor) -> Tensor:
    """Absolute values of a complex tensor."""
    if not on_host(values):
        return values.abs()
    out = torch.empty(values.shape, dtype=values.dtype.to_real())
    np.absolute(values.numpy(), out=out.numpy())
    return out


def two_sided(half: Tensor, negative: int, wrapped: bool = False) -> Tensor:
    """Complete the half spectrum of real signals of an even length.

    Parameters
    ----------
    half : Tensor [shape=(..., samples / 2 + 1)]
        Bins 0 to ``samples / 2``.
    negative : int
        Number of negative bins wanted.
    wrapped : bool
        Whether bins ``samples / 2`` to ``samples - 1`` are wanted as well.

    Returns
    -------
    Tensor [shape=(..., negative + samples / 2 [+ samples / 2])]
        Bins from ``-negative`` on.
    """
    middle = half.shape[-1] - 1
    size = negative + middle + (middle if wrapped else 0)
    out = torch.empty(*half.shape[:-1], size, dtype=half.dtype, device=half.device)
    out[..., negative : negative + middle] = half[..., :middle]
    if on_host(half):
        np.conjugate(half.numpy()[..., negative:0:-1], out=out.numpy()[..., :negative])
    else:
        out[..., :negative] = half[..., 1 : negative + 1].flip(-1).conj()
    if wrapped:
        out[..., negative + middle :] = out[..., negative - middle : negative]
    return out


def as_pairs(values: Tensor) -> Tensor:
    """See complex numbers as pairs of real ones [shape=(..., n)] -> [shape=(..., 2 n)]."""
    return torch.view_as_real(values).flatten(-2)


def fold(spectrum: Tensor, offset: int, band: Band, out: Tensor) -> None:
    """Multiply spectra by a filter and fold the product to the filter's rate.

    Parameters
    ----------
    spectrum : Tensor [shape=(..., 2 bins)]
        As pairs; bin 0 is the pair at ``offset``.
    offset : int
        Position of bin 0.
    band : Band
        The filter.
    out : Tensor [shape=(..., 2 num_out)]
        Receives the folded product as pairs.
    """
    place = 2 * (offset + band.start)
    for number, row in enumerate(band.rows):
        size = row.numel()
        part = spectrum[..., place : place + size]
        if number == 0:
            torch.mul(part, row, out=out)
        else:
            out[..., :size].addcmul_(part, row)
        place += size


def decimate(signals: Tensor, taps: Tensor, margin: int, num_frames: int) -> Tensor:
    """Average signals about every hop from hop ``margin`` on.

    Parameters
    ----------
    signals : Tensor [shape=(rows, samples)]
        Real signals of a whole number of hops.
    taps : Tensor [shape=(hops, samples a hop)]
        The low-pass, as ``bands.lowpass_taps``.
    margin, num_frames : int
        First hop and number of hops wanted.

    Returns
    -------
    Tensor [shape=(rows, num_frames)]
    """
    hops, size = taps.shape
    rows = len(signals)
    num_hops = signals.shape[1] // size
    partial = taps @ signals.reshape(rows * num_hops, size).T
    strides = (rows * num_hops + 1, num_hops, 1)
    return partial.as_strided((hops, rows, num_frames), strides, margin - hops // 2).sum(0)

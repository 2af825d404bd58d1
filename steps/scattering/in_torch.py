"""The scattering transform in torch: on CUDA, in double precision, and where there is no compiler.

Every spectrum is cut to the band of a filter, multiplied by it, folded to the filter's own rate and
transformed back; the low-pass is a decimating matrix product. On CUDA, blocks of several tracks go through
together, as one recorded graph, while a thread puts the next ones where the GPU can fetch them.
"""

import functools
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from steps.recorded import Recorded, own_stream
from steps.scattering import blocks
from steps.scattering.config import Config, columns, num_dims
from utils.read_ahead import read_ahead

TOGETHER = 8  # blocks on CUDA


class Transform:
    """The transform of ``together`` blocks of ``num_hops`` hops in ``float32`` or ``float64``.

    They lie always in the same memory; rows that are not in use do not matter.
    """

    def __init__(
        self, config: Config, num_hops: int, dtype: str, device: torch.device, together: int
    ) -> None:
        def there(values: Any) -> Tensor:
            return torch.tensor(values, device=device)

        def filters(own: list[blocks.Band]) -> list[tuple[int, Tensor]]:
            return [(start, there(values)) for start, values in own]

        self.num_hops, self.num_samples, self.device = num_hops, num_hops * config.hop, device
        self.margin = blocks.margin_hops(config)
        self.resolutions = range(config.hop.bit_length())
        made = blocks.build(config, num_hops, dtype)
        self.taps = {rate: there(values) for rate, values in made.taps.items()}
        self.zero = [there(taps) for taps in made.zero]
        self.zero_columns = [column.dim for column in columns(config) if column.order == 0]
        self.groups = []
        for group, first, second in made.groups:
            places = [(child.resolution, there(child.columns)) for child in group.children]
            children = list(zip(places, filters(second), strict=True))
            self.groups.append((group.resolution, there(group.columns), filters(first), children))
        self.signals = torch.zeros(together, self.num_samples, dtype=getattr(torch, dtype), device=device)
        self.ends = there([[[0]] * together, [[self.num_samples]] * together])  # first sample, track's length
        frames = num_hops - 2 * self.margin
        self.out = self.signals.new_empty(together, num_dims(config), frames)
        what = f"Scattering of {together} blocks of {self.num_samples} samples on the GPU"
        self.compute = Recorded(self._compute, what) if device.type == "cuda" else self._compute

    def start(self, pieces: list[blocks.Piece]) -> tuple[list[blocks.Piece], Tensor, torch.cuda.Event | None]:
        """Begin with some blocks; returns them, what will hold their averages, and when."""
        ends = [[[piece.start] for piece in pieces], [[piece.num_samples] for piece in pieces]]
        with own_stream(self.device):
            for row, piece in enumerate(pieces):
                self.signals[row].copy_(piece.samples, non_blocking=True)
            self.ends[:, : len(pieces)].copy_(torch.tensor(ends))
            self.compute()
            if self.device.type != "cuda":
                return pieces, self.out.clone(), None
            averages = torch.empty(self.out.shape, dtype=self.out.dtype, pin_memory=True)
            averages.copy_(self.out, non_blocking=True)
            done = torch.cuda.Event()
            done.record()
        return pieces, averages, done

    def _compute(self) -> None:
        start, length = self.ends
        places = [
            blocks.mirror_places(
                torch.arange(self.num_samples >> rate, device=self.device),
                start >> rate,
                1 + ((length - 1) >> rate),
            ).unsqueeze(1)
            for rate in self.resolutions
        ]

        def envelope(spectra: Tensor, rate: int) -> Tensor:
            found = torch.fft.ifft(spectra, norm="forward").abs()
            return found.gather(-1, places[rate].expand_as(found))

        signals = self.signals[:, None].gather(-1, places[0])
        for column, taps in zip(self.zero_columns, self.zero, strict=True):
            self.out[:, column] = self._averages(signals, taps)[:, 0]
        half = self.num_samples // 2
        spectrum = _spectrum(signals, half, wrapped=True)
        for rate, own_columns, first, children in self.groups:
            size = self.num_samples >> rate
            products = spectrum.new_empty(len(signals), len(first), size)
            for row, (low, values) in enumerate(first):
                products[:, row : row + 1] = _folded(spectrum, half + low, values, size)
            parents = envelope(products, rate)
            del products  # at a track's full rate, this is what takes memory
            self.out[:, own_columns] = self._averages(parents, self.taps.get(rate))
            negative = max([0, *(-low for _, (low, _) in children)])
            spectra = _spectrum(parents, negative)
            for (slower, own), (low, values) in children:
                size = self.num_samples >> slower
                product = _folded(spectra[:, : len(own)], negative + low, values, size)
                self.out[:, own] = self._averages(envelope(product, slower), self.taps.get(slower))

    def _averages(self, signals: Tensor, taps: Tensor | None) -> Tensor:
        """Average signals [shape=(blocks, rows, samples)] about the hops that are frames."""
        frames = self.out.shape[-1]
        if taps is None:
            return signals[..., self.margin : self.margin + frames]
        hops, size = taps.shape
        partial = taps @ signals.reshape(-1, size).T
        count = partial.shape[1]
        shape, strides = (hops, count // self.num_hops, frames), (count + 1, self.num_hops, 1)
        found = partial.as_strided(shape, strides, self.margin - hops // 2).sum(0)
        return found.unflatten(0, signals.shape[:2])


transform = functools.lru_cache(maxsize=8)(Transform)  # recording takes longer than some batches


def _spectrum(signals: Tensor, negative: int, *, wrapped: bool = False) -> Tensor:
    """Return the spectra of n real samples from bin ``-negative`` to n / 2 - 1, or on to n - 1."""
    half = torch.fft.rfft(signals, norm="forward")
    below = half[..., 1 : negative + 1].flip(-1).conj()
    return torch.cat([below, half[..., :-1], below] if wrapped else [below, half[..., :-1]], dim=-1)


def _folded(spectra: Tensor, start: int, values: Tensor, size: int) -> Tensor:
    """Multiply spectra by a filter that begins at bin ``start``, and fold the products to ``size`` bins."""
    product = spectra[..., start : start + len(values)] * values
    return pad(product, (0, -len(values) % size)).unflatten(-1, (-1, size)).sum(-2)


def computed(
    pieces: Iterable[blocks.Piece], config: Config, dtype: str, where: torch.device
) -> Iterator[blocks.Piece]:
    """Yield blocks, which a thread takes ahead of use, when their averages are in their rows."""
    together = 1 if str(where) == "cpu" else TOGETHER

    def there() -> Iterator[blocks.Piece]:
        for piece in pieces:
            samples = torch.from_numpy(piece.samples)
            yield piece._replace(samples=samples.pin_memory() if where.type == "cuda" else samples)

    def started() -> Iterator[tuple[list[blocks.Piece], Tensor, torch.cuda.Event | None]]:
        every = groupby(read_ahead(there(), 4 * together), key=lambda piece: piece.num_hops)
        for length, same in every:
            while some := list(islice(same, together)):
                yield transform(config, length, dtype, where, together).start(some)

    running = started()
    before = next(running, None)
    while before:
        some, averages, done = before
        before = next(running, None)  # the GPU is at it while what it has computed is taken
        if done is not None:
            done.synchronize()
        for values, piece in zip(averages.numpy(), some, strict=False):
            piece.rows[:] = values[:, : len(piece.rows)].T
            yield piece

"""The recurrence of the projected LSTM on CUDA: one persistent Triton kernel a direction.

With ``W = Wr Wm`` [4N, N], made once a chunk, the projection needs no step of its own between two frames::

    a(t) = Wx x(t) + b + W m(t-1)          d_m(t) = Wm' dy(t) + W' d_a(t+1)

so frames follow each other at one exchange through the L2 cache: every program owns a few cells of all
streams, keeps its part of W in registers as far as it fits, and waits for the others' m(t-1) or d_a(t+1).
These are their own signal: their buffer is filled with a NaN that no arithmetic gives, and a program looks
until there is none left. All programs must run at the same time: the grid has at most one a multiprocessor
and is launched cooperatively. Products are float32, sums over 4 to 16 columns side by side.

What is outside the recurrence (products with x, y and r for all frames at once) is torch's. With Triton's
interpreter (TRITON_INTERPRET=1) the kernels run on the CPU as a grid of one program.
"""

import functools
import subprocess
from dataclasses import dataclass

import torch

from steps.nnet1 import components as nn
from steps.nnet1.lstm import LstmLayer
from utils import cli

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

EMPTY = -1  # as an integer; as a float32 a NaN that arithmetic never gives
POLL = 4096  # values looked at together
MOST_CELLS = 32  # of a program


@dataclass(frozen=True)
class Grid:
    """Programs, the cells of each (a power of two), its threads, and the registers of each for weights."""

    programs: int
    cells: int
    threads: int = 256
    kept: int = 112
    together: int = 4  # tiles of weights read at once where they do not fit
    keeps_all: bool = True  # whether the weights of a program fit into its registers

    def tiles(self, rows: int, depth: int) -> dict[str, int]:
        """Compile-time sizes for ``rows`` of weights of ``depth`` columns: tiles of 4 weights a thread."""
        size = max(16, 4 * self.threads // rows)
        kept = min(-(-depth // size), self.kept * self.threads // (size * rows))
        return {"BC": self.cells, "BK": size, "KEEP": kept, "WIDE": self.together, "POLL": POLL}


if triton is not None:

    @triton.jit
    def _probe_kernel(out):
        tl.store(out, 1.0)

    @triton.jit
    def _sigmoid(x):
        return 1.0 / (1.0 + tl.exp(-x))

    @triton.jit
    def _tanh(x):
        """``tanh`` to the last digit or two: near zero its series, since ``1 - exp`` cancels there."""
        e = tl.exp(-2.0 * tl.abs(x))
        far = (1.0 - e) / (1.0 + e)
        q = x * x
        near = x + x * q * (-0.333333333 + q * (0.133333333 + q * (-0.0539682540 + q * 0.0218694885)))
        return tl.where(tl.abs(x) < 0.25, near, tl.where(x < 0, -far, far))

    @triton.jit
    def _clip(x, limit):
        """Limit to ``[-limit, limit]`` unless ``limit`` is 0; NaN stays."""
        return tl.where((limit > 0) & (x > limit), limit, tl.where((limit > 0) & (x < -limit), -limit, x))

    @triton.jit
    def _wait(values, left, K: tl.constexpr, POLL: tl.constexpr):
        """Return once all programs have written the ``K`` values of four streams, or of ``left`` ones."""
        lane = tl.arange(0, POLL)
        for start in range(0, 4 * K, POLL):
            inside = (start + lane < 4 * K) & (start + lane < left * K)
            missing = 1
            while missing > 0:
                seen = tl.load(values + start + lane, mask=inside, other=0, volatile=True)
                missing = tl.max((seen == -1).to(tl.int32), axis=0)

    @triton.jit
    def _add(a0, a1, a2, a3, x, w, k, left, K: tl.constexpr):
        """Add the products of one tile of weights [BK, rows] for four streams."""
        inside = k < K
        x0 = tl.load(x + k, mask=inside, other=0.0, cache_modifier=".cg")
        x1 = tl.load(x + K + k, mask=inside & (k < (left - 1) * K), other=0.0, cache_modifier=".cg")
        x2 = tl.load(x + 2 * K + k, mask=inside & (k < (left - 2) * K), other=0.0, cache_modifier=".cg")
        x3 = tl.load(x + 3 * K + k, mask=inside & (k < (left - 3) * K), other=0.0, cache_modifier=".cg")
        return a0 + x0[:, None] * w, a1 + x1[:, None] * w, a2 + x2[:, None] * w, a3 + x3[:, None] * w

    @triton.jit
    def _products(
        x, weights, at, present, kept, left,
        K: tl.constexpr, STRIDE: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr,
    ):  # fmt: skip
        """Return ``sum_k x[s, k] weights[k, at]`` [4, rows] of the ``left`` streams from ``x`` on.

        The first tiles of weights are in registers, the others are read ``WIDE`` at a time.
        """
        a0 = tl.zeros([BK, at.shape[0]], tl.float32)
        a1, a2, a3 = a0, a0, a0
        ks = tl.arange(0, BK)
        for j in tl.static_range(len(kept)):
            a0, a1, a2, a3 = _add(a0, a1, a2, a3, x, kept[j], j * BK + ks, left, K)
        for start in range(len(kept) * BK, K, WIDE * BK):
            for j in tl.static_range(WIDE):
                k = start + j * BK + ks
                inside = (k < K)[:, None] & present[None, :]
                w = tl.load(weights + k[:, None] * STRIDE + at[None, :], mask=inside, other=0.0)
                a0, a1, a2, a3 = _add(a0, a1, a2, a3, x, w, k, left, K)
        s = tl.arange(0, 4)[:, None]
        low = tl.where(s == 0, tl.sum(a0, 0)[None, :], tl.sum(a1, 0)[None, :])
        high = tl.where(s == 2, tl.sum(a2, 0)[None, :], tl.sum(a3, 0)[None, :])
        return tl.where(s < 2, low, high)

    @triton.jit
    def _keep(
        weights, at, present, K: tl.constexpr, STRIDE: tl.constexpr, BK: tl.constexpr, KEEP: tl.constexpr
    ):
        """Load the first ``KEEP`` tiles of [BK, rows] into registers."""
        ks = tl.arange(0, BK)
        kept = ()
        for j in tl.static_range(KEEP):
            k = j * BK + ks
            inside = (k < K)[:, None] & present[None, :]
            kept = kept + (tl.load(weights + k[:, None] * STRIDE + at[None, :], mask=inside, other=0.0),)  # type: ignore[assignment]
        return kept

    @triton.jit
    def _forward_kernel(
        gates, c, h, m, signal, weights, p_i, p_f, p_o, cell_clip,
        frames: tl.constexpr, streams: tl.constexpr, C: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
        KEEP: tl.constexpr, WIDE: tl.constexpr, POLL: tl.constexpr,
    ):  # fmt: skip
        first = tl.program_id(0) * BC
        row = tl.arange(0, 4 * BC)
        cell = first + row % BC
        at = (row // BC) * C + cell
        kept = _keep(weights, at, cell < C, C, 4 * C, BK, KEEP)
        own = first + tl.arange(0, BC)
        w_i = tl.load(p_i + own, mask=own < C, other=0.0)[None, :]
        w_f = tl.load(p_f + own, mask=own < C, other=0.0)[None, :]
        w_o = tl.load(p_o + own, mask=own < C, other=0.0)[None, :]
        s = tl.arange(0, 4)
        for t in range(frames):
            for group in range(0, streams, 4):
                left = streams - group
                there = (s < left)[:, None] & (own < C)[None, :]
                line = (t * streams + group + s)[:, None]
                to_gates = gates + line * (4 * C) + own[None, :]
                to_cells = line * C + own[None, :]
                a_g = tl.load(to_gates, mask=there, other=0.0)
                a_i = tl.load(to_gates + C, mask=there, other=0.0)
                a_f = tl.load(to_gates + 2 * C, mask=there, other=0.0)
                a_o = tl.load(to_gates + 3 * C, mask=there, other=0.0)
                if t > 0:
                    before = ((t - 1) * streams + group) * C
                    _wait(signal + before, left, C, POLL)
                    a = _products(m + before, weights, at, cell < C, kept, left, C, 4 * C, BK, WIDE)
                    even, odd = tl.split(tl.reshape(tl.trans(tl.reshape(a, 4, 4, BC), 0, 2, 1), 4, BC, 2, 2))
                    r_g, r_f = tl.split(even)
                    r_i, r_o = tl.split(odd)
                    a_g += r_g
                    a_i += r_i
                    a_f += r_f
                    a_o += r_o
                c_before = tl.load(c + to_cells, mask=there, other=0.0, cache_modifier=".cg")
                g = _tanh(a_g)
                i = _sigmoid(a_i + w_i * c_before)
                f = _sigmoid(a_f + w_f * c_before)
                c_now = _clip(g * i + c_before * f, cell_clip)
                o = _sigmoid(a_o + w_o * c_now)
                h_now = _tanh(c_now)
                tl.store(m + to_cells, o * h_now, mask=there, cache_modifier=".wt")
                tl.store(c + streams * C + to_cells, c_now, mask=there)
                tl.store(h + to_cells, h_now, mask=there)
                tl.store(to_gates, g, mask=there)
                tl.store(to_gates + C, i, mask=there)
                tl.store(to_gates + 2 * C, f, mask=there)
                tl.store(to_gates + 3 * C, o, mask=there)

    @triton.jit
    def _backward_kernel(
        gates, c, h, d_m, d_gates, signal, d_c, weights, p_i, p_f, p_o, diff_clip, cell_diff_clip,
        frames: tl.constexpr, streams: tl.constexpr, C: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
        KEEP: tl.constexpr, WIDE: tl.constexpr, POLL: tl.constexpr,
    ):  # fmt: skip
        own = tl.program_id(0) * BC + tl.arange(0, BC)
        kept = _keep(weights, own, own < C, 4 * C, C, BK, KEEP)
        w_i = tl.load(p_i + own, mask=own < C, other=0.0)[None, :]
        w_f = tl.load(p_f + own, mask=own < C, other=0.0)[None, :]
        w_o = tl.load(p_o + own, mask=own < C, other=0.0)[None, :]
        s = tl.arange(0, 4)
        for back in range(frames):
            t = frames - 1 - back
            for group in range(0, streams, 4):
                left = streams - group
                there = (s < left)[:, None] & (own < C)[None, :]
                line = (t * streams + group + s)[:, None]
                to_gates = line * (4 * C) + own[None, :]
                to_cells = line * C + own[None, :]
                g = tl.load(gates + to_gates, mask=there, other=0.0)
                i = tl.load(gates + to_gates + C, mask=there, other=0.0)
                f = tl.load(gates + to_gates + 2 * C, mask=there, other=0.0)
                o = tl.load(gates + to_gates + 3 * C, mask=there, other=0.0)
                h_now = tl.load(h + to_cells, mask=there, other=0.0)
                c_before = tl.load(c + to_cells, mask=there, other=0.0)
                d = tl.load(d_m + to_cells, mask=there, other=0.0)
                from_cell = tl.zeros([4, BC], tl.float32)
                if back > 0:
                    after = ((t + 1) * streams + group) * (4 * C)
                    _wait(signal + after, left, 4 * C, POLL)
                    d += _products(d_gates + after, weights, own, own < C, kept, left, 4 * C, C, BK, WIDE)
                    next_gates = to_gates + streams * (4 * C)
                    d_i = tl.load(d_gates + next_gates + C, mask=there, other=0.0, cache_modifier=".cg")
                    d_f = tl.load(d_gates + next_gates + 2 * C, mask=there, other=0.0, cache_modifier=".cg")
                    f_next = tl.load(gates + next_gates + 2 * C, mask=there, other=0.0)
                    cells = d_c + (group + s)[:, None] * C + own[None, :]
                    d_c_next = tl.load(cells, mask=there, other=0.0, cache_modifier=".cg")
                    from_cell = d_c_next * f_next + d_i * w_i + d_f * w_f
                d_o = d * h_now * (o * (1 - o))
                d_cell = _clip(d * o * (1 - h_now * h_now) + from_cell + d_o * w_o, cell_diff_clip)
                d_g = _clip(d_cell * i * (1 - g * g), diff_clip)
                d_i = _clip(d_cell * g * (i * (1 - i)), diff_clip)
                d_f = _clip(d_cell * c_before * (f * (1 - f)), diff_clip)
                d_o = _clip(d_o, diff_clip)
                tl.store(d_gates + to_gates, d_g, mask=there, cache_modifier=".wt")
                tl.store(d_gates + to_gates + C, d_i, mask=there, cache_modifier=".wt")
                tl.store(d_gates + to_gates + 2 * C, d_f, mask=there, cache_modifier=".wt")
                tl.store(d_gates + to_gates + 3 * C, d_o, mask=there, cache_modifier=".wt")
                tl.store(d_c + (group + s)[:, None] * C + own[None, :], d_cell, mask=there)


@functools.cache
def choose(cell_dim: int, device: torch.device) -> Grid | None:
    """Return the grid for a device, or ``None`` where plain torch runs the frames; logs which and why.

    Figures are for a Hopper GPU, whose multiprocessors have 65 536 registers. Weights that fit are all kept,
    by few threads with many registers; others are read by many threads.
    """
    if device.type != "cuda":
        return None
    multiprocessors, cells = torch.cuda.get_device_properties(device).multi_processor_count, 4
    while -(-cell_dim // cells) > multiprocessors:
        cells *= 2
    grid, reason = Grid(-(-cell_dim // cells), cells), ""
    if 4 * cells * cell_dim > grid.kept * grid.threads:
        grid = Grid(grid.programs, cells, threads=512, kept=48, together=2, keeps_all=False)
    if triton is None:
        reason = "Triton is not installed"
    elif cells > MOST_CELLS:
        reason = f"{cell_dim} cells are too many for {multiprocessors} multiprocessors"
    else:
        try:
            _probe_kernel[(1,)](torch.zeros(1, device=device), launch_cooperative_grid=True)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            reason = f"Triton does not work here: {error}"
    way = f"Triton kernels, {grid.programs} programs of {grid.cells} cells"
    if reason:
        way = f"plain torch operations in a recorded graph. {reason}"
    cli.log(f"LSTM of {cell_dim} cells: {way}")
    return None if reason else grid


class TritonLstmLayer(LstmLayer):
    """:class:`LstmLayer` whose frames are run by the kernels."""

    def __init__(self, component: nn.Lstm, num_stream: int, grid: Grid) -> None:
        self.grid = grid
        super().__init__(component, num_stream)

    def _launch(self, kernel, rows: int, depth: int, *arguments: object) -> None:
        p, (frames, streams) = self.lstm, self.kept[0].shape[:2]
        sizes = {"frames": frames, "streams": streams, "C": self.cell_dim, **self.grid.tiles(rows, depth)}
        if p.bias.is_cuda:
            sizes |= {"num_warps": self.grid.threads // 32, "launch_cooperative_grid": True}
        kernel[(self.grid.programs,)](*arguments, **sizes)

    def _forward(self) -> None:
        p, n = self.lstm, self.cell_dim
        gates, c, h, m, r = self.kept
        gates[0].addmm_(r[0], p.w_gifo_r.t())
        self.product = p.w_gifo_r @ p.w_r_m
        signal = m.view(torch.int32).fill_(EMPTY)
        tensors = (gates, c, h, m, signal, self.product.t().contiguous())
        peepholes = (p.peephole_i_c, p.peephole_f_c, p.peephole_o_c)
        self._launch(_forward_kernel, 4 * self.grid.cells, n, *tensors, *peepholes, float(p.cell_clip))
        torch.mm(m.flatten(0, 1), p.w_r_m.t(), out=r[1:].flatten(0, 1))

    def _backward(self) -> None:
        p, n = self.lstm, self.cell_dim
        gates, c, h, _, _ = self.kept
        d_gates, d_r = self.derivatives
        d_m = d_r.flatten(0, 1) @ p.w_r_m
        signal = d_gates.view(torch.int32).fill_(EMPTY)
        tensors = (gates, c, h, d_m, d_gates, signal, torch.empty_like(c[0]), self.product)
        peepholes = (p.peephole_i_c, p.peephole_f_c, p.peephole_o_c)
        clips = (float(p.diff_clip), float(p.cell_diff_clip))
        self._launch(_backward_kernel, self.grid.cells, 4 * n, *tensors, *peepholes, *clips)
        d_r[:-1].flatten(0, 1).addmm_(d_gates[1:].flatten(0, 1), p.w_gifo_r)

"""What an LSTM holds inside after a chunk, under the names and in the layout of today's Kaldi.

Its buffers have a row of every stream more at both ends than the chunk has frames: the last frame of the
chunk before, and zeros (``propagate_buf_`` and ``backpropagate_buf_`` of ``nnet-lstm-projected.h``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from steps.nnet1.lstm import LstmLayer

GATES = ("G", "I", "F", "O")


def activations(layer: LstmLayer) -> dict[str, torch.Tensor]:
    """Return the outputs of the gates (G, I, F, O), C, H, M and R of the chunk just done [T, S, N or R]."""
    n = layer.cell_dim
    gates, c, h, m, r = layer.kept
    named = dict(zip(GATES, gates.split(n, dim=2), strict=True))
    return {**named, "C": c[1:], "H": h, "M": m[:, :, :n], "R": r[1:, :, : layer.output_dim]}


def last_frame(layer: LstmLayer, new: Sequence[bool]) -> dict[str, torch.Tensor]:
    """Return copies [1, S, N or R] of the last frame before a chunk, zero where a stream begins anew."""
    if not hasattr(layer, "kept") or layer.kept[0].shape[1] != len(new):
        return {}
    goes_on = torch.tensor([not flag for flag in new], device=layer.kept[0].device)[None, :, None]
    return {name: value[-1:] * goes_on for name, value in activations(layer).items()}


def padded(values: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
    """Return ``values`` [T, S, N] with the row before them (zeros where it is None) and zeros behind."""
    zeros = torch.zeros_like(values[:1])
    return torch.cat([zeros if before is None else before, values, zeros])


def derivatives(layer: LstmLayer) -> dict[str, torch.Tensor]:
    """Return the derivatives of :func:`activations` [T + 2, S, N or R] after the layer's backward pass.

    Those at the inputs of the gates and of ``tanh(c)`` (H), and those at C, M and R themselves. To be called
    before the weights change.
    """
    p, n = layer.lstm, layer.cell_dim
    gates, _, h, _, _ = layer.kept
    _, i, f, o = gates.split(n, dim=2)
    d_gates, d_r = layer.derivatives
    d_r = d_r[:, :, : layer.output_dim]
    found = dict(zip(GATES, d_gates.split(n, dim=2), strict=True))
    d_m = d_r @ p.w_r_m
    d_h = d_m * o * (1 - h * h)
    d_o = d_m * h * o * (1 - o)  # as it was before it was clipped
    d_c = torch.zeros_like(h)
    for t in range(len(h) - 1, -1, -1):
        d_c[t] = d_h[t] + d_o[t] * p.peephole_o_c
        if t + 1 < len(h):
            d_c[t] += d_c[t + 1] * f[t + 1]
            d_c[t] += found["I"][t + 1] * p.peephole_i_c + found["F"][t + 1] * p.peephole_f_c
        if p.cell_diff_clip > 0:
            d_c[t].clamp_(-p.cell_diff_clip, p.cell_diff_clip)
    found |= {"C": d_c, "H": d_h, "M": d_m, "R": d_r}
    return {name: padded(value, None) for name, value in found.items()}

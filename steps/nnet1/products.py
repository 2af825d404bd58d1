"""Products of large matrices: on the CPU those of ``kernels/products.c``, elsewhere torch's.

The C kernel sums every element in an order of its own, whatever the number of threads and of rows. On AMD's
processors with AVX-512 it comes to nearly twice the speed of the MKL in torch; with AVX2 it is no slower.
Products of a few columns, and all without the C kernels, are torch's.
"""

from __future__ import annotations

import torch

from steps.nnet1 import kernels

FEW = 16


def multiply(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, *, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """``out = alpha a b + beta out`` in place, for a [M, K], b [K, N], out [M, N]; returns ``out``.

    With ``beta`` 0, what was in ``out`` does not matter. Rows or columns must be contiguous.
    """
    usable = out.is_cpu and out.dtype == torch.float32 and out.shape[1] >= FEW
    library = kernels.library() if usable else None
    if library is None:
        return torch.addmm(out, a, b, alpha=alpha, beta=beta, out=out)
    # Column by column, out' = b' a' has contiguous rows.
    left, right, target = (a, b, out) if out.stride(1) == 1 else (b.t(), a.t(), out.t())
    if target.stride(1) != 1 or 1 not in left.stride() or 1 not in right.stride():
        steps = ", ".join(str(matrix.stride()) for matrix in (a, b, out))
        raise ValueError(f"expected contiguous rows or columns, got strides {steps}")
    library.multiply(
        torch.get_num_threads(),
        *target.shape,
        left.shape[1],
        alpha,
        left.data_ptr(),
        *left.stride(),
        right.data_ptr(),
        *right.stride(),
        beta,
        target.data_ptr(),
        target.stride(0),
    )
    return out

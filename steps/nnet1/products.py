"""Products of large matrices: torch's own, or on AMD's processors those of OpenBLAS, which SciPy brings.

The MKL inside torch leaves a tenth to a sixth of an AMD core unused; on other processors, with more than
one thread (which torch shares with the C kernels), on CUDA and with ``--kernels=torch`` torch does it all.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

_INT, _FLOAT, _CHAR, _ARRAY = (
    ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.c_float),
    ctypes.c_char_p,
    ctypes.c_void_p,
)
#: transa transb m n k alpha a lda b ldb beta c ldc
_SGEMM = ctypes.CFUNCTYPE(
    None, _CHAR, _CHAR, _INT, _INT, _INT, _FLOAT, _ARRAY, _INT, _ARRAY, _INT, _FLOAT, _ARRAY, _INT
)


class _State:
    """OpenBLAS's sgemm while it is in use."""

    sgemm: Callable[..., None] | None = None


def use(*, num_threads: int, openblas: bool = True) -> None:
    """Fix the number of threads, and whether OpenBLAS may be used; until this is called it is not."""
    torch.set_num_threads(num_threads)
    _State.sgemm = None
    if openblas and num_threads == 1 and suits():
        _State.sgemm = _sgemm()
        threadpool_limits(1, "blas")


def identity() -> str:
    """Name the library in use; the two differ in the last bits."""
    return "torch" if _State.sgemm is None else "openblas"


@functools.cache
def suits() -> bool:
    """Tell whether this is an AMD processor under a torch with MKL."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "AuthenticAMD" in facts and torch.backends.mkl.is_available()


@functools.cache
def _sgemm() -> Callable[..., None]:
    """Return Fortran's ``sgemm`` of the BLAS below SciPy."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["sgemm"]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return _SGEMM(address)


def multiply(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, *, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """``out = alpha a b + beta out`` in place, for a [M, K], b [K, N], out [M, N]; returns ``out``.

    With ``beta`` 0, what was in ``out`` does not matter. Rows or columns must be contiguous.
    """
    if _State.sgemm is None or not out.is_cpu or out.dtype != torch.float32:
        return torch.addmm(out, a, b, alpha=alpha, beta=beta, out=out)
    if out.stride(1) == 1:
        _multiply_rows(_State.sgemm, a, b, out, alpha, beta)
    else:
        _multiply_rows(_State.sgemm, b.t(), a.t(), out.t(), alpha, beta)
    return out


def _multiply_rows(
    sgemm: Callable[..., None], a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float, beta: float
) -> None:
    """Multiply into an ``out`` of contiguous rows, which for Fortran is ``out' = b' a'``."""
    integer, real = ctypes.c_int, ctypes.c_float
    (rows, inner), columns = a.shape, b.shape[1]
    (how_b, step_b), (how_a, step_a), (_, step) = _layout(b), _layout(a), _layout(out)
    sgemm(
        how_b,
        how_a,
        integer(columns),
        integer(rows),
        integer(inner),
        real(alpha),
        b.data_ptr(),
        integer(step_b),
        a.data_ptr(),
        integer(step_a),
        real(beta),
        out.data_ptr(),
        integer(step),
    )


def _layout(matrix: torch.Tensor) -> tuple[bytes, int]:
    """Say how Fortran finds the transpose of a matrix, as it lies (N) or transposed (T), and the step."""
    if matrix.stride(1) == 1:
        return b"N", max(matrix.stride(0), matrix.shape[1])
    if matrix.stride(0) == 1:
        return b"T", max(matrix.stride(1), matrix.shape[0])
    raise ValueError(f"expected contiguous rows or columns, got strides {matrix.stride()}")

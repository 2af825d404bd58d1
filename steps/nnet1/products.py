"""Products of matrices on the CPU by the fastest library of this processor; elsewhere by torch.

The candidates are torch's own product (its BLAS is MKL, which leaves AVX-512 to Intel's processors) and
oneDNN's, which torch brings for its inductor. ``auto`` times both once a process on a product of each kind,
and takes oneDNN only where it is faster by more than ``MARGIN``, so that noise does not decide. They differ
in the last bits; :func:`identity` is recorded with a training: as an option's value it repeats the choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from steps.nnet1 import kernels
from utils import cli
from utils.cli import UserError

CANDIDATES = ("torch", "onednn")
KINDS = {"large": (256, 512, 512), "gradient": (512, 256, 512)}
"""Kinds of products, and rows, depth and columns of the one that is timed."""
MARGIN = 0.05
REPEATS = 8
HELP = (
    "products and recurrence on the CPU: auto (the fastest by measurement), torch, c (the recurrence must "
    "compile), or e.g. large=onednn,gradient=torch,thin=c (default: auto)"
)

_asked: dict[str, str] = {}
_chosen: dict[str, str] = {}


def use(text: str) -> None:
    """Choose by the value of ``--kernels``, see :data:`HELP`; what it leaves open is measured.

    Raises
    ------
    UserError
        If there is no such kind or candidate.
    """
    _asked.clear()
    _chosen.clear()
    words = {"auto": "", "torch": "large=torch,gradient=torch,thin=torch", "c": "thin=c"}.get(text, text)
    for word in filter(None, words.split(",")):
        kind, _, name = word.partition("=")
        if name not in {"thin": ("torch", "c"), **dict.fromkeys(KINDS, CANDIDATES)}.get(kind, ()):
            kinds = "large|gradient=torch|onednn and thin=torch|c"
            raise UserError(f"--kernels={text}: expected auto, torch, c or {kinds}, with commas between")
        _asked[kind] = name
    kernels.use(_asked.get("thin", "auto"))


def chosen(kind: str) -> str:
    """Return the candidate for a kind of product; the first call measures."""
    if kind not in _chosen:
        _chosen[kind] = _asked.get(kind) or _fastest(kind)
    return _chosen[kind]


def identity() -> str:
    """Name what computes, as a value of ``--kernels`` that asks for the same."""
    thin = "torch" if kernels.library() is None else "c"
    return ",".join([*(f"{kind}={chosen(kind)}" for kind in KINDS), f"thin={thin}"])


def _fastest(kind: str) -> str:
    """Time the candidates in turn, by processor time where there is one thread, and log the choice."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return "torch"
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    rows, depth, columns = KINDS[kind]
    own = torch.Generator().manual_seed(0)  # nobody else's random numbers change
    a, b = torch.randn(rows, depth, generator=own), torch.randn(depth, columns, generator=own)
    out = torch.zeros(rows, columns)
    if kind == "gradient":
        a = a.t().contiguous().t()
    best = dict.fromkeys(CANDIDATES, float("inf"))
    with torch.no_grad():
        for _ in range(REPEATS):
            for name in CANDIDATES:
                started = clock()
                _WAYS[name](a, b, out, 1e-3, 0.9 if kind == "gradient" else 0.0)
                best[name] = min(best[name], clock() - started)
    name = "onednn" if best["onednn"] < (1 - MARGIN) * best["torch"] else "torch"
    speeds = (f"{each} {2e-9 * rows * depth * columns / best[each]:.0f}" for each in CANDIDATES)
    cli.log(f"Products ({kind}): {name} (GFLOP/s: {', '.join(speeds)})")
    return name


def multiply(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, *, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """``out = alpha a b + beta out`` in place, for a [M, K], b [K, N], out [M, N]; returns ``out``.

    With ``beta`` 0, what was in ``out`` does not matter.
    """
    usable = out.is_cpu and out.dtype == torch.float32
    kind = "large" if a.stride(1) == 1 else "gradient"  # of a gradient, a is a transposed derivative
    return _WAYS[chosen(kind) if usable else "torch"](a, b, out, alpha, beta)


def by_torch(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """See :func:`multiply`."""
    return torch.addmm(out, a, b, alpha=alpha, beta=beta, out=out)


def by_onednn(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """See :func:`multiply`."""
    product = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    if beta == 0:
        return torch.mul(product, alpha, out=out) if alpha != 1 else out.copy_(product)
    return (out if beta == 1 else out.mul_(beta)).add_(product, alpha=alpha)


_WAYS: dict[str, Callable[..., torch.Tensor]] = {"torch": by_torch, "onednn": by_onednn}

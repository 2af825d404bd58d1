"""Products of matrices on the CPU by the fastest library of this processor; elsewhere by torch.

The candidates are torch's own product (its BLAS is MKL, which leaves AVX-512 to Intel's processors) and
oneDNN's, which torch brings for its inductor; for the LSTM's recurrence (``thin`` forward, ``back`` back)
and for what a DNN needs beside its large products (``rows``: few columns, bias, sigmoid, loss) also the
kernels in C. ``auto`` times all of a kind once on a machine and takes the first that is within
``MARGIN`` of the fastest, so that noise does not decide; what it took is kept beside the compiled kernels
(see ``kernels``), because the candidates differ in the last bits: the next process, and the other jobs of
this one, take the same. :func:`identity` is recorded with a training: as an option's value it repeats it.
"""

import argparse
import ctypes
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from steps.nnet1 import kernels, options
from utils import cli
from utils.cli import UserError

Run = Callable[[], object]
KINDS = {
    "large": ("torch", "onednn"),
    "gradient": ("torch", "onednn"),
    "rows": ("c", "torch"),
    "thin": ("c", "onednn", "torch"),
    "back": ("c", "onednn", "torch"),
}
"""Kinds of products and the candidates for each, in the order that decides between equals."""
SIZES = {"large": (256, 512, 512), "gradient": (512, 256, 512), "rows": (256, 512, 8)}
"""Rows, depth and columns of the product that is timed."""
MARGIN = 0.05
REPEATS = 5
HELP = (
    "products and recurrence on the CPU: auto (the fastest by measurement), torch, c (what there is in C), "
    "or e.g. large=onednn,gradient=torch,rows=c,thin=c,back=c"
)

_asked: dict[str, str] = {}
_chosen: dict[str, str] = {}


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add those of ``options`` and ``--kernels``."""
    options.add_device_options(parser)
    parser.add_argument("--kernels", default="auto", help=HELP)


def select_device(args: argparse.Namespace) -> torch.device:
    """Fix threads and kernels and choose the device from ``--num-threads --kernels --use-gpu``."""
    torch.set_num_threads(args.num_threads)
    use(args.kernels)
    return options.open_device(args.use_gpu)


def use(text: str) -> None:
    """Choose by the value of ``--kernels``, see :data:`HELP`; what it leaves open is measured."""
    _asked.clear()
    _chosen.clear()
    short = {"auto": "", "torch": ",".join(f"{kind}=torch" for kind in KINDS), "c": "rows=c,thin=c,back=c"}
    for word in filter(None, short.get(text, text).split(",")):
        kind, _, name = word.partition("=")
        if name not in KINDS.get(kind, ()):
            kinds = "large|gradient=torch|onednn, rows=c|torch and thin|back=c|onednn|torch"
            raise UserError(f"--kernels={text}: expected auto, torch, c or {kinds}, with commas between")
        _asked[kind] = name


def asked(kind: str) -> str:
    """Return what was asked for by name, or ''."""
    return _asked.get(kind, "")


def chosen(kind: str, runs: Callable[[str], Mapping[str, Run]] | None = None) -> str:
    """Return the candidate for a kind of product: asked for, kept from before, or the fastest of ``runs``."""
    if kind not in _chosen:
        without = ("c",) if "c" in KINDS[kind] and kernels.library() is None else ()
        if asked(kind) in without:
            raise UserError(f"--kernels: {kind}=c was asked for and cannot be compiled, see the log")
        name = asked(kind) or kernels.kept_choice(kind)
        if name not in KINDS[kind] or name in without:
            measured = _fastest(kind, (runs or _runs)(kind))
            name = measured if name in without else kernels.keep_choice(kind, measured)
        _chosen[kind] = name
    return _chosen[kind]


def identity() -> str:
    """Name what computes, as far as it is chosen, as a value of ``--kernels`` that asks for the same."""
    return ",".join(f"{kind}={chosen(kind)}" for kind in KINDS if kind in _chosen or kind in SIZES)


def onednn_works() -> bool:
    """Tell whether torch brings oneDNN's packed product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _runs(kind: str) -> dict[str, Run]:
    """Make a product of each candidate."""
    rows, depth, columns = SIZES[kind]
    own = torch.Generator().manual_seed(0)  # nobody else's random numbers change
    a, b = torch.randn(rows, depth, generator=own), torch.randn(columns, depth, generator=own).t()
    if kind == "gradient":
        a = a.t().contiguous().t()
    rest = (a, b, torch.zeros(rows, columns), 1e-3, 0.9 if kind == "gradient" else 0.0)
    there = {"torch": True, "onednn": onednn_works(), "c": kernels.library() is not None}
    return {name: partial(_WAYS[name], *rest) for name in KINDS[kind] if there[name]}


def _fastest(kind: str, runs: Mapping[str, Run]) -> str:
    """Time the candidates in turn, by processor time where there is one thread, and log the choice."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = dict.fromkeys((name for name in KINDS[kind] if name in runs), float("inf"))
    with torch.no_grad():
        for _ in range(REPEATS if len(best) > 1 else 0):
            for name in best:
                started = clock()
                runs[name]()
                best[name] = min(best[name], clock() - started)
    name = next(name for name in best if (1 - MARGIN) * best[name] <= min(best.values()))
    times = (f"{each} {1e3 * seconds:.3f} ms" for each, seconds in best.items())
    cli.log(f"Products ({kind}): {name} ({', '.join(times)})")
    return name


def multiply(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, *, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """``out = alpha a b + beta out`` in place, for a [M, K], b [K, N], out [M, N]; returns ``out``.

    With ``beta`` 0, what was in ``out`` does not matter.
    """
    if not out.is_cpu or out.dtype != torch.float32:
        return by_torch(a, b, out, alpha, beta)
    if out.shape[1] <= kernels.FEW and beta == 0 and alpha == 1 and chosen("rows") == "c":
        return by_c(a, b, out)
    kind = "large" if a.stride(1) == 1 else "gradient"  # of a gradient, a is a transposed derivative
    return _WAYS[chosen(kind)](a, b, out, alpha, beta)


def rows_in_c(*tensors: torch.Tensor) -> ctypes.CDLL | None:
    """Return the kernels for what goes row by row, if they are the choice and can take such tensors."""
    return kernels.library() if _fit(*tensors) and chosen("rows") == "c" else None


def _fit(*tensors: torch.Tensor) -> bool:
    return all(tensor.is_cpu and tensor.is_contiguous() for tensor in tensors)


def by_c(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """See :func:`multiply`; with few columns, ``alpha`` 1 and ``beta`` 0."""
    weight, library = b.t(), kernels.library()
    if library is None or not _fit(a, weight, out):
        return by_torch(a, b, out, alpha, beta)
    pointers = (part.data_ptr() for part in (a, weight, out))
    library.few_columns(torch.get_num_threads(), *a.shape, out.shape[1], *pointers)
    return out


def by_torch(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """See :func:`multiply`."""
    return torch.addmm(out, a, b, alpha=alpha, beta=beta, out=out)


def by_onednn(
    a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    """See :func:`multiply`."""
    return _by_packed(a, b.t(), out, alpha, beta)


def _by_packed(
    a: torch.Tensor, b_t: torch.Tensor, out: torch.Tensor, alpha: float = 1.0, beta: float = 0.0
) -> torch.Tensor:
    product = torch.ops.mkldnn._linear_pointwise(a, b_t, None, "none", [], "")
    if beta == 0:
        return torch.mul(product, alpha, out=out) if alpha != 1 else out.copy_(product)
    return (out if beta == 1 else out.mul_(beta)).add_(product, alpha=alpha)


def prepared(b: torch.Tensor, name: str, rows: int) -> Callable[[torch.Tensor, torch.Tensor, float], object]:
    """Lay b [K, N] out once for many products with few rows: ``(a, out, beta) -> out = a b + beta out``."""
    if name == "onednn":
        packed = torch.ops.mkldnn._reorder_linear_weight(b.t(), rows)
        return lambda a, out, beta: _by_packed(a, packed, out, 1.0, beta)
    return lambda a, out, beta: by_torch(a, b, out, 1.0, beta)


_WAYS: dict[str, Callable[..., torch.Tensor]] = {"torch": by_torch, "onednn": by_onednn, "c": by_c}

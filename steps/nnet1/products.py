"""Products of matrices on the CPU by the fastest library of this processor; elsewhere by torch.

The candidates are torch's own product (its BLAS is MKL, which leaves AVX-512 to Intel's processors) and
oneDNN's, which torch brings for its inductor; for the LSTM's recurrence (``thin``) also the kernels in C,
which take the ``end`` of a DNN wherever there is a compiler. ``auto`` times all of a kind once on a machine
and takes the first that is within ``MARGIN`` of the fastest, so that noise does not decide; what it took is
kept beside the compiled kernels (see ``kernels``), because the candidates differ in the last bits: the next
process, and the other jobs of this one, take the same. :func:`identity` is recorded with a training: as an
option's value it repeats it.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from steps.nnet1 import kernels, options
from utils import cli
from utils.cli import UserError

Run = Callable[[], object]
KINDS = {
    "large": ("torch", "onednn"),
    "gradient": ("torch", "onednn"),
    "thin": ("c", "onednn", "torch"),
    "end": ("c", "torch"),
}
"""Kinds of products and the candidates for each, in the order that decides between equals."""
MARGIN = 0.05
REPEATS = 5
VALUES = "auto, torch, or with commas between: " + ", ".join(
    f"{kind}={'|'.join(names)}" for kind, names in KINDS.items()
)

_asked: dict[str, str] = {}
_chosen: dict[str, str] = {}


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add those of ``options`` and ``--kernels``."""
    options.add_device_options(parser)
    parser.add_argument("--kernels", default="auto", help=f"what multiplies on the CPU: {VALUES}")


def select_device(args: argparse.Namespace) -> torch.device:
    """Fix threads and kernels and choose the device from ``--num-threads --kernels --use-gpu``."""
    torch.set_num_threads(args.num_threads)
    use(args.kernels)
    return options.open_device(args.use_gpu)


def use(text: str) -> None:
    """Choose by the value of ``--kernels``, one of :data:`VALUES`; ``auto`` measures what is left open."""
    _asked.clear()
    _chosen.clear()
    short = {"auto": "", "torch": ",".join(f"{kind}=torch" for kind in KINDS)}
    for word in filter(None, short.get(text, text).split(",")):
        kind, _, name = word.partition("=")
        if name not in KINDS.get(kind, ()):
            raise UserError(f"--kernels={text}: expected {VALUES}")
        _asked[kind] = name


def asked(kind: str) -> str:
    """Return what was asked for by name, or ''."""
    return _asked.get(kind, "")


def chosen(kind: str, make: Callable[[str], Run] | None = None) -> str:
    """Return the candidate for a kind of product: asked for, kept from before, or the fastest.

    ``make`` makes by a candidate's name what is timed; without it, that is one product.
    """
    if kind not in _chosen:
        there = {"torch": True, "onednn": torch.backends.mkldnn.is_available(), "c": bool(kernels.library())}
        names = [name for name in KINDS[kind] if there[name]]
        if kind in _asked and _asked[kind] not in names:
            raise UserError(f"--kernels: {kind}={_asked[kind]} was asked for and is not there, see the log")
        label = ".".join([kind, *names])
        name = names[0] if kind == "end" else kernels.kept_choice(label)
        name = _asked.get(kind, name)
        if name not in names:
            runs = {each: (make or partial(_product, kind))(each) for each in names}
            fastest = _fastest(kind, runs)
            name = kernels.kept_choice(label, fastest) or fastest
        _chosen[kind] = name
    return _chosen[kind]


def identity() -> str:
    """Name what computes, as far as it is chosen, as a value of ``--kernels`` that asks for the same."""
    return ",".join(f"{kind}={chosen(kind)}" for kind in KINDS if kind in _chosen or kind != "thin")


def _product(kind: str, name: str) -> Run:
    """Make a product by a candidate."""
    own = torch.Generator().manual_seed(0)  # nobody else's random numbers change
    a, b = torch.randn(256, 512, generator=own), torch.randn(512, 512, generator=own).t()
    if kind == "large":
        return partial(_WAYS[name], a, b, torch.zeros(256, 512), 1e-3, 0.0)
    return partial(_WAYS[name], b, a.t(), torch.zeros(512, 256), 1e-3, 0.9)


def _fastest(kind: str, runs: dict[str, Run]) -> str:
    """Time the candidates in turn, by processor time where there is one thread, and log the choice."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = dict.fromkeys(runs, float("inf"))
    with torch.no_grad():
        for _ in range(REPEATS):
            for name, run in runs.items():
                started = clock()
                run()
                best[name] = min(best[name], clock() - started)
    name = next(name for name in best if (1 - MARGIN) * best[name] <= min(best.values()))
    times = (f"{each} {1e3 * seconds:.3f} ms" for each, seconds in best.items())
    cli.log(f"Products ({kind}): {name} ({', '.join(times)})")
    return name


def multiply(a: Tensor, b: Tensor, out: Tensor, *, alpha: float = 1.0, beta: float = 0.0) -> Tensor:
    """``out = alpha a b + beta out`` in place, for a [M, K], b [K, N], out [M, N]; returns ``out``.

    With ``beta`` 0, what was in ``out`` does not matter.
    """
    kind = "large" if a.stride(1) == 1 else "gradient"  # of a gradient, a is a transposed derivative
    return _WAYS[chosen(kind) if out.is_cpu else "torch"](a, b, out, alpha, beta)


def by_torch(a: Tensor, b: Tensor, out: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Tensor:
    """See :func:`multiply`."""
    return torch.addmm(out, a, b, alpha=alpha, beta=beta, out=out)


def by_onednn(
    a: Tensor, b: Tensor, out: Tensor, alpha: float = 1.0, beta: float = 0.0, packed: Tensor | None = None
) -> Tensor:
    """See :func:`multiply`; ``packed`` is b as oneDNN lays it out."""
    b_t = b.t() if packed is None else packed
    product = torch.ops.mkldnn._linear_pointwise(a, b_t, None, "none", [], "")
    if beta == 0:
        return torch.mul(product, alpha, out=out) if alpha != 1 else out.copy_(product)
    return (out if beta == 1 else out.mul_(beta)).add_(product, alpha=alpha)


def prepared(b: Tensor, name: str, rows: int) -> Callable[[Tensor, Tensor, float], object]:
    """Lay b [K, N] out once for many products with few rows: ``(a, out, beta) -> out = a b + beta out``."""
    if name == "onednn":
        packed = torch.ops.mkldnn._reorder_linear_weight(b.t(), rows)
        return lambda a, out, beta: by_onednn(a, b, out, 1.0, beta, packed)
    return lambda a, out, beta: by_torch(a, b, out, 1.0, beta)


_WAYS: dict[str, Callable[..., Tensor]] = {"torch": by_torch, "onednn": by_onednn}

"""Draw the first parameters of a network, bit for bit as Kaldi's ``nnet-initialize`` does.

The two generations differ in the order of the tensors, in the generator behind an LSTM's matrices and in
how a uniform number is made and scaled; each step below is rounded to float32 where Kaldi's is. ``rand``,
``rand_r``, ``logf`` and ``cosf`` are the C library's own, because no two libraries round alike, called number
by number: the 25 million of the largest network took 12 s on a busy AMD EPYC.
"""

import ctypes
import math
from typing import Any

import numpy as np

from steps.nnet1.components import (
    AffineTransform,
    Component,
    Dims,
    Generation,
    Lstm,
    Network,
    NnetFormatError,
    Shape,
)
from steps.nnet1.prototype import ProtoLine

RAND_MAX = 2**31 - 1
_MATRICES_FIRST = ("w_gifo_x", "w_gifo_r", "w_r_m", "bias", "peephole_i_c", "peephole_f_c", "peephole_o_c")
_MOST_PARAMETERS = 1 << 29
_LIBC = ctypes.CDLL(None)


def initialize(protos: list[ProtoLine], seed: int, generation: Generation) -> Network:
    """Make a network from the components of a prototype, all drawn from one sequence of glibc's ``rand``.

    ``generation`` says whose numbers to draw, and in whose layout the network will be written. What it does
    not know, and what is missing or too large, is a ``UserError`` with file and line.
    """
    srand(seed)
    return Network([_component(proto, generation) for proto in protos], generation)


def _component(proto: ProtoLine, generation: Generation) -> Component:
    kind, known = proto.kind, proto.kind.options(generation)
    if generation == "modern" and kind.only_2014:
        raise proto.fail("only the generation 2014 has this component")
    unknown = {option.token for name, option in kind.options().items() if name not in known}
    unknown.add("<ParamScale>" if generation == "modern" else "<ParamRange>")
    for token in unknown & proto.options.keys():
        raise proto.fail(f"the generation {generation} has no {token}")
    given: dict[str, Any] = {}
    if generation == "2014" and issubclass(kind, Lstm):
        given = {"diff_clip": 0.0, "grad_clip": 0.0}  # clips that came later
    for name, option in known.items():
        if (value := proto.options.get(option.token)) is not None:
            given[name] = option.kind(np.float32(value) if option.kind is float else value)
    for name, first in kind.declared("first").items():
        given[name] = [value - first for value in proto.options.get("<BuildVector>", [])]
    shapes = kind.shapes(Dims(proto.input_dim, proto.output_dim, given.get("cell_dim", 0)))
    if (count := sum(map(math.prod, shapes.values()))) > _MOST_PARAMETERS:
        raise proto.fail(f"{count} parameters are more than the {_MOST_PARAMETERS} that are sensible here")
    for name, values in _draw(proto, shapes, generation).items():
        given[name] = values.astype(np.float32, copy=False).reshape(shapes[name])
    try:
        return kind(proto.input_dim, proto.output_dim, **given)
    except NnetFormatError as error:
        raise proto.fail(str(error).partition(": ")[2]) from error


def _draw(proto: ProtoLine, shapes: dict[str, Shape], generation: Generation) -> dict[str, np.ndarray]:
    """Return the values of each tensor in one dimension."""

    def given(token: str, default: float) -> np.float32:
        return np.float32(proto.options.get(token, default))

    if proto.kind is AffineTransform:
        weight = given("<ParamStddev>", 0.1) * gauss(math.prod(shapes["weight"]))
        mean, width = given("<BiasMean>", -2.0), given("<BiasRange>", 2.0)
        if generation == "modern":
            return {"weight": weight, "bias": _uniform_modern(proto.output_dim, mean, width)}
        centred = uniform(rand(proto.output_dim)) - 0.5  # float32: exact either way
        return {"weight": weight, "bias": np.float64(mean) + centred.astype(np.float64) * np.float64(width)}
    if issubclass(proto.kind, Lstm) and generation == "modern":
        width = np.float32(2 * np.float64(given("<ParamRange>", 0.1)))
        return {name: _uniform_modern(math.prod(shape), 0, width) for name, shape in shapes.items()}
    if issubclass(proto.kind, Lstm):
        scale = given("<ParamScale>", 0.02)
        return {name: _uniform_2014(shapes[name], scale) for name in _MATRICES_FIRST}
    return {name: np.full(shape, given("<InitParam>", 0.0)) for name, shape in shapes.items()}


def _uniform_modern(count: int, mean: float | np.float32, width: np.float32) -> np.ndarray:
    """``mean - width/2 + width * rand() / RAND_MAX``, where RAND_MAX as a float is 2**31."""
    drawn = rand(count).astype(np.float32) / np.float32(RAND_MAX)
    return drawn * width + np.float32(np.float64(mean) - np.float64(width) / 2)


def _uniform_2014(shape: Shape, scale: np.float32) -> np.ndarray:
    """Values in -scale..scale of an LSTM's tensor: a matrix from ``rand_r``, a vector from ``rand``."""
    if len(shape) == 1:
        return (uniform(rand(*shape)).astype(np.float64) - 0.5) * 2 * np.float64(scale)
    return (uniform(rand_r(int(rand(1)[0]), math.prod(shape))) - np.float32(0.5)) * (np.float32(2) * scale)


def srand(seed: int) -> None:
    """Start the sequence of :func:`rand` anew; the low 32 bits of the seed count."""
    _LIBC.srand(ctypes.c_uint(seed & 0xFFFFFFFF))


def rand(count: int) -> np.ndarray:
    """Draw the next ``count`` numbers, int32 [count], each in 0..RAND_MAX."""
    draw = _LIBC.rand
    return np.fromiter((draw() for _ in range(count)), dtype=np.int32, count=count)


def rand_r(seed: int, count: int) -> np.ndarray:
    """Draw ``count`` numbers of ``rand_r`` from a state of ``seed``, int32 [count], each in 0..RAND_MAX."""
    draw, state = _LIBC.rand_r, ctypes.byref(ctypes.c_uint(seed & 0xFFFFFFFF))
    return np.fromiter((draw(state) for _ in range(count)), dtype=np.int32, count=count)


def uniform(drawn: np.ndarray) -> np.ndarray:
    """Kaldi's ``RandUniform()``: drawn numbers as float32 in the open interval (0, 1), same shape."""
    return ((drawn + 1.0) / (RAND_MAX + 2.0)).astype(np.float32)


def gauss(count: int) -> np.ndarray:
    """Kaldi's ``RandGauss()``: sqrt(-2 log u1) cos(2 pi u2), float32 [count]; u1 is drawn before u2."""
    first, second = uniform(rand(2 * count)).reshape(count, 2).T
    radius = np.sqrt(np.float32(-2) * _elementwise("logf", first))
    angle = (2 * np.pi * second.astype(np.float64)).astype(np.float32)
    return radius * _elementwise("cosf", angle)


def _elementwise(name: str, values: np.ndarray) -> np.ndarray:
    function = getattr(_LIBC, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.fromiter(map(function, values.tolist()), dtype=np.float32, count=len(values))

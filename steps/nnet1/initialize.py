"""The first parameters of a network from its prototype, bit for bit those of Kaldi's ``nnet-initialize``.

A prototype has ``<Type> <InputDim> i <OutputDim> o <Option> v ...`` a line. Each step is rounded to float32
where Kaldi's is; ``rand``, ``rand_r``, ``logf`` and ``cosf`` are the C library's, as no two round alike.
"""

import ctypes
import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from steps.nnet1.components import (
    KINDS,
    AffineTransform,
    Component,
    Generation,
    Lstm,
    Network,
    Shape,
    number,
    token,
)
from utils import tables
from utils.cli import UserError

BRACKETS = ("<NnetProto>", "</NnetProto>")
RAND_MAX = 2**31 - 1
_LIBC = ctypes.CDLL(None)
_LIBC.logf.restype = _LIBC.cosf.restype = ctypes.c_float
_LIBC.logf.argtypes = _LIBC.cosf.argtypes = [ctypes.c_float]


@dataclass
class ProtoLine:
    """A component to be made: ``options`` by token, with integers, floats or a list of integers."""

    where: str
    kind: type[Component]
    options: dict[str, Any]


def read_prototype(path: str | Path) -> tuple[list[ProtoLine], list[str]]:
    """Read the components of a prototype, and its lines, from a file or from the standard input (``-``)."""
    text = tables.read_text("/dev/stdin" if str(path) == "-" else path)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    protos = [parse_line(line, f"{path}:{number}") for number, line in lines if line not in BRACKETS]
    if not protos:
        raise UserError(f"{path}: the prototype has no component")
    return protos, [line for _, line in lines]


def parse_line(text: str, where: str) -> ProtoLine:
    """Parse one component's line; ``where`` (file:line) begins every error."""
    marker, *words = text.split()
    kind = KINDS.get(marker.lower())
    if kind is None:
        raise UserError(f"{where}: unknown component '{marker}'; known are {' '.join(sorted(KINDS))}")
    types = {token(name): type(default) for name, default in kind.options.items()}
    types |= {"<InputDim>": int, "<OutputDim>": int, **dict.fromkeys(kind.drawn_by, float)}
    options: dict[str, Any] = {}
    left = iter(words)
    try:
        for word in left:
            if word == "<BuildVector>" and kind.integers:
                ranges = takewhile("</BuildVector>".__ne__, left)
                options[word] = [value for part in ranges for value in _range(part)]
            elif word in types:
                options[word] = number(types[word], next(left, "nothing"))
            else:
                raise ValueError(f"unknown option '{word}'; this component has {' '.join(types)}")
        for word in ("<InputDim>", "<OutputDim>", "<CellDim>"):
            if word in types and (size := options.get(word, 0)) < 1:
                raise ValueError(f"{word} must be at least 1, got {size or 'none'}")
    except (ValueError, OverflowError) as error:
        raise UserError(f"{where}: {marker}: {error}") from error
    return ProtoLine(where, kind, options)


def _range(text: str) -> range:
    """Return the integers of ``n``, ``min:max`` or ``first:step:last``, ends included."""
    first, *between, last = [int(part) for part in text.split(":") * (1 if ":" in text else 2)]
    (step,) = between or [1]
    return range(first, last + (1 if step > 0 else -1), step)


def default_generation(protos: list[ProtoLine]) -> Generation:
    """Return ``2014`` if only kaldi-lstm's Kaldi knows what the prototype asks for, else ``modern``."""
    old = any(proto.kind.only_2014 or "<ParamScale>" in proto.options for proto in protos)
    return "2014" if old else "modern"


def dnn_prototype(feat_dim: int, num_leaves: int, hid_layers: int, hid_dim: int) -> list[str]:
    """Return the prototype of a DNN as Kaldi's ``utils/nnet/make_nnet_proto.py`` makes it by default."""
    lines = []
    bias = "<BiasMean> -2.000000 <BiasRange> 4.000000"
    for layer, (before, after) in enumerate(pairwise([feat_dim, *[hid_dim] * hid_layers])):
        deviation = 3.5 * math.sqrt(2 / (before + after)) * (1.0 if layer else math.sqrt(1 / 12))
        options = f"{bias} <ParamStddev> {deviation:f} <MaxNorm> 0.000000"
        lines.append(f"<AffineTransform> <InputDim> {before} <OutputDim> {after} {options}")
        lines.append(f"<Sigmoid> <InputDim> {after} <OutputDim> {after}")
    deviation = 3.5 * math.sqrt(2 / (hid_dim + num_leaves))
    options = f"<BiasMean> 0.000000 <BiasRange> 0.000000 <ParamStddev> {deviation:f}"
    options += " <LearnRateCoef> 1.000000 <BiasLearnRateCoef> 0.100000"
    lines.append(f"<AffineTransform> <InputDim> {hid_dim} <OutputDim> {num_leaves} {options}")
    lines.append(f"<Softmax> <InputDim> {num_leaves} <OutputDim> {num_leaves}")
    return [BRACKETS[0], *lines, BRACKETS[1]]


def lstm_prototype(
    feat_dim: int,
    num_leaves: int,
    *,
    num_layers: int,
    cell_dim: int,
    proj_dim: int,
    num_stream: int,
    param_scale: float,
) -> list[str]:
    """Return the prototype of a projected LSTM in the layout of kaldi-lstm.

    Without <Transmit> its first LSTM gets no gradient. ``proj_dim`` is what the paper calls a layer's size.
    """
    options = f"<CellDim> {cell_dim} <ParamScale> {param_scale:g} <NumStream> {num_stream}"
    inputs = [feat_dim, *[proj_dim] * (num_layers - 1)]
    affine = f"<AffineTransform> <InputDim> {proj_dim} <OutputDim> {num_leaves}"
    return [
        BRACKETS[0],
        f"<Transmit> <InputDim> {feat_dim} <OutputDim> {feat_dim}",
        *(f"<LstmProjectedStreams> <InputDim> {dim} <OutputDim> {proj_dim} {options}" for dim in inputs),
        f"{affine} <BiasMean> 0 <BiasRange> 0 <ParamStddev> 0.04",
        f"<Softmax> <InputDim> {num_leaves} <OutputDim> {num_leaves}",
        BRACKETS[1],
    ]


def initialize(protos: list[ProtoLine], seed: int, generation: Generation) -> Network:
    """Draw a network from one sequence of glibc's ``rand``, as a generation does and for its layout.

    What the generation does not know, and what does not fit together, is a ``UserError``.
    """
    _LIBC.srand(ctypes.c_uint(seed & 0xFFFFFFFF))
    components = []
    for proto in protos:
        try:
            components.append(_component(proto, generation))
        except UserError as error:
            raise UserError(f"{proto.where}: {error}") from error
    return Network(components, generation)


def _component(proto: ProtoLine, generation: Generation) -> Component:
    kind = proto.kind
    if generation == "modern" and kind.only_2014:
        raise UserError(f"<{kind.__name__}>: only the generation 2014 has this component")
    unknown = {"<ParamScale>"} if generation == "modern" else {"<ParamRange>", *map(token, kind.modern)}
    if found := sorted(unknown & proto.options.keys()):
        raise UserError(f"<{kind.__name__}>: the generation {generation} has no {found[0]}")
    given: dict[str, Any] = {}
    if generation == "2014" and issubclass(kind, Lstm):
        given = {"diff_clip": 0.0, "grad_clip": 0.0}  # clips that came later
    given |= {name: proto.options[token(name)] for name in kind.options if token(name) in proto.options}
    for name, first in kind.integers.items():
        given[name] = [value - first for value in proto.options.get("<BuildVector>", [])]
    input_dim, output_dim = (proto.options.get(name, 0) for name in ("<InputDim>", "<OutputDim>"))
    shapes = kind.shapes(input_dim, output_dim, given.get("cell_dim", 0))
    for name, values in _draw(proto, shapes, generation).items():
        given[name] = values.astype(np.float32, copy=False).reshape(shapes[name])
    return kind(input_dim, output_dim, **given)


def _draw(proto: ProtoLine, shapes: dict[str, Shape], generation: Generation) -> dict[str, np.ndarray]:
    """Return the values of each tensor in one dimension."""

    def given(token: str, default: float) -> np.float32:
        return np.float32(proto.options.get(token, default))

    if proto.kind is AffineTransform:
        weight = given("<ParamStddev>", 0.1) * gauss(math.prod(shapes["weight"]))
        mean, width = given("<BiasMean>", -2.0), given("<BiasRange>", 2.0)
        if generation == "modern":
            return {"weight": weight, "bias": _uniform_modern(math.prod(shapes["bias"]), mean, width)}
        centred = uniform(rand(*shapes["bias"])) - 0.5  # float32: exact either way
        return {"weight": weight, "bias": np.float64(mean) + centred.astype(np.float64) * np.float64(width)}
    if issubclass(proto.kind, Lstm) and generation == "modern":
        width = np.float32(2 * np.float64(given("<ParamRange>", 0.1)))
        return {name: _uniform_modern(math.prod(shape), 0, width) for name, shape in shapes.items()}
    if issubclass(proto.kind, Lstm):
        scale = given("<ParamScale>", 0.02)
        matrices_first = sorted(shapes, key=lambda name: len(shapes[name]) == 1)
        return {name: _uniform_2014(shapes[name], scale) for name in matrices_first}
    return {name: np.full(shape, given("<InitParam>", 0.0)) for name, shape in shapes.items()}


def _uniform_modern(count: int, mean: float | np.float32, width: np.float32) -> np.ndarray:
    """``mean - width/2 + width * rand() / RAND_MAX``, where RAND_MAX as a float is 2**31."""
    drawn = rand(count).astype(np.float32) / np.float32(RAND_MAX)
    return drawn * width + np.float32(np.float64(mean) - np.float64(width) / 2)


def _uniform_2014(shape: Shape, scale: np.float32) -> np.ndarray:
    """Values in -scale..scale of an LSTM's tensor: a matrix from ``rand_r``, a vector from ``rand``."""
    if len(shape) == 1:
        return (uniform(rand(*shape)).astype(np.float64) - 0.5) * 2 * np.float64(scale)
    return (uniform(rand(math.prod(shape), int(rand(1)[0]))) - np.float32(0.5)) * (np.float32(2) * scale)


def rand(count: int, state: int | None = None) -> np.ndarray:
    """Draw numbers of ``rand``, or of ``rand_r`` from a state: int32 [count], each in 0..RAND_MAX."""
    where = () if state is None else (ctypes.byref(ctypes.c_uint(state & 0xFFFFFFFF)),)
    draw = partial(_LIBC.rand_r if where else _LIBC.rand, *where)
    return np.fromiter((draw() for _ in range(count)), dtype=np.int32, count=count)


def uniform(drawn: np.ndarray) -> np.ndarray:
    """Kaldi's ``RandUniform()``: drawn numbers as float32 in the open interval (0, 1), same shape."""
    return ((drawn + 1.0) / (RAND_MAX + 2.0)).astype(np.float32)


def gauss(count: int) -> np.ndarray:
    """Kaldi's ``RandGauss()``: sqrt(-2 log u1) cos(2 pi u2), float32 [count]; u1 is drawn before u2."""
    first, second = uniform(rand(2 * count)).reshape(count, 2).T
    logarithm = np.fromiter(map(_LIBC.logf, first.tolist()), np.float32, count)
    angle = (2 * np.pi * second.astype(np.float64)).astype(np.float32)
    return np.sqrt(np.float32(-2) * logarithm) * np.fromiter(
        map(_LIBC.cosf, angle.tolist()), np.float32, count
    )

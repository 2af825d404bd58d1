"""Draw the first parameters of a network, bit for bit as Kaldi's ``nnet-initialize`` does.

The two generations differ in the order of the tensors, in the generator behind an LSTM's matrices and in
how a uniform number is made and scaled; each step below is rounded to float32 where Kaldi's is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from steps.nnet1 import components as nnet1
from steps.nnet1.components import KINDS, Component, Dims, Generation, Network
from steps.nnet1.glibc_random import RAND_MAX, gauss, rand, rand_r, srand, uniform
from steps.nnet1.prototype import ProtoLine

_2014_DRAWING_ORDER = (
    "w_gifo_x",
    "w_gifo_r",
    "w_r_m",
    "bias",
    "peephole_i_c",
    "peephole_f_c",
    "peephole_o_c",
)
_MOST_PARAMETERS = 1 << 29


def initialize(protos: list[ProtoLine], seed: int, generation: Generation) -> Network:
    """Make a network from a prototype.

    Parameters
    ----------
    protos : list of ProtoLine
        What :func:`steps.nnet1.prototype.read_prototype` gives.
    seed : int
        For glibc's ``srand``; the whole network is drawn from one sequence, component by component.
    generation : "2014" or "modern"
        Whose numbers to draw, and whose layout the network will be written in.

    Raises
    ------
    UserError
        If the generation does not know a component or an option, a needed option is missing, or a
        component would be too large; with file and line.
    """
    srand(seed)
    drawer = _Drawer(generation)
    return Network([drawer.component(proto) for proto in protos], generation)


@dataclass
class _Drawer:
    generation: Generation

    def component(self, proto: ProtoLine) -> Component:
        dims = (proto.input_dim, proto.output_dim)
        if self.generation == "modern" and KINDS[proto.kind].only_2014:
            raise proto.fail("only the generation 2014 has this component")
        try:
            self._check_options(proto)
            if proto.kind == "AffineTransform":
                return self.affine(proto)
            if proto.kind in ("LstmProjected", "LstmProjectedStreams"):
                return self.lstm(proto)
            if proto.kind in ("AddShift", "Rescale"):
                return _constant(proto)
            if proto.kind == "Splice":
                return nnet1.Splice(*dims, offsets=proto.options.get("<BuildVector>", []))
            if proto.kind == "Copy":
                indices = [index - 1 for index in proto.options.get("<BuildVector>", [])]
                return nnet1.Copy(*dims, indices=indices)
            return KINDS[proto.kind](*dims, **_attributes(proto))
        except nnet1.NnetFormatError as error:
            raise proto.fail(str(error).partition(": ")[2]) from error

    def affine(self, proto: ProtoLine) -> nnet1.AffineTransform:
        options = proto.options
        _check_size(proto, proto.input_dim * proto.output_dim)
        stddev = np.float32(options.get("<ParamStddev>", 0.1))
        mean = np.float32(options.get("<BiasMean>", -2.0))
        width = np.float32(options.get("<BiasRange>", 2.0))
        weight = stddev * gauss(proto.input_dim * proto.output_dim)
        if self.generation == "modern":
            bias = self._uniform_modern(proto.output_dim, mean, width)
        else:
            centred = uniform(rand(proto.output_dim)) - 0.5  # float32: exact either way
            bias = (np.float64(mean) + centred.astype(np.float64) * np.float64(width)).astype(np.float32)
        return nnet1.AffineTransform(
            proto.input_dim,
            proto.output_dim,
            weight=_tensor(weight, (proto.output_dim, proto.input_dim)),
            bias=_tensor(bias, (proto.output_dim,)),
            **_attributes(proto),
        )

    def _check_options(self, proto: ProtoLine) -> None:
        """Refuse options that only the other generation has."""
        kind = KINDS[proto.kind]
        other = {"<ParamScale>"} if self.generation == "modern" else {"<ParamRange>"}
        if self.generation == "2014":
            other |= {option.token for option in kind.options() if option.modern_only}
        for token in proto.options:
            if token in other:
                raise proto.fail(f"the generation {self.generation} has no {token}")

    def lstm(self, proto: ProtoLine) -> Component:
        for token, default in (("<CellDim>", 0), ("<NumStream>", 4)):
            if proto.options.get(token, default) < 1:
                raise proto.fail(f"{token} must be at least 1, got {proto.options.get(token, 'none')}")
        shapes = nnet1.Lstm.shapes(Dims(proto.input_dim, proto.output_dim, proto.options["<CellDim>"]))
        _check_size(proto, sum(int(np.prod(shape, dtype=object)) for shape in shapes.values()))
        attributes = _attributes(proto)
        if self.generation == "modern":
            width = np.float32(2 * np.float64(np.float32(proto.options.get("<ParamRange>", 0.1))))
            drawn = {name: self._uniform_modern(_count(shape), 0, width) for name, shape in shapes.items()}
        else:
            drawn = self._lstm_2014(shapes, np.float32(proto.options.get("<ParamScale>", 0.02)))
            attributes.update(diff_clip=0.0, grad_clip=0.0)  # clips that came later
        tensors = {name: _tensor(drawn[name], shape) for name, shape in shapes.items()}
        return KINDS[proto.kind](proto.input_dim, proto.output_dim, **tensors, **attributes)

    def _uniform_modern(self, count: int, mean: float | np.float32, width: np.float32) -> np.ndarray:
        """``mean - width/2 + width * rand() / RAND_MAX``, where RAND_MAX as a float is 2**31."""
        drawn = rand(count).astype(np.float32) / np.float32(RAND_MAX)
        return drawn * width + np.float32(np.float64(mean) - np.float64(width) / 2)

    def _lstm_2014(self, shapes: dict[str, tuple[int, ...]], scale: np.float32) -> dict[str, np.ndarray]:
        """Values in -scale..scale: matrices from ``rand_r``, vectors from ``rand``, matrices first."""
        drawn: dict[str, np.ndarray] = {}
        for name in _2014_DRAWING_ORDER:
            count = _count(shapes[name])
            if len(shapes[name]) == 2:
                values = uniform(rand_r(int(rand(1)[0]), count))
                values -= np.float32(0.5)
                values *= np.float32(2) * scale
            else:
                doubles = uniform(rand(count)).astype(np.float64) - 0.5
                values = (doubles * 2 * np.float64(scale)).astype(np.float32)
            drawn[name] = values
        return drawn


def _constant(proto: ProtoLine) -> Component:
    (name,) = KINDS[proto.kind].shapes(Dims(proto.input_dim, proto.output_dim))
    values = torch.full((proto.output_dim,), proto.options.get("<InitParam>", 0.0))
    return KINDS[proto.kind](proto.input_dim, proto.output_dim, **{name: values}, **_attributes(proto))


def _attributes(proto: ProtoLine) -> dict[str, Any]:
    """Attributes of the component that the prototype sets; floats as float32 holds them."""
    names = {option.token: option.attribute for option in KINDS[proto.kind].options()}
    given = ((names[token], value) for token, value in proto.options.items() if token in names)
    return {name: value if isinstance(value, int) else float(np.float32(value)) for name, value in given}


def _count(shape: Iterable[int]) -> int:
    return int(np.prod(tuple(shape)))


def _check_size(proto: ProtoLine, count: int) -> None:
    if count > _MOST_PARAMETERS:
        raise proto.fail(f"{count} parameters are more than the {_MOST_PARAMETERS} that are sensible here")


def _tensor(values: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.reshape(shape), dtype=np.float32))

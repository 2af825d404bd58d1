"""The components of an nnet1 network: dimensions, parameters and options, no arithmetic.

The equations are those of Kaldi's ``nnet1`` (``AffineTransform`` … ``Splice``) and of kaldi-lstm
(``Transmit``, ``TimeShift``, ``LstmProjectedStreams``).
"""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from utils.cli import UserError

Tensor = Any  # of NumPy as it is read or drawn, of torch in training
Generation = Literal["2014", "modern"]
Shape = tuple[int, ...]


def token(name: str) -> str:
    """Return how an option stands in files: ``<LearnRateCoef>`` for ``learn_rate_coef``."""
    return f"<{name.title().replace('_', '')}>"


def number(kind: type, word: str) -> int | float:
    """Parse an int32, or a finite float, rounded to float32; ValueError or OverflowError if it is none."""
    value = np.int32(word).item() if kind is int else ctypes.c_float(float(word)).value
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got '{word}'")
    return value


class Component:
    """One layer of a network, from ``input_dim`` to ``output_dim`` columns a frame.

    A kind says by tables what it has, in the order of files: ``options`` (numbers with their defaults, also
    in prototypes; files of 2014 lack the ``modern`` ones), ``integers`` (vectors, which count from 0 here and
    from this number in files) and ``arrays`` (float32, trainable, with the sizes of their shapes).
    ``drawn_by`` are the options of prototypes that say how the arrays are drawn; today's Kaldi lacks what is
    ``only_2014``. What does not fit together is a UserError.
    """

    only_2014: ClassVar[bool] = False
    options: ClassVar[dict[str, int | float]] = {}
    modern: ClassVar[tuple[str, ...]] = ()
    integers: ClassVar[dict[str, int]] = {}
    arrays: ClassVar[dict[str, str]] = {}
    drawn_by: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, input_dim: int, output_dim: int, **fields: Any) -> None:
        self.kind = type(self).__name__  # also in files
        self.input_dim, self.output_dim = input_dim, output_dim
        vars(self).update({**self.options, **fields})
        for name in ("input_dim", "output_dim", "cell_dim", "num_stream"):
            if (size := getattr(self, name, 1)) < 1:
                raise UserError(f"<{self.kind}>: {token(name)} must be at least 1, got {size}")
        if (made := self._num_outputs()) != output_dim:
            raise UserError(f"<{self.kind}>: makes {made} outputs of {input_dim} inputs, not {output_dim}")
        for name, shape in self.shapes(input_dim, output_dim, getattr(self, "cell_dim", 0)).items():
            if (found := tuple(getattr(self, name).shape)) != shape:
                expected, got = (" x ".join(map(str, sizes)) for sizes in (shape, found))
                raise UserError(f"<{self.kind}>: expected {name} of {expected}, got {got}")

    def _num_outputs(self) -> int:
        return self.input_dim

    @classmethod
    def shapes(cls, input_dim: int, output_dim: int, cell_dim: int = 0) -> dict[str, Shape]:
        """Return the shapes of the trainable arrays by name."""
        sizes = {"inputs": input_dim, "outputs": output_dim, "cells": cell_dim, "gates": 4 * cell_dim}
        return {name: tuple(sizes[size] for size in shape.split()) for name, shape in cls.arrays.items()}

    def params(self) -> dict[str, Tensor]:
        """Return the trainable arrays by name; training changes them in place."""
        return {name: getattr(self, name) for name in self.arrays}


class Sigmoid(Component):
    """``y = 1 / (1 + exp(-x))``."""


class Tanh(Component):
    """``y = tanh(x)``."""


class Softmax(Component):
    """``y = exp(x - max x) / sum exp(x - max x)``."""


class Transmit(Component):
    """Identity (2014); lets an LSTM behind it receive gradients, see the semantics of kaldi-lstm."""

    only_2014 = True


class TimeShift(Component):
    """``y(t) = x(min(max(t + shift, 0), T - 1))`` (2014); the test-time form of a target delay."""

    only_2014 = True
    options = {"shift": 0}

    @property
    def offsets(self) -> list[int]:
        """See :class:`Splice`."""
        return [self.shift]


class AffineTransform(Component):
    """``y = W x + b``."""

    options = {"learn_rate_coef": 1.0, "bias_learn_rate_coef": 1.0, "max_norm": 0.0}
    arrays = {"weight": "outputs inputs", "bias": "outputs"}
    drawn_by = ("<BiasMean>", "<BiasRange>", "<ParamStddev>")

    def _num_outputs(self) -> int:
        return self.output_dim


class AddShift(Component):
    """``y = x + shift``."""

    options = {"learn_rate_coef": 1.0}
    modern = ("learn_rate_coef",)
    arrays = {"shift": "outputs"}
    drawn_by = ("<InitParam>",)


class Rescale(Component):
    """``y = x * scale``."""

    options = {"learn_rate_coef": 1.0}
    modern = ("learn_rate_coef",)
    arrays = {"scale": "outputs"}
    drawn_by = ("<InitParam>",)


class Splice(Component):
    """``y(t) = [x(t + offsets[0]) | x(t + offsets[1]) | ...]``, frames clamped to the first and the last."""

    integers = {"offsets": 0}

    def _num_outputs(self) -> int:
        return len(self.offsets) * self.input_dim


class Copy(Component):
    """``y[j] = x[indices[j]]``."""

    integers = {"indices": 1}

    def _num_outputs(self) -> int:
        if outside := [index + 1 for index in self.indices if not 0 <= index < self.input_dim]:
            raise UserError(f"<Copy>: index {outside[0]} is outside 1..{self.input_dim}")
        return len(self.indices)


class Lstm(Component):
    """What the LSTMs with a recurrent projection share: N cells, R = output_dim projected units.

    The four gates of ``w_gifo_x``, ``w_gifo_r`` and ``bias`` are in the order g, i, f, o. A clip of 0 is off.
    """

    options = {"cell_dim": 0}
    arrays = {
        "w_gifo_x": "gates inputs",
        "w_gifo_r": "gates outputs",
        "bias": "gates",
        "peephole_i_c": "cells",
        "peephole_f_c": "cells",
        "peephole_o_c": "cells",
        "w_r_m": "outputs cells",
    }
    learn_rate_coef = bias_learn_rate_coef = 1.0
    cell_clip = 50.0
    diff_clip = cell_diff_clip = grad_clip = 0.0

    def _num_outputs(self) -> int:
        return self.output_dim


class LstmProjectedStreams(Lstm):
    """kaldi-lstm's LSTM for training on ``num_stream`` interleaved utterances; clips the cells only."""

    only_2014 = True
    options = {"cell_dim": 0, "num_stream": 4}
    drawn_by = ("<ParamScale>",)


class LstmProjected(Lstm):
    """The LSTM of today's Kaldi; one of a 2014 network has ``diff_clip`` and ``grad_clip`` 0."""

    modern = (
        "learn_rate_coef",
        "bias_learn_rate_coef",
        "cell_clip",
        "diff_clip",
        "cell_diff_clip",
        "grad_clip",
    )
    options = {"cell_dim": 0, **dict(zip(modern, (1.0, 1.0, 50.0, 1.0, 0.0, 250.0), strict=True))}
    drawn_by = ("<ParamRange>", "<ParamScale>")


KINDS: dict[str, type[Component]] = {
    f"<{kind.__name__}>".lower(): kind
    for kind in (
        *(AffineTransform, Sigmoid, Tanh, Softmax, AddShift, Rescale, Splice, Copy),
        *(Transmit, TimeShift, LstmProjectedStreams, LstmProjected),
    )
}
"""The kinds by their marker in lower case; Kaldi takes it in any case."""


@dataclass(eq=False)
class Network:
    """Components in order; each one's input is the output of the one before, else ``UserError``."""

    components: list[Component]
    generation: Generation = "modern"

    def __post_init__(self) -> None:
        if not self.components:
            raise UserError("the network has no component")
        self.input_dim, self.output_dim = self.components[0].input_dim, self.components[-1].output_dim
        for index, (before, here) in enumerate(pairwise(self.components), start=1):
            if before.output_dim != here.input_dim:
                raise UserError(
                    f"component {index + 1} <{here.kind}> takes {here.input_dim} inputs, but component "
                    f"{index} <{before.kind}> gives {before.output_dim}"
                )

    def params(self) -> Iterator[tuple[int, str, Tensor]]:
        """Give (component index from 0, name, tensor) of every trainable tensor."""
        for index, component in enumerate(self.components):
            for name, value in component.params().items():
                yield index, name, value


def to_test_time(network: Network, shift: int) -> Network:
    """Return the form, with the same tensors, in which kaldi-lstm's network runs on whole utterances.

    ``Transmit`` becomes a ``TimeShift`` by the delay of the targets in frames, so that posteriors come with
    their frames; every ``LstmProjectedStreams`` becomes an ``LstmProjected``.
    """
    first, *others = network.components
    if not isinstance(first, Transmit) or not any(isinstance(part, LstmProjectedStreams) for part in others):
        kinds = " ".join(f"<{component.kind}>" for component in network.components)
        raise UserError(f"expected <Transmit> and then an <LstmProjectedStreams> to convert, got {kinds}")
    converted: list[Component] = [TimeShift(first.input_dim, first.output_dim, shift=shift)]
    for part in others:
        if isinstance(part, LstmProjectedStreams):
            fields = {name: getattr(part, name) for name in (*LstmProjected.options, *part.arrays)}
            part = LstmProjected(part.input_dim, part.output_dim, **fields)
        converted.append(part)
    return Network(converted, "2014")


def check_features(key: str, feats: np.ndarray, input_dim: int, first: int = 0) -> None:
    """Refuse features, from frame ``first`` on, of a wrong width or with values that are no numbers."""
    if feats.shape[1] != input_dim:
        raise UserError(f"{key}: the features have {feats.shape[1]} columns, the network takes {input_dim}")
    if not np.isfinite(feats).all():
        frame, column = np.argwhere(~np.isfinite(feats))[0]
        where = f"in frame {first + frame}, column {column} (from 0)"
        raise UserError(f"{key}: feature {feats[frame, column]} {where}")

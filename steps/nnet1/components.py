"""The components of an nnet1 network: dimensions, parameters and options, no arithmetic.

Every component has an input and an output dimension; one with parameters holds them as float32
tensors, laid out as in the model files. The equations are those of Kaldi's ``nnet1`` (``Affine-
Transform`` … ``Splice``) and of kaldi-lstm (``Transmit``, ``TimeShift``, ``LstmProjectedStreams``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch

from utils.cli import UserError

Generation = Literal["2014", "modern"]


class NnetFormatError(UserError):
    """A network, or the file that should hold one, is wrong: says which component and what."""


def _check_shape(kind: str, name: str, value: torch.Tensor, shape: tuple[int, ...]) -> None:
    if value.dtype != torch.float32:
        raise NnetFormatError(f"<{kind}>: {name} must be float32, got {value.dtype}")
    if tuple(value.shape) != shape:
        expected, got = (" x ".join(map(str, dims)) for dims in (shape, tuple(value.shape)))
        raise NnetFormatError(f"<{kind}>: expected {name} of {expected}, got {got}")


@dataclass(eq=False)
class Component:
    """One layer of a network, from ``input_dim`` to ``output_dim`` columns a frame."""

    kind: ClassVar[str] = "Component"

    input_dim: int
    output_dim: int

    def __post_init__(self) -> None:
        if self.input_dim < 1 or self.output_dim < 1:
            dims = f"{self.input_dim} to {self.output_dim}"
            raise NnetFormatError(f"<{self.kind}>: dimensions must be at least 1, got {dims}")
        self.check()

    def check(self) -> None:
        """Check that the parameters fit the dimensions; by default that both dimensions are equal.

        Raises
        ------
        NnetFormatError
            With the name of the parameter, the expected and the present shape.
        """
        if self.input_dim != self.output_dim:
            dims = f"{self.input_dim} and {self.output_dim}"
            raise NnetFormatError(f"<{self.kind}>: input and output dimension must agree, got {dims}")

    def params(self) -> dict[str, torch.Tensor]:
        """Trainable float32 tensors by name, in the order of the model file; changed in place by training."""
        return {}


class Sigmoid(Component):
    """``y = 1 / (1 + exp(-x))``."""

    kind = "Sigmoid"


class Tanh(Component):
    """``y = tanh(x)``."""

    kind = "Tanh"


class Softmax(Component):
    """``y = exp(x - max x) / sum exp(x - max x)``."""

    kind = "Softmax"


class Transmit(Component):
    """Identity (2014); lets an LSTM behind it receive gradients, see the semantics of kaldi-lstm."""

    kind = "Transmit"


@dataclass(eq=False)
class TimeShift(Component):
    """``y(t) = x(min(max(t + shift, 0), T - 1))`` (2014); the test-time form of a target delay."""

    kind = "TimeShift"

    shift: int = 0


@dataclass(eq=False)
class AffineTransform(Component):
    """``y = W x + b`` with W [output_dim, input_dim] and b [output_dim]."""

    kind = "AffineTransform"

    weight: torch.Tensor = field(kw_only=True)
    bias: torch.Tensor = field(kw_only=True)
    learn_rate_coef: float = 1.0
    bias_learn_rate_coef: float = 1.0
    max_norm: float = 0.0

    def check(self) -> None:
        """Check the shapes of W and b."""
        _check_shape(self.kind, "a weight matrix", self.weight, (self.output_dim, self.input_dim))
        _check_shape(self.kind, "a bias", self.bias, (self.output_dim,))

    def params(self) -> dict[str, torch.Tensor]:
        """W, then b."""
        return {"weight": self.weight, "bias": self.bias}


@dataclass(eq=False)
class AddShift(Component):
    """``y = x + shift`` with shift [dim]."""

    kind = "AddShift"

    shift: torch.Tensor = field(kw_only=True)
    learn_rate_coef: float = 1.0

    def check(self) -> None:
        """Check the length of the shift."""
        super().check()
        _check_shape(self.kind, "a shift", self.shift, (self.output_dim,))

    def params(self) -> dict[str, torch.Tensor]:
        """Return the shift."""
        return {"shift": self.shift}


@dataclass(eq=False)
class Rescale(Component):
    """``y = x * scale`` with scale [dim]."""

    kind = "Rescale"

    scale: torch.Tensor = field(kw_only=True)
    learn_rate_coef: float = 1.0

    def check(self) -> None:
        """Check the length of the scale."""
        super().check()
        _check_shape(self.kind, "a scale", self.scale, (self.output_dim,))

    def params(self) -> dict[str, torch.Tensor]:
        """Return the scale."""
        return {"scale": self.scale}


@dataclass(eq=False)
class Splice(Component):
    """``y(t) = [x(t + offsets[0]) | x(t + offsets[1]) | ...]``, frames clamped to the first and the last."""

    kind = "Splice"

    offsets: list[int] = field(kw_only=True)

    def check(self) -> None:
        """Check that the output is one input a offset."""
        if self.output_dim != self.input_dim * len(self.offsets):
            raise NnetFormatError(
                f"<Splice>: {len(self.offsets)} offsets of {self.input_dim} columns make "
                f"{self.input_dim * len(self.offsets)} outputs, not {self.output_dim}"
            )


@dataclass(eq=False)
class Copy(Component):
    """``y[j] = x[indices[j]]``; indices count from 0 here and from 1 in the files."""

    kind = "Copy"

    indices: list[int] = field(kw_only=True)

    def check(self) -> None:
        """Check the number and the range of the indices."""
        if self.output_dim != len(self.indices):
            raise NnetFormatError(f"<Copy>: {len(self.indices)} indices for {self.output_dim} outputs")
        outside = [index + 1 for index in self.indices if not 0 <= index < self.input_dim]
        if outside:
            raise NnetFormatError(f"<Copy>: index {outside[0]} is outside 1..{self.input_dim}")


@dataclass(eq=False)
class Lstm(Component):
    """What the LSTMs with a recurrent projection share: N cells, R = output_dim projected units.

    ``w_gifo_x`` [4N, input_dim], ``w_gifo_r`` [4N, R], ``bias`` [4N] in the order g, i, f, o; the
    peepholes [N]; ``w_r_m`` [R, N]. A clip of 0 is off.
    """

    kind = "Lstm"

    cell_dim: int = field(kw_only=True)
    w_gifo_x: torch.Tensor = field(kw_only=True)
    w_gifo_r: torch.Tensor = field(kw_only=True)
    bias: torch.Tensor = field(kw_only=True)
    peephole_i_c: torch.Tensor = field(kw_only=True)
    peephole_f_c: torch.Tensor = field(kw_only=True)
    peephole_o_c: torch.Tensor = field(kw_only=True)
    w_r_m: torch.Tensor = field(kw_only=True)
    learn_rate_coef: float = 1.0
    bias_learn_rate_coef: float = 1.0
    cell_clip: float = 50.0
    diff_clip: float = 0.0
    cell_diff_clip: float = 0.0
    grad_clip: float = 0.0

    def check(self) -> None:
        """Check the shapes of the seven parameters."""
        shapes = lstm_shapes(self.input_dim, self.output_dim, self.cell_dim)
        for (name, shape), value in zip(shapes.items(), self.params().values(), strict=True):
            _check_shape(self.kind, name, value, shape)

    def params(self) -> dict[str, torch.Tensor]:
        """Return the seven parameters in the order of the files."""
        return {
            "w_gifo_x": self.w_gifo_x,
            "w_gifo_r": self.w_gifo_r,
            "bias": self.bias,
            "peephole_i_c": self.peephole_i_c,
            "peephole_f_c": self.peephole_f_c,
            "peephole_o_c": self.peephole_o_c,
            "w_r_m": self.w_r_m,
        }


@dataclass(eq=False)
class LstmProjectedStreams(Lstm):
    """kaldi-lstm's LSTM for training on ``num_stream`` interleaved utterances; clips the cells only."""

    kind = "LstmProjectedStreams"

    num_stream: int = 4

    def check(self) -> None:
        """Check the number of streams and the shapes of the seven parameters."""
        if self.num_stream < 1:
            raise NnetFormatError(f"<{self.kind}>: <NumStream> must be at least 1, got {self.num_stream}")
        super().check()


@dataclass(eq=False)
class LstmProjected(Lstm):
    """The LSTM of today's Kaldi; one of a 2014 network has ``diff_clip`` and ``grad_clip`` 0."""

    kind = "LstmProjected"

    diff_clip: float = 1.0
    grad_clip: float = 250.0


def lstm_shapes(input_dim: int, output_dim: int, cell_dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an LSTM's parameters by name, in the order of the files."""
    return {
        "w_gifo_x": (4 * cell_dim, input_dim),
        "w_gifo_r": (4 * cell_dim, output_dim),
        "bias": (4 * cell_dim,),
        "peephole_i_c": (cell_dim,),
        "peephole_f_c": (cell_dim,),
        "peephole_o_c": (cell_dim,),
        "w_r_m": (output_dim, cell_dim),
    }


@dataclass(eq=False)
class Network:
    """Components in order; each one's input is the output of the one before.

    Raises
    ------
    NnetFormatError
        If there is no component or two neighbours' dimensions differ.
    """

    components: list[Component]
    generation: Generation = "modern"

    def __post_init__(self) -> None:
        if not self.components:
            raise NnetFormatError("the network has no component")
        for index in range(1, len(self.components)):
            before, here = self.components[index - 1 : index + 1]
            if before.output_dim != here.input_dim:
                raise NnetFormatError(
                    f"component {index + 1} <{here.kind}> takes {here.input_dim} inputs, but component "
                    f"{index} <{before.kind}> gives {before.output_dim}"
                )

    @property
    def input_dim(self) -> int:
        """Columns of a frame that goes in."""
        return self.components[0].input_dim

    @property
    def output_dim(self) -> int:
        """Columns of a frame that comes out."""
        return self.components[-1].output_dim

    def params(self) -> Iterator[tuple[int, str, torch.Tensor]]:
        """Give (component index from 0, name, tensor) of every trainable tensor."""
        for index, component in enumerate(self.components):
            for name, value in component.params().items():
                yield index, name, value

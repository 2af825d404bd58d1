"""The components of an nnet1 network: dimensions, parameters and options, no arithmetic.

A kind of component is declared once, as a dataclass: its fields say which of them are tensors and of what
shape (:func:`parameter`), which stand as options in model files and prototypes (:func:`option`), and in the
order of the model files. The equations are those of Kaldi's ``nnet1`` (``AffineTransform`` … ``Splice``)
and of kaldi-lstm (``Transmit``, ``TimeShift``, ``LstmProjectedStreams``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple

import torch

from utils.cli import UserError

Generation = Literal["2014", "modern"]
END_OF_COMPONENT = "<!EndOfComponent>"
Shape = tuple[int, ...]


class NnetFormatError(UserError):
    """A network, or the file that should hold one, is wrong: says which component and what."""


class Dims(NamedTuple):
    """What the shapes of a component's tensors follow from."""

    input_dim: int
    output_dim: int
    cell_dim: int = 0


class Option(NamedTuple):
    """An option as it stands in files: ``<LearnRateCoef> 1``; not all are written by both generations."""

    token: str
    attribute: str
    kind: type
    modern_only: bool


def option(token: str, default: float | None = None, *, modern_only: bool = False) -> Any:
    """Declare a field that stands as ``token`` in files; without a default it must be given."""
    given: dict[str, Any] = {"kw_only": True} if default is None else {"default": default}
    return field(**given, metadata={"token": token, "modern_only": modern_only})


def parameter(shape: Callable[[Dims], Shape]) -> Any:
    """Declare a field that holds a trainable float32 tensor of this shape."""
    return field(kw_only=True, metadata={"shape": shape})


@dataclass(eq=False)
class Component:
    """One layer of a network, from ``input_dim`` to ``output_dim`` columns a frame.

    Class attributes: ``kind``, the name in files and of the class; ``only_2014``, whether today's Kaldi lacks
    it; ``changes_dim``, whether both dimensions may differ; ``drawn_by``, options of prototypes that say how
    the parameters are drawn.
    """

    kind: ClassVar[str] = "Component"
    only_2014: ClassVar[bool] = False
    changes_dim: ClassVar[bool] = False
    drawn_by: ClassVar[dict[str, type]] = {}

    input_dim: int
    output_dim: int

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__

    def __post_init__(self) -> None:
        if self.input_dim < 1 or self.output_dim < 1:
            dims = f"{self.input_dim} to {self.output_dim}"
            raise NnetFormatError(f"<{self.kind}>: dimensions must be at least 1, got {dims}")
        self.check()

    def check(self) -> None:
        """Check the dimensions, and the tensors against the declared shapes.

        Raises
        ------
        NnetFormatError
            With the name of the parameter, the expected and the present shape.
        """
        if not self.changes_dim and self.input_dim != self.output_dim:
            dims = f"{self.input_dim} and {self.output_dim}"
            raise NnetFormatError(f"<{self.kind}>: input and output dimension must agree, got {dims}")
        shapes = self.shapes(Dims(self.input_dim, self.output_dim, getattr(self, "cell_dim", 0)))
        for name, value in self.params().items():
            if value.dtype != torch.float32:
                raise NnetFormatError(f"<{self.kind}>: {name} must be float32, got {value.dtype}")
            if tuple(value.shape) != shapes[name]:
                expected, got = (" x ".join(map(str, dims)) for dims in (shapes[name], tuple(value.shape)))
                raise NnetFormatError(f"<{self.kind}>: expected {name} of {expected}, got {got}")

    def params(self) -> dict[str, torch.Tensor]:
        """Trainable float32 tensors by name, in the order of the model file; changed in place by training."""
        return {item.name: getattr(self, item.name) for item in fields(self) if "shape" in item.metadata}

    @classmethod
    def shapes(cls, dims: Dims) -> dict[str, Shape]:
        """Shapes of the trainable tensors by name, in the order of the model file."""
        return {item.name: item.metadata["shape"](dims) for item in fields(cls) if "shape" in item.metadata}

    @classmethod
    def options(cls, generation: Generation = "modern") -> list[Option]:
        """Return the options that a file of this generation holds, in their order."""
        found = []
        for item in fields(cls):
            token, modern_only = item.metadata.get("token"), item.metadata.get("modern_only", False)
            if token and (generation == "modern" or not modern_only):
                kind = int if item.type == "int" else float
                found.append(Option(token, item.name, kind, modern_only))
        return found


class Sigmoid(Component):
    """``y = 1 / (1 + exp(-x))``."""


class Tanh(Component):
    """``y = tanh(x)``."""


class Softmax(Component):
    """``y = exp(x - max x) / sum exp(x - max x)``."""


class Transmit(Component):
    """Identity (2014); lets an LSTM behind it receive gradients, see the semantics of kaldi-lstm."""

    only_2014 = True


@dataclass(eq=False)
class TimeShift(Component):
    """``y(t) = x(min(max(t + shift, 0), T - 1))`` (2014); the test-time form of a target delay."""

    only_2014 = True

    shift: int = option("<Shift>", 0)


@dataclass(eq=False)
class AffineTransform(Component):
    """``y = W x + b`` with W [output_dim, input_dim] and b [output_dim]."""

    changes_dim = True
    drawn_by = {"<BiasMean>": float, "<BiasRange>": float, "<ParamStddev>": float}

    weight: torch.Tensor = parameter(lambda dims: (dims.output_dim, dims.input_dim))
    bias: torch.Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0)
    bias_learn_rate_coef: float = option("<BiasLearnRateCoef>", 1.0)
    max_norm: float = option("<MaxNorm>", 0.0)


@dataclass(eq=False)
class AddShift(Component):
    """``y = x + shift`` with shift [dim]."""

    drawn_by = {"<InitParam>": float}

    shift: torch.Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0, modern_only=True)


@dataclass(eq=False)
class Rescale(Component):
    """``y = x * scale`` with scale [dim]."""

    drawn_by = {"<InitParam>": float}

    scale: torch.Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0, modern_only=True)


@dataclass(eq=False)
class Splice(Component):
    """``y(t) = [x(t + offsets[0]) | x(t + offsets[1]) | ...]``, frames clamped to the first and the last."""

    changes_dim = True
    drawn_by = {"<BuildVector>": list}

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

    changes_dim = True
    drawn_by = {"<BuildVector>": list}

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

    The four gates of ``w_gifo_x``, ``w_gifo_r`` and ``bias`` are in the order g, i, f, o. A clip of 0 is off.
    """

    changes_dim = True

    cell_dim: int = option("<CellDim>")
    w_gifo_x: torch.Tensor = parameter(lambda dims: (4 * dims.cell_dim, dims.input_dim))
    w_gifo_r: torch.Tensor = parameter(lambda dims: (4 * dims.cell_dim, dims.output_dim))
    bias: torch.Tensor = parameter(lambda dims: (4 * dims.cell_dim,))
    peephole_i_c: torch.Tensor = parameter(lambda dims: (dims.cell_dim,))
    peephole_f_c: torch.Tensor = parameter(lambda dims: (dims.cell_dim,))
    peephole_o_c: torch.Tensor = parameter(lambda dims: (dims.cell_dim,))
    w_r_m: torch.Tensor = parameter(lambda dims: (dims.output_dim, dims.cell_dim))
    learn_rate_coef: float = 1.0
    bias_learn_rate_coef: float = 1.0
    cell_clip: float = 50.0
    diff_clip: float = 0.0
    cell_diff_clip: float = 0.0
    grad_clip: float = 0.0


@dataclass(eq=False)
class LstmProjectedStreams(Lstm):
    """kaldi-lstm's LSTM for training on ``num_stream`` interleaved utterances; clips the cells only."""

    only_2014 = True
    drawn_by = {"<ParamScale>": float}

    num_stream: int = option("<NumStream>", 4)

    def check(self) -> None:
        """Check the number of streams and the shapes of the seven parameters."""
        if self.num_stream < 1:
            raise NnetFormatError(f"<{self.kind}>: <NumStream> must be at least 1, got {self.num_stream}")
        super().check()


@dataclass(eq=False)
class LstmProjected(Lstm):
    """The LSTM of today's Kaldi; one of a 2014 network has ``diff_clip`` and ``grad_clip`` 0."""

    drawn_by = {"<ParamRange>": float, "<ParamScale>": float}

    learn_rate_coef: float = option("<LearnRateCoef>", 1.0, modern_only=True)
    bias_learn_rate_coef: float = option("<BiasLearnRateCoef>", 1.0, modern_only=True)
    cell_clip: float = option("<CellClip>", 50.0, modern_only=True)
    diff_clip: float = option("<DiffClip>", 1.0, modern_only=True)
    cell_diff_clip: float = option("<CellDiffClip>", 0.0, modern_only=True)
    grad_clip: float = option("<GradClip>", 250.0, modern_only=True)


KINDS: dict[str, type[Component]] = {
    kind.__name__: kind
    for kind in (
        *(AffineTransform, Sigmoid, Tanh, Softmax, AddShift, Rescale, Splice, Copy),
        *(Transmit, TimeShift, LstmProjectedStreams, LstmProjected),
    )
}


def kind_of(marker: str) -> str:
    """Return the kind that a marker such as ``<Sigmoid>`` names, in any case as Kaldi does; '' if none."""
    return next((kind for kind in KINDS if f"<{kind}>".lower() == marker.lower()), "")


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

"""The components of an nnet1 network: dimensions, parameters and options, no arithmetic.

A kind of component is declared once, as a dataclass: its fields say which of them are tensors and of what
shape (:func:`parameter`), which are vectors of integers (:func:`vector`) and which stand as options in model
files and prototypes (:func:`option`), in the order of the model files. The equations are those of Kaldi's
``nnet1`` (``AffineTransform`` … ``Splice``) and of kaldi-lstm (``Transmit``, ``TimeShift``,
``LstmProjectedStreams``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple

from utils.cli import UserError

Tensor = Any  # of NumPy as it is read or drawn, of torch in training
Generation = Literal["2014", "modern"]
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


def vector(size: Callable[[Dims], int], first: int) -> Any:
    """Declare a field that holds so many integers, which count from 0 here and from ``first`` in files."""
    return field(kw_only=True, metadata={"size": size, "first": first})


@dataclass(eq=False)
class Component:
    """One layer of a network, from ``input_dim`` to ``output_dim`` columns a frame.

    ``only_2014`` says that today's Kaldi lacks it, ``changes_dim`` that the dimensions may differ, and
    ``drawn_by`` has the options of prototypes that say how its parameters are drawn.
    """

    only_2014: ClassVar[bool] = False
    changes_dim: ClassVar[bool] = False
    drawn_by: ClassVar[dict[str, type]] = {}

    input_dim: int
    output_dim: int

    def __post_init__(self) -> None:
        dims = Dims(self.input_dim, self.output_dim, getattr(self, "cell_dim", 0))
        if min(dims[:2]) < 1:
            self._fail(f"dimensions must be at least 1, got {self.input_dim} to {self.output_dim}")
        if not self.changes_dim and self.input_dim != self.output_dim:
            self._fail(f"input and output dimension must agree, got {self.input_dim} and {self.output_dim}")
        shapes = self.shapes(dims)
        for name, value in self.params().items():
            if not str(value.dtype).endswith("float32") or tuple(value.shape) != shapes[name]:
                expected, got = (" x ".join(map(str, dims)) for dims in (shapes[name], value.shape))
                self._fail(f"expected {name} of {expected} in float32, got {got} in {value.dtype}")
        self._check()

    def _check(self) -> None:
        """Check what only this kind has."""

    def _fail(self, message: str) -> None:
        raise NnetFormatError(f"<{self.kind}>: {message}")

    @property
    def kind(self) -> str:
        """The name in files and of the class."""
        return type(self).__name__

    def params(self) -> dict[str, Tensor]:
        """Trainable float32 tensors by name, in the order of the model file; changed in place by training."""
        return {item.name: getattr(self, item.name) for item in fields(self) if "shape" in item.metadata}

    @classmethod
    def shapes(cls, dims: Dims) -> dict[str, Shape]:
        """Shapes of the trainable tensors by name, in the order of the model file."""
        return {item.name: item.metadata["shape"](dims) for item in fields(cls) if "shape" in item.metadata}

    @classmethod
    def vectors(cls, dims: Dims) -> list[tuple[str, int, int]]:
        """Return name, size and the number that stands for 0 in files of the vectors of integers."""
        data = ((item.name, item.metadata) for item in fields(cls) if "size" in item.metadata)
        return [(name, metadata["size"](dims), metadata["first"]) for name, metadata in data]

    @classmethod
    def options(cls, generation: Generation = "modern") -> list[Option]:
        """Return the options that a file of this generation holds, in their order."""
        return [
            Option(data["token"], item.name, int if item.type == "int" else float, data["modern_only"])
            for item, data in ((item, item.metadata) for item in fields(cls))
            if "token" in data and (generation == "modern" or not data["modern_only"])
        ]


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
    """``y = W x + b``."""

    changes_dim = True
    drawn_by = {"<BiasMean>": float, "<BiasRange>": float, "<ParamStddev>": float}

    weight: Tensor = parameter(lambda dims: (dims.output_dim, dims.input_dim))
    bias: Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0)
    bias_learn_rate_coef: float = option("<BiasLearnRateCoef>", 1.0)
    max_norm: float = option("<MaxNorm>", 0.0)


@dataclass(eq=False)
class AddShift(Component):
    """``y = x + shift``."""

    drawn_by = {"<InitParam>": float}

    shift: Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0, modern_only=True)


@dataclass(eq=False)
class Rescale(Component):
    """``y = x * scale``."""

    drawn_by = {"<InitParam>": float}

    scale: Tensor = parameter(lambda dims: (dims.output_dim,))
    learn_rate_coef: float = option("<LearnRateCoef>", 1.0, modern_only=True)


@dataclass(eq=False)
class Splice(Component):
    """``y(t) = [x(t + offsets[0]) | x(t + offsets[1]) | ...]``, frames clamped to the first and the last."""

    changes_dim = True
    drawn_by = {"<BuildVector>": list}

    offsets: list[int] = vector(lambda dims: dims.output_dim // dims.input_dim, 0)

    def _check(self) -> None:
        count, made = len(self.offsets), len(self.offsets) * self.input_dim
        if self.output_dim != made:
            self._fail(
                f"{count} offsets of {self.input_dim} columns make {made} outputs, not {self.output_dim}"
            )


@dataclass(eq=False)
class Copy(Component):
    """``y[j] = x[indices[j]]``."""

    changes_dim = True
    drawn_by = {"<BuildVector>": list}

    indices: list[int] = vector(lambda dims: dims.output_dim, 1)

    def _check(self) -> None:
        if self.output_dim != len(self.indices):
            self._fail(f"{len(self.indices)} indices for {self.output_dim} outputs")
        for index in self.indices:
            if not 0 <= index < self.input_dim:
                self._fail(f"index {index + 1} is outside 1..{self.input_dim}")


@dataclass(eq=False)
class Lstm(Component):
    """What the LSTMs with a recurrent projection share: N cells, R = output_dim projected units.

    The four gates of ``w_gifo_x``, ``w_gifo_r`` and ``bias`` are in the order g, i, f, o. A clip of 0 is off.
    """

    changes_dim = True

    cell_dim: int = option("<CellDim>")
    w_gifo_x: Tensor = parameter(lambda dims: (4 * dims.cell_dim, dims.input_dim))
    w_gifo_r: Tensor = parameter(lambda dims: (4 * dims.cell_dim, dims.output_dim))
    bias: Tensor = parameter(lambda dims: (4 * dims.cell_dim,))
    peephole_i_c: Tensor = parameter(lambda dims: (dims.cell_dim,))
    peephole_f_c: Tensor = parameter(lambda dims: (dims.cell_dim,))
    peephole_o_c: Tensor = parameter(lambda dims: (dims.cell_dim,))
    w_r_m: Tensor = parameter(lambda dims: (dims.output_dim, dims.cell_dim))
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

    def _check(self) -> None:
        if self.num_stream < 1:
            self._fail(f"<NumStream> must be at least 1, got {self.num_stream}")


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
    f"<{kind.__name__}>".lower(): kind
    for kind in (
        *(AffineTransform, Sigmoid, Tanh, Softmax, AddShift, Rescale, Splice, Copy),
        *(Transmit, TimeShift, LstmProjectedStreams, LstmProjected),
    )
}
"""The kinds by their marker in lower case; Kaldi takes it in any case."""


@dataclass(eq=False)
class Network:
    """Components in order; each one's input is the output of the one before, else ``NnetFormatError``."""

    components: list[Component]
    generation: Generation = "modern"

    def __post_init__(self) -> None:
        if not self.components:
            raise NnetFormatError("the network has no component")
        for number, (before, here) in enumerate(
            zip(self.components, self.components[1:], strict=False), start=1
        ):
            if before.output_dim != here.input_dim:
                raise NnetFormatError(
                    f"component {number + 1} <{here.kind}> takes {here.input_dim} inputs, but component "
                    f"{number} <{before.kind}> gives {before.output_dim}"
                )

    @property
    def input_dim(self) -> int:
        """Columns of a frame that goes in."""
        return self.components[0].input_dim

    @property
    def output_dim(self) -> int:
        """Columns of a frame that comes out."""
        return self.components[-1].output_dim

    def params(self) -> Iterator[tuple[int, str, Tensor]]:
        """Give (component index from 0, name, tensor) of every trainable tensor."""
        for index, component in enumerate(self.components):
            for name, value in component.params().items():
                yield index, name, value


def to_test_time(network: Network, shift: int) -> Network:
    """Return the form in which a network of kaldi-lstm's trainer runs on whole utterances.

    The leading ``Transmit`` becomes a ``TimeShift`` by the delay of the targets in frames, so that the
    posteriors come with their frames; every ``LstmProjectedStreams`` becomes an ``LstmProjected``. The
    tensors are shared.
    """
    if not any(isinstance(component, LstmProjectedStreams) for component in network.components):
        raise UserError("the network has no <LstmProjectedStreams>: there is nothing to convert to test time")
    first = network.components[0]
    if not isinstance(first, Transmit):
        raise UserError(f"expected a network that begins with <Transmit>, got <{first.kind}>")
    converted: list[Component] = [TimeShift(first.input_dim, first.output_dim, shift)]
    for component in network.components[1:]:
        if isinstance(component, LstmProjectedStreams):
            values = {item.name: getattr(component, item.name) for item in fields(LstmProjected)}
            component = LstmProjected(**values)
        converted.append(component)
    return Network(converted, "2014")

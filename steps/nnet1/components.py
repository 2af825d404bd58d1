"""The components of an nnet1 network: dimensions, parameters and options, no arithmetic.

A kind of component is declared once, as a dataclass: its fields say which of them are arrays and of what
shape (:func:`parameter`), which are vectors of integers (:func:`vector`) and which stand as options in model
files and prototypes (:func:`option`), in the order of the model files. The equations are those of Kaldi's
``nnet1`` (``AffineTransform`` … ``Splice``) and of kaldi-lstm (``Transmit``, ``TimeShift``,
``LstmProjectedStreams``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn

from utils.cli import UserError

Tensor = Any  # of NumPy as it is read or drawn, of torch in training
Generation = Literal["2014", "modern"]
Shape = tuple[int, ...]


class NnetFormatError(UserError):
    """A network, or the file that should hold one, is wrong: says which component and what."""


class Dims(NamedTuple):
    """What the shapes of a component's arrays follow from."""

    input_dim: int
    output_dim: int
    cell_dim: int = 0


class Option(NamedTuple):
    """An option as it stands in files: ``<LearnRateCoef> 1``; not all are written by both generations."""

    token: str
    kind: type
    modern_only: bool


def option(token: str, default: float, *, modern_only: bool = False) -> Any:
    """Declare a field that stands as ``token`` in files, an integer or a float as its default is."""
    return field(default=default, metadata={"option": Option(token, type(default), modern_only)})


def parameter(shape: Callable[[Dims], Shape]) -> Any:
    """Declare a field that holds a trainable float32 array of this shape."""
    return field(kw_only=True, metadata={"shape": shape})


def vector(first: int) -> Any:
    """Declare a field that holds integers, which count from 0 here and from ``first`` in files."""
    return field(kw_only=True, metadata={"first": first})


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
        self.kind = type(self).__name__  # also in files
        if min(self.input_dim, self.output_dim) < 1:
            self._fail(f"dimensions must be at least 1, got {self.input_dim} to {self.output_dim}")
        if not self.changes_dim and self.input_dim != self.output_dim:
            self._fail(f"input and output dimension must agree, got {self.input_dim} and {self.output_dim}")
        self._check()
        dims = Dims(self.input_dim, self.output_dim, getattr(self, "cell_dim", 0))
        for name, shape in self.shapes(dims).items():
            if (found := tuple(getattr(self, name).shape)) != shape:
                expected, got = (" x ".join(map(str, sizes)) for sizes in (shape, found))
                self._fail(f"expected {name} of {expected}, got {got}")

    def _check(self) -> None:
        """Check what only this kind has."""

    def _fail(self, message: str) -> NoReturn:
        raise NnetFormatError(f"<{self.kind}>: {message}")

    @classmethod
    def declared(cls, what: str) -> dict[str, Any]:
        """Return what the fields were declared with as ``option``, ``shape`` or ``first``, by their names."""
        return {item.name: item.metadata[what] for item in fields(cls) if what in item.metadata}

    @classmethod
    def shapes(cls, dims: Dims) -> dict[str, Shape]:
        """Return the shapes of the trainable arrays by name, in the order of the model file."""
        return {name: shape(dims) for name, shape in cls.declared("shape").items()}

    def params(self) -> dict[str, Tensor]:
        """Return the trainable arrays by name, in the same order; training changes them in place."""
        return {name: getattr(self, name) for name in self.declared("shape")}

    @classmethod
    def options(cls, generation: Generation = "modern") -> dict[str, Option]:
        """Return the options that a file of this generation holds by their fields, in their order."""
        known: dict[str, Option] = cls.declared("option")
        return {name: known[name] for name in known if generation == "modern" or not known[name].modern_only}


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

    offsets: list[int] = vector(0)

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

    indices: list[int] = vector(1)

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

    cell_dim: int = option("<CellDim>", 0)
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

    def _check(self) -> None:
        if self.cell_dim < 1:
            self._fail(f"<CellDim> must be at least 1, got {self.cell_dim or 'none'}")


@dataclass(eq=False)
class LstmProjectedStreams(Lstm):
    """kaldi-lstm's LSTM for training on ``num_stream`` interleaved utterances; clips the cells only."""

    only_2014 = True
    drawn_by = {"<ParamScale>": float}

    num_stream: int = option("<NumStream>", 4)

    def _check(self) -> None:
        super()._check()
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
        self.input_dim, self.output_dim = self.components[0].input_dim, self.components[-1].output_dim
        pairs = zip(self.components, self.components[1:], strict=False)
        for number, (before, here) in enumerate(pairs, start=1):
            if before.output_dim != here.input_dim:
                raise NnetFormatError(
                    f"component {number + 1} <{here.kind}> takes {here.input_dim} inputs, but component "
                    f"{number} <{before.kind}> gives {before.output_dim}"
                )

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
    first, *others = network.components
    if not isinstance(first, Transmit) or not any(isinstance(part, LstmProjectedStreams) for part in others):
        kinds = " ".join(f"<{component.kind}>" for component in network.components)
        raise UserError(f"expected <Transmit> and then an <LstmProjectedStreams> to convert, got {kinds}")
    names = [item.name for item in fields(LstmProjected)]
    converted: list[Component] = [TimeShift(first.input_dim, first.output_dim, shift)]
    for part in others:
        streams = isinstance(part, LstmProjectedStreams)
        converted.append(LstmProjected(**{name: getattr(part, name) for name in names}) if streams else part)
    return Network(converted, "2014")

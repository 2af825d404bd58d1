"""Prototypes of networks, read and made: one ``<Type> <InputDim> i <OutputDim> o <Option> v ...`` a line.

The lines ``<NnetProto>`` and ``</NnetProto>`` may be there or not, as for Kaldi's ``nnet-initialize``.
"""

import math
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from steps.nnet1.components import KINDS, Component, Generation
from utils import tables
from utils.cli import UserError

BRACKETS = ("<NnetProto>", "</NnetProto>")
LARGEST_DIM = 1 << 20


@dataclass
class ProtoLine:
    """A component to be made: ``options`` by token, with integers, floats or a list of integers."""

    where: str
    kind: type[Component]
    options: dict
    input_dim: int = 0
    output_dim: int = 0

    def fail(self, message: str) -> UserError:
        """Make the error that names the file and the line."""
        return UserError(f"{self.where}: <{self.kind.__name__}>: {message}")


def read_prototype(path: str | Path) -> tuple[list[ProtoLine], list[str]]:
    """Read a prototype from a file, or from the standard input if it is ``-``.

    Returns the components and all lines that are not empty. What is wrong is a ``UserError`` with file and
    line.
    """
    name = "standard input" if str(path) == "-" else str(path)
    text = sys.stdin.read() if str(path) == "-" else tables.read_text(path)
    protos: list[ProtoLine] = []
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        if line in BRACKETS:
            continue
        proto = parse_line(line, f"{name}:{number}")
        if protos and protos[-1].output_dim != proto.input_dim:
            raise proto.fail(
                f"<InputDim> {proto.input_dim} does not follow the <OutputDim> {protos[-1].output_dim} "
                f"of {protos[-1].where}"
            )
        protos.append(proto)
    if not protos:
        raise UserError(f"{name}: the prototype has no component")
    return protos, [line for _, line in lines]


def parse_line(text: str, where: str) -> ProtoLine:
    """Parse one component's line; ``where`` (file:line) begins every error."""
    marker, *words = text.split()
    if marker.lower() not in KINDS:
        known = " ".join(sorted(f"<{kind.__name__}>" for kind in KINDS.values()))
        raise UserError(f"{where}: unknown component '{marker}'; known are {known}")
    kind = KINDS[marker.lower()]
    proto = ProtoLine(where, kind, {})
    types = {"<InputDim>": int, "<OutputDim>": int, **kind.drawn_by}
    types |= {option.token: option.kind for option in kind.options().values()}
    left = iter(words)
    for token in left:
        if token not in types:
            raise proto.fail(f"unknown option '{token}'; this component has {' '.join(types)}")
        if types[token] is list:  # 1 2 5:7 10:-2:1, ends included
            ranges = takewhile(lambda word: word != "</BuildVector>", left)
            proto.options[token] = [value for word in ranges for value in _range(proto, word)]
        else:
            proto.options[token] = _number(proto, token, types[token], next(left, "nothing"))
    for token in ("<InputDim>", "<OutputDim>", "<CellDim>"):
        if token in types and not 1 <= (found := proto.options.get(token, 0)) <= LARGEST_DIM:
            raise proto.fail(f"{token} must be in 1..{LARGEST_DIM}, got {found or 'none'}")
    proto.input_dim, proto.output_dim = (proto.options[token] for token in ("<InputDim>", "<OutputDim>"))
    return proto


def _number(proto: ProtoLine, token: str, kind: type, word: str) -> int | float:
    try:
        value = kind(word)
    except ValueError:
        value = math.nan
    if not abs(value) < (2**31 if kind is int else 1e30):
        raise proto.fail(f"{token} needs {'an integer' if kind is int else 'a number'}, got '{word}'")
    return value


def _range(proto: ProtoLine, word: str) -> range:
    """Return the numbers of ``n``, ``min:max`` or ``first:step:last``."""
    try:
        first, *between, last = [int(part) for part in word.split(":") * (1 if ":" in word else 2)]
        (step,) = between or [1]
        steps = range(first, last + (1 if step > 0 else -1), step)
    except ValueError as error:
        raise proto.fail(f"expected n, min:max or first:step:last in <BuildVector>, got '{word}'") from error
    if not steps or max(abs(first), abs(last)) > LARGEST_DIM:
        raise proto.fail(f"'{word}' in <BuildVector> never reaches its end or is too long")
    return steps


def default_generation(protos: list[ProtoLine]) -> Generation:
    """Return ``2014`` if only kaldi-lstm's Kaldi knows what the prototype asks for, else ``modern``."""
    old = any(proto.kind.only_2014 or "<ParamScale>" in proto.options for proto in protos)
    return "2014" if old else "modern"


def _line(kind: str, before: int, after: int, **options: object) -> str:
    words = [f"<{name}> {value}" for name, value in options.items()]
    return " ".join([f"<{kind}> <InputDim> {before} <OutputDim> {after}", *words])


def dnn_prototype(feat_dim: int, num_leaves: int, hid_layers: int, hid_dim: int) -> list[str]:
    """Return the prototype of a DNN as Kaldi's ``utils/nnet/make_nnet_proto.py`` makes it by default."""

    def stddev(before: int, after: int, factor: float = 1.0) -> str:
        return f"{3.5 * math.sqrt(2 / (before + after)) * factor:f}"

    lines, before = ["<NnetProto>"], feat_dim
    bias = {"BiasMean": "-2.000000", "BiasRange": "4.000000"}
    for layer in range(hid_layers):
        deviation = stddev(before, hid_dim, math.sqrt(1 / 12) if layer == 0 else 1.0)
        options = {**bias, "ParamStddev": deviation, "MaxNorm": "0.000000"}
        lines += [_line("AffineTransform", before, hid_dim, **options), _line("Sigmoid", hid_dim, hid_dim)]
        before = hid_dim
    last = {"BiasMean": "0.000000", "BiasRange": "0.000000", "ParamStddev": stddev(before, num_leaves)}
    if hid_layers:
        last |= {"LearnRateCoef": "1.000000", "BiasLearnRateCoef": "0.100000"}
    lines += [_line("AffineTransform", before, num_leaves, **last), _line("Softmax", num_leaves, num_leaves)]
    return [*lines, "</NnetProto>"]


def lstm_prototype(
    feat_dim: int,
    num_leaves: int,
    *,
    num_layers: int = 1,
    cell_dim: int = 800,
    proj_dim: int = 512,
    num_stream: int = 4,
    param_scale: float = 0.01,
) -> list[str]:
    """Return the prototype of a projected LSTM in the layout of kaldi-lstm.

    The leading <Transmit> matters: without it the first LSTM of kaldi-lstm gets no gradient. The recurrent
    projection of ``proj_dim`` units is what the paper calls the size of a layer.
    """
    options = {"CellDim": cell_dim, "ParamScale": f"{param_scale:g}", "NumStream": num_stream}
    dims = [feat_dim] + [proj_dim] * num_layers
    lines = ["<NnetProto>", _line("Transmit", feat_dim, feat_dim)]
    lines += [_line("LstmProjectedStreams", before, proj_dim, **options) for before in dims[:-1]]
    lines.append(_line("AffineTransform", dims[-1], num_leaves, BiasMean=0, BiasRange=0, ParamStddev="0.04"))
    return [*lines, _line("Softmax", num_leaves, num_leaves), "</NnetProto>"]

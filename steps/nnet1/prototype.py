"""Prototypes of networks: one ``<Type> <InputDim> i <OutputDim> o <Option> v ...`` a line.

The lines ``<NnetProto>`` and ``</NnetProto>`` may be there or not, as for Kaldi's ``nnet-initialize``.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from steps.nnet1.components import Generation
from steps.nnet1.model_file_layout import KINDS, ONLY_2014
from utils.cli import UserError

BRACKETS = ("<NnetProto>", "</NnetProto>")
LARGEST_DIM = 1 << 20
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

_COEFS = {"<LearnRateCoef>": float, "<BiasLearnRateCoef>": float}
_CLIPS = {"<CellClip>": float, "<DiffClip>": float, "<CellDiffClip>": float, "<GradClip>": float}
_VECTORS: dict[str, type] = {"<BuildVector>": list}
_OPTIONS: dict[str, dict[str, type]] = {
    "AffineTransform": {
        **{"<BiasMean>": float, "<BiasRange>": float, "<ParamStddev>": float, "<MaxNorm>": float},
        **_COEFS,
    },
    "AddShift": {"<InitParam>": float, "<LearnRateCoef>": float},
    "Rescale": {"<InitParam>": float, "<LearnRateCoef>": float},
    "Splice": _VECTORS,
    "Copy": _VECTORS,
    "TimeShift": {"<Shift>": int},
    "LstmProjectedStreams": {"<CellDim>": int, "<NumStream>": int, "<ParamScale>": float},
    "LstmProjected": {"<CellDim>": int, "<ParamRange>": float, "<ParamScale>": float, **_COEFS, **_CLIPS},
}


@dataclass
class ProtoLine:
    """A component to be made: ``options`` by token, with integers, floats or a list of integers."""

    where: str
    text: str
    kind: str
    input_dim: int
    output_dim: int
    options: dict

    def fail(self, message: str) -> UserError:
        """Make the error that names the file and the line."""
        return UserError(f"{self.where}: <{self.kind}>: {message}")


def read_prototype(path: str | Path) -> tuple[list[ProtoLine], list[str]]:
    """Read a prototype.

    Parameters
    ----------
    path : str or Path
        The file, or ``-`` for the standard input.

    Returns
    -------
    tuple of (list of ProtoLine, list of str)
        The components, and all lines that are not empty.

    Raises
    ------
    UserError
        With file and line: unknown component or option, missing or bad value, dimensions that do not
        follow each other, no component at all.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not a text file (byte {error.start})") from error
    protos: list[ProtoLine] = []
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
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
    words = text.split()
    kind = words.pop(0)
    if kind[:1] != "<" or kind[-1:] != ">" or kind[1:-1] not in KINDS:
        raise UserError(f"{where}: unknown component '{kind}'; known are {' '.join(sorted(KINDS))}")
    proto = ProtoLine(where, text, kind[1:-1], 0, 0, {})
    known = {"<InputDim>": int, "<OutputDim>": int, **_OPTIONS.get(proto.kind, {})}
    while words:
        token = words.pop(0)
        if token not in known:
            raise proto.fail(f"unknown option '{token}'; this component has {' '.join(known)}")
        if token in proto.options:
            raise proto.fail(f"{token} is given twice")
        proto.options[token] = _take_value(proto, token, known[token], words)
    for token in ("<InputDim>", "<OutputDim>"):
        if not 1 <= proto.options.get(token, 0) <= LARGEST_DIM:
            found = proto.options.get(token, "none")
            raise proto.fail(f"{token} must be in 1..{LARGEST_DIM}, got {found}")
    proto.input_dim, proto.output_dim = (proto.options.pop(token) for token in ("<InputDim>", "<OutputDim>"))
    return proto


def _take_value(proto: ProtoLine, token: str, kind: type, words: list[str]) -> int | float | list[int]:
    if kind is list:
        return _take_vector(proto, words)
    word = words.pop(0) if words else "nothing"
    if not (_INTEGER if kind is int else _REAL).fullmatch(word):
        raise proto.fail(f"{token} needs {'an integer' if kind is int else 'a number'}, got '{word}'")
    if kind is float and abs(float(word)) > 1e30:
        raise proto.fail(f"{token} {word} is too large")
    return kind(word)


def _take_vector(proto: ProtoLine, words: list[str]) -> list[int]:
    """Take ``1 2 5:7 10:-2:1 </BuildVector>``: numbers, min:max and first:step:last, ends included."""
    values: list[int] = []
    while words:
        word = words.pop(0)
        if word == "</BuildVector>":
            return values
        parts = word.split(":")
        if len(parts) > 3 or not all(_INTEGER.fullmatch(part) for part in parts):
            raise proto.fail(f"expected n, min:max or first:step:last in <BuildVector>, got '{word}'")
        numbers = [int(part) for part in parts]
        first, last = numbers[0], numbers[-1]
        step = numbers[1] if len(numbers) == 3 else 1
        if step == 0 or (last - first) * step < 0:
            raise proto.fail(f"'{word}' in <BuildVector> never reaches its end")
        if len(values) + (last - first) // step >= LARGEST_DIM:
            raise proto.fail(f"'{word}' in <BuildVector> is too long")
        values += range(first, last + (1 if step > 0 else -1), step)
    raise proto.fail("<BuildVector> needs </BuildVector> at its end")


def default_generation(protos: list[ProtoLine]) -> Generation:
    """Return ``2014`` if only kaldi-lstm's Kaldi knows what the prototype asks for, else ``modern``."""
    old = any(proto.kind in ONLY_2014 or "<ParamScale>" in proto.options for proto in protos)
    return "2014" if old else "modern"

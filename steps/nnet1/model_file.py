"""Read and write nnet1 model files, text and binary, of 2014 and of today.

A file of today's Kaldi closes every component with ``<!EndOfComponent>``, one of 2014, and so of kaldi-lstm,
does not. A binary file that is read and written again has the same bytes; text has 7 digits, as Kaldi's.
"""

import struct
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from steps.archive import ArchiveError, objects, open_input
from steps.archive.objects import Stream
from steps.nnet1.components import (
    KINDS,
    Component,
    Generation,
    Lstm,
    LstmProjected,
    Network,
    TimeShift,
    number,
    token,
)
from utils import atomic
from utils.cli import UserError

END_OF_COMPONENT = "<!EndOfComponent>"
LONGEST_WORD = 64


def read_network(path: str | Path) -> Network:
    """Read a network of either generation from a file, or ``-``, the standard input; arrays are NumPy's.

    A mistake is a ``UserError`` with path, component and byte; no memory is taken for what is only claimed.
    """
    with open_input(str(path)) as file:
        stream = Stream(file, str(path))
        try:
            return _read(stream)
        except ArchiveError:
            raise
        except (UserError, ValueError, OverflowError) as error:
            raise stream.fail(str(error)) from error


def _read(stream: Stream) -> Network:
    path, components = stream.name, list[Component]()
    generation: Generation = "2014"
    binary = stream.peek() == b"\0" and stream.take(2) == b"\0B"
    if _token(stream) != "<Nnet>":
        raise ValueError("not an nnet1 file: it does not begin with <Nnet>")
    while (word := _token(stream)) != "</Nnet>":
        if word == END_OF_COMPONENT and components:
            generation = "modern"
        else:
            stream.name = f"{path}: component {len(components) + 1} {word}"
            if word.lower() not in KINDS:
                raise ValueError(f"unknown component {word}")
            components.append(_read_component(stream, KINDS[word.lower()], binary))
    stream.name = path
    if _next(stream):
        raise ValueError("more follows </Nnet>")
    for component in components:
        if generation == "2014" and isinstance(component, LstmProjected):  # clips that came later
            component.diff_clip = component.cell_diff_clip = component.grad_clip = 0.0
    return Network(components, generation)


def _read_component(stream: Stream, kind: type[Component], binary: bool) -> Component:
    output_dim, input_dim = (int(_number(stream, int, binary)) for _ in range(2))
    known = {token(name): name for name in kind.options}
    given: dict[str, Any] = {}
    while len(given) < len(known) and _next(stream) == b"<":  # in any order, or none
        if (word := _token(stream)) not in known:
            raise ValueError(f"unknown option {word}; this component has {' '.join(known)}")
        given[known[word]] = _number(stream, type(kind.options[known[word]]), binary)
    for name, first in kind.integers.items():
        given[name] = [value - first for value in _integers(stream, binary)]
    for name, shape in kind.arrays.items():
        of_binary, of_text = objects.KINDS["matrix" if " " in shape else "vector"]
        _next(stream)
        given[name] = of_binary(stream) if binary else of_text(stream)
    return kind(input_dim, output_dim, **given)


def _next(stream: Stream) -> bytes:
    """Go to the next byte that is not white space and return it, or nothing at the end."""
    while (byte := stream.peek()).isspace():
        stream.take(1)
    return byte


def _word(stream: Stream) -> str:
    word, byte = b"", _next(stream)
    while byte and not byte.isspace() and len(word) < LONGEST_WORD:
        word += stream.take(1)
        byte = stream.peek()
    return word.decode("ascii", "backslashreplace")


def _token(stream: Stream) -> str:
    """Take a token like ``<Nnet>`` and the blank behind it."""
    word = _word(stream)
    if not (word.startswith("<") and word.endswith(">")):
        raise ValueError(f"expected a token like <Nnet>, got '{word}'; is the file truncated?")
    stream.take(1)
    return word


def _number(stream: Stream, kind: type, binary: bool) -> int | float:
    if not binary:
        return number(kind, _word(stream))
    size, value = struct.unpack("<bi" if kind is int else "<bf", stream.take(5))
    if size != 4:
        raise ValueError(f"expected a number of 4 bytes, got {size}")
    return value


def _integers(stream: Stream, binary: bool) -> list[int]:
    if binary:
        return stream.array("<i4", stream.size()).tolist()
    _next(stream)
    words = stream.words()
    if len(words) < 2 or words[0] + words[-1] != "[]":
        raise ValueError("expected integers in brackets")
    return [int(number(int, word)) for word in words[1:-1]]


def write_network(network: Network, path: str | Path, binary: bool = True) -> None:
    """Write a network in the layout of its generation to a file, or ``-``, the standard output.

    It is a ``UserError`` if the generation has no place for a component or the clips of an LSTM.
    """
    if str(path) == "-":
        _write(network, sys.stdout.buffer, binary)
        sys.stdout.buffer.flush()
        return
    with atomic.replacing(path, "wb") as file:
        _write(network, file, binary)


def _write(network: Network, file: IO[bytes], binary: bool) -> None:
    end_of_line = b"" if binary else b"\n"
    modern = network.generation == "modern"
    file.write((b"\0B" if binary else b"") + b"<Nnet> " + end_of_line)
    for index, component in enumerate(network.components, start=1):
        _check_generation(component, modern, f"component {index} <{component.kind}>")
        dims = _bytes_of(component.output_dim, binary) + _bytes_of(component.input_dim, binary)
        file.write(f"<{component.kind}> ".encode() + dims + end_of_line)
        for name, default in component.options.items():
            if modern or name not in component.modern:
                value = type(default)(getattr(component, name))
                file.write(f"{token(name)} ".encode() + _bytes_of(value, binary))
        if isinstance(component, TimeShift):
            file.write(b"\n")  # in both formats: a slip of kaldi-lstm's that every reader skips
        elif modern and component.kind in ("AffineTransform", "LstmProjected"):
            file.write(end_of_line)
        for name, first in component.integers.items():
            values = [value + first for value in getattr(component, name)]
            if binary:
                file.write(b"\4" + struct.pack(f"<i{len(values)}i", len(values), *values))
            else:
                file.write(b"[ " + b"".join(b"%d " % value for value in values) + b"]\n")
        for array in component.params().values():
            _write_array(np.asarray(array, "<f4"), file, binary)
        if modern:
            file.write(f"{END_OF_COMPONENT} ".encode() + end_of_line)
    file.write(b"</Nnet> " + end_of_line)


def _check_generation(component: Component, modern: bool, place: str) -> None:
    if modern and component.only_2014:
        raise UserError(f"{place}: only the files of 2014 have this component")
    if not modern and isinstance(component, LstmProjected):
        for name in component.modern:
            if (value := getattr(component, name)) != getattr(Lstm, name):
                raise UserError(f"{place}: the files of 2014 have no {name}, here {value:g}")


def _bytes_of(value: int | float, binary: bool) -> bytes:
    if binary:
        return b"\4" + struct.pack("<i" if isinstance(value, int) else "<f", value)
    return (b"%d " if isinstance(value, int) else b"%.7g ") % value


def _write_array(values: np.ndarray, file: IO[bytes], binary: bool) -> None:
    if binary:
        file.write(b"FM " if values.ndim == 2 else b"FV ")
        file.write(b"".join(_bytes_of(size, binary) for size in values.shape) + values.tobytes())
    else:
        objects.write_object(file, "matrix" if values.ndim == 2 else "vector", values, text=True)

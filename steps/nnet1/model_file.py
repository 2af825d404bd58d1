"""Read and write nnet1 model files, text and binary, of 2014 and of today.

A file of today's Kaldi closes every component with ``<!EndOfComponent>``; one of 2014, and so of
kaldi-lstm, does not, and that tells them apart. A binary file that is read and written again has the
same bytes. Text holds 7 significant digits, as Kaldi's, and loses the rest of a float32. A file without
the outer ``<Nnet>`` begins with its first component, as the transforms of 2014's ``gen_splice.py`` do.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from steps.nnet1.components import (
    KINDS,
    Component,
    Dims,
    Generation,
    Lstm,
    LstmProjected,
    Network,
    NnetFormatError,
    Tensor,
    TimeShift,
)
from steps.nnet1.model_file_scan import BINARY_MARK, Scanner
from utils import atomic

END_OF_COMPONENT = "<!EndOfComponent>"


def read_network(path: str | Path) -> Network:
    """Read a network of either generation from a file, or from the standard input if it is ``-``.

    Whatever is wrong with it is a ``NnetFormatError`` with path, component and byte offset.
    """
    if str(path) == "-":
        return _parse(sys.stdin.buffer, "standard input")
    with Path(path).open("rb") as file:
        return _parse(file, str(path))


def _parse(file: BinaryIO, name: str) -> Network:
    head = file.read(64)
    first = head.removeprefix(BINARY_MARK).lower().split(maxsplit=1)
    if not first or first[0].decode("ascii", "replace") not in ("<nnet>", *KINDS):
        raise NnetFormatError(
            f"{name}: header, byte 0: not an nnet1 file: it does not begin with <Nnet> or a component"
        )
    scanner = Scanner(head + file.read(), name)
    network = _read_components(scanner)
    if scanner.peek():
        scanner.place = "end"
        scanner.fail(f"{len(scanner.data) - scanner.position} bytes follow </Nnet>")
    return network


def _read_components(scanner: Scanner) -> Network:
    """Read from ``<Nnet>`` to ``</Nnet>``; if the first is missing, the other may be, too."""
    start = scanner.position
    enclosed = scanner.token() == "<Nnet>"
    if not enclosed:
        scanner.position = start
    components: list[Component] = []
    generation: Generation = "2014"
    closed = True
    while enclosed or scanner.peek():
        start = scanner.position
        token = scanner.token()
        if token == "</Nnet>":  # noqa: S105
            break
        if token == END_OF_COMPONENT and not closed:
            generation, closed = "modern", True
            continue
        scanner.place = f"component {len(components) + 1}"
        if token.lower() not in KINDS:
            scanner.fail(f"unknown component {token}", start)
        scanner.place += f" {token}"
        components.append(_read_component(scanner, KINDS[token.lower()], start))
        closed = False
    for component in components:
        if generation == "2014" and isinstance(component, LstmProjected):  # clips that came later
            component.diff_clip = component.cell_diff_clip = component.grad_clip = 0.0
    scanner.place = "network"
    try:
        return Network(components, generation)
    except NnetFormatError as error:
        scanner.fail(str(error))


def _read_component(scanner: Scanner, kind: type[Component], start: int) -> Component:
    output_dim = scanner.integer("the output dimension")
    input_dim = scanner.integer("the input dimension")
    if output_dim < 1 or input_dim < 1:
        scanner.fail(f"dimensions must be at least 1, got output {output_dim}, input {input_dim}", start)
    attributes: dict = _read_options(scanner, kind)
    if issubclass(kind, Lstm) and attributes.get("cell_dim", 0) < 1:
        scanner.fail(f"<CellDim> must be at least 1, got {attributes.get('cell_dim', 'none')}")
    dims = Dims(input_dim, output_dim, attributes.get("cell_dim", 0))
    for name, size, first in kind.vectors(dims):
        attributes[name] = [value - first for value in scanner.integers(name, size)]
    for name, shape in kind.shapes(dims).items():
        attributes[name] = scanner.tensor(name, shape)
    try:
        return kind(input_dim, output_dim, **attributes)
    except NnetFormatError as error:
        scanner.fail(str(error), start)


def _read_options(scanner: Scanner, kind: type[Component]) -> dict[str, int | float]:
    """Read the options that are there, in any order."""
    known = {option.token: option for option in kind.options()}
    if kind is LstmProjected:
        known["<ClipGradient>"] = known["<GradClip>"]  # its name in 2015
    found: dict[str, int | float] = {}
    most = 1 if kind is TimeShift else len(known)  # what follows a TimeShift is the next component
    while len(found) < most and scanner.peek() == b"<":
        start = scanner.position
        token = scanner.token()
        if token not in known:
            scanner.fail(f"unknown option {token}; this component has {' '.join(known)}", start)
        take = scanner.integer if known[token].kind is int else scanner.real
        found[known[token].attribute] = take(token)
    return found


def write_network(network: Network, path: str | Path, binary: bool = True) -> None:
    """Write a network in the layout of its generation to a file, or to the standard output if it is ``-``.

    It is a ``NnetFormatError`` if the generation has no place for a component or the clips of an LSTM.
    """
    _check_generation(network)
    if str(path) == "-":
        sys.stdout.buffer.writelines(_pieces(network, binary))
        sys.stdout.buffer.flush()
        return
    with atomic.replacing(path, "wb") as file:
        file.writelines(_pieces(network, binary))


def _check_generation(network: Network) -> None:
    for index, component in enumerate(network.components, start=1):
        place = f"component {index} <{component.kind}>"
        if network.generation == "modern" and component.only_2014:
            raise NnetFormatError(f"{place}: only the files of 2014 have this component")
        if network.generation == "2014" and isinstance(component, LstmProjected):
            for _, name, *_ in (option for option in component.options() if option.modern_only):
                if (value := getattr(component, name)) != getattr(Lstm, name):
                    raise NnetFormatError(f"{place}: the files of 2014 have no {name}, here {value:g}")


def _pieces(network: Network, binary: bool) -> Iterator[bytes]:
    """Give the bytes of a file piece by piece."""
    end_of_line = b"" if binary else b"\n"
    yield (BINARY_MARK if binary else b"") + b"<Nnet> " + end_of_line
    for component in network.components:
        dims = _number(component.output_dim, binary) + _number(component.input_dim, binary)
        yield f"<{component.kind}> ".encode() + dims + end_of_line
        yield from _body(component, network.generation, binary)
        if network.generation == "modern":
            yield f"{END_OF_COMPONENT} ".encode() + end_of_line
    yield b"</Nnet> " + end_of_line


def _body(component: Component, generation: Generation, binary: bool) -> Iterator[bytes]:
    for option in component.options(generation):
        value = option.kind(getattr(component, option.attribute))
        yield f"{option.token} ".encode() + _number(value, binary)
    if isinstance(component, TimeShift):
        yield b"\n"  # in both formats: a slip of kaldi-lstm's that every reader skips
    if generation == "modern" and component.kind in ("AffineTransform", "LstmProjected") and not binary:
        yield b"\n"
    for name, size, first in component.vectors(Dims(component.input_dim, component.output_dim)):
        values = [value + first for value in getattr(component, name)]
        if binary:
            yield b"\4" + struct.pack(f"<i{size}i", size, *values)
        else:
            yield b"[ " + b"".join(b"%d " % value for value in values) + b"]\n"
    for tensor in component.params().values():
        yield from _tensor(tensor, binary)


def _number(value: int | float, binary: bool) -> bytes:
    if binary:
        return b"\4" + struct.pack("<i" if isinstance(value, int) else "<f", value)
    return (b"%d " if isinstance(value, int) else b"%.7g ") % value


def _tensor(tensor: Tensor, binary: bool) -> Iterator[bytes]:
    values = np.asarray(tensor)
    if binary:
        yield b"FM " if values.ndim == 2 else b"FV "
        yield b"".join(_number(dim, binary) for dim in values.shape)
        yield np.ascontiguousarray(values, dtype="<f4").tobytes()
        return
    line = b" ".join([b"%.7g"] * values.shape[-1])
    if values.ndim == 1:
        yield b" [ " + line % tuple(values.tolist()) + b" ]\n"
        return
    yield b" ["
    for row in values:
        yield b"\n  " + line % tuple(row.tolist()) + b" "
    yield b"]\n"

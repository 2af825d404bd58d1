"""Read and write nnet1 model files, text and binary, of 2014 and of today.

A file of today's Kaldi closes every component with ``<!EndOfComponent>``; one of 2014, and so of
kaldi-lstm, does not, and that tells them apart. A binary file that is read and written again has the
same bytes. Text holds 7 significant digits, as Kaldi's, and loses the rest of a float32. A file without
the outer ``<Nnet>`` begins with its first component, as the transforms of 2014's ``gen_splice.py`` do.
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    TimeShift,
)
from steps.nnet1.model_file_scan import BINARY_MARK, Scanner
from utils import atomic

END_OF_COMPONENT = "<!EndOfComponent>"


def read_network(path: str | Path) -> Network:
    """Read a network of either generation from a file, or from the standard input if it is ``-``.

    Its parameters are NumPy's arrays. Whatever is wrong with it is a ``NnetFormatError`` with path, component
    and byte offset. If the file lacks ``<Nnet>``, it may lack ``</Nnet>``, too.
    """
    if str(path) == "-":
        scanner = Scanner(sys.stdin.buffer.read(), "standard input")
    else:
        scanner = Scanner(Path(path).read_bytes(), str(path))
    head = scanner.data[:64].removeprefix(BINARY_MARK).lower().split(maxsplit=1)
    first = head[0].decode("ascii", "replace") if head else ""
    enclosed = first == "<nnet>"
    if enclosed:
        scanner.token()
    elif first not in KINDS:
        scanner.fail("not an nnet1 file: it does not begin with <Nnet> or a component", 0)
    components: list[Component] = []
    generation: Generation = "2014"
    while enclosed or scanner.peek():
        start, word = scanner.position, scanner.token()
        if word == "</Nnet>":
            break
        scanner.place = f"component {len(components) + 1} {word}"
        if word.lower() not in KINDS:
            scanner.fail(f"unknown component {word}", start)
        components.append(_read_component(scanner, KINDS[word.lower()], start))
        if scanner.peek() and scanner.data.startswith(END_OF_COMPONENT.encode(), scanner.position):
            scanner.token()
            generation = "modern"
    for component in components:
        if generation == "2014" and isinstance(component, LstmProjected):  # clips that came later
            component.diff_clip = component.cell_diff_clip = component.grad_clip = 0.0
    scanner.place = "end"
    if scanner.peek():
        scanner.fail(f"{len(scanner.data) - scanner.position} bytes follow </Nnet>")
    try:
        return Network(components, generation)
    except NnetFormatError as error:
        scanner.fail(str(error))


def _read_component(scanner: Scanner, kind: type[Component], start: int) -> Component:
    dims = [int(scanner.number(f"the {end} dimension", int)) for end in ("output", "input")]
    given: dict[str, Any] = {}
    known = {option.token: (name, option.kind) for name, option in kind.options().items()}
    if kind is LstmProjected:
        known["<ClipGradient>"] = known["<GradClip>"]  # its name in 2015
    while len(given) < len(known) and scanner.peek() == b"<":  # in any order, or none
        place, token = scanner.position, scanner.token()
        if token not in known:
            scanner.fail(f"unknown option {token}; this component has {' '.join(known)}", place)
        name, number = known[token]
        given[name] = scanner.number(token, number)
    for name, first in kind.declared("first").items():
        given[name] = [value - first for value in scanner.integers(name)]
    for name, shape in kind.shapes(Dims(1, 1)).items():
        given[name] = scanner.array(name, len(shape))
    try:
        return kind(*reversed(dims), **given)
    except NnetFormatError as error:
        scanner.fail(str(error), start)


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
            for name, option in component.options().items():
                if option.modern_only and (value := getattr(component, name)) != getattr(Lstm, name):
                    raise NnetFormatError(f"{place}: the files of 2014 have no {name}, here {value:g}")


def _pieces(network: Network, binary: bool) -> Iterator[bytes]:
    """Give the bytes of a file piece by piece."""
    end_of_line = b"" if binary else b"\n"
    yield (BINARY_MARK if binary else b"") + b"<Nnet> " + end_of_line
    for component in network.components:
        dims = _number(component.output_dim, binary) + _number(component.input_dim, binary)
        yield f"<{component.kind}> ".encode() + dims + end_of_line
        for name, option in component.options(network.generation).items():
            yield f"{option.token} ".encode() + _number(option.kind(getattr(component, name)), binary)
        if isinstance(component, TimeShift):
            yield b"\n"  # in both formats: a slip of kaldi-lstm's that every reader skips
        elif network.generation == "modern" and component.kind in ("AffineTransform", "LstmProjected"):
            yield end_of_line
        for name, first in component.declared("first").items():
            values = [value + first for value in getattr(component, name)]
            if binary:
                yield b"\4" + struct.pack(f"<i{len(values)}i", len(values), *values)
            else:
                yield b"[ " + b"".join(b"%d " % value for value in values) + b"]\n"
        for array in component.params().values():
            yield from _array(np.asarray(array, "<f4"), binary)
        if network.generation == "modern":
            yield f"{END_OF_COMPONENT} ".encode() + end_of_line
    yield b"</Nnet> " + end_of_line


def _number(value: int | float, binary: bool) -> bytes:
    if binary:
        return b"\4" + struct.pack("<i" if isinstance(value, int) else "<f", value)
    return (b"%d " if isinstance(value, int) else b"%.7g ") % value


def _array(values: np.ndarray, binary: bool) -> Iterator[bytes]:
    if binary:
        yield b"FM " if values.ndim == 2 else b"FV "
        yield b"".join(_number(dim, binary) for dim in values.shape)
        yield values.tobytes()
        return
    line = b" ".join([b"%.7g"] * values.shape[-1])
    if values.ndim == 1:
        yield b" [ " + line % tuple(values.tolist()) + b" ]\n"
        return
    yield b" ["
    for row in values:
        yield b"\n  " + line % tuple(row.tolist()) + b" "
    yield b"]\n"

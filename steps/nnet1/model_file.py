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
import torch

from steps.nnet1.components import (
    END_OF_COMPONENT,
    KINDS,
    Component,
    Copy,
    Dims,
    Generation,
    Lstm,
    LstmProjected,
    Network,
    NnetFormatError,
    Splice,
    TimeShift,
    kind_of,
)
from steps.nnet1.model_file_scan import BinaryScanner, Scanner, TextScanner
from utils import atomic

__all__ = ["NnetFormatError", "read_network", "write_network"]

_BINARY_MARK = b"\0B"
_GRAD_CLIP_OF_2015 = "<ClipGradient>"  # the name that Kaldi gave <GradClip> then
_STARTS = tuple(f"<{kind}>".lower().encode() for kind in ("Nnet", *KINDS))


def read_network(path: str | Path) -> Network:
    """Read a network.

    Parameters
    ----------
    path : str or Path
        An nnet1 file, or ``-`` for the standard input. The generation is told from the content.

    Returns
    -------
    Network
        With float32 tensors of their own memory.

    Raises
    ------
    NnetFormatError
        With path, component and byte offset: truncated, wrong or inconsistent dimensions, unknown
        component or option, something behind the end.
    """
    name = "standard input" if str(path) == "-" else str(path)
    if str(path) == "-":
        return _parse(sys.stdin.buffer, name)
    with Path(path).open("rb") as file:
        return _parse(file, name)


def _parse(file: BinaryIO, name: str) -> Network:
    head = file.read(64)
    begins = head.lower()  # Kaldi takes names of components in any case
    if begins.startswith(tuple(_BINARY_MARK.lower() + start + b" " for start in _STARTS)):
        scanner: Scanner = BinaryScanner(head + file.read(), name, position=len(_BINARY_MARK))
    elif begins.lstrip().startswith(_STARTS):
        scanner = TextScanner(head + file.read(), name)
    else:
        raise NnetFormatError(
            f"{name}: header, byte 0: not an nnet1 file: it does not begin with <Nnet> or a component"
        )
    return _read_components(scanner)


def _read_components(scanner: Scanner) -> Network:
    """Read from ``<Nnet>`` to ``</Nnet>`` and check that nothing comes behind it.

    Without ``<Nnet>``, ``</Nnet>`` may be missing, too.
    """
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
        if not (kind := kind_of(token)):
            scanner.fail(f"unknown component {token}", start)
        scanner.place += f" {token}"
        components.append(_read_component(scanner, KINDS[kind], start))
        closed = False
    if scanner.peek():
        scanner.place = "end"
        scanner.fail(f"{len(scanner.data) - scanner.position} bytes follow </Nnet>")
    _forget_clips(components, generation)
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
    if kind is Splice:
        if output_dim % input_dim:
            scanner.fail(f"{output_dim} outputs are not a multiple of {input_dim} inputs", start)
        attributes["offsets"] = scanner.integers("frame offsets", output_dim // input_dim)
    elif kind is Copy:
        attributes["indices"] = [index - 1 for index in scanner.integers("indices", output_dim)]
    elif issubclass(kind, Lstm) and attributes.get("cell_dim", 0) < 1:
        scanner.fail(f"<CellDim> must be at least 1, got {attributes.get('cell_dim', 'none')}")
    dims = Dims(input_dim, output_dim, attributes.get("cell_dim", 0))
    for name, shape in kind.shapes(dims).items():
        scanner.skip_blanks()
        attributes[name] = scanner.tensor(name, shape)
    try:
        return kind(input_dim, output_dim, **attributes)
    except NnetFormatError as error:
        scanner.fail(str(error), start)


def _read_options(scanner: Scanner, kind: type[Component]) -> dict[str, int | float]:
    """Read the options that are there, in any order."""
    known = {option.token: option for option in kind.options()}
    if kind is LstmProjected:
        known[_GRAD_CLIP_OF_2015] = known["<GradClip>"]
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


def _forget_clips(components: list[Component], generation: Generation) -> None:
    """Take the derivative and gradient clips, which today's Kaldi defaults to, from an LSTM of 2014."""
    for component in components:
        if generation == "2014" and isinstance(component, LstmProjected):
            component.diff_clip = component.cell_diff_clip = component.grad_clip = 0.0


def write_network(network: Network, path: str | Path, binary: bool = True) -> None:
    """Write a network in the layout of its generation.

    Parameters
    ----------
    network : Network
        What to write.
    path : str or Path
        The file, which is replaced as a whole, or ``-`` for the standard output.
    binary : bool
        False for text, with 7 significant digits.

    Raises
    ------
    NnetFormatError
        If the generation has no place for a component, or for a clip that an LSTM was given.
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
            clips = (component.diff_clip, component.cell_diff_clip, component.grad_clip)
            coefs = (component.learn_rate_coef, component.bias_learn_rate_coef)
            if any(clips) or component.cell_clip != 50 or coefs != (1, 1):
                raise NnetFormatError(
                    f"{place}: the files of 2014 clip cells at 50 and nothing else and have no learning-rate "
                    f"coefficients, but this component has cell_clip {component.cell_clip:g}, derivative and "
                    f"gradient clips {clips} and coefficients {coefs}"
                )


def _pieces(network: Network, binary: bool) -> Iterator[bytes]:
    """Give the bytes of a file piece by piece."""
    end_of_line = b"" if binary else b"\n"
    yield (_BINARY_MARK if binary else b"") + b"<Nnet> " + end_of_line
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
    if isinstance(component, Splice):
        yield _integers(component.offsets, binary)
    if isinstance(component, Copy):
        yield _integers([index + 1 for index in component.indices], binary)
    for tensor in component.params().values():
        yield from _tensor(tensor, binary)


def _number(value: int | float, binary: bool) -> bytes:
    if binary:
        return b"\4" + struct.pack("<i" if isinstance(value, int) else "<f", value)
    return (b"%d " if isinstance(value, int) else b"%.7g ") % value


def _integers(values: list[int], binary: bool) -> bytes:
    if binary:
        return b"\4" + struct.pack(f"<i{len(values)}i", len(values), *values)
    return b"[ " + b"".join(b"%d " % value for value in values) + b"]\n"


def _tensor(tensor: torch.Tensor, binary: bool) -> Iterator[bytes]:
    values = tensor.detach().cpu().numpy()
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

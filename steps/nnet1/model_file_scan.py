"""Take tokens, numbers, vectors and matrices from the bytes of an nnet1 file, binary or text.

Every failure is an ``NnetFormatError`` with the file, the component and the byte at which it happened.
Nothing is allocated for a size that a file claims before its bytes are known to be there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import NoReturn

import numpy as np
import torch

from steps.nnet1.components import NnetFormatError

_BLANK = re.compile(rb"[ \t\r\n\f\v]*")
_WORD = re.compile(rb"[^ \t\r\n\f\v]+")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,10}")
_LONGEST_TOKEN = 64
_REAL_SIZES = {4: "<f4", 8: "<f8"}


def _shape_text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


class Scanner(ABC):
    """Position in a file's bytes; the two formats differ in how numbers are written."""

    def __init__(self, data: bytes, path: str, position: int = 0) -> None:
        self.data = data
        self.path = path
        self.position = position
        self.place = "header"

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        """Raise the error that says what is wrong at the present (or the given) byte."""
        offset = self.position if position is None else position
        raise NnetFormatError(f"{self.path}: {self.place}, byte {offset}: {message}")

    def skip_blanks(self) -> None:
        """Go to the next byte that is not white space."""
        match = _BLANK.match(self.data, self.position)
        self.position = match.end() if match else self.position

    def peek(self) -> bytes:
        """Return the next byte that is not white space, or nothing at the end."""
        self.skip_blanks()
        return self.data[self.position : self.position + 1]

    def token(self) -> str:
        """Take a token like ``<Nnet>`` and the blank behind it."""
        self.skip_blanks()
        match = _WORD.match(self.data, self.position, self.position + _LONGEST_TOKEN + 1)
        if match is None:
            self.fail("the file ends where a token was expected; is it truncated?")
        word = match.group().decode("ascii", "backslashreplace")
        if len(match.group()) > _LONGEST_TOKEN or not (word.startswith("<") and word.endswith(">")):
            self.fail(f"expected a token like <Nnet>, got '{word[:_LONGEST_TOKEN]}'")
        if match.end() == len(self.data):
            self.fail(f"the file ends in or after {word}; is it truncated?")
        self.position = match.end() + 1
        return word

    @abstractmethod
    def integer(self, what: str) -> int:
        """Take an int32; ``what`` names it in errors."""

    @abstractmethod
    def real(self, what: str) -> float:
        """Take a float, rounded to float32."""

    @abstractmethod
    def integers(self, what: str, count: int) -> list[int]:
        """Take a vector of ``count`` int32."""

    @abstractmethod
    def tensor(self, what: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Take a vector or matrix of the given shape as float32."""


class BinaryScanner(Scanner):
    """Numbers as their size in a byte and then their bytes, little-endian."""

    def _take(self, count: int, what: str) -> bytes:
        left = len(self.data) - self.position
        if count > left:
            self.fail(f"{what} takes {count} bytes, but the file has {left} more; is it truncated?")
        self.position += count
        return self.data[self.position - count : self.position]

    def _size(self, what: str, allowed: tuple[int, ...]) -> int:
        size = self._take(1, what)[0]
        if size not in allowed:
            expected = " or ".join(map(str, allowed))
            self.fail(f"{what} should be of {expected} bytes, but claims {size}", self.position - 1)
        return size

    def integer(self, what: str) -> int:
        """Take an int32."""
        self._size(what, (4,))
        return int.from_bytes(self._take(4, what), "little", signed=True)

    def real(self, what: str) -> float:
        """Take a float32 or a float64."""
        size = self._size(what, (4, 8))
        value = np.frombuffer(self._take(size, what), dtype=_REAL_SIZES[size])
        return float(value.astype(np.float32)[0])

    def integers(self, what: str, count: int) -> list[int]:
        """Take a vector of int32: one size byte, the count, the numbers."""
        start = self.position
        self._size(what, (4,))
        found = int.from_bytes(self._take(4, what), "little", signed=True)
        if found != count:
            self.fail(f"expected {count} {what}, got {found}", start)
        return np.frombuffer(self._take(4 * count, what), dtype="<i4").tolist()

    def tensor(self, what: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Take ``FM``, ``DM``, ``FV`` or ``DV``, the dimensions and the numbers."""
        start = self.position
        kind = self._take(3, what)
        ending = b"M " if len(shape) == 2 else b"V "
        if kind[1:] != ending or kind[:1] not in (b"F", b"D"):
            word = kind.decode("ascii", "backslashreplace")
            self.fail(f"expected {what} as F{ending.decode()}or D{ending.decode()}, got '{word}'", start)
        found = tuple(self.integer(f"a dimension of {what}") for _ in shape)
        if found != shape:
            self.fail(f"expected {what} of {_shape_text(shape)}, got {_shape_text(found)}", start)
        size = 4 if kind[:1] == b"F" else 8
        count = int(np.prod(shape, dtype=object))
        values = np.frombuffer(self._take(size * count, what), dtype=_REAL_SIZES[size])
        with np.errstate(over="ignore"):
            return torch.from_numpy(values.astype(np.float32).reshape(shape))


class TextScanner(Scanner):
    """Numbers as words, vectors and matrices in brackets, a matrix's rows on lines."""

    def _word(self, what: str) -> bytes:
        self.skip_blanks()
        match = _WORD.match(self.data, self.position)
        if match is None:
            self.fail(f"the file ends where {what} was expected; is it truncated?")
        self.position = match.end()
        return match.group()

    def integer(self, what: str) -> int:
        """Take an int32."""
        word = self._word(what)
        value = int(word) if _INTEGER.fullmatch(word) else None
        if value is None or not -(2**31) <= value < 2**31:
            self._bad_number(what, "an integer", word)
        return value

    def real(self, what: str) -> float:
        """Take a number, which may be infinite or NaN."""
        word = self._word(what)
        if b"_" in word:
            self._bad_number(what, "a number", word)
        return float(self._floats([word], what)[0])

    def _bad_number(self, what: str, expected: str, word: bytes) -> NoReturn:
        text = word[:_LONGEST_TOKEN].decode("ascii", "backslashreplace")
        self.fail(f"expected {expected} for {what}, got '{text}'", self.position - len(word))

    def _floats(self, words: list[bytes], what: str) -> np.ndarray:
        try:
            values = np.fromiter(map(float, words), dtype=np.float64, count=len(words))
        except ValueError:
            self.fail(f"{what} holds something that is not a number")
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def _brackets(self, what: str) -> bytes:
        if self.peek() != b"[":
            self.fail(f"expected '[' before {what}")
        end = self.data.find(b"]", self.position)
        if end < 0:
            self.fail(f"no ']' closes {what}; is the file truncated?")
        inside = self.data[self.position + 1 : end]
        if b"_" in inside:  # Python takes 1_000 for a number
            self.fail(f"{what} holds something that is not a number")
        self.position = end + 1
        return inside

    def integers(self, what: str, count: int) -> list[int]:
        """Take integers in brackets."""
        start = self.position
        words = self._brackets(what).split()
        if len(words) != count:
            self.fail(f"expected {count} {what}, got {len(words)}", start)
        values = [int(word) if _INTEGER.fullmatch(word) else 2**31 for word in words]
        if not all(-(2**31) <= value < 2**31 for value in values):
            self.fail(f"{what} holds something that is not an integer", start)
        return values

    def tensor(self, what: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Take numbers in brackets."""
        start = self.position
        inside = self._brackets(what)
        lines = [line.split() for line in inside.split(b"\n")] if len(shape) == 2 else [inside.split()]
        rows = [line for line in lines if line]
        widths = {len(row) for row in rows} or {0}
        if len(widths) > 1:
            self.fail(f"the rows of {what} are of {min(widths)} to {max(widths)} numbers", start)
        found = (len(rows), *widths) if len(shape) == 2 else tuple(widths)
        if found != shape:
            self.fail(f"expected {what} of {_shape_text(shape)}, got {_shape_text(found)}", start)
        numbers = self._floats([word for row in rows for word in row], what)
        return torch.from_numpy(numbers.reshape(shape))

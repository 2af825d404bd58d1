"""Take tokens, numbers, vectors and matrices from the bytes of an nnet1 file, binary or text.

Every failure is an ``NnetFormatError`` with the file, the component and the byte at which it happened.
Nothing is allocated for a size that a file claims before its bytes are known to be there.
"""

from __future__ import annotations

import math
import re
from typing import NoReturn

import numpy as np

from steps.nnet1.components import NnetFormatError, Shape

BINARY_MARK = b"\0B"
_WORD = re.compile(rb"[^ \t\r\n\f\v]+")
_LONGEST_TOKEN = 64


class Scanner:
    """A position in a file's bytes.

    In binary, a number is its size in a byte and then its little-endian bytes; in text a word, with vectors
    and matrices in brackets and a matrix's rows on lines. ``what`` names in errors what is taken.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path, self.place = data, path, "header"
        self.binary = data.startswith(BINARY_MARK)
        self.position = len(BINARY_MARK) if self.binary else 0

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        """Raise the error that says what is wrong at the present (or the given) byte."""
        offset = self.position if position is None else position
        raise NnetFormatError(f"{self.path}: {self.place}, byte {offset}: {message}")

    def peek(self) -> bytes:
        """Go to the next byte that is not white space and return it, or nothing at the end."""
        while (byte := self.data[self.position : self.position + 1]).isspace():
            self.position += 1
        return byte

    def _word(self, what: str) -> bytes:
        self.peek()
        match = _WORD.match(self.data, self.position, self.position + _LONGEST_TOKEN + 1)
        if match is None:
            self.fail(f"the file ends where {what} was expected; is it truncated?")
        return match.group()

    def token(self) -> str:
        """Take a token like ``<Nnet>`` and the blank behind it."""
        found = self._word("a token")
        word = found.decode("ascii", "backslashreplace")
        if len(found) > _LONGEST_TOKEN or not (word.startswith("<") and word.endswith(">")):
            self.fail(f"expected a token like <Nnet>, got '{word[:_LONGEST_TOKEN]}'")
        if self.position + len(found) == len(self.data):
            self.fail(f"the file ends in or after {word}; is it truncated?")
        self.position += len(found) + 1
        return word

    def integer(self, what: str) -> int:
        """Take an int32."""
        return int(self._number(what, "i"))

    def real(self, what: str) -> float:
        """Take a float, rounded to float32."""
        return float(self._number(what, "f"))

    def _number(self, what: str, kind: str) -> np.generic:
        if not self.binary:
            word = self._word(what)
            self.position += len(word)
            return self._parse([word], what, kind)[0]
        size = self._take(1, what)[0]
        if size != 4 and (kind, size) != ("f", 8):
            expected = "4 or 8" if kind == "f" else "4"
            self.fail(f"{what} should be of {expected} bytes, but claims {size}", self.position - 1)
        return np.frombuffer(self._take(size, what), f"<{kind}{size}").astype(f"{kind}4")[0]

    def integers(self, what: str, size: int) -> list[int]:
        """Take a vector of so many int32."""
        self.peek()
        start = self.position
        if not self.binary:
            words = self._brackets(what).split()
            self._expect(what, (size,), (len(words),), start)
            return self._parse(words, what, "i").tolist()
        self._expect(what, (size,), (self.integer(what),), start)
        return np.frombuffer(self._take(4 * size, what), "<i4").tolist()

    def tensor(self, what: str, shape: Shape) -> np.ndarray:
        """Take a vector or matrix of the given shape as float32."""
        self.peek()
        start = self.position
        if self.binary:
            mark, letter = bytes(self._take(3, what)), "M" if len(shape) == 2 else "V"
            if mark not in (f"F{letter} ".encode(), f"D{letter} ".encode()):
                got = mark.decode("ascii", "backslashreplace")
                self.fail(f"expected {what} as F{letter} or D{letter} , got '{got}'", start)
            self._expect(what, shape, tuple(self.integer(f"a dimension of {what}") for _ in shape), start)
            size = 4 if mark[:1] == b"F" else 8
            values = np.frombuffer(self._take(size * math.prod(shape), what), f"<f{size}")
        else:
            inside = self._brackets(what)
            rows = [line.split() for line in inside.split(b"\n") if line.strip()]
            if len(shape) == 1:
                rows = [inside.split()]
            widths = {len(row) for row in rows} or {0}
            if len(widths) > 1:
                self.fail(f"the rows of {what} are of {min(widths)} to {max(widths)} numbers", start)
            self._expect(what, shape, (len(rows), *widths)[-len(shape) :], start)
            values = self._parse([word for row in rows for word in row], what, "f")
        with np.errstate(over="ignore"):
            return values.astype(np.float32).reshape(shape)

    def _expect(self, what: str, shape: Shape, found: Shape, start: int) -> None:
        if found != shape:
            expected, got = (" x ".join(map(str, dims)) for dims in (shape, found))
            self.fail(f"expected {what} of {expected}, got {got}", start)

    def _take(self, count: int, what: str) -> memoryview:
        left = len(self.data) - self.position
        if count > left:
            self.fail(f"{what} takes {count} bytes, but the file has {left} more; is it truncated?")
        self.position += count
        return memoryview(self.data)[self.position - count : self.position]

    def _brackets(self, what: str) -> bytes:
        if self.peek() != b"[":
            self.fail(f"expected '[' before {what}")
        start, end = self.position + 1, self.data.find(b"]", self.position)
        if end < 0:
            self.fail(f"no ']' closes {what}; is the file truncated?")
        self.position = end + 1
        return self.data[start:end]

    def _parse(self, words: list[bytes], what: str, kind: str) -> np.ndarray:
        try:
            if b"_" in b" ".join(words):
                raise ValueError("'_'")  # Python takes 1_000 for a number
            if kind == "i":
                return np.array([int(word) for word in words], np.int32)
            with np.errstate(over="ignore"):
                return np.fromiter(map(float, words), np.float64, len(words)).astype(np.float32)
        except (ValueError, OverflowError) as error:
            expected = "an integer" if kind == "i" else "a number"
            self.fail(f"{what} holds something that is not {expected}: {str(error)[:100]}")

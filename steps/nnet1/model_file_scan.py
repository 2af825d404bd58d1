"""Take tokens, numbers, vectors and matrices from the bytes of an nnet1 file, binary or text.

Every failure is an ``NnetFormatError`` with the file, the component and the byte at which it happened.
Nothing is allocated for a size that a file claims before its bytes are known to be there.
"""

import math
import re
from typing import NoReturn

import numpy as np

from steps.nnet1.components import NnetFormatError

BINARY_MARK = b"\0B"
_WORD = re.compile(rb"[^ \t\r\n\f\v]+")


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
        match = _WORD.match(self.data, self.position)
        if match is None:
            self.fail(f"the file ends where {what} was expected; is it truncated?")
        self.position = match.end()
        return match.group()

    def token(self) -> str:
        """Take a token like ``<Nnet>`` and the blank behind it."""
        word = self._word("a token").decode("ascii", "backslashreplace")
        if not (word.startswith("<") and word.endswith(">")):
            self.fail(f"expected a token like <Nnet>, got '{word[:64]}'")
        if self.position == len(self.data):
            self.fail(f"the file ends in or after {word}; is it truncated?")
        self.position += 1
        return word

    def number(self, what: str, kind: type) -> int | float:
        """Take an int32, or a float that is rounded to float32."""
        if not self.binary:
            return self._parse([self._word(what)], what, kind)[0].item()
        size = self._take(1, what)[0]
        if size != 4 and (kind, size) != (float, 8):
            expected = "4 or 8" if kind is float else "4"
            self.fail(f"{what} should be of {expected} bytes, but claims {size}", self.position - 1)
        letter = "f" if kind is float else "i"
        return np.frombuffer(self._take(size, what), f"<{letter}{size}").astype(f"{letter}4")[0].item()

    def integers(self, what: str) -> list[int]:
        """Take a vector of int32."""
        if not self.binary:
            return self._parse(self._brackets(what).split(), what, int).tolist()
        return np.frombuffer(self._take(4 * int(self.number(what, int)), what), "<i4").tolist()

    def array(self, what: str, ndim: int) -> np.ndarray:
        """Take a vector or a matrix as float32, whatever its shape."""
        if not self.binary:
            return self._text_array(what, ndim)
        mark, letter = bytes(self._take(3, what)), "VM"[ndim - 1]
        if mark not in (f"F{letter} ".encode(), f"D{letter} ".encode()):
            got = mark.decode("ascii", "backslashreplace")
            self.fail(f"expected {what} as F{letter} or D{letter} , got '{got}'", self.position - 3)
        shape = [int(self.number(f"a dimension of {what}", int)) for _ in range(ndim)]
        size = 4 if mark[:1] == b"F" else 8
        values = np.frombuffer(
            self._take(size * math.prod(shape) * (min(shape) >= 0 or -1), what), f"<f{size}"
        )
        with np.errstate(over="ignore"):
            return values.astype(np.float32).reshape(shape)

    def _text_array(self, what: str, ndim: int) -> np.ndarray:
        start, inside = self.position, self._brackets(what)
        rows = [line.split() for line in (inside.split(b"\n") if ndim == 2 else [inside]) if line.strip()]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            self.fail(f"the rows of {what} are of {min(widths)} to {max(widths)} numbers", start)
        values = self._parse([word for row in rows for word in row], what, float)
        return values.reshape((len(rows), *widths)[-ndim:])

    def _take(self, count: int, what: str) -> memoryview:
        left = len(self.data) - self.position
        if not 0 <= count <= left:
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

    def _parse(self, words: list[bytes], what: str, kind: type) -> np.ndarray:
        try:
            if b"_" in b" ".join(words):
                raise ValueError("'_'")  # Python takes 1_000 for a number
            if kind is int:
                return np.array([int(word) for word in words], np.int32)
            with np.errstate(over="ignore"):
                return np.fromiter(map(float, words), np.float64, len(words)).astype(np.float32)
        except (ValueError, OverflowError) as error:
            expected = "an integer" if kind is int else "a number"
            self.fail(f"{what} holds something that is not {expected}: {str(error)[:100]}")

"""Utterance ids: ASCII, prefixed by the artist, and sorted alike by utterance and by artist.

An id is ``<artist>-<rest>``. The artist's part consists of ``[0-9a-z_]`` only, and ``-`` sorts before all
of these, so that the C order of the ids is that of their artists: Kaldi requires utt2spk to be so.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_LENGTH = 80

_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d"}
    | {"Đ": "d", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th", "ı": "i", "&": " and "}
)


def digest(text: str) -> str:
    """Return 8 hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def slug(text: str) -> str:
    """Return a text as ``[0-9a-z_]+``.

    Accents are dropped. Where letters of another script are lost, or more than ``MAX_LENGTH`` characters
    would remain, a hash of the whole text is appended, so that different names stay different.

    Parameters
    ----------
    text : str
        A name; ``"L'Oiseau-Lyre"`` becomes ``l_oiseau_lyre``.
    """
    text = unicodedata.normalize("NFC", text)
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    lost = any(unicodedata.category(c)[0] in "LN" and not c.isascii() for c in plain)
    words = re.sub(
        r"[^0-9a-z]+", "_", "".join(c for c in plain if not unicodedata.combining(c)).lower()
    ).strip("_")
    if lost or not words or len(words) > MAX_LENGTH:
        words = f"{words[:MAX_LENGTH]}_{digest(text)}".strip("_")
    return words

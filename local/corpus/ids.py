"""Utterance ids: ASCII, prefixed by the artist, and sorted alike by utterance and by artist.

An id is ``<artist>-<rest>``. The artist's part consists of ``[0-9a-z_]`` only, and ``-`` sorts before all
of these, so that the C order of the ids is that of their artists: Kaldi requires utt2spk to be so.
"""

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


# What passports write: Cyrillic as in ICAO 9303, Greek as in ELOT 743.
_SINGLE = dict(zip("абвгдезийклмнопрстуфыэёіґўј", "abvgdeziyklmnoprstufyeeiguj", strict=True))
_SINGLE |= dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True))
_SEVERAL = {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu"}
_SEVERAL |= {"я": "ya", "ї": "yi", "є": "ye", "љ": "lj", "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz", "ѕ": "dz"}
_SEVERAL |= {"θ": "th", "χ": "ch", "ψ": "ps"}
_BY_LETTER = _SINGLE | _SEVERAL


def _latin(character: str) -> str:
    """Return a letter of another script in Latin letters: by table, or by its name in Unicode."""
    small = character.lower()
    for letter in (small, unicodedata.normalize("NFD", small)[0]):
        if letter in _BY_LETTER:
            return _BY_LETTER[letter]
    script, *_, last = unicodedata.name(character, "CJK").split()
    if script == "CJK":
        return f" u{ord(character):x} "
    if script in ("ARABIC", "HEBREW"):
        return unicodedata.name(character).partition("LETTER ")[2][:1]
    return "" if last == "MARK" else last


def transliterated(text: str) -> str:
    """Return a text as ``[0-9a-z_]+`` that can be read, letters of other scripts in Latin ones.

    Different texts may come out alike. ``"Шансон"`` becomes ``shanson``, ``"ロック"`` ``rotuku``.
    """
    text = unicodedata.normalize("NFC", text).translate(_LETTERS)
    latin = []
    for character in text:
        plain = unicodedata.normalize("NFKD", character)
        other = unicodedata.category(character)[0] in "LN" and not plain[0].isascii()
        latin.append(_latin(character) if other else plain)
    return slug("".join(latin))


def slug(text: str) -> str:
    """Return a text as ``[0-9a-z_]+``: ``"L'Oiseau-Lyre"`` becomes ``l_oiseau_lyre``.

    Accents are dropped. Where letters of another script are lost, or more than ``MAX_LENGTH`` characters
    would remain, a hash of the whole text is appended, so that different names stay different.
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

"""Utterance ids: ASCII, prefixed by the artist, and sorted alike by utterance and by artist.

An id is ``<artist>-<rest>``. The artist's part consists of ``[0-9a-z_]`` only, and ``-`` sorts before all
of these, so that the C order of the ids is that of their artists: Kaldi requires utt2spk to be so.
"""

import hashlib
import re
import unicodedata

MAX_LENGTH = 80

_LATIN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
# What passports write: Cyrillic as in ICAO 9303, Greek as in ELOT 743.
_SINGLE = dict(zip("абвгдезийклмнопрстуфыэёіґўј", "abvgdeziyklmnoprstufyeeiguj", strict=True))
_SINGLE |= dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True))
_SEVERAL = {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu"}
_SEVERAL |= {"я": "ya", "ї": "yi", "є": "ye", "љ": "lj", "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz", "ѕ": "dz"}
_BY_LETTER = {**_LATIN, **_SINGLE, **_SEVERAL, "θ": "th", "χ": "ch", "ψ": "ps", "&": " and "}


def digest(text: str) -> str:
    """Return 8 hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _latin(character: str) -> str:
    """Return a character in Latin letters without accents: by table, or by its name in Unicode."""
    for letter in (character.lower(), unicodedata.normalize("NFD", character.lower())[0]):
        if letter in _BY_LETTER:
            return _BY_LETTER[letter]
    plain = unicodedata.normalize("NFKD", character)
    if plain[0].isascii() or unicodedata.category(character)[0] not in "LN":
        return "".join(c for c in plain if not unicodedata.combining(c))
    script, *_, last = unicodedata.name(character, "CJK IDEOGRAPH").partition(" WITH ")[0].split()
    if script == "CJK":
        return f" u{ord(character):x} "
    if script in ("ARABIC", "HEBREW"):
        return unicodedata.name(character).partition("LETTER ")[2][:1]
    return "" if unicodedata.category(character) == "Lm" else last


def slug(text: str) -> str:
    """Return a text as ``[0-9a-z_]+`` that can be read: ``"L'Oiseau-Lyre"`` becomes ``l_oiseau_lyre``.

    Where nothing or more than ``MAX_LENGTH`` characters would remain, a hash of the text is appended.
    """
    text = unicodedata.normalize("NFC", text)
    words = re.sub(r"[^0-9a-z]+", "_", "".join(map(_latin, text)).lower()).strip("_")
    return words if 0 < len(words) <= MAX_LENGTH else f"{words[:MAX_LENGTH]}_{digest(text)}".strip("_")

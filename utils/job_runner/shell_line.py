"""How Kaldi's runners turn arguments into one bash command line, and put the job number in."""

from __future__ import annotations

from collections.abc import Sequence


def quote(word: str) -> str:
    """Quote one argument as Kaldi's runners do.

    An argument without blanks stays as it is, so that ``|``, ``>``, ``&&``, ``$x`` and globs act in the
    job's shell. One with blanks (or an empty one) is put between double quotes, where ``$x`` still acts,
    or between single quotes if it holds a double quote.
    """
    if word and not any(c.isspace() for c in word):
        return word
    if '"' in word:
        return "'" + word.replace("'", "'\\''") + "'"
    return f'"{word}"'


def join(words: Sequence[str]) -> str:
    """Join arguments to a bash command line."""
    return " ".join(quote(word) for word in words)


def substitute(text: str, job_name: str | None, job: int) -> str:
    """Replace every occurrence of the job's name by its number, inside words too, as Kaldi does."""
    return text if job_name is None else text.replace(job_name, str(job))

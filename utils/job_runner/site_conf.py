"""A site's configuration of its scheduler, in the syntax of Kaldi's queue.conf and slurm.conf.

::

    command qsub -v PATH -cwd          # how jobs are submitted
    option mem=* -l mem_free=$0        # --mem 2G becomes -l mem_free=2G
    option mem=0                       # --mem 0 becomes nothing
    default gpu=0                      # without --gpu, --gpu 0 is meant

An exact ``option`` goes before one with ``*``; of two that are equal the later counts. An option of the
command line that the file does not describe is an error.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from utils.job_runner.request import Request, UsageError

RULE = re.compile(r"(\w+)=(\S+)(?:\s+(.*))?", re.ASCII)


@dataclass
class SiteConf:
    """The parsed file.

    Attributes
    ----------
    name : str
        File name, for messages.
    command : list of str
        Program that submits a job and its fixed arguments.
    rules : dict of (str, str) to list of str
        Arguments for each option and value; the value ``*`` stands for any, ``$0`` for what it was.
    defaults : dict of str to str
        Values of options that the command line does not give.
    """

    name: str
    command: list[str] = field(default_factory=list)
    rules: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def arguments(self, request: Request) -> list[str]:
        """Return the submission command of a request: fixed arguments, its options, the scheduler's own.

        Raises
        ------
        UsageError
            If an option or its value is not described.
        """
        options = {**self.defaults, **request.options}
        options.pop("config", None)
        words = list(self.command)
        for name, value in sorted(options.items()):
            words += self.words_of(name, value)
        return words + list(request.native)

    def words_of(self, name: str, value: str) -> list[str]:
        """Return what one option becomes; ``--max-jobs-run`` may be undescribed.

        Raises
        ------
        UsageError
            If the option or its value is not described.
        """
        rule = self.rules.get((name, value), self.rules.get((name, "*")))
        if rule is None and name == "max_jobs_run":
            return []
        if rule is None:
            option = f"--{name.replace('_', '-')} {value}"
            raise UsageError(f"option {option} is not described in {self.name}, or not with this value")
        return [word.replace("$0", value) for word in rule]


def parse(text: str, name: str) -> SiteConf:
    """Parse a configuration.

    Raises
    ------
    UsageError
        Naming file and line of what is not understood, or if no ``command`` is given.
    """
    conf = SiteConf(name)
    for number, line in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        kind, _, rest = line.partition(" ")
        try:
            _take(conf, kind, rest.strip())
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}, got '{line}'") from error
    if not conf.command:
        raise UsageError(f"{name}: expected a line 'command …' that says how jobs are submitted")
    return conf


def _take(conf: SiteConf, kind: str, rest: str) -> None:
    if kind == "command":
        conf.command = shlex.split(rest)
        return
    if kind not in ("option", "default"):
        raise ValueError("expected 'command', 'option' or 'default'")
    match = RULE.fullmatch(rest)
    if match is None:
        raise ValueError(f"expected '{kind} name=value'")
    name, value, words = match[1], match[2], match[3] or ""
    if kind == "option":
        conf.rules[name, value] = shlex.split(words)
    elif words:
        raise ValueError("expected 'default name=value' and nothing after it")
    else:
        conf.defaults[name] = value


def read(path: str | None, standard: str, built_in: str) -> SiteConf:
    """Read the file of ``--config``; without one the ``standard`` file, else ``built_in``, as Kaldi does."""
    if path is None and Path(standard).exists():
        path = standard
    if path is None:
        return parse(built_in, "the built-in configuration")
    try:
        return parse(Path(path).read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"--config {path}: {reason}") from error

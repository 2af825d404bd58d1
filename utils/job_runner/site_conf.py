"""A site's configuration of its scheduler, in the syntax of Kaldi's queue.conf and slurm.conf.

::

    command qsub -v PATH -cwd          # how jobs are submitted
    option mem=* -l mem_free=$0        # --mem 2G becomes -l mem_free=2G
    option mem=0                       # --mem 0 becomes nothing
    default gpu=0                      # without --gpu, --gpu 0 is meant

An exact ``option`` goes before one with ``*``; of two that are equal the later counts. An option of the
command line that the file does not describe is an error.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from utils.cli import UsageError
from utils.job_runner.request import Request

RULE = re.compile(r"(\w+)=(\S+)(?:\s+(.*))?", re.ASCII)


@dataclass
class SiteConf:
    """The parsed file, which messages call ``name``."""

    name: str
    command: list[str] = field(default_factory=list)
    rules: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def arguments(self, request: Request) -> list[str]:
        """Return the submission command of a request: fixed arguments, its options, the scheduler's own.

        Raises UsageError if an option or its value is not described; ``--max-jobs-run`` need not be.
        """
        options = {**self.defaults, **request.options}
        options.pop("config", None)
        words = [word for name, value in sorted(options.items()) for word in self.words_of(name, value)]
        return [*self.command, *words, *request.native]

    def words_of(self, name: str, value: str) -> list[str]:
        """Return what one option becomes; raises UsageError."""
        rule = self.rules.get((name, value), self.rules.get((name, "*")))
        if rule is None and name != "max_jobs_run":
            option = f"--{name.replace('_', '-')} {value}"
            raise UsageError(f"option {option} is not described in {self.name}, or not with this value")
        return [word.replace("$0", value) for word in rule or ()]

    def take(self, line: str) -> None:
        """Take one line; raises ValueError."""
        kind, _, rest = line.partition(" ")
        match = RULE.fullmatch(rest.strip())
        if kind == "command":
            self.command = shlex.split(rest)
        elif kind not in ("option", "default"):
            raise ValueError("expected 'command', 'option' or 'default'")
        elif match is None or (kind == "default" and match[3]):
            raise ValueError(f"expected '{kind} name=value'")
        elif kind == "option":
            self.rules[match[1], match[2]] = shlex.split(match[3] or "")
        else:
            self.defaults[match[1]] = match[2]


def parse(text: str, name: str) -> SiteConf:
    """Parse a configuration; raises UsageError, which names file and line."""
    conf = SiteConf(name)
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line := re.sub(r"(^|\s)#.*", "", line).strip():
                conf.take(line)
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}, got '{line}'") from error
    if not conf.command:
        raise UsageError(f"{name}: expected a line 'command …' that says how jobs are submitted")
    return conf


def read(path: str | None, standard: str, built_in: str) -> SiteConf:
    """Read the file of ``--config``; without one the ``standard`` file, else ``built_in``, as Kaldi does."""
    if path is None and not Path(standard).exists():
        return parse(built_in, "the built-in configuration")
    name = path or standard
    try:
        return parse(Path(name).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {name}: {getattr(error, 'strerror', 'not UTF-8')}") from error

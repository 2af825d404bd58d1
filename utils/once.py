#!/usr/bin/env python3
r"""Run a command unless it was run before on the same inputs with the same code.

The stamp records the content of every input, of every output, of the recipe's own code behind the
command, and the command line. If all of that still holds, nothing is run; otherwise one line says
what changed, and the command runs. The stamp is removed first and written last, so an interrupted
command is run again. An input or output ``*.scp`` stands for the files that it points to as well.
Options that cannot change a result (``--nj``, ``--cmd``, ``--num-threads``, ``--max-jobs-run``) do
not count, nor does the job runner that ``--cmd`` names.

e.g. utils/once.py --in data/train/wav.scp --out data/train/feats.scp data/train/.done/feats -- \
       steps/make_scattering.sh --nj 4 data/train
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils import atomic, cli
from utils.code_closure import ROOT, closure

_JOB_RANGE = re.compile(r"(\w+)=\d+(?::\d+)?")
_NEUTRAL = ("--nj", "--cmd", "--num-threads", "--max-jobs-run")

Record = dict[str, list]


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("once.py [options] <stamp> -- [[JOB=1:N] <log>] <command> ...", __doc__)
    parser.add_argument("--in", dest="inputs", action="append", default=[], metavar="FILE", help="an input")
    parser.add_argument(
        "--out", dest="outputs", action="append", default=[], metavar="FILE", help="an output"
    )
    parser.add_argument(
        "--cmd", default="", metavar="RUNNER", help="job runner; a log stands before the command"
    )
    parser.add_argument("stamp", help="file that records what was done")
    return parser


def content_hash(file: BinaryIO) -> str:
    """Return the BLAKE2 hash of an open file's content, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[str]:
    """Yield the files in a folder and in those below, also through links, but not round in circles."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from files_below(path, (*above, here))
        elif path.is_file():
            yield str(path)


def expand(paths: Iterable[str]) -> list[str]:
    """Return the paths, folders by their files, and script files with all files they point to."""
    found: dict[str, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found.update(dict.fromkeys(files_below(path)))
            continue
        found[name] = None
        if path.suffix == ".scp" and path.is_file():
            text = path.read_bytes().decode(errors="surrogateescape")
            for line in text.split("\n"):  # not splitlines, whose further line ends may be in names
                target = line.partition(" ")[2].strip(" \t\r")
                head, colon, offset = target.rpartition(":")
                if target and not target.endswith("|"):
                    found[head if colon and offset.isdigit() else target] = None
    return list(found)


def fingerprint(paths: Iterable[str], known: Record) -> Record:
    """Map each path to ``[hash, size, mtime, inode]``; a file whose last three are known is not read.

    Network file systems are certain of these only once the file is open.
    """
    record: Record = {}
    for name in paths:
        try:
            with Path(name).open("rb") as file:
                status = os.fstat(file.fileno())
                facts = [status.st_size, status.st_mtime_ns, status.st_ino]
                old = known.get(name)
                record[name] = [old[0] if old and old[1:] == facts else content_hash(file), *facts]
        except OSError:
            record[name] = ["missing"]
    return record


def read_stamp(path: Path) -> dict:
    """Return what a stamp records; an absent or unreadable one records nothing."""
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def runner_environment(command: list[str], outputs: list[str]) -> dict[str, str]:
    """Return the environment of a job runner: it waits for outputs that a shared file system shows late."""
    names = [name for name in outputs if name.split() == [name]]
    if job_range := _JOB_RANGE.fullmatch(command[0]):
        names = [name for name in names if job_range[1] not in name]
    return {**os.environ, "RUNNER_OUTPUTS": " ".join(names)}


def without_log(command: list[str]) -> list[str]:
    """Return what a job runner is to run: its arguments without ``JOB=1:N`` and the log."""
    return command[2:] if _JOB_RANGE.fullmatch(command[0]) else command[1:]


def counted_words(command: list[str]) -> list[str]:
    """Return the command's words without the options that cannot change its result."""
    words, skip = [], False
    for word in command:
        if skip or word.partition("=")[0] in _NEUTRAL:
            skip = not skip and word in _NEUTRAL
            continue
        words.append(word)
    return words


def differences(old: dict, new: dict) -> list[str]:
    """Say in words what differs between two stamps, outputs last."""
    if not old:
        return ["it has not been done before"]
    found = ["the command line changed"] if old.get("command") != new["command"] else []
    for kind, verb in (("inputs", "input"), ("code", "code"), ("outputs", "output")):
        before, now = old.get(kind, {}), new[kind]
        for name in sorted(before.keys() | now.keys()):
            if name not in before:
                found.append(f"{verb} {name} is new")
            elif name not in now or now[name][0] == "missing":
                found.append(f"{verb} {name} is missing")
            elif before[name][0] != now[name][0]:
                found.append(f"{verb} {name} changed")
    return found


def describe(command: list[str], inputs: list[str], outputs: list[str], old: dict) -> dict:
    """Return the record of the present state, using what ``old`` knows of unchanged files."""
    code = [str(path.relative_to(ROOT)) for path in closure(command)]
    known = {**old.get("inputs", {}), **old.get("outputs", {})}
    code_prints = fingerprint((str(ROOT / name) for name in code), {})
    return {
        "command": counted_words(command),
        "code": {name: code_prints[str(ROOT / name)][:1] for name in code},
        "inputs": fingerprint(expand(inputs), known),
        "outputs": fingerprint(expand(outputs), known),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    words = list(sys.argv[1:] if argv is None else argv)
    split = words.index("--") if "--" in words else len(words)
    options = get_parser().parse_args(words[:split])
    command = words[split + 1 :]
    run, environment = shlex.split(options.cmd) + command, None
    if options.cmd and command:
        environment = runner_environment(command, options.outputs)
        command = without_log(command)
    if not command:
        get_parser().error("expected '-- command ...' after the stamp")
    stamp = Path(options.stamp)
    old = read_stamp(stamp)
    new = describe(command, options.inputs, options.outputs, old)
    for name, facts in new["inputs"].items():
        if facts[0] == "missing":
            raise cli.UserError(f"{stamp}: the input '{name}' does not exist; run the stage that makes it")
    reasons = differences(old, new)
    if not reasons:
        cli.log(f"up to date: {stamp}")
        return 0
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    cli.log(f"doing {stamp}: {reasons[0]}{more}")
    stamp.unlink(missing_ok=True)
    status = subprocess.run(run, env=environment, close_fds=False, check=False).returncode
    if status != 0:
        cli.log(f"{stamp}: failed with status {status}: {' '.join(run)}")
        return 1 if status < 0 else status
    done = describe(command, options.inputs, options.outputs, new)
    missing = [name for name, facts in done["outputs"].items() if facts[0] == "missing"]
    if missing:
        raise cli.UserError(f"{stamp}: the command succeeded, but its output '{missing[0]}' does not exist")
    done["inputs"] = new["inputs"]
    with atomic.replacing(stamp) as file:
        json.dump(done, file, indent=0, sort_keys=True)
    return 0


if __name__ == "__main__":
    cli.run(main, echo=False, tidy=False)

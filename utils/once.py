#!/usr/bin/env python3
r"""Run a command unless it was run before on the same inputs with the same code.

The stamp, removed first and written last, records the command line and, by content, every input, every
output and the recipe's own code behind the command: if all of that still holds, nothing is run. Inputs are
also the configuration files that the command line names (after --config or --*-config) and the files that
these name; an ``*.scp`` stands for the files that it points to as well. Options that cannot change a result
(--nj, --cmd, --use-gpu, …) do not count, nor does the job runner that --cmd names.

Command line, inputs and code make a key, which the command finds as ONCE_KEY in its environment and in place
of each argument ONCE_KEY: what it keeps between interrupted runs is valid under the same key only. While it
runs it has a lock, <stamp>.lock; another run is refused with status 75, or waits (--wait true).

RECIPE_LOG names a file for what run.sh does not show, RECIPE_EVENTS one for utils/plan.py; with
RECIPE_DRY_RUN=true the command is not run, and it is said why it would be.

e.g. utils/once.py --in data/train/wav.scp --out data/train/feats.scp data/train/.done/feats -- \
       steps/make_scattering.sh --nj 4 data/train
     utils/once.py --cmd utils/run.py --in x --out y .done/y -- log/y.log local/make_y.py --key ONCE_KEY x y
"""

import contextlib
import hashlib
import json
import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from utils import atomic, cli, lock, plan, tables
from utils.code_closure import ROOT, closure

_JOB_RANGE = re.compile(r"(\w+)=\d+(?::\d+)?")
_NEUTRAL = frozenset(
    f"--{name}"
    for name in (
        *("nj", "cmd", "num-jobs", "num-threads", "max-jobs-run", "use-gpu", "kernels"),
        *("key", "keep-networks", "verbose"),
    )
)

Record = dict[str, list]


def content_hash(file: BinaryIO) -> str:
    """Return the BLAKE2 hash of an open file's content, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[str]:
    """Yield the files in a folder and in those below, also through links, but not round in circles."""
    here = folder.resolve()
    below = sorted(folder.iterdir()) if here not in above else []
    ours = folder / ".done" in below  # a data directory with stamps and logs, which are no content
    for path in below:
        if path.is_file():
            yield str(path)
        elif path.is_dir() and not (ours and path.name in (".done", "log")):
            yield from files_below(path, (*above, here))


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
            for target in (tables.split_line(line)[1] for line in text.split("\n")):
                if target and not target.endswith("|"):
                    found[tables.split_offset(target)[0]] = None
    return list(found)


def configurations(command: list[str]) -> list[str]:
    """Return the configuration files that a command line names, and the files that these name."""
    found = []
    for word, after in zip(command, [*command[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        value = value if equals else after
        if name.startswith("--") and name.endswith("config") and value:
            found.append(value)
            if Path(value).is_file():
                with contextlib.suppress(cli.UserError):  # the command itself will complain of it
                    values = (text.partition("=")[2] for _, text in cli.read_config(value))
                    found += [name for name in values if "\0" not in name and Path(name).is_file()]
    return found


def fingerprint(paths: Iterable[str], known: Record, *, read: bool = True) -> Record:
    """Map each path to ``[hash, size, mtime, inode]``; a file whose last three are known is not read.

    Network file systems are certain of these only once the file is open. Without ``read`` the hash of a file
    that is not known stays empty.
    """
    record: Record = {}
    for name in paths:
        try:
            with Path(name).open("rb") as file:
                status = os.fstat(file.fileno())
                facts = [status.st_size, status.st_mtime_ns, status.st_ino]
                if known.get(name, ())[1:] == facts:
                    record[name] = known[name]
                else:
                    record[name] = [content_hash(file) if read else "", *facts]
        except OSError:
            record[name] = ["missing"]
    return record


def missing(record: Record) -> str:
    """Return the name of the first file that is not there; empty if all are."""
    return next((name for name, facts in record.items() if facts[0] == "missing"), "")


def read_stamp(path: Path) -> dict:
    """Return what a stamp records; an absent or unreadable one records nothing."""
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


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


@dataclass(frozen=True)
class Work:
    """What is to be done once."""

    stamp: Path
    runner: list[str]  # the job runner with its log
    command: list[str]
    inputs: list[str]
    outputs: list[str]
    wait: float  # seconds to wait for another run that does the same

    def describe(self, old: dict) -> dict:
        """Return the record of the present state, using what ``old`` knows of unchanged files."""
        known = {**old.get("inputs", {}), **old.get("outputs", {})}
        read = bool(old) or not plan.DRY_RUN  # a dry run need not read a whole corpus to say that it is new
        code = {str(path.relative_to(ROOT)): path for path in closure(self.command)}
        prints = fingerprint(map(str, code.values()), {})
        return {
            "command": counted_words(self.command),
            "code": {name: prints[str(path)][:1] for name, path in code.items()},
            "inputs": fingerprint(expand([*self.inputs, *configurations(self.command)]), known, read=read),
            "outputs": fingerprint(expand(self.outputs), known, read=read),
        }


def key_of(record: dict) -> str:
    """Return what stands for the command line, the code, and the content of the inputs."""
    parts = [record["command"], record["code"], {name: facts[0] for name, facts in record["inputs"].items()}]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def run(work: Work, record: dict) -> int:
    """Run the command and return its exit status; write the stamp if it succeeded.

    A job runner is told the outputs, which a shared file system may show late; those with blanks in their
    names, or with the word for the job's number, are left out.
    """
    key = key_of(record)
    words = work.runner + [key if word == "ONCE_KEY" else word for word in work.command]
    work.stamp.unlink(missing_ok=True)
    environment = {**os.environ, "ONCE_KEY": key, "ONCE_STAMP": str(work.stamp)}
    if work.runner:
        jobs = [match[1] for match in map(_JOB_RANGE.fullmatch, work.runner[-2:]) if match]
        told = [name for name in work.outputs if name.split() == [name] and not (jobs and jobs[0] in name)]
        environment["RUNNER_OUTPUTS"] = " ".join(told)
    start = time.monotonic()
    status = subprocess.run(words, env=environment, close_fds=False, check=False).returncode
    if status != 0:
        plan.log(f"{work.stamp}: failed with status {status}: {shlex.join(words)}")
        return 1 if status < 0 else status
    done = work.describe(record)
    if absent := missing(done["outputs"]):
        raise cli.UserError(f"{work.stamp}: the command succeeded, but its output '{absent}' does not exist")
    if set(work.inputs).isdisjoint(work.outputs):
        done["inputs"] = record["inputs"]  # otherwise as the command, which changes an input, left them
    done["speed"] = plan.measure(work.command, record["inputs"], time.monotonic() - start)
    with atomic.replacing(work.stamp) as file:
        json.dump(done, file, indent=0, sort_keys=True)
    plan.note("made", work.stamp, work.outputs)
    return 0


def run_locked(work: Work, old: dict, new: dict) -> int | None:
    """Run the command under the stamp's lock; return None if another run has done it meanwhile."""
    with lock.held(work.stamp.with_name(f"{work.stamp.name}.lock"), str(work.stamp), wait=work.wait):
        if (now := read_stamp(work.stamp)) != old:
            old, new = now, work.describe(now)
        reasons = differences(old, new)
        if not reasons:
            return None
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        plan.log(f"doing {work.stamp}: {reasons[0]}{more}")
        return run(work, new)


def parse(words: list[str]) -> Work:
    """Return what the command line asks for."""
    split = words.index("--") if "--" in words else len(words)
    parser = cli.KaldiParser("once.py [options] <stamp> -- [[JOB=1:N] <log>] <command> ...", __doc__)
    add = parser.add_argument
    add("--in", dest="inputs", action="append", default=[], metavar="FILE", help="an input")
    add("--out", dest="outputs", action="append", default=[], metavar="FILE", help="an output")
    add("--cmd", default="", metavar="RUNNER", help="job runner; a log stands before the command")
    add("--wait", type=cli.boolean, default=False, help="wait for another run that does the same")
    add("stamp", type=Path, help="file that records what was done")
    options = parser.parse_args(words[:split])
    command = words[split + 1 :]
    runner = shlex.split(options.cmd)
    if runner:  # JOB=1:N and the log stand before the command
        length = 2 if command and _JOB_RANGE.fullmatch(command[0]) else 1
        runner, command = runner + command[:length], command[length:]
    if not command:
        parser.error("expected '-- command ...' after the stamp")
    wait = math.inf if options.wait else 0.0
    return Work(options.stamp, runner, command, options.inputs, options.outputs, wait)


def main(argv: list[str]) -> int:
    """Run the program."""
    work = parse(argv)
    old = read_stamp(work.stamp)
    new = work.describe(old)
    reasons = differences(old, new)
    if plan.DRY_RUN:
        plan.foresee(work.stamp, work.command, new["inputs"], work.outputs, reasons)
        return 0
    if absent := missing(new["inputs"]):
        raise cli.UserError(f"{work.stamp}: the input '{absent}' does not exist; run the stage that makes it")
    status = run_locked(work, old, new) if reasons else None
    if status is None:
        plan.log(f"up to date: {work.stamp}")
        plan.note("up to date", work.stamp, work.outputs)
    return status or 0


if __name__ == "__main__":
    cli.run(main, echo=False, tidy=False)

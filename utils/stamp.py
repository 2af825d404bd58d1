"""What a stamp records of a piece of work, whether that still holds, and doing the work (see once.py).

The code behind a command is what a Python program imports and what a shell script names as ``local/…``,
``steps/…`` or ``utils/…`` outside comments; what lies beside a module and is no Python (C sources, page
templates) belongs to it. What starts, repeats or shows work, and cannot change its result, does not count.
"""

import contextlib
import json
import os
import re
import shlex
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from utils import atomic, cli, lock, plan

ROOT = Path(__file__).resolve().parents[1]
_NO_CODE = {ROOT / "utils" / name for name in ("job_runner", "parse_options.sh", "setup_env.sh")}
for _name in ("run", "sge", "slurm", "for_each", "in_turn", "progress", "once", "stamp", "plan", "lock"):
    _NO_CODE.add(ROOT / "utils" / f"{_name}.py")
_BESIDE = (".c", ".h", ".cu", ".html", ".css", ".js", ".j2")
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([\w.]+))", re.MULTILINE
)
_CALLED = re.compile(r"\b(?:local|steps|utils)/[\w./-]+\.(?:py|sh)\b|\bpath\.sh\b")
_NO_OPTIONS = (
    *("--nj", "--cmd", "--num-jobs", "--num-threads", "--max-jobs-run", "--use-gpu", "--kernels"),
    *("--key", "--keep-networks", "--verbose"),
)
_VERBS = {"inputs": "input", "code": "code", "outputs": "output"}

Record = dict[str, list]


class Work(NamedTuple):
    """What is to be done once."""

    stamp: Path
    runner: list[str]  # the job runner with its log
    command: list[str]
    inputs: list[str]
    outputs: list[str]
    wait: bool  # for another run that does the same


def content_hash(pieces: Iterable[bytes]) -> str:
    """Return the BLAKE2 hash of some bytes, in hexadecimal."""
    import hashlib  # as elsewhere here: what a second run.sh does not need it does not load, sixty times

    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def files_below(folder: Path) -> Iterator[str]:
    """Yield the files in a folder and in those below; stamps and logs of a data directory are no content."""
    below = sorted(folder.iterdir())
    for path in below:
        if path.is_file():
            yield str(path)
        elif path.is_dir() and not (folder / ".done" in below and path.name in (".done", "log")):
            yield from files_below(path)


def expand(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths, folders by their files, and script files with all files they point to."""
    for name in paths:
        path = Path(name)
        if path.is_dir():
            yield from files_below(path)
            continue
        yield name
        if path.suffix == ".scp" and path.is_file():
            for line in path.read_text("utf-8", "surrogateescape").split("\n"):
                target = line.strip(" \t").partition(" ")[2].strip(" \t")
                if target and not target.endswith("|"):
                    yield re.sub(":[0-9]+$", "", target)


def configurations(command: list[str]) -> Iterator[str]:
    """Yield the configuration files that a command line names, and the files that these name."""
    for word, after in zip(command, [*command[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        value = value if equals else after
        if name.startswith("--") and name.endswith("config") and value:
            yield value
            with contextlib.suppress(cli.UserError):  # the command itself will complain of it
                values = (text.partition("=")[2] for _, text in cli.read_config(value))
                yield from (name for name in values if "\0" not in name and Path(name).is_file())


def _module_files(name: str) -> Iterator[Path]:
    """Yield what may be the files of a dotted module name, its packages included."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:length])
        yield from (path.with_suffix(".py"), path / "__init__.py")


def _used_by(path: Path) -> Iterator[Path]:
    """Yield what may be the files that one of the recipe's files uses."""
    if path.suffix == ".sh":
        text = re.sub("^[ \t]*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        yield from (ROOT / name for name in _CALLED.findall(text))
    elif path.suffix == ".py":  # ast.parse of every file would take half a second a command
        for module, names, alone in _IMPORT.findall(path.read_text(encoding="utf-8")):
            yield from _module_files(module or alone)
            for name in names.strip("()").split(","):
                yield from _module_files(".".join([module, *name.split()[:1]]))
        yield from (other for other in path.parent.iterdir() if other.suffix in _BESIDE)


def closure(words: Iterable[str]) -> list[Path]:
    """Return the recipe's files that the words of a command name, and all that these use, sorted."""
    found: set[Path] = set()
    waiting = [Path(word).resolve() for word in words if word.endswith((".py", ".sh"))]
    while waiting:
        path = waiting.pop()
        neutral = not _NO_CODE.isdisjoint((path, path.parent)) or not path.is_relative_to(ROOT)
        if path not in found and not neutral and path.is_file():
            found.add(path)
            waiting.extend(_used_by(path))
    return sorted(found)


def fingerprint(paths: Iterable[str], known: Record, *, look: bool = True, folder: Path = Path()) -> Record:
    """Map each path to ``[hash, size, mtime, inode]``; a file whose last three are known is not read.

    Network file systems are certain of these only once the file is open. Without ``look`` the hash of a file
    that is not known stays empty. Names are below ``folder``.
    """
    record: Record = {}
    for name in dict.fromkeys(paths):
        try:
            with (folder / name).open("rb") as file:
                status = os.fstat(file.fileno())
                facts = [status.st_size, status.st_mtime_ns, status.st_ino]
                if known.get(name, ())[1:] == facts:
                    record[name] = known[name]
                    continue
                pieces = iter(partial(file.read, 1 << 20), b"")
                record[name] = [content_hash(pieces) if look else "", *facts]
        except OSError:
            record[name] = ["missing"]
    return record


def missing(record: Record) -> str:
    """Return the name of the first file that is not there; empty if all are."""
    return next((name for name, facts in record.items() if facts[0] == "missing"), "")


def read(path: Path) -> dict[str, Any]:
    """Return what a stamp records; an absent or unreadable one records nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads(path.read_bytes()))
    return {}


def counted_words(command: list[str]) -> list[str]:
    """Return the command's words without the options that cannot change its result."""
    words, skip = [], False
    for word in command:
        if skip or word.partition("=")[0] in _NO_OPTIONS:
            skip = not skip and word in _NO_OPTIONS
            continue
        words.append(word)
    return words


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say in words what differs between two stamps, outputs last."""
    if not old:
        return ["it has not been done before"]
    found = ["the command line changed"] if old.get("command") != new["command"] else []
    for kind, verb in _VERBS.items():
        before, now = old.get(kind, {}), new[kind]
        for name in sorted(before.keys() | now.keys()):
            if name not in now or now[name][0] == "missing":
                found.append(f"{verb} {name} is missing")
            elif name not in before or before[name][0] != now[name][0]:
                found.append(f"{verb} {name} changed")
    return found


def describe(work: Work, old: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the present state, using what ``old`` knows of unchanged files.

    Code of which nothing has changed since then is the same code without a search.
    """
    known = {name: facts for kind in _VERBS for name, facts in old.get(kind, {}).items()}
    look = bool(old) or not plan.DRY_RUN  # a dry run need not read a whole corpus to say that it is new
    command = counted_words(work.command)
    code = fingerprint(old.get("code", {}), known, folder=ROOT)
    if old.get("command") != command or old.get("code") != code:
        names = (str(path.relative_to(ROOT)) for path in closure(work.command))
        code = fingerprint(names, known, folder=ROOT)
    inputs = expand([*work.inputs, *configurations(work.command)])
    return {
        "command": command,
        "code": code,
        "inputs": fingerprint(inputs, known, look=look),
        "outputs": fingerprint(expand(work.outputs), known, look=look),
    }


def outdated(work: Work) -> str:
    """Say of which input the stamp that made it tells of other data than there are now; empty if of none.

    An edited configuration does not count (what the former one made records it), nor does music that is gone.
    """
    for name in work.inputs:
        folder = Path(name).parent
        for stamp in {*folder.glob(".done/*"), *folder.parent.glob(".done/*")} - {work.stamp}:
            made = read(stamp)
            if any(output == name or output.startswith(f"{name}/") for output in made.get("outputs", {})):
                before = {path: facts for path, facts in made["inputs"].items() if not path.endswith(".conf")}
                for path, facts in fingerprint(before, before).items():
                    if facts[0] not in ("missing", before[path][0]):
                        return f"the input '{name}' was made from another '{path}' than there is now"
    return ""


def key_of(record: dict[str, Any]) -> str:
    """Return what stands for the command line, the code, and the content of the inputs."""
    hashes = [{name: facts[0] for name, facts in record[kind].items()} for kind in ("code", "inputs")]
    return content_hash([json.dumps([record["command"], *hashes], sort_keys=True).encode()])


def run(work: Work, record: dict[str, Any]) -> int:
    """Run the command and return its exit status; write the stamp if it succeeded."""
    import subprocess

    key = key_of(record)
    words = work.runner + [key if word == "ONCE_KEY" else word for word in work.command]
    work.stamp.unlink(missing_ok=True)
    environment = {**os.environ, "ONCE_KEY": key, "ONCE_STAMP": str(work.stamp)}
    start = time.monotonic()
    status = subprocess.run(words, env=environment, close_fds=False, check=False).returncode
    if status != 0:
        plan.log(f"{work.stamp}: failed with status {status}: {shlex.join(words)}")
        return 1 if status < 0 else status
    for name in work.outputs:  # when its folder is read, a network file system looks again for a new file
        with contextlib.suppress(OSError):
            next(Path(name).parent.iterdir(), None)
    done = describe(work, record)
    if absent := missing(done["outputs"]):
        raise cli.UserError(f"{work.stamp}: the command succeeded, but its output '{absent}' does not exist")
    if set(work.inputs).isdisjoint(work.outputs):
        done["inputs"] = record["inputs"]  # otherwise as the command, which changes an input, left them
    done["speed"] = plan.measure(work.command, record["inputs"], time.monotonic() - start)
    atomic.write_json(work.stamp, done)
    plan.note("made", work.outputs)
    return 0


def run_locked(work: Work, old: dict[str, Any], new: dict[str, Any]) -> int | None:
    """Run the command under the stamp's lock; return None if another run has done it meanwhile."""
    with lock.held(work.stamp.with_name(f"{work.stamp.name}.lock"), str(work.stamp), wait=work.wait):
        if (now := read(work.stamp)) != old:
            old, new = now, describe(work, now)
        reasons = differences(old, new)
        if not reasons:
            return None
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        plan.log(f"doing {work.stamp}: {reasons[0]}{more}")
        return run(work, new)

#!/usr/bin/env python3
"""A process that has imported the heavy packages once and forks for every program it is to run.

A client starts it and sends one request a line, ``{"argv": [...], "cwd": ..., "seconds": ..., "extra_mib":
...}``; for each the server forks, runs the program as ``__main__`` under limits of time and address space,
and answers ``{"status", "stdout", "stderr", "peak_mib"}``. It stands apart from pytest so that the fork
happens in a process without other threads.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import runpy
import selectors
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, NoReturn

REPO = Path(__file__).resolve().parents[2]
HEAVY = (
    "matplotlib.pyplot",
    "numpy",
    "scipy.signal",
    "scipy.stats",
    "torch",
    "soundfile",
    "soxr",
    "sklearn.svm",
    "kaldi_io",
)


class Done(NamedTuple):
    """How a program ended; ``status`` is negative for a signal."""

    status: int
    stdout: str
    stderr: str
    peak_mib: float


class ForkServer:
    """The client's side: start it once, run many programs."""

    def __init__(self) -> None:
        environment = dict(os.environ, LC_ALL="C", OMP_NUM_THREADS="1", PYTHONUTF8="1", PYTHONPATH=str(REPO))
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def run(
        self,
        argv: list[str],
        cwd: Path,
        *,
        seconds: int = 20,
        extra_mib: int = 768,
        file_bytes: int = 0,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Done:
        """Run a program of the recipe, named from its root, in ``cwd``; limits of 0 are none."""
        request = {"argv": argv, "cwd": str(cwd), "seconds": seconds, "extra_mib": extra_mib}
        request |= {"file_bytes": file_bytes, "env": dict(env)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the server."""
        self._process.stdin.close()
        self._process.wait(timeout=10)


def preload() -> None:
    """Import what the programs import and what takes long."""
    for name in HEAVY:
        importlib.import_module(name)
    for path in sorted((REPO / "steps").glob("*/*.py")):
        text = path.read_text(encoding="utf-8")
        if not text.startswith("#!"):
            with contextlib.suppress(ImportError, SyntaxError):
                importlib.import_module(".".join(path.relative_to(REPO).with_suffix("").parts))
    gc.freeze()


def address_space() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def become(request: dict, output: int, errors: int) -> NoReturn:
    """In the child: run the program and end with its exit status."""
    status = 70
    try:
        status = run_program(request, output, errors)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def run_program(request: dict, output: int, errors: int) -> int:
    """Run a program with limits, its standard output and error going to pipes; return its status."""
    signal.alarm(request["seconds"])
    os.environ.update(request["env"])
    if request["extra_mib"]:
        limit = address_space() + (request["extra_mib"] << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if request["file_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    for source, number in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (errors, 2)):
        os.dup2(source, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115, PTH123
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115, PTH123
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115, PTH123
    os.chdir(request["cwd"])
    program = REPO / request["argv"][0]
    sys.argv = [str(program), *request["argv"][1:]]
    sys.path.insert(0, str(program.parent))
    try:
        importlib.import_module("utils.cli").PROGRAM = program.name  # type: ignore[attr-defined]
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return 1
    return 0


def drain(*pipes: int) -> list[str]:
    """Read pipes to their ends and return what came out of each."""
    texts = {pipe: b"" for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                texts[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [text.decode(errors="replace") for text in texts.values()]


def serve() -> None:
    """Answer requests until the client closes its end."""
    preload()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        (output, output_end), (errors, errors_end) = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            become(json.loads(line), output_end, errors_end)
        os.close(output_end)
        os.close(errors_end)
        texts = drain(output, errors)
        _, code, usage = os.wait4(child, 0)
        done = Done(os.waitstatus_to_exitcode(code), *texts, usage.ru_maxrss / 1024)
        answers.write(json.dumps(done._asdict()) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()

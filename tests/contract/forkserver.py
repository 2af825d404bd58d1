#!/usr/bin/env python3
"""A process that imports the heavy packages when it is first asked and forks for every program to run.

It listens on a socket, one for all processes of the tests, and stands apart from pytest so that the fork
happens in a process without other threads. A request is a working directory, arguments and the environment,
with the client's standard input, output and error; the program runs as ``__main__`` under the limits that
FORK_LIMITS names, and the answer is its status and its peak memory. Who is gone has its program killed.

:class:`ForkServer` is the client of tests; the ``python3`` beside the socket runs programs of local/ and
steps/ in forks and all else as it is, for runs of the whole recipe.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import resource
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, NoReturn

REPO = Path(__file__).resolve().parents[2]
HEAVY = (
    *("numpy", "scipy.signal", "scipy.stats", "torch", "soundfile", "soxr", "matplotlib.pyplot", "kaldi_io"),
    *("sklearn.svm", "sklearn.model_selection", "sklearn.ensemble", "sklearn.mixture"),
)
CLIENT = """#!{python} -ISE
import os, socket, sys
words, server = sys.argv[1:], os.environ.get("FORK_SERVER")
place = "/" + words[0] if words and words[0].endswith(".py") else ""
ours = "/local/" in place or "/steps/" in place or place.endswith("/utils/in_turn.py")
if not (server and ours):
    os.execv("{python}", ["{python}", *words])
client = socket.socket(socket.AF_UNIX)
client.connect(server)
parts = [os.getcwd(), str(len(words)), *words, *(f"{{k}}={{v}}" for k, v in os.environ.items())]
data = os.fsencode("\\0".join(parts))
socket.send_fds(client, [len(data).to_bytes(4, "big")], [0, 1, 2])
client.sendall(data)
status = int(client.recv(99).split()[0])
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


class Done(NamedTuple):
    """How a program ended; ``status`` is negative for a signal."""

    status: int
    stdout: str
    stderr: str
    peak_mib: float


def start(folder: Path, *, ours: bool) -> subprocess.Popen[bytes]:
    """Start a server in a folder that lives until its stdin is closed; it imports our modules if told to."""
    folder.mkdir()
    shim = folder / "python3"
    shim.write_text(CLIENT.format(python=sys.executable))
    shim.chmod(0o755)
    words = [sys.executable, __file__, str(folder / "socket"), *(["ours"] if ours else [])]
    variables = {"LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO) if ours else ""}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(words, env={**os.environ, **variables}, **pipes)
    process.stdout.readline()
    return process


class ForkServer:
    """The client's side of a server in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path, self.shim = folder / "socket", folder / "python3"
        self._environment = dict(os.environ, LC_ALL="C", OMP_NUM_THREADS="1", PYTHONUTF8="1")
        self._environment["PYTHONPATH"] = str(REPO)

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
        limits = f"{seconds} {extra_mib} {file_bytes}"
        environment = {**self._environment, "FORK_LIMITS": limits, **env}
        parts = [str(cwd), str(len(argv)), str(REPO / argv[0]), *argv[1:]]
        data = os.fsencode("\0".join([*parts, *(f"{k}={v}" for k, v in environment.items())]))
        (output, output_end), (errors, errors_end) = os.pipe(), os.pipe()
        with socket.socket(socket.AF_UNIX) as client, open(os.devnull) as nothing:  # noqa: PTH123
            client.connect(str(self.path))
            socket.send_fds(
                client, [len(data).to_bytes(4, "big")], [nothing.fileno(), output_end, errors_end]
            )
            client.sendall(data)
            os.close(output_end)
            os.close(errors_end)
            texts = drain(output, errors)
            status, peak = client.recv(99).split()
        return Done(int(status), *texts, float(peak))


def preload(*, ours: bool) -> None:
    """Import what the programs import and what takes long."""
    with contextlib.redirect_stderr(io.StringIO()):  # kaldi_io has a word for who has no Kaldi
        for name in HEAVY:
            importlib.import_module(name)
    for path in sorted((REPO / "steps").glob("*/*.py")) if ours else ():
        text = path.read_text(encoding="utf-8")
        if not text.startswith("#!"):
            with contextlib.suppress(ImportError, SyntaxError):
                importlib.import_module(".".join(path.relative_to(REPO).with_suffix("").parts))
    gc.freeze()


def address_space() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def receive(connection: socket.socket) -> tuple[list[str], list[int]]:
    """Return the words of a request and its three files."""
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    data = b""
    while len(data) < int.from_bytes(head, "big"):
        data += connection.recv(1 << 20)
    return os.fsdecode(data).split("\0"), files


def become(words: list[str], files: list[int]) -> NoReturn:
    """In the child: run the program and end with its exit status."""
    status = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        count = int(words[1])
        os.environ.clear()
        os.environ.update(word.split("=", 1) for word in words[2 + count :])
        status = run_program(words[0], words[2 : 2 + count], files)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def run_program(folder: str, argv: list[str], files: list[int]) -> int:
    """Run a program with limits and with its own standard streams; return its status."""
    seconds, extra_mib, file_bytes = map(int, os.environ.pop("FORK_LIMITS", "0 0 0").split())
    signal.alarm(seconds)
    if extra_mib:
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + (extra_mib << 20),) * 2)
    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes,) * 2)
    for number, source in enumerate(files):
        os.dup2(source, number)
    os.closerange(3, max(files) + 64)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115, PTH123
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115, PTH123
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115, PTH123
    os.chdir(folder)
    program = Path(argv[0]).resolve()
    sys.argv = argv
    sys.path[:1] = [str(program.parent), *os.environ.get("PYTHONPATH", "").split(":")]
    if "utils.cli" in sys.modules:
        sys.modules["utils.cli"].PROGRAM = program.name  # type: ignore[attr-defined]
    try:
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


def serve(path: str, *, ours: bool) -> None:
    """Answer requests until the one who started it closes its end."""
    loaded = False
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    awake, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listener, awake, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    if not loaded:
                        preload(ours=ours)
                        loaded = True
                    words, files = receive(connection)
                    child = os.fork()
                    if child == 0:
                        become(words, files)
                    for file in files:
                        os.close(file)
                    running[child] = connection
                    selector.register(connection, selectors.EVENT_READ)
                elif key.fileobj is awake:
                    os.read(awake, 512)
                    answer(running, selector)
                else:
                    for child, connection in running.items():
                        if key.fileobj in (connection, sys.stdin):
                            os.kill(child, signal.SIGKILL)
                    if key.fileobj is sys.stdin:
                        return
                    selector.unregister(key.fileobj)


def answer(running: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Tell the clients of the programs that have ended."""
    while running:
        child, code, usage = os.wait4(-1, os.WNOHANG)
        if child == 0:
            return
        connection = running.pop(child)
        with contextlib.suppress(KeyError):
            selector.unregister(connection)
        with contextlib.suppress(OSError), connection:
            status = os.waitstatus_to_exitcode(code)
            connection.sendall(f"{status} {usage.ru_maxrss / 1024}".encode())


if __name__ == "__main__":
    serve(sys.argv[1], ours="ours" in sys.argv)

#!/usr/bin/env python3
"""A process that imports the heavy packages when it is first asked and forks for every program to run.

It listens on a socket and stands apart from pytest, so that the fork happens in a process without other
threads. A request is a working directory, arguments and the environment, with the client's standard streams;
the program runs as ``__main__`` under the limits that FORK_LIMITS names, and the answer is its status and its
peak memory. Who is gone has its program killed. :class:`Programs` is the client of tests; the ``python3``
beside the socket runs programs of local/ and steps/ in forks and all else as it is, for runs of the whole
recipe.
"""

import contextlib
import gc
import importlib
import io
import os
import resource
import runpy
import select
import signal
import socket
import socketserver
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryFile
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
    """How a program ended; ``returncode`` is negative for a signal."""

    returncode: int
    stdout: str
    stderr: str
    peak_mib: float = 0.0


def start(folder: Path, *, ours: bool) -> subprocess.Popen[bytes]:
    """Start a server in a folder; it imports our modules if told to, and ends with this process."""
    folder.mkdir()
    shim = folder / "python3"
    shim.write_text(CLIENT.format(python=sys.executable))
    shim.chmod(0o755)
    words = [sys.executable, __file__, str(folder / "socket"), *(["ours"] if ours else [])]
    variables = {"LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO) if ours else ""}
    pipes = {"stdout": subprocess.PIPE, "start_new_session": True}
    process = subprocess.Popen(words, env={**os.environ, **variables}, **pipes)
    process.stdout.readline()
    return process


class Programs:
    """Runs programs of the recipe, Python by forking, also below a script."""

    def __init__(self, folder: Path) -> None:
        self.server = str(folder / "socket")
        self.variables = {**os.environ, "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.forks = {"PATH": path, "FORK_SERVER": self.server, "RECIPE_PYTHON": str(folder / "python3")}

    def run(self, *argv, cwd=REPO, check=False, env=None, seconds=300, extra_mib=0, file_bytes=0) -> Done:
        """Run a program, a Python one named from the recipe's root; limits of 0 are none."""
        words = [str(word) for word in argv]
        variables = {**self.variables, **(env or {})}
        with TemporaryFile() as out, TemporaryFile() as err, open(os.devnull) as nothing:  # noqa: PTH123
            if words[0].endswith(".py"):
                words[0] = str(REPO / words[0])
                variables |= {"FORK_LIMITS": f"{seconds} {extra_mib} {file_bytes}", "PYTHONUTF8": "1"}
                how = self._fork(
                    str(cwd), words, variables, [stream.fileno() for stream in (nothing, out, err)]
                )
            else:
                pipes = {"stdin": nothing, "stdout": out, "stderr": err}
                how = (
                    subprocess.call(
                        words, cwd=cwd, env={**self.forks, **variables}, timeout=seconds, **pipes
                    ),
                    0,
                )
            texts = [os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace") for file in (out, err)]
        done = Done(how[0], *texts, how[1])
        if check and done.returncode != 0:
            raise AssertionError(f"{words} exited with {done.returncode}:\n{done.stderr}\n{done.stdout}")
        return done

    def _fork(self, cwd: str, words: list[str], variables: dict, files: list[int]) -> tuple[int, float]:
        parts = [cwd, str(len(words)), *words, *(f"{k}={v}" for k, v in variables.items())]
        data = os.fsencode("\0".join(parts))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.server)
            socket.send_fds(client, [len(data).to_bytes(4, "big")], files)
            client.sendall(data)
            status, peak = client.recv(99).split()
        return int(status), float(peak)


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks for each request, once it has imported what takes long."""

    request_queue_size, max_children = 64, 999
    parent, loaded = os.getppid(), False

    def process_request(self, request, client_address):
        if not self.loaded:
            preload(ours="ours" in sys.argv)
            self.loaded = True
        super().process_request(request, client_address)

    def service_actions(self):
        super().service_actions()
        if os.getppid() != self.parent:
            os.killpg(0, signal.SIGKILL)


class Handler(socketserver.BaseRequestHandler):
    """Runs a program in a child and tells how it ended."""

    def handle(self):
        words, files = receive(self.request)
        child = os.fork()
        if child == 0:
            become(words, files)
        for file in files:
            os.close(file)
        gone, _, _ = select.select([self.request, os.pidfd_open(child)], [], [])
        if self.request in gone:
            os.kill(child, signal.SIGKILL)
        _, code, usage = os.wait4(child, 0)
        with contextlib.suppress(OSError):
            self.request.sendall(f"{os.waitstatus_to_exitcode(code)} {usage.ru_maxrss / 1024}".encode())


def preload(*, ours: bool) -> None:
    """Import what the programs import and what takes long."""
    with contextlib.redirect_stderr(io.StringIO()):  # kaldi_io has a word for who has no Kaldi
        for name in HEAVY:
            importlib.import_module(name)
    for path in sorted((REPO / "steps").glob("*/*.py")) if ours else ():
        if not path.read_text(encoding="utf-8").startswith("#!"):
            with contextlib.suppress(ImportError, SyntaxError):
                importlib.import_module(".".join(path.relative_to(REPO).with_suffix("").parts))
    gc.freeze()


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
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (extra_mib << 20),) * 2)
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


if __name__ == "__main__":
    with Server(sys.argv[1], Handler) as server:
        print("ready", flush=True)
        server.serve_forever()

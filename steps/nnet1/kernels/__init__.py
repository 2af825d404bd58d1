"""The recurrence of the LSTM in C: compiled at first use, kept in a cache, loaded with ctypes.

Without a compiler the libraries do the work; the log says so. The cache is ``$XDG_CACHE_HOME`` or
``~/.cache``, in ``nnet1-kernels``; a file's name is a hash of what it was made of (source, flags, compiler,
processor), and a file appears there whole, so processes may compile at the same time. What ``products``
measured to be fastest is kept there as well.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from utils import cli

SOURCE = Path(__file__).with_name("lstm.c")
HEADER = Path(__file__).with_name("vectors.h")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared")
THREADS = ("-fopenmp",)
_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_SIGNATURES = {
    "lstm_forward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] + [_POINTER] * 5,
    "lstm_backward": [_INT] * 7 + [_POINTER] * 5 + [_FLOAT] * 2 + [_POINTER] * 7,
    "lstm_vectors": [_INT] * 3 + [_POINTER] * 2 + [_FLOAT] + [_POINTER] * 4,
}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where they cannot be had; the log says why."""
    try:
        path = compiled()
        _share_threads()
        loaded = ctypes.CDLL(str(path))
        for name, signature in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.argtypes, function.restype = signature, None
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        cli.log(f"No recurrence in C: {error}")
        return None
    return loaded


def kept_choice(kind: str) -> str:
    """Return what was found to be fastest on this machine before, or ''."""
    try:
        return _choice_file(kind).read_text(encoding="utf-8")
    except OSError:
        return ""


def keep_choice(kind: str, name: str) -> str:
    """Keep what was found to be fastest, and return what is kept: of processes at once, the first decides."""
    target = _choice_file(kind)
    with suppress(OSError):  # there is no room, or it is there already
        handle, temporary = tempfile.mkstemp(dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(name)
            os.link(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return kept_choice(kind) or name


def _choice_file(kind: str) -> Path:
    return _cache() / f"{_hash(torch.__version__, _sources(), _processor())}.{kind}"


def _sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (SOURCE, HEADER))


def _hash(*facts: str) -> str:
    return hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]


def compiled() -> Path:
    """Compile the kernels unless the cache has them, and return the shared library.

    Raises
    ------
    OSError
        If there is no compiler or nowhere to write.
    subprocess.SubprocessError
        If the compiler fails.
    """
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("no C compiler on PATH")
    try:
        return _compiled(compiler, *FLAGS, *THREADS)
    except subprocess.SubprocessError:  # a compiler without OpenMP
        return _compiled(compiler, *FLAGS)


def _compiled(compiler: str, *flags: str) -> Path:
    version = _run(compiler, "--version").partition("\n")[0]
    folder = _cache()
    target = folder / f"{_hash(_sources(), ' '.join(flags), version, _processor())}.so"
    if not target.exists():
        handle, name = tempfile.mkstemp(suffix=".so", dir=folder)
        os.close(handle)
        try:
            _run(compiler, *flags, "-o", name, str(SOURCE))
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    return target


def _share_threads() -> None:
    """Let the kernels take the threads of torch: two teams on the same cores would wait for each other."""
    for path in (Path(torch.__file__).parent / "lib").glob("libgomp*"):
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@functools.cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="nnet1-kernels-"))


def _cache() -> Path:
    """Return a folder of this user's for libraries, or one for this process if that cannot be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "nnet1-kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    except OSError:
        pass
    return _temporary()


@functools.cache
def _processor() -> str:
    """Name what ``-march=native`` looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part")
    return "\n".join(line for line in dict.fromkeys(lines) if line.partition(":")[0].strip() in wanted)


def processor_name() -> str:
    """Name the processor, for people."""
    names = [
        line.partition(":")[2].strip() for line in _processor().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()

"""The recurrence of the LSTM in C: compiled at first use, kept in a cache, loaded with ctypes.

Without a compiler the plain torch operations do the work; the log says which. The cache is
``$XDG_CACHE_HOME`` or ``~/.cache``, in ``nnet1-kernels``; a file's name is a hash of source, flags, compiler
and processor, and a file appears there whole, so processes may compile at the same time.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from utils import cli
from utils.cli import UserError

CHOICES = ("auto", "c", "torch")
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


class _State:
    """The choice, and what has been loaded for it."""

    choice = "auto"
    loaded = False
    library: ctypes.CDLL | None = None


def use(choice: str) -> None:
    """Choose ``c``, ``torch``, or ``auto``: c where it can be compiled."""
    if choice not in CHOICES:
        raise ValueError(f"expected one of {CHOICES}, got {choice!r}")
    _State.choice, _State.loaded = choice, False


def choice() -> str:
    """Return what was chosen with :func:`use`."""
    return _State.choice


def library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where plain torch is to be used.

    Raises
    ------
    UserError
        If they were demanded (``c``) and cannot be compiled.
    """
    if not _State.loaded:
        _State.library, _State.loaded = None, True
        if _State.choice != "torch":
            _load(demanded=_State.choice == "c")
    return _State.library


def _load(*, demanded: bool) -> None:
    try:
        path = compiled()
        _share_threads()
        loaded = ctypes.CDLL(str(path))
        for name, signature in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.argtypes, function.restype = signature, None
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        if demanded:
            raise UserError(f"--kernels=c: cannot compile the recurrence: {error}") from error
        cli.log(f"Recurrence: torch ({error})")
        return
    _State.library = loaded
    cli.log(f"Recurrence: C ({path.name})")


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
    sources = "".join(path.read_text(encoding="utf-8") for path in (SOURCE, HEADER))
    facts = (sources, " ".join(flags), version, _processor())
    folder = _cache()
    target = folder / f"{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}.so"
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
    return Path(tempfile.mkdtemp(prefix="nnet1-kernels-"))


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
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

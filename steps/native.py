"""C compiled at first use and kept in a cache: ``compiled-kernels`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

A file's name is a hash of what it was made of, and a file appears whole: processes may compile at once.
"""

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from utils import cli

FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared")


def load(
    what: str, sources: Sequence[Path], signatures: Mapping[str, list], *flags: str
) -> ctypes.CDLL | None:
    """Return a library whose functions have their types, or None; the log says why there is no ``what``."""
    try:
        library = ctypes.CDLL(str(compiled(sources, *flags)))
        for name, signature in signatures.items():
            function = getattr(library, name)
            function.argtypes, function.restype = signature, None
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        cli.log(f"No {what} in C: {error}")
        return None
    return library


def compiled(sources: Sequence[Path], *flags: str) -> Path:
    """Compile those of the sources that are no headers into one library, unless the cache has it.

    OSError if there is no compiler or nowhere to write, SubprocessError if the compiler fails.
    """
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("no C compiler on PATH")
    facts = [path.read_text(encoding="utf-8") for path in sources]
    target = cache() / f"{hash_of(*facts, *FLAGS, *flags, compiler, processor())}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache()) as made:
        library = Path(made) / "library.so"
        parts = (str(path) for path in sources if path.suffix == ".c")
        command = [compiler, *FLAGS, *flags, "-o", str(library), *parts, "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        library.replace(target)
    return target


def hash_of(*facts: str) -> str:
    """Return a short name for some facts."""
    return hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]


def cache() -> Path:
    """Return a folder of this user's for libraries, at home or else in $TMPDIR; OSError if there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in (home / "compiled-kernels", Path(tempfile.gettempdir(), f"compiled-kernels-{os.getuid()}")):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
                return folder
    raise PermissionError("no folder to keep them in: set XDG_CACHE_HOME")


@functools.cache
def processor() -> str:
    """Name what ``-march=native`` looks at."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part")
    return "\n".join(line for line in dict.fromkeys(lines) if line.partition(":")[0].strip() in wanted)


def processor_name() -> str:
    """Name the processor, for people."""
    names = re.findall(r"^model name\s*: *(.*)", processor(), re.MULTILINE)
    return names[0] if names else platform.machine()

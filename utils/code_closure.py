"""Which of the recipe's own files a command consists of.

A Python program is followed through its imports, a shell script through the programs that it names
as ``local/…``, ``steps/…`` or ``utils/…`` outside comments; what lies beside a module and is no Python
(C sources, page templates) belongs to it. What starts, repeats or shows work, and cannot change its
result, does not count.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_RUN = "run.py sge.py slurm.py job_runner for_each.py in_turn.py progress.py parse_options.sh setup_env.sh"
_STAMPS = "once.py stamp.py code_closure.py plan.py lock.py"
NEUTRAL = {ROOT / "utils" / name for name in (*_RUN.split(), *_STAMPS.split())}
_BESIDE = (".c", ".h", ".cu", ".html", ".css", ".js", ".j2")
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([\w.]+))", re.MULTILINE
)
_CALLED = re.compile(r"\b(?:local|steps|utils)/[\w./-]+\.(?:py|sh)\b|\bpath\.sh\b")


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
        neutral = not NEUTRAL.isdisjoint((path, path.parent)) or not path.is_relative_to(ROOT)
        if path not in found and not neutral and path.is_file():
            found.add(path)
            waiting.extend(_used_by(path))
    return sorted(found)

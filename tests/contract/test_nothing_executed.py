"""Nothing that is read from disk is executed: the calls that could do so do not occur in the recipe.

Ruff forbids pickle, eval, exec, shell=True and their like (rules S); here is what it does not know.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.forkserver import REPO

ROOMS = [REPO / name for name in ("local", "steps", "utils")]
PYTHON = sorted(path for room in ROOMS for path in room.rglob("*.py"))
SHELL = sorted([*REPO.glob("*.sh"), *(path for room in ROOMS for path in room.rglob("*.sh"))])
OWN = ("./path.sh", "./cmd.sh", "utils/parse_options.sh", "utils/jobs.sh", "local/check_options.sh")


def forbidden(text: str) -> list[str]:
    """Return the calls of Python that load code, or data as code."""
    modules = r"(?:c?[pP]ickle|_pickle|dill|cloudpickle|shelve|marshal|joblib|yaml)\b"
    calls = r"(?<![\w.])(?<!def )(?:eval|exec|compile|__import__)\(|os\.(?:system|popen|exec|spawn)"
    found = re.findall(
        rf"^\s*(?:import|from) {modules}|{calls}|runpy\.|shell=True|allow_pickle=True|extractall\(",
        text,
        re.MULTILINE,
    )
    loads = re.findall(r"\b(?:np|numpy|torch)\.load\([^\n]*", text)
    return found + [x for x in loads if "allow_pickle=False" not in x and "weights_only=True" not in x]


def evals(text: str) -> list[str]:
    """Return eval, what is sourced beside our own files, and configurations that are read, of a script."""
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    sourced = re.findall(r"^\s*(?:\.|source)\s+(\S+)", code, flags=re.MULTILINE)
    found = re.findall(r"(?:^|[;&|({]|\bthen|\bdo)\s*(eval)\b", code, flags=re.MULTILINE)
    programs = r"\b(?:sed|grep|awk|cat|cut|read|source|head|tail)\b"
    found += re.findall(rf"{programs}[^\n|]*(?:\.conf\b|_config\b)", code)
    return found + [name for name in sourced if name not in OWN]


def shells(text: str) -> list[str]:
    """Return the places where Python names a shell to be run with a command."""
    return re.findall(r'"(?:/bin/)?(?:ba|da|z)?sh",[^\n]*"-c"', text)


def offenders(files: list[Path], check: Callable[[str], list[str]]) -> dict[str, list[str]]:
    found = {str(path.relative_to(REPO)): check(path.read_text(encoding="utf-8")) for path in files}
    return {name: places for name, places in found.items() if places}


def test_no_file_executes_what_it_reads():
    assert len(PYTHON) > 50 and len(SHELL) > 8
    assert offenders(PYTHON, forbidden) == {}
    assert offenders(SHELL, evals) == {}
    using = set(offenders(PYTHON, shells))  # for pipes, and for the jobs that a job runner is given
    assert using == {"steps/archive/__init__.py"} | {name for name in using if "utils/job_runner/" in name}


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "from joblib import load", "eval(x)", "import os\nos.system('ls')", "np.load(x)"),
        *("os.execvp('ls', [])", "subprocess.run(x, shell=True)", "np.savez(x, allow_pickle=True)"),
        *("torch.load(x)", "torch.load(x, weights_only=False)", "tar.extractall(x)"),
    ],
)
def test_the_check_finds_what_is_forbidden(text):
    assert forbidden(text)
    allowed = ("np.load(x, allow_pickle=False)", "torch.load(x, weights_only=True)", "model.eval()")
    assert not any(map(forbidden, allowed))
    for script in ("true; eval x\n", ". ./foreign.sh\n", "sed s/a/b/ conf/x.conf"):
        assert evals(script)

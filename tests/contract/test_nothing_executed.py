"""Nothing that is read from disk is executed: the calls that could do so do not occur in the recipe."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.forkserver import REPO

ROOMS = [REPO / name for name in ("local", "steps", "utils")]
PYTHON = sorted(path for room in ROOMS for path in room.rglob("*.py"))
SHELL = sorted([*REPO.glob("*.sh"), *(path for room in ROOMS for path in room.rglob("*.sh"))])
EXECUTING = "pickle cPickle _pickle dill cloudpickle shelve marshal joblib yaml code"
MODULES = set(EXECUTING.split())
CALLED = (
    "eval exec compile execfile __import__ input os.system os.popen subprocess.getoutput "
    "subprocess.getstatusoutput asyncio.create_subprocess_shell runpy.run_path runpy.run_module "
    "torch.hub.load torch.jit.load torch.package.PackageImporter pd.read_pickle imp.load_source"
)
CALLS = set(CALLED.split())


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` of an expression of names, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def executes(call: ast.Call) -> bool:
    """Tell whether a call may execute what it is given or what it reads."""
    name = dotted(call.func)
    given = {k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)}
    keywords = {k.arg for k in call.keywords}
    return (
        name in CALLS
        or name.startswith(("os.exec", "os.spawn"))
        or given.get("shell") not in (None, False)
        or given.get("allow_pickle") is True
        or (name.endswith("torch.load") and given.get("weights_only") is not True)
        or (name in ("np.load", "numpy.load") and given.get("allow_pickle") is not False)
        or (name.endswith(("extractall", ".extract")) and "tar" in name and "filter" not in keywords)
    )


def forbidden(text: str) -> list[str]:
    """Return the line and words of every forbidden import and call of a module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if {name.split(".")[0] for name in names} & MODULES or (
            isinstance(node, ast.Call) and executes(node)
        ):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def shells(text: str) -> list[str]:
    """Return the places where Python names a shell to be run with a command."""
    return re.findall(r'"(?:/bin/)?(?:ba|da|z)?sh",[^\n]*"-c"', text)


def evals(text: str) -> list[str]:
    """Return eval, and what is sourced beside the recipe's own files, of a script."""
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    own = {"./path.sh", "./cmd.sh", "path.sh", "cmd.sh", "utils/parse_options.sh", "utils/once.sh"}
    sourced = set(re.findall(r"^\s*(?:\.|source)\s+(\S+)", code, flags=re.MULTILINE))
    found = re.findall(r"(?:^|[;&|({]|\bthen|\bdo)\s*(eval)\b", code, flags=re.MULTILINE)
    return found + sorted(sourced - own - {"local/check_options.sh"})


def readings(text: str) -> list[str]:
    """Return where a script reads a configuration, with a second meaning, or to run what stands there."""
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    programs = r"\b(?:sed|grep|awk|cat|cut|read|source|head|tail)\b"
    return re.findall(rf"{programs}[^\n|]*(?:\.conf\b|_config\b)", code)


def offenders(files: list[Path], check: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """Return what a check finds in each file in which it finds something."""
    found = {str(path.relative_to(REPO)): check(path.read_text(encoding="utf-8")) for path in files}
    return {name: places for name, places in found.items() if places}


def test_no_file_executes_what_it_reads():
    assert len(PYTHON) > 50 and len(SHELL) > 8
    assert offenders(PYTHON, forbidden) == {}
    assert offenders(SHELL, evals) == {}
    assert offenders(SHELL, readings) == {}
    using = set(offenders(PYTHON, shells))  # for pipes, and for the jobs that a job runner is given
    assert using == {"steps/archive/specifiers.py"} | {name for name in using if "utils/job_runner/" in name}


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "from joblib import load", "eval(x)", "import os\nos.system('ls')"),
        *("os.execvp('ls', [])", "subprocess.run(x, shell=True)", "np.savez(x, allow_pickle=True)"),
        *("torch.load(x)", "torch.load(x, weights_only=False)", "np.load(x)", "tar.extractall(x)"),
        "numpy.load(x, allow_pickle=True)",
    ],
)
def test_the_check_finds_what_is_forbidden(text):
    assert forbidden(text)
    allowed = ("np.load(x, allow_pickle=False)", "torch.load(x, weights_only=True)", "model.eval()")
    assert not any(map(forbidden, allowed))
    assert evals("true; eval x\n. ./foreign.sh\n") and readings("sed s/a/b/ conf/x.conf")

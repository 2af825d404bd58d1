"""Nothing that is read from disk is executed: the calls that could do so do not occur in the recipe."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.contract.forkserver import REPO

PYTHON = sorted(path for top in ("local", "steps", "utils") for path in (REPO / top).rglob("*.py"))
SHELL = sorted(
    path
    for path in (
        *REPO.glob("*.sh"),
        *(p for t in ("local", "steps", "utils") for p in (REPO / t).rglob("*.sh")),
    )
)

NAMES = "pickle cPickle _pickle dill cloudpickle shelve marshal joblib yaml code"
MODULES = set(NAMES.split())
CALLS = {
    *("eval", "exec", "compile", "execfile", "__import__", "input"),
    *("os.system", "os.popen", "os.spawnl", "os.execl", "commands.getoutput", "subprocess.getoutput"),
    *("subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "runpy.run_path", "runpy.run_module"),
    *(
        "torch.hub.load",
        "torch.jit.load",
        "torch.package.PackageImporter",
        "pd.read_pickle",
        "imp.load_source",
    ),
}


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` of an expression of names, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def keywords(call: ast.Call) -> dict[str, object]:
    """Return the keyword arguments of a call that are constants."""
    return {k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)}


def forbidden(tree: ast.AST) -> list[str]:
    """Return the line and name of every forbidden import and call of a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        name, given = dotted(node.func), keywords(node)
        if name in CALLS or name.startswith(("os.exec", "os.spawn")):
            found.append(f"{node.lineno}: {name}()")
        if given.get("shell") not in (None, False):
            found.append(f"{node.lineno}: {name}(shell={given['shell']})")
        if name.endswith("torch.load") and given.get("weights_only") is not True:
            found.append(f"{node.lineno}: torch.load() without weights_only=True")
        if name in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
            found.append(f"{node.lineno}: {name}() without allow_pickle=False")
        if given.get("allow_pickle") is True:
            found.append(f"{node.lineno}: {name}(allow_pickle=True)")
        if name.endswith(("extractall", ".extract")) and "tar" in name:
            found += [] if "filter" in given or "packed_tar" in name else [f"{node.lineno}: {name}()"]
    return found


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(REPO)))
def test_python_calls_nothing_that_executes_data(path):
    assert forbidden(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "eval(x)",
        "import os\nos.system('ls')",
        "os.execvp('ls', [])",
        "subprocess.run(x, shell=True)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "np.load(x)",
        "numpy.load(x, allow_pickle=True)",
        "np.savez(x, allow_pickle=True)",
    ],
)
def test_the_check_finds_what_is_forbidden(text):
    assert forbidden(ast.parse(text))


@pytest.mark.parametrize(
    "text", ["np.load(x, allow_pickle=False)", "torch.load(x, weights_only=True)", "model.eval()"]
)
def test_the_check_lets_the_rest_pass(text):
    assert not forbidden(ast.parse(text))


def shells(path) -> list[str]:
    """Return the places where a Python file names a shell to be run with a command."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r'"(?:/bin/)?(?:ba|da|z)?sh",[^\n]*"-c"', text)


def test_a_shell_is_started_for_pipes_and_jobs_only():
    using = {str(path.relative_to(REPO)) for path in PYTHON if shells(path)}
    pipes = {"steps/archive/specifiers.py"}
    jobs = {name for name in using if name.startswith("utils/job_runner/")}  # what a job runner is given
    assert using == pipes | jobs


@pytest.mark.parametrize("path", SHELL, ids=lambda path: str(path.relative_to(REPO)))
def test_shell_scripts_source_their_own_files_only(path):
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    assert not re.search(r"(^|[;&|({]|\bthen|\bdo)\s*eval\b", code, flags=re.MULTILINE), "eval"
    sourced = re.findall(r"^\s*(?:\.|source)\s+(\S+)", code, flags=re.MULTILINE)
    assert set(sourced) <= {
        *("./path.sh", "./cmd.sh", "path.sh", "cmd.sh"),
        *("utils/parse_options.sh", "utils/once.sh", "local/check_options.sh"),
    }


@pytest.mark.parametrize("path", SHELL, ids=lambda path: str(path.relative_to(REPO)))
def test_no_shell_script_reads_a_configuration(path):
    """A shell would have a second meaning for it, or run what stands in it; Python reads it, once."""
    code = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert not re.search(r"\b(sed|grep|awk|cat|cut|read|source|head|tail)\b[^\n|]*(\.conf\b|_config\b)", code)


def test_there_are_files_to_look_at():
    assert len(PYTHON) > 50 and len(SHELL) > 8


def test_importing_every_module_runs_no_process(tmp_path):
    names = [".".join(path.relative_to(REPO).with_suffix("").parts) for path in PYTHON]
    names = [name.removesuffix(".__init__") for name in names]
    text = (
        "import sys, importlib\n"
        "def watch(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.posix_spawn'):\n"
        "        raise AssertionError(f'{event} {arguments}')\n"
        "import kaldi_io, torch, matplotlib.font_manager, sklearn.svm, scipy.signal, soundfile\n"
        "sys.addaudithook(watch)\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
    )
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPO), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-B", "-c", text]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

"""utils/setup_env.sh and path.sh: whose Python it is, one line for the user, and true reasons."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

PIP = """#!/bin/sh
case "$*" in
  *"-m pip install"*)
    echo "pip talks"
    echo "$PYTHONPATH|$PIP_DISABLE_PIP_VERSION_CHECK" >../told
    exit "$(cat ../status)" ;;
  *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python3 ;;
  *"-m pip --version"*) ;;
  *) exec {python} "$@" ;;
esac
"""


@pytest.fixture
def site(tmp_path):
    """Return a folder with what setup_env.sh needs, and a python3 whose pip says that it was called."""
    folder = tmp_path / "recipe"
    (folder / "utils").mkdir(parents=True)
    shutil.copy(REPO / "utils/setup_env.sh", folder / "utils/setup_env.sh")
    for name in ("path.sh", "requirements.txt"):
        shutil.copy(REPO / name, folder)
    (tmp_path / "bin").mkdir()
    return folder


def set_up(folder: Path, status: int = 0, **env: str) -> subprocess.CompletedProcess:
    """Run setup_env.sh with a pip that ends with a status."""
    python = folder.parent / "bin/python3"
    python.write_text(PIP.format(python=sys.executable))
    python.chmod(0o755)
    (folder.parent / "status").write_text(f"{status}\n")
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder), **env}
    words = ["utils/setup_env.sh"]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_one_line_and_the_installer_s_words_only_if_it_fails(site):
    failed = set_up(site, status=1)
    assert failed.returncode == 1
    assert "pip talks" in failed.stderr and "pip could not install" in failed.stderr
    done = set_up(site, PYTHONPATH="/elsewhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "requirements.txt" in done.stderr
    assert (site.parent / "told").read_text() == "|1\n"
    again = set_up(site)
    assert again.returncode == 0 and again.stdout + again.stderr == ""


def test_a_colon_in_the_path_is_the_reason(site):
    folder = site.rename(site.with_name("rec:ipe"))
    done = set_up(folder)
    assert done.returncode == 1 and "has a colon" in done.stderr and "venv" not in done.stderr


@pytest.mark.parametrize("own", [True, False])
def test_the_site_s_pythonpath_counts_only_with_one_s_own_python(site, own):
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/elsewhere"} | (
        {"RECIPE_PYTHON": sys.executable} if own else {}
    )
    words = ["bash", "-c", '. ./path.sh; . ./path.sh; echo "$PYTHONPATH|$PATH"']
    done = subprocess.run(words, cwd=site, env=env, capture_output=True, text=True, check=True)
    python_path, path = done.stdout.strip().split("|")
    assert python_path == (f"{site}:/elsewhere" if own else str(site))
    first = os.path.dirname(sys.executable) if own else f"{site}/.venv/bin"  # noqa: PTH120
    assert path == f"{first}:/usr/bin:/bin" and done.stderr == ""


def test_a_python_that_lacks_packages_is_refused(site):
    done = set_up(site, RECIPE_PYTHON="/usr/bin/python3")
    assert done.returncode == 1 and "lacks packages; run: /usr/bin/python3 -m pip install" in done.stderr

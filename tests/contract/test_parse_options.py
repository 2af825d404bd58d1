"""utils/parse_options.sh as a table: command line and config file in, variables or an error out."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPO

DEFAULTS = {
    **{"nj": "4", "raw": "false", "use_gpu": "true", "name": "line"},
    **{"empty": "", "opts": "--a 1", "k": "0.9", "config": ""},
}
SCRIPT = f"""#!/usr/bin/env bash
set -euo pipefail
{chr(10).join(f"{name}='{value}'" for name, value in DEFAULTS.items())}
help_message="Usage: toy [options]"
. {REPO}/utils/parse_options.sh
printf '%s\\0' {" ".join(f'"${name}"' for name in DEFAULTS)} "$@"
"""
EVIL = "$(touch pwned) `touch pwned` ; touch pwned"
CONFIG = ("--config", "x.conf")


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("options") / "toy.sh"
    path.write_text(SCRIPT)
    return path


def call(script: Path, *argv: str, conf: str = "") -> tuple[int, dict[str, str], list[str], str]:
    """Return exit status, variables, remaining arguments and stderr, where the call itself is not told."""
    (script.parent / "x.conf").write_text(conf, newline="")
    words, env = ["bash", str(script), *argv], {**os.environ, "RECIPE_VERBOSE": "false"}
    done = subprocess.run(words, capture_output=True, check=False, cwd=script.parent, env=env)
    assert not (script.parent / "pwned").exists()
    fields = done.stdout.decode().split("\0")[:-1]
    values = dict(zip(DEFAULTS, fields, strict=False))
    return done.returncode, values, fields[len(DEFAULTS) :], done.stderr.decode()


@pytest.mark.parametrize(
    ("argv", "changed", "rest"),
    [
        ([], {}, []),
        (["--nj", "8", "a", "b"], {"nj": "8"}, ["a", "b"]),
        (["--nj=8", "a"], {"nj": "8"}, ["a"]),
        (["--use_gpu", "false"], {"use_gpu": "false"}, []),
        (["--name="], {"name": ""}, []),
        (["--name", EVIL], {"name": EVIL}, []),
        (["--opts", "--nj"], {"opts": "--nj"}, []),
        (["--nj", "2", "--nj", "3"], {"nj": "3"}, []),
        (["a", "--nj", "8"], {}, ["a", "--nj", "8"]),
        (["--nj", "8", "--", "--raw", "x"], {"nj": "8"}, ["--raw", "x"]),
        (["-0.5", "x"], {}, ["-0.5", "x"]),
    ],
)
def test_accepted(toy, argv, changed, rest):
    assert call(toy, *argv) == (0, DEFAULTS | changed, rest, "")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("  nj=8  \n\n# comment\nraw=true # yes\n", {"nj": "8", "raw": "true"}),
        ("--use-gpu=false\n--name=a-b.c\n", {"use_gpu": "false", "name": "a-b.c"}),
        ('name="a b"  # c\n', {"name": "a b"}),
        ("name='a $b'\n", {"name": "a $b"}),
        ("name=été\n", {"name": "été"}),
    ],
)
def test_config(toy, text, changed):
    assert call(toy, *CONFIG, conf=text) == (0, DEFAULTS | changed | {"config": "x.conf"}, [], "")


def test_config_yields_to_the_command_line(toy):
    (toy.parent / "1.conf").write_text("nj=2\nname=first\nk=1\n")
    argv = ("--nj=9", "--config", "1.conf", "--config=x.conf", "x")
    status, values, rest, _ = call(toy, *argv, conf="nj=3\nname=second\n")
    assert status == 0
    assert (values["nj"], values["name"], values["k"], rest) == ("9", "second", "1", ["x"])


@pytest.mark.parametrize(
    ("argv", "conf", "message"),
    [
        (["--njj", "8"], "", "--njj: unknown option"),
        (["--nj"], "", "--nj: its value is missing"),
        (["--nj", "--raw", "true"], "", "--nj: its value is missing"),
        (["--raw", "yes"], "", "--raw: expected true or false, got 'yes'"),
        (["-x"], "", "-x: unknown option"),
        (["--PATH", "/nowhere"], "", "unknown option"),
        (["--a[$(touch pwned)]", "1"], "", "unknown option"),
        (["--config", "missing.conf"], "", "--config missing.conf: no such readable file"),
        (CONFIG, "# x\n\nnjj=8\n", "x.conf:3: njj: unknown option"),
        (CONFIG, "nj = 8\n", "x.conf:1: expected name=value"),
        (CONFIG, "raw=1\n", "x.conf:1: raw: expected true or false, got '1'"),
        (CONFIG, "nj=8\r\n", "x.conf:1: line ends with CR LF"),
        (CONFIG, "config=x\n", "x.conf:1: config: unknown option"),
        (CONFIG, "PATH=/x\n", "x.conf:1: PATH: unknown option"),
        (CONFIG, "name=a; touch pwned > pwned\n", "x.conf:1: shell syntax"),
        (CONFIG, "name[$(touch pwned)]=1\n", "x.conf:1"),
        (CONFIG, 'name="$(touch pwned)"\n', "x.conf:1: shell syntax"),
        (CONFIG, "\ufeffnj=4\n", "x.conf:1: "),
    ],
)
def test_refused(toy, argv, conf, message):
    status, values, _, stderr = call(toy, *argv, conf=conf)
    assert (status, values) == (2, {})
    assert stderr.startswith("ERROR (toy.sh) ") and message in stderr


@pytest.mark.parametrize("argv", [["-h"], ["--nj", "8", "--help"]])
def test_help(toy, argv):
    done = subprocess.run(["bash", str(toy), *argv], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: toy [options]\n") and all(
        f"  --{name} " in done.stdout for name in ("nj", "raw", "use-gpu")
    )


def test_the_call_is_told_or_goes_to_the_log(toy, tmp_path):
    log = tmp_path / "run.log"
    for verbose in ("true", "false"):
        env = {**os.environ, "RECIPE_VERBOSE": verbose, "RECIPE_LOG": str(log)}
        done = subprocess.run(["bash", toy, "--nj", "8", "a b"], capture_output=True, text=True, env=env)
        told = done.stderr if verbose == "true" else log.read_text()
        assert told.endswith(f"{toy} --nj 8 a\\ b\n") and log.exists() == (verbose == "false")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30))
def test_any_value_arrives_unchanged(toy, value):
    assert call(toy, "--name", value)[1]["name"] == value

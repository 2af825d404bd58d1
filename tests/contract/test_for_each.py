"""One command for several items, side by side."""

from functools import partial

import pytest


@pytest.fixture
def for_each(run_cli, tmp_path):
    return partial(run_cli, "utils/for_each.py", cwd=tmp_path)


def test_prefixes_and_waits(for_each, tmp_path):
    done = for_each("x y z", "sh", "-c", "echo one $1; echo err >&2; touch $1; printf last", "sh", "{}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {"[x] one x", "[y] one y", "[z] one z"} <= set(lines)
    assert sum("err" in line for line in lines) == 3
    assert sum("last" in line for line in lines) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y", "z"]


def test_names_failures_and_runs_the_rest(for_each, tmp_path):
    done = for_each("--max-jobs-run", "1", "x y z", "sh", "-c", "touch $1; test $1 = z", "sh", "{}")
    assert done.returncode == 1
    assert "for_each.py: 2 / 3 failed: x (code 1), y (code 1)" in done.stderr
    assert len(list(tmp_path.iterdir())) == 3


def test_what_another_run_is_at_work_on_ends_all(for_each, tmp_path):
    argv = ["--max-jobs-run", "1", "x y z", "sh", "-c", "touch $1; test $1 = x || exit 75", "sh", "{}"]
    done = for_each(*argv)
    assert done.returncode == 75
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


@pytest.mark.parametrize("argv", [["x"], ["--max-jobs-run", "0", "x", "true"], ["x x", "true"]])
def test_usage(for_each, argv):
    assert for_each(*argv).returncode == 2

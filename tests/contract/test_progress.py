"""What a user sees while jobs run: what programs say, what is made of it, and what for_each.py shows."""

import os
import subprocess
import sys
from functools import partial

import pytest

from tests.conftest import REPO
from utils import progress
from utils.progress import Status


@pytest.fixture
def now(monkeypatch):
    """The time, to be changed."""
    seconds = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_report_and_what_a_runner_reads(tmp_path, monkeypatch, now):
    log = tmp_path / "train.log"
    monkeypatch.setattr(progress, "_said", [0.0])
    monkeypatch.setattr(progress, "_first", {})
    monkeypatch.setenv("JOB_STATUS", str(progress.status_file(log)))
    assert progress.read(log) is None
    progress.report(10, 100, "frames", epoch=3, epochs=4, train_loss=0.5)  # resumed in its third epoch
    assert progress.read(log) == Status("train", 0.525, None, "epoch 3 of 4, train loss 0.5")
    now[0] += 0.9
    progress.report(20, 100, "frames", epoch=3, epochs=4)
    assert progress.read(log).share == 0.525, "at most once a second"
    now[0] += 4.1
    losses = {"train_loss": 0.512, "held_out_loss": 0.70114}
    progress.report(10, 100, "frames", epoch=4, epochs=4, **losses)
    said = "train: epoch 4 of 4, train loss 0.512, held out loss 0.701, done in 0:00:04"
    assert str(progress.read(log)) == said
    for total, text in ((20, "feats: 10 of 20 tracks"), (0, "feats: 10 tracks")):
        now[0] += 1
        progress.report(10, total, "tracks", label="feats")
        assert str(progress.read(log)) == text
    assert [path.name for path in tmp_path.iterdir()] == ["train.status"]


@pytest.mark.parametrize(
    ("text", "line"),
    [(r'["\u001b[2Ja\nb", 0, null, "\u0007x"]', "[2Jab: x"), ("5", "None"), ("[", "None")],
)
def test_nothing_of_a_file_reaches_the_terminal_as_control(tmp_path, text, line):
    (tmp_path / "x.status").write_text(text)
    assert str(progress.read(tmp_path / "x.log")) == line


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "a: 5 of 10 tracks, done in 0:00:10"),
        (
            2,
            "a: 5 of 10 tracks, done in 0:00:10; b: 5 of 10 tracks, done in 0:00:10; f: 1 of 2 jobs, ",
        ),
    ],
)
def test_one_plain_line_a_minute(now, capfd, count, line):
    board = progress.Board("f", count, lambda job: Status("ab"[job], 0.5, 10, "5 of 10 tracks"))
    for job in range(count):
        board.begin(job)
    said = []
    for _ in range(150):
        now[0] += 1
        board.step()
        said.append(capfd.readouterr().err)
    assert [number for number, text in enumerate(said) if text] == [59, 119]
    assert said[59].partition(": ")[2].startswith(line) and said[59].count("\n") == 1


@pytest.fixture
def for_each(run_cli, tmp_path):
    return partial(run_cli, "utils/for_each.py", cwd=tmp_path)


def test_items_are_run_with_prefixes_and_waited_for(for_each, tmp_path):
    done = for_each("x y z", "sh", "-c", "echo one $1; echo err >&2; touch $1; printf last", "sh", "{}")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and {"[x] one x", "[y] one y", "[z] one z"} <= set(lines)
    assert [sum(word in line for line in lines) for word in ("err", "last")] == [3, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("test", "status", "made", "said"),
    [
        ("test $1 = z", 1, "xyz", "for_each.py: 2 / 3 failed: x (code 1), y (code 1)"),
        ("test $1 = x || exit 75", 75, "xyz", ""),  # another run is at work on it
    ],
)
def test_failures_are_named_and_the_rest_is_run(for_each, tmp_path, test, status, made, said):
    done = for_each("--max-jobs-run", "1", "x y z", "sh", "-c", f"touch $1; {test}", "sh", "{}")
    assert done.returncode == status and said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == list(made)


@pytest.mark.parametrize("argv", [["x"], ["--max-jobs-run", "0", "x", "true"], ["x x", "true"]])
def test_wrong_use_of_for_each_is_refused(for_each, argv):
    assert for_each(*argv).returncode == 2


def on_terminal(words: list[str], folder) -> str:
    """Run a program with a terminal as its stderr; return what it wrote there."""
    ours, theirs = os.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30", "PYTHONPATH": str(REPO)}
    streams = {"stdin": subprocess.DEVNULL, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(words, cwd=folder, env=env, **streams)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 1 << 16):
            text += data
    except OSError:  # Linux's way to say that the other end is closed
        os.close(ours)
    assert process.wait() == 0, text
    return text.decode()


def test_for_each_shows_on_a_terminal_what_its_runners_tell_it(tmp_path):
    """For two and a half seconds, since there is no estimate before the first second is over."""
    report = 'progress.report(i, 50, "tracks", **{"train_loss": 0.5})'
    work = (
        f"import time\nfrom utils import progress\nfor i in range(51):\n    {report}\n    time.sleep(0.05)\n"
    )
    (tmp_path / "work.py").write_text(work)
    job = f"{REPO}/utils/run.py log/{{}}.log {sys.executable} {tmp_path}/work.py train"
    program = [sys.executable, str(REPO / "utils/for_each.py"), "a b"]
    text = on_terminal([*program, "bash", "-c", f"echo before; {job}; echo after"], tmp_path)
    for item in ("a", "b"):
        for words in (f"[{item}] before", f"{item}: ", f"[{item}] after"):
            assert words in text
    for words in (
        " of 50 tracks, train loss 0.5, done in 0:00:0",
        ", done in",
        "all: 0 of 2 jobs",
        "of 2 jobs, done",
    ):
        assert words in text
    assert "\x1e" not in text and "\x1b[A" in text  # in place
    assert "tracks" not in (tmp_path / "log/a.log").read_text()

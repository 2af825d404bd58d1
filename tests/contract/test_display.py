"""What a user sees while jobs run: on a terminal, and behind for_each.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
#: Reports for two and a half seconds, since there is no estimate before the first second is over.
WORK = """
import sys, time
from utils import progress
for i in range(51):
    progress.report(i, 50, "tracks", **{"train_loss": 0.5})
    time.sleep(0.05)
"""


def on_terminal(words: list[str], folder: Path) -> str:
    """Run a program with a terminal as its stderr; return what it wrote there."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30", "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not data:
            break
        text += data
    os.close(ours)
    assert process.wait() == 0, text
    return text.decode()


@pytest.fixture
def work(tmp_path: Path) -> str:
    (tmp_path / "work.py").write_text(WORK)
    return f"{sys.executable} {tmp_path}/work.py"


def test_for_each_shows_what_its_runners_tell_it(tmp_path: Path, work: str) -> None:
    program = [sys.executable, str(REPO / "utils/for_each.py"), "a b"]
    runner = f"echo before; {REPO}/utils/run.py log/{{}}.log {work} train; echo after"
    text = on_terminal([*program, "bash", "-c", runner], tmp_path)
    for item in ("a", "b"):
        for words in (f"[{item}] before", f"{item}: ", f"[{item}] after"):
            assert words in text
    for words in (" of 50 tracks, done in 0:00:0", ", train loss 0.5, ", "all: 0 of 2 jobs", "of 100 tracks"):
        assert words in text
    assert "\x1e" not in text
    assert "\x1b[A" in text, "in place"
    assert "tracks" not in (tmp_path / "log/a.log").read_text()

"""What programs say about their progress, and what is made of it."""

import json

import pytest

from utils import progress
from utils.progress import Status


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            Status(
                "lstm_512", 15120, 24000, "frames", 12, 50, {"train_loss": 0.512, "held_out_loss": 0.70114}
            ),
            "lstm_512: epoch 12 of 50, 63 % of frames, train loss 0.512, held out loss 0.701",
        ),
        (
            Status("feats.3", 310, 729, "tracks", speed=12.1, left=34.6),
            "feats.3: 310 of 729 tracks, done in 0:00:35, 12 tracks/s",
        ),
        (Status("a", 7, 0, "tracks", speed=0.25), "a: 7 tracks, 0.2 tracks/s"),
        (Status("a"), "a"),
    ],
)
def test_words(status: Status, text: str) -> None:
    assert str(status) == text


def test_report_and_what_a_runner_reads(tmp_path, monkeypatch) -> None:
    log, now = tmp_path / "train.log", [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "_reporter", progress._Reporter())
    monkeypatch.setenv("JOB_STATUS", str(progress.status_file(log)))
    assert progress.read(log) is None
    progress.report(10, 100, "frames", epoch=3, epochs=4, train_loss=0.5)  # resumed in its third epoch
    assert progress.read(log) == Status("train", 10, 100, "frames", 3, 4, {"train_loss": 0.5})
    now[0] += 0.9
    progress.report(20, 100, "frames", epoch=3, epochs=4)
    assert progress.read(log).done == 10, "at most once a second"
    now[0] += 4.1
    progress.report(10, 100, "frames", epoch=4, epochs=4)
    found = progress.read(log)
    assert (found.speed, found.left) == (pytest.approx(20), pytest.approx(4.5))
    assert [path.name for path in tmp_path.iterdir()] == ["train.status"]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"label": "\x1b[2Ja\nb", "unit": "\x07x", "speed": 1}, "[2Jab: 0 x, 1 x/s"),
        ({"unit": "x", "done": "many"}, "None"),
        ({"what": 1}, "None"),
        ("nothing", "None"),
    ],
)
def test_nothing_of_a_file_reaches_the_terminal_as_control(tmp_path, facts, line: str) -> None:
    (tmp_path / "x.status").write_text(json.dumps(facts))
    assert str(progress.read(tmp_path / "x.log")) == line


def steady(done: float, left: float) -> Status:
    return Status("x", done, 10, "tracks", speed=2, left=left)


@pytest.mark.parametrize(
    ("count", "running", "ended", "status"),
    [
        (
            2,
            [steady(5, 30), steady(6, 10)],
            0,
            Status("f", 11, 20, "tracks", speed=4, left=30),
        ),
        (6, [steady(5, 30), steady(5, 10)], 2, Status("f", 3, 6, "jobs", left=60)),  # as long as so far
        (2, [None], 1, Status("f", 1, 2, "jobs", left=60)),
        (3, [None], 0, Status("f", 0, 3, "jobs")),  # nobody knows
    ],
)
def test_all_jobs_together(monkeypatch, count, running, ended, status) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    board = progress.Board("f", count, running.__getitem__)
    for job in range(len(running) + ended):
        board.begin(job)
    for job in range(ended):
        board.end(len(running) + job)
    assert board.statuses(160.0)[-1] == status


@pytest.mark.parametrize(
    ("count", "each", "lines"),
    [
        (1, False, ["a: 5 of 10 tracks, done in 0:00:10"]),
        (2, False, ["f: 10 of 20"]),
        (2, True, ["a", "b", "f"]),
    ],
)
def test_plain_lines_once_a_minute(monkeypatch, capfd, count: int, each: bool, lines: list[str]) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    board = progress.Board(
        "f", count, lambda job: Status("ab"[job], 5, 10, "tracks", speed=1, left=10), each=each
    )
    for job in range(count):
        board.begin(job)
    said = []
    for _ in range(150):
        now[0] += 1
        board.step()
        said.append(capfd.readouterr().err.splitlines())
    assert [number for number, text in enumerate(said) if text] == [59, 119]
    assert len(said[59]) == len(lines)
    for line, begin in zip(said[59], lines, strict=True):
        assert line.partition(": ")[2].startswith(begin)

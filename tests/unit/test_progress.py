"""What programs say about their progress, and what is made of it."""

from __future__ import annotations

import json

import pytest

from utils import display, progress
from utils.progress import Status

LOSSES = {"train_loss": 0.512, "held_out_loss": 0.70114}


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


def test_share_counts_epochs() -> None:
    assert Status("x", 50, 100, "frames", 3, 10).share == pytest.approx(0.25)
    assert Status("x", 50, 0, "frames").share == 0


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
    "text", ["", "[]", "{}", "{", '{"label": 1}', '{"numbers": {"x": "y"}}', '{"numbers": null}']
)
def test_what_is_no_status_is_none(text: str) -> None:
    assert progress.parse(text) is None


def test_nothing_of_a_file_reaches_the_terminal_as_control() -> None:
    facts = {**vars(Status("\x1b[2Ja\nb", unit="\x07x")), "speed": 1}
    status = progress.parse(json.dumps(facts))
    assert (status.label, status.unit) == ("[2Jab", "x")


def test_report_never_fails_a_job(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.setattr(progress, "_reporter", progress._Reporter())
    monkeypatch.setenv("JOB_STATUS", str(tmp_path / "missing/x.status"))
    progress.report(1, 2, "tracks")
    monkeypatch.delenv("JOB_STATUS")
    monkeypatch.setattr(progress, "_reporter", progress._Reporter())
    progress.report(1, 2, "tracks")  # stderr is no terminal
    assert capfd.readouterr() == ("", "")


def steady(done: float, left: float) -> Status:
    return Status("x", done, 10, "tracks", speed=2, left=left)


@pytest.mark.parametrize(
    ("waiting", "running", "lengths", "left"),
    [
        (0, [(steady(5, 30), 30), (steady(5, 10), 30)], [], 30),  # the longest
        (4, [(steady(5, 30), 30), (steady(5, 10), 50)], [], (40 + 4 * 60) / 2),  # two at a time
        (0, [(None, 10)], [30, 50], 30),  # as long as the others
        (0, [(None, 99)], [30], None),  # it needs longer than the others
        (3, [(None, 10)], [], None),  # nobody knows
    ],
)
def test_time_left_of_all_jobs(waiting, running, lengths, left) -> None:
    assert display.time_left(waiting, running, lengths) == left


def test_all_jobs_together_speak_of_tracks_if_all_are_known() -> None:
    running = [(steady(5, 30), 30.0), (steady(3, 10), 30.0)]
    assert str(display.together("f", 3, running, [9.0], [steady(8, 0)])) == (
        "f: 18 of 30 tracks, done in 0:00:30, 4 tracks/s"
    )
    assert str(display.together("f", 4, running, [9.0], [])) == "f: 1 of 4 jobs, done in 0:00:38"
    assert display.together("f", 4, running, [9.0], []).share == pytest.approx((1 + 0.8) / 4)


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
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    board = display.Board(
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

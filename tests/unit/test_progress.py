"""What programs say about their progress, and what is made of it."""

from __future__ import annotations

import json

import pytest

from utils import progress
from utils.progress import Status


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            Status(
                "lstm_512", 15120, 24000, "frames", 12, 50, {"train_loss": 0.512, "held_out_loss": 0.7011}
            ),
            "lstm_512: epoch 12 of 50, 63 % of 24 000 frames, train loss 0.512, held out 0.7011",
        ),
        (
            Status("feats.3", 310, 729, "tracks", speed=12.1, left=34.6),
            "feats.3: 310 of 729 tracks, 12 tracks/s, done in 0:00:35",
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

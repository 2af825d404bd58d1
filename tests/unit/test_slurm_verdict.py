"""What Slurm's controller says of a task is never taken from another task of its array."""

from __future__ import annotations

from subprocess import CompletedProcess

import pytest

from utils import slurm

RECORDS = """JobId=21 ArrayJobId=21 ArrayTaskId=2 JobName=c JobState=COMPLETED Reason=None ExitCode=0:0
JobId=22 ArrayJobId=21 ArrayTaskId=1 JobName=c JobState={state} Reason=None ExitCode=0:15
"""


@pytest.mark.parametrize(
    ("state", "verdict"), [("COMPLETING", None), ("CANCELLED", "Slurm says CANCELLED, exit code 0:15")]
)
def test_a_task_that_is_still_ending_has_no_verdict_yet(monkeypatch, state, verdict):
    def ask(words):
        text = RECORDS.format(state=state) if words[0] == "scontrol" else ""
        return CompletedProcess(words, 0, text, "")

    monkeypatch.setattr(slurm, "ask", ask)
    found = slurm.Slurm().verdict(("21", 1))
    assert (found and found.reason) == verdict
    assert slurm.Slurm().verdict(("21", 2)).failed is False


def test_a_job_that_is_no_array_is_found_by_its_number(monkeypatch):
    record = "JobId=7 JobName=c JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15"
    monkeypatch.setattr(slurm, "ask", lambda words: CompletedProcess(words, 0, record, ""))
    assert "TIMEOUT" in slurm.Slurm().verdict(("7", 1)).reason

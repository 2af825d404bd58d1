"""The training tools' logs, line for line, against those of Kaldi's tools with the same command lines."""

from __future__ import annotations

import re
import shlex

import pytest

from steps.nnet1 import (
    nnet_train_frmshuff,
    nnet_train_lstm_streams,
    nnet_train_multistream,
    nnet_train_multistream_perutt,
    nnet_train_perutt,
)

MODULES = {
    "nnet-train-frmshuff": nnet_train_frmshuff,
    "bd-nnet-train-lstm-streams": nnet_train_lstm_streams,
    "nnet-train-multistream": nnet_train_multistream,
    "nnet-train-multistream-perutt": nnet_train_multistream_perutt,
    "nnet-train-perutt": nnet_train_perutt,
}
LOGS = (
    *("dnn_plain.it1", "dnn_plain.it1.cv", "dnn_mmt5.it2", "dnn_l1.it1", "dnn_onestep.it1"),
    *("dnn_weights.it1", "dnn_soft.it1", "dnn_plain2014.it1", "dnn_plain2014.it1.cv"),
    *("lstm_bd_d5.it1", "lstm_bd_d5.it1.cv", "lstm_bd2_d5.it1", "lstm_bd_onestep"),
    *("lstm_head_d0_noclip.it1", "lstm_head_d0_clip.it3", "lstm_head_d0_clip.it1.cv"),
    *("lstm_head_tr5_noclip.it1", "lstm_head_d5_noclip.it1", "lstm_head_tanh_defaultclip.it1"),
    *("lstm_head_perutt.it1", "lstm_head_msperutt.it1", "lstm_std2014_perutt.it1"),
)
NUMBER = re.compile(r"(?<![A-Za-z_0-9])-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?")
# Of the time that a run takes.
MASKED = re.compile(r"[0-9]\S* min|(?<=fps)[^\]]+|(?<=processing )\S+|(?<=time )\S+%")


def normal(text: str) -> list[str]:
    """Lines of a log without the names of programs, the times, and what only one side prints."""
    text = re.sub(r"^(V?LOG(?:\[1\])?) \(\S+\)", r"\1", text, flags=re.MULTILINE)
    return [MASKED.sub("-", line) for line in text.splitlines() if not line.startswith("LOG Kernels:")]


def check_line(ours: str, kaldis: str) -> None:
    """Demand the same words and, to the digits that sums of float32 have, the same numbers."""
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", kaldis)
    left, right = ([float(number) for number in NUMBER.findall(line)] for line in (ours, kaldis))
    if "kurtosis" not in kaldis:
        assert left == pytest.approx(right, rel=1e-5)
        return
    start = len(NUMBER.findall(kaldis.partition("( min")[0]))
    largest = max(map(abs, right[start : start + 2]))
    assert left[: start + 4] == pytest.approx(right[: start + 4], rel=1e-5, abs=1e-6 * largest)
    assert left[start + 4 :] == pytest.approx(right[start + 4 :], rel=2e-5, abs=1e-5)


@pytest.mark.parametrize("name", LOGS)
def test_every_line_is_kaldis(name, shared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    command, _, log = (shared / "reference/kaldi_nnet1/log" / f"{name}.log").read_text().partition("\n")
    program, *words = shlex.split(command)
    if "--cross-validate=true" not in words:
        words[-1] = str(tmp_path / "out")
    capsys.readouterr()
    assert MODULES[program.rpartition("/")[2]].main(words) == 0
    ours, kaldis = normal(capsys.readouterr().err), normal(log)
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in kaldis]
    for left, right in zip(ours, kaldis, strict=True):
        check_line(left, right)

"""The training tools' logs, line for line, against those of Kaldi's tools with the same command lines."""

import re
import shlex

import pytest

from steps.nnet1 import nnet_train_frmshuff, nnet_train_lstm_streams

MODULES = {
    "nnet-train-frmshuff": nnet_train_frmshuff,
    "bd-nnet-train-lstm-streams": nnet_train_lstm_streams,
}
LOGS = (
    *("dnn_plain.it1", "dnn_plain.it1.cv", "dnn_mmt5.it2", "dnn_l1.it1", "dnn_onestep.it1"),
    *("dnn_weights.it1", "dnn_soft.it1", "dnn_plain2014.it1", "dnn_plain2014.it1.cv"),
    *("lstm_bd_d5.it1", "lstm_bd_d5.it1.cv", "lstm_bd2_d5.it1", "lstm_bd_onestep"),
)
NUMBER = re.compile(r"(?<![A-Za-z_0-9])-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?")
# Of the time that a run takes.
MASKED = re.compile(r"[0-9]\S* min|(?<=fps)[^\]]+|(?<=processing )\S+|(?<=time )\S+%")


BUFFERS = re.compile(r"V?LOG(?:\[1\])? \(\S+\) (?:###|\n###).*?(?=V?LOG|\Z)", re.DOTALL)


def normal(text: str) -> list[str]:
    """Lines of a log without the buffers' contents, the names of programs and the times."""
    text = re.sub(r"^LOG \(\S+\)", "LOG", BUFFERS.sub("", text), flags=re.MULTILINE)
    ours = ("LOG Recurrence:", "LOG Products")
    return [MASKED.sub("-", line) for line in text.splitlines() if not line.startswith(ours)]


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
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (left, right)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)

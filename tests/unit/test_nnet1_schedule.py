"""The schedules against logs of Kaldi's own scripts, and tables of their decisions."""

import math
import re
from pathlib import Path

import pytest

from steps.nnet1 import schedule
from steps.nnet1.schedule import Epoch, KaldiLstm, Karel

LOGS = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"


def epoch(number, learn_rate, tr_loss, cv_loss):
    return Epoch(number, learn_rate, tr_loss, math.nan, cv_loss, math.nan)


def run(plan, initial, losses):
    """Feed (training loss, cross-validation loss) pairs until the schedule ends; return it and its epochs."""
    plan.judge(epoch(0, "0", math.nan, initial))
    epochs = []
    for number, pair in enumerate(losses, start=1):
        epochs.append(plan.judge(epoch(number, plan.learn_rate, *map(schedule.six_digits, pair))))
        if plan.finished or number == plan.max_iters:
            break
    return plan, epochs


def rates(plan):
    """Return the learning rates of all epochs of kaldi-lstm's loop."""
    return [epoch.learn_rate for epoch in run(plan, 2.0, [(1.0, 1.0)] * plan.max_iters)[1]]


def test_karel_repeats_kaldis_log_line_for_line(shared):
    folder = shared / "reference" / "kaldi_nnet1"

    def loss(name):
        return float(re.findall(r"AvgLoss: (\S+)", (folder / "sched" / "log" / name).read_text())[-1])

    losses = [(loss(f"iter{i:02d}.tr.log"), loss(f"iter{i:02d}.cv.log")) for i in range(1, 14)]
    state, epochs = run(Karel(learn_rate="0.1"), loss("iter00.initial.log"), losses)
    lines = [schedule.iteration_line(epoch, 20) for epoch in epochs] + [state.finished]
    assert lines == (folder / "sched.log").read_text().splitlines()[2:-1]


def test_karel_repeats_kaldis_log_from_its_four_digits():
    expected = [line for line in (LOGS / "sched.log").read_text().splitlines() if "ITERATION" in line]
    losses = [tuple(map(float, re.findall(r"AVG.LOSS ([0-9.]+)", line))) for line in expected]
    # Four digits are too few for the last decision alone.
    state, epochs = run(Karel(learn_rate="0.1"), 1.1198, losses)
    lines = [schedule.iteration_line(epoch, 20) for epoch in epochs]
    assert lines[:12] == expected[:12]
    assert len(epochs) == 13
    assert state.finished.startswith("finished, too small rel. improvement")


def test_kaldi_lstm_repeats_the_rates_of_its_log():
    lines = (LOGS / "sched_lstm.log").read_text().splitlines()
    options = KaldiLstm("0.001", len(lines))
    assert rates(options) == [line.split()[3] for line in lines]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (KaldiLstm("0.00002", 6, 3, 0.9), ["0.00002"] * 3 + ["1.8e-05", "1.62e-05", "1.458e-05"]),
        (KaldiLstm("1e-3", 2, 0, 0.5), ["0.0005", "0.00025"]),
        (KaldiLstm("1e-3", 2, 9, 0.5), ["1e-3", "1e-3"]),
        (KaldiLstm("1", 4, 1, 1 / 3), ["1", "0.333333", "0.111111", "0.037037"]),
    ],
)
def test_kaldi_lstm_rates_are_rounded_as_awk_prints(options, expected):
    assert rates(options) == expected


KAREL = [
    # options, initial loss, cross-validation losses -> accepted?, learning rates, end
    ("improves", {}, 2.0, [1.0, 0.5, 0.25], "yyy", ["1", "1", "1"], ""),
    ("halves after less than 1 %", {}, 2.0, [1.99, 1.0, 0.5], "yyy", ["1", "0.5", "0.25"], ""),
    ("exactly 1 % is not less", {}, 1.0, [0.99, 0.5], "yy", ["1", "1"], ""),
    ("worse is rejected and halves", {}, 1.0, [1.5, 0.5], "ny", ["1", "0.5"], ""),
    ("equal is rejected", {}, 1.0, [1.0], "n", ["1"], ""),
    ("equal after rounding is rejected", {}, 1.0, [0.9999999], "n", ["1"], ""),
    ("stops only when halving", {}, 1.0, [1.0, 1.0], "nn", ["1", "0.5"], "0"),
    ("stops below 0.1 %", {}, 1.0, [0.995, 0.9945], "yy", ["1", "0.5"], "0.000502513"),
    ("goes on at 0.1 %", {}, 1.0, [1.0, 0.999], "ny", ["1", "0.5"], ""),
    ("keep_lr accepts, keeps", {"keep_lr_iters": 2}, 1.0, [2.0, 2.0, 2.0], "yyn", ["1", "1", "1"], ""),
    ("other factor", {"halving_factor": 0.9}, 1.0, [1.0, 0.5, 0.4], "nyy", ["1", "0.9", "0.81"], ""),
    ("max_iters ends", {"max_iters": 2}, 9.0, [3.0, 2.0, 1.0], "yy", ["1", "1"], ""),
    ("nan is rejected", {}, 1.0, [math.nan], "n", ["1"], ""),
]


@pytest.mark.parametrize("case", KAREL, ids=lambda case: case[0])
def test_karel_decisions(case):
    _, options, initial, losses, accepted, rates, end = case
    options = Karel(**{"learn_rate": "1", **options})
    state, epochs = run(options, initial, [(0.5, loss) for loss in losses])
    assert "".join("y" if epoch.accepted else "n" for epoch in epochs) == accepted
    assert [epoch.learn_rate for epoch in epochs] == rates
    assert state.finished == (f"finished, too small rel. improvement {end}" if end else "")


def test_karel_best_and_names():
    state, epochs = run(Karel(learn_rate="8e-6"), 1.0, [(0.5, 0.75), (0.25, 0.8)])
    assert epochs[0].nnet == "dnn_iter01_learnrate8e-6_tr0.5000_cv0.7500"
    assert epochs[1].nnet == "dnn_iter02_learnrate8e-6_tr0.2500_cv0.8000_rejected"
    assert state.loss == 0.75
    options = Karel("1", max_iters=100, keep_lr_iters=1)
    _, epochs = run(options, 1.0, [(0.5, 2.0)])
    assert epochs[0].nnet == "dnn_iter001_learnrate1_tr0.5000_cv2.0000_keep-lr-iters-1"


def test_a_rate_is_printed_with_six_digits_and_stands_in_names_as_it_was_given():
    _, (epoch,) = run(Karel(learn_rate="0.000008"), 1.0, [(0.5, 0.75)])
    assert schedule.iteration_line(epoch, 20) == (
        "ITERATION 01: TRAIN AVG.LOSS 0.5000, (lrate8e-06), CROSSVAL AVG.LOSS 0.7500, "
        "nnet accepted (dnn_iter01_learnrate0.000008_tr0.5000_cv0.7500)"
    )


def test_training_that_ended_half_way_is_told():
    """A first epoch that is kept has the training loss of its beginning: the held-out loss decides, too."""
    said = [schedule.half_way(epoch(1, "1", *losses), 6) for losses in ((1.2, 1.3), (1.2, 0.1), (0.1, 1.2))]
    assert "training ended half-way: the training loss is 1.2" in said[0]
    assert said[1:] == ["", ""]

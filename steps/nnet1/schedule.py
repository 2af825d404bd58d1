"""Learning-rate schedules as pure functions: Karel's scheduler and kaldi-lstm's loop.

Both work on numbers as the shell scripts see them: losses printed with six digits, and learning rates
that ``awk`` printed with six digits after each multiplication. So a decision here is the decision of the
script, on the same rounded numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from utils.cli import UserError

DIVERGED_AFTER = 3


def six_digits(value: float) -> float:
    """Return ``value`` as it reads after being printed with six significant digits."""
    return float(f"{value:.6g}")


def scaled(learn_rate: str, factor: float) -> str:
    """``awk "BEGIN{print(learn_rate * factor)}"``."""
    return f"{float(learn_rate) * factor:.6g}"


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; losses are rounded to six digits, accuracies in percent."""

    iteration: int
    learn_rate: str
    tr_loss: float
    cv_loss: float
    tr_acc: float = math.nan
    cv_acc: float = math.nan
    accepted: bool = True
    seconds: float = 0.0
    nnet: str = ""

    def __str__(self) -> str:
        return f"epoch {self.iteration}, learning rate {self.learn_rate}"


@dataclass(frozen=True)
class KarelOptions:
    """Options of ``steps/nnet/train_scheduler.sh`` with its defaults."""

    learn_rate: str = "0.008"
    max_iters: int = 20
    min_iters: int = 0
    keep_lr_iters: int = 0
    start_halving_impr: float = 0.01
    end_halving_impr: float = 0.001
    halving_factor: float = 0.5


@dataclass(frozen=True)
class KarelState:
    """Where the scheduler stands: the next learning rate, the best network and its loss.

    ``finished`` is the reason for the end, with the words of the script; empty while it goes on. ``notice``
    is what the script says when ``min_iters`` alone keeps it from the end.
    """

    learn_rate: str
    loss: float
    best: str
    iteration: int = 0
    halving: bool = False
    finished: str = ""
    notice: str = ""


def karel_step(options: KarelOptions, state: KarelState, epoch: Epoch, base: str) -> tuple[KarelState, Epoch]:
    """Judge an epoch as ``train_scheduler.sh`` does.

    It is accepted if its loss is below the best, or up to ``keep_lr_iters`` or ``min_iters``. Returns the
    state for the next epoch, and this one with the decision and its network's name, ``<base>_iter<nn>_…``.
    """
    kept, forced = epoch.iteration <= options.keep_lr_iters, epoch.iteration <= options.min_iters
    epoch = replace(epoch, accepted=epoch.cv_loss < state.loss or kept or forced)
    epoch = replace(epoch, nnet=_karel_name(options, epoch, base))
    previous, state = state.loss, replace(state, iteration=epoch.iteration, notice="")
    if epoch.accepted:
        state = replace(state, loss=epoch.cv_loss, best=epoch.nnet)
    if not kept:
        state = _karel_rate(options, state, previous, forced)
    return state, epoch


def _karel_name(options: KarelOptions, epoch: Epoch, base: str) -> str:
    name = f"{base}_iter{epoch.iteration:0{len(str(options.max_iters))}d}_learnrate{epoch.learn_rate}"
    name += f"_tr{epoch.tr_loss:.4f}_cv{epoch.cv_loss:.4f}"
    if not epoch.accepted:
        return f"{name}_rejected"
    if epoch.iteration <= options.min_iters:
        name += f"_min-iters-{options.min_iters}"
    if epoch.iteration <= options.keep_lr_iters:
        name += f"_keep-lr-iters-{options.keep_lr_iters}"
    return name


def _karel_rate(options: KarelOptions, state: KarelState, previous: float, forced: bool) -> KarelState:
    """Stop, or start halving, or halve; a rejected epoch counts as an improvement of nothing."""
    improvement = six_digits((previous - state.loss) / previous) if previous else 0.0
    if state.halving and improvement < options.end_halving_impr:
        if forced:
            notice = f"we were supposed to finish, but we continue as min_iters : {options.min_iters}"
            return replace(state, notice=notice)
        return replace(state, finished=f"finished, too small rel. improvement {improvement:g}")
    halving = state.halving or improvement < options.start_halving_impr
    rate = scaled(state.learn_rate, options.halving_factor) if halving else state.learn_rate
    return replace(state, halving=halving, learn_rate=rate)


@dataclass(frozen=True)
class KaldiLstmOptions:
    """Options of kaldi-lstm's ``train_lstm_streams.sh`` with its defaults."""

    learn_rate: str = "0.00001"
    max_iters: int = 15
    start_halving: int = 3
    halving_factor: float = 0.8


def kaldi_lstm_rates(options: KaldiLstmOptions) -> list[str]:
    """Learning rate of each epoch: from epoch ``start_halving`` (from 0) on, one factor before each."""
    rates, rate = [], options.learn_rate
    for iteration in range(options.max_iters):
        if iteration >= options.start_halving:
            rate = scaled(rate, options.halving_factor)
        rates.append(rate)
    return rates


def iteration_line(epoch: Epoch, max_iters: int) -> str:
    """Return ``ITERATION 01: TRAIN AVG.LOSS …`` as the scheduler prints it."""
    verdict = "accepted" if epoch.accepted else "rejected"
    return (
        f"ITERATION {epoch.iteration:0{len(str(max_iters))}d}: TRAIN AVG.LOSS {epoch.tr_loss:.4f}, "
        f"(lrate{float(epoch.learn_rate):.6g}), CROSSVAL AVG.LOSS {epoch.cv_loss:.4f}, "
        f"nnet {verdict} ({epoch.nnet})"
    )


def check_divergence(epochs: Sequence[Epoch], initial_loss: float) -> None:
    """Refuse to go on when a loss is no number, or when training has run away.

    It has if in three epochs both losses were above that of the initial network: the one in cross-validation
    alone is over-fitting (see :func:`over_fits`), the one in training alone has not begun to learn.
    """
    if not epochs:
        return
    last, tail = epochs[-1], epochs[-DIVERGED_AFTER:]
    if not math.isfinite(last.tr_loss) or not math.isfinite(last.cv_loss):
        raise UserError(
            f"{last}: training loss {last.tr_loss:g}, cross-validation loss {last.cv_loss:g}; "
            "training diverged; use a lower --learn-rate"
        )
    if len(tail) == DIVERGED_AFTER and all(min(each.tr_loss, each.cv_loss) > initial_loss for each in tail):
        raise UserError(
            f"{last}: the losses have been above the initial {initial_loss:g} for {DIVERGED_AFTER} epochs "
            f"(now {last.tr_loss:g} and {last.cv_loss:g}); training diverged; use a lower --learn-rate, "
            "or where the losses hardly move a higher one"
        )


def over_fits(epochs: Sequence[Epoch], initial_loss: float) -> bool:
    """Tell when the cross-validation loss is above the initial one for the third epoch in a row."""
    above = [epoch.cv_loss > initial_loss for epoch in epochs[-DIVERGED_AFTER - 1 :]]
    return above[-DIVERGED_AFTER:] == [True] * DIVERGED_AFTER and above.count(True) == DIVERGED_AFTER


def half_way(final: Epoch, num_classes: int) -> str:
    """Say that training ended half-way; empty if it did not.

    It did where the loss of the final network is above half of a guess's, ``log(num_classes)``, on the tracks
    that it was trained on: whatever a network of so many weights makes of others, those it can learn.
    """
    if final.tr_loss <= 0.5 * math.log(num_classes):
        return ""
    return (
        f"training ended half-way: the training loss is {final.tr_loss:g} (held out {final.cv_loss:g}), "
        f"a guess's {math.log(num_classes):.4g}; small corpora want the larger steps of --conf conf/synth"
    )

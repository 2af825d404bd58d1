"""Learning-rate schedules: Karel's scheduler and kaldi-lstm's loop.

Both decide as the shell scripts do, on the numbers that these see: losses printed with six digits, learning
rates that ``awk`` printed with six digits after each multiplication.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

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
    tr_acc: float
    cv_loss: float
    cv_acc: float
    accepted: bool = True
    seconds: float = 0.0
    nnet: str = ""

    def __str__(self) -> str:
        return f"epoch {self.iteration}, learning rate {self.learn_rate}"


@dataclass
class Karel:
    """``steps/nnet/train_scheduler.sh``: its options with their defaults, and where it stands.

    ``loss`` is the best network's; ``finished``, and with ``min_iters`` ``notice``, what the script says.
    """

    learn_rate: str = "0.008"
    max_iters: int = 20
    min_iters: int = 0
    keep_lr_iters: int = 0
    start_halving_impr: float = 0.01
    end_halving_impr: float = 0.001
    halving_factor: float = 0.5
    loss: float = field(default=math.nan, init=False)
    halving: bool = field(default=False, init=False)
    finished: str = field(default="", init=False)
    notice: str = field(default="", init=False)

    name: ClassVar[str] = "dnn"

    def judge(self, epoch: Epoch) -> Epoch:
        """Take in an epoch, or the initial network (0); return it with its verdict and its network's name."""
        if not epoch.iteration:
            self.loss = epoch.cv_loss
            return epoch
        kept, forced = epoch.iteration <= self.keep_lr_iters, epoch.iteration <= self.min_iters
        accepted = epoch.cv_loss < self.loss or kept or forced
        name = f"{self.name}_iter{epoch.iteration:0{len(str(self.max_iters))}d}_learnrate{epoch.learn_rate}"
        name += f"_tr{epoch.tr_loss:.4f}_cv{epoch.cv_loss:.4f}"
        name += "" if accepted else "_rejected"
        name += f"_min-iters-{self.min_iters}" if forced else ""
        name += f"_keep-lr-iters-{self.keep_lr_iters}" if kept else ""
        previous, self.loss = self.loss, epoch.cv_loss if accepted else self.loss
        if not kept:
            self._step(six_digits((previous - self.loss) / previous) if previous else 0.0, forced)
        return replace(epoch, accepted=accepted, nnet=name)

    def _step(self, improvement: float, forced: bool) -> None:
        """Stop, or start halving, or halve."""
        self.notice = ""
        if self.halving and improvement < self.end_halving_impr:
            if forced:
                self.notice = f"we were supposed to finish, but we continue as min_iters : {self.min_iters}"
            else:
                self.finished = f"finished, too small rel. improvement {improvement:g}"
            return
        self.halving = self.halving or improvement < self.start_halving_impr
        if self.halving:
            self.learn_rate = scaled(self.learn_rate, self.halving_factor)


@dataclass
class KaldiLstm:
    """kaldi-lstm's ``train_lstm_streams.sh``: a factor before each epoch from ``start_halving`` on."""

    learn_rate: str = "0.00001"
    max_iters: int = 15
    start_halving: int = 3
    halving_factor: float = 0.8

    name: ClassVar[str] = "nnet"
    finished: ClassVar[str] = ""
    notice: ClassVar[str] = ""

    def judge(self, epoch: Epoch) -> Epoch:
        """See :class:`Karel`; every epoch is accepted."""
        if epoch.iteration >= self.start_halving:
            self.learn_rate = scaled(self.learn_rate, self.halving_factor)
        return replace(epoch, nnet=f"{self.name}.iter{epoch.iteration}") if epoch.iteration else epoch


def iteration_line(epoch: Epoch, max_iters: int) -> str:
    """Return ``ITERATION 01: TRAIN AVG.LOSS …`` as the scheduler prints it."""
    verdict = "accepted" if epoch.accepted else "rejected"
    return (
        f"ITERATION {epoch.iteration:0{len(str(max_iters))}d}: TRAIN AVG.LOSS {epoch.tr_loss:.4f}, "
        f"(lrate{float(epoch.learn_rate):.6g}), CROSSVAL AVG.LOSS {epoch.cv_loss:.4f}, "
        f"nnet {verdict} ({epoch.nnet})"
    )


def check_divergence(epochs: Sequence[Epoch], initial_loss: float) -> None:
    """Refuse to go on when the last loss is no number, or training has run away.

    It has if in three epochs both losses were above the initial network's: the held-out one alone is
    over-fitting, the one in training alone has not begun to learn.
    """
    last, tail = epochs[-1], epochs[-DIVERGED_AFTER:]
    lost = not math.isfinite(last.tr_loss + last.cv_loss)
    above = len(tail) == DIVERGED_AFTER and all(min(e.tr_loss, e.cv_loss) > initial_loss for e in tail)
    if lost or above:
        losses = f"{last.tr_loss:g} in training, {last.cv_loss:g} in cross-validation"
        since = f", above the initial {initial_loss:g} for {DIVERGED_AFTER} epochs" if above else ""
        remedy = "use a lower --learn-rate, or where they hardly move a higher"
        raise UserError(f"{last}: the losses are {losses}{since}; training diverged; {remedy}")


def half_way(final: Epoch, num_classes: int) -> str:
    """Say that training ended half-way: its loss is above half of a guess's; empty if it did not."""
    if final.tr_loss <= 0.5 * math.log(num_classes):
        return ""
    return (
        f"training ended half-way: the training loss is {final.tr_loss:g} (held out {final.cv_loss:g}), "
        f"a guess's {math.log(num_classes):.4g}; small corpora want the larger steps of --conf conf/synth"
    )

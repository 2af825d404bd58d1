"""Learning-rate schedules: Karel's scheduler and kaldi-lstm's loop.

Both decide as the shell scripts do, on the numbers that these see: losses printed with six digits, learning
rates that ``awk`` printed with six digits after each multiplication.
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar


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


@dataclass
class Karel:
    """``steps/nnet/train_scheduler.sh``: its options with their defaults, and where it stands.

    ``loss`` is the best network's; ``finished`` what the script says at its end.
    """

    learn_rate: str = "0.008"
    max_iters: int = 20
    keep_lr_iters: int = 0
    start_halving_impr: float = 0.01
    end_halving_impr: float = 0.001
    halving_factor: float = 0.5
    loss: float = field(default=math.nan, init=False)
    halving: bool = field(default=False, init=False)
    finished: str = field(default="", init=False)

    name: ClassVar[str] = "dnn"

    def judge(self, epoch: Epoch) -> Epoch:
        """Take in an epoch, or the initial network (0); return it with its verdict and its network's name."""
        if not epoch.iteration:
            self.loss = epoch.cv_loss
            return epoch
        kept = epoch.iteration <= self.keep_lr_iters
        accepted = epoch.cv_loss < self.loss or kept
        name = f"{self.name}_iter{epoch.iteration:0{len(str(self.max_iters))}d}_learnrate{epoch.learn_rate}"
        name += f"_tr{epoch.tr_loss:.4f}_cv{epoch.cv_loss:.4f}"
        name += "" if accepted else "_rejected"
        name += f"_keep-lr-iters-{self.keep_lr_iters}" if kept else ""
        previous, self.loss = self.loss, epoch.cv_loss if accepted else self.loss
        improvement = six_digits((previous - self.loss) / previous) if previous else 0.0
        if self.halving and improvement < self.end_halving_impr:
            self.finished = f"finished, too small rel. improvement {improvement:g}"
        elif not kept:
            self.halving = self.halving or improvement < self.start_halving_impr
            if self.halving:
                self.learn_rate = scaled(self.learn_rate, self.halving_factor)
        return replace(epoch, accepted=accepted, nnet=name)


@dataclass
class KaldiLstm:
    """kaldi-lstm's ``train_lstm_streams.sh``: a factor before each epoch from ``start_halving`` on."""

    learn_rate: str = "0.00001"
    max_iters: int = 15
    start_halving: int = 3
    halving_factor: float = 0.8

    name: ClassVar[str] = "nnet"
    finished: ClassVar[str] = ""

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


def half_way(final: Epoch, num_classes: int) -> str:
    """Say that training ended half-way: its losses are above half of a guess's; empty if it did not."""
    if min(final.tr_loss, final.cv_loss) <= 0.5 * math.log(num_classes):
        return ""
    return (
        f"training ended half-way: the training loss is {final.tr_loss:g} (held out {final.cv_loss:g}), "
        f"a guess's {math.log(num_classes):.4g}; small corpora want the larger steps of --conf conf/synth"
    )

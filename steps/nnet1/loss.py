"""Cross-entropy and frame accuracy as nnet1 reports them.

``AvgXent = -sum w t log(y + 1e-20) / frames``, ``AvgTargetEnt`` the same with ``log t``, ``AvgLoss``
their difference, ``FRAME_ACCURACY`` the weighted share of frames whose largest output is where the
largest target is (the first one if several are equal). Numbers are printed with six digits, as C++
does. The 2014 tools take ``log y`` without the floor; today's weigh a frame by the sum of its targets.
As soon as a block of more than ``report_frames`` is complete (always 360 000 in 2014), its loss is logged.
"""

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from steps.nnet1.components import Generation
from utils import cli
from utils.cli import UserError

FLOOR = 1e-20
FRAMES_AN_HOUR = 360000
REPORT_FRAMES = 5 * FRAMES_AN_HOUR
LOOK_SECONDS = 1.0


@dataclass
class Xent:
    """Sums of an epoch; :meth:`eval` adds a minibatch and returns its derivative."""

    num_classes: int
    generation: Generation = "modern"
    report_frames: int = REPORT_FRAMES
    device: torch.device | str = "cpu"
    frames: np.ndarray = field(init=False)
    xent: np.ndarray = field(init=False)
    entropy: np.ndarray = field(init=False)
    correct: np.ndarray = field(init=False)
    progress: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sums = torch.zeros(4, self.num_classes, dtype=torch.float64, device=self.device)
        self._here = self.sums.numpy() if self.sums.is_cpu else np.zeros((4, self.num_classes))
        self.frames, self.xent, self.entropy, self.correct = self._here
        self._unread, self._behind = 0, not self.sums.is_cpu
        self._reported = (0.0, 0.0)
        self.by_target = self.generation == "modern"
        self.floor = FLOOR if self.by_target else 0.0
        self._started = self._told = self._looked = time.monotonic()
        if self.generation == "2014":
            self.report_frames = FRAMES_AN_HOUR

    def eval(self, y: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Add outputs, targets [rows, classes] and frame weights [rows]; return ``(y - t) w``."""
        if self.by_target:
            weights = weights * targets.sum(dim=1)
        column = weights[:, None]
        weighted = targets * column
        best = targets.argmax(dim=1, keepdim=True)
        hit = (y.argmax(dim=1, keepdim=True) == best) * column
        terms = (
            weighted,
            torch.xlogy(-weighted, y + self.floor),
            torch.xlogy(-weighted, targets + FLOOR),
            torch.zeros_like(weighted).scatter_(1, best, hit),
        )
        self.sums += torch.stack(terms).sum(dim=1, dtype=torch.float64)
        self.added()
        return (y - targets).mul_(column)

    def added(self) -> None:
        """Note that a minibatch was added to the sums."""
        if not self._behind:
            self._note_progress()

    def note(self, frames: int) -> bool:
        """Count a minibatch, and read the sums if it is time; whether they were read.

        It is once a second; a GPU, which works behind, is also waited for where a block may be complete
        (weights above 1 complete it unnoticed, until then).
        """
        due = False
        if self._behind and self.report_frames > 0:
            self._unread += frames
            due = self._unread > self.report_frames - (self.num_frames - self._reported[0])
        if due or time.monotonic() - self._looked > LOOK_SECONDS:
            self.read()
            return True
        return False

    def read(self) -> None:
        """Bring the sums of all minibatches so far from the device."""
        if self._behind:
            self._here[:] = self.sums.cpu().numpy()
        self._unread, self._looked = 0, time.monotonic()
        self._note_progress()

    def _note_progress(self) -> None:
        frames = self.num_frames if self.report_frames > 0 else 0.0
        block = frames - self._reported[0]
        if block <= self.report_frames:
            return
        loss = float(self.xent.sum() - self.entropy.sum())
        self.progress.append((loss - self._reported[1]) / block)
        self._reported = (frames, loss)
        now, before = time.monotonic(), self._told
        self._told = now
        line = f"ProgressLoss[last {block // FRAMES_AN_HOUR:.0f}h of {frames // FRAMES_AN_HOUR:.0f}h]: "
        line += f"{self.progress[-1]:g} (Xent)"
        if self.generation == "modern":
            line += f", fps={block / max(now - before, 1e-9):g}, elapsed {(now - self._started) / 3600:.3g}h"
        cli.log(line)

    @property
    def num_frames(self) -> float:
        """Sum of the weights of all frames so far."""
        return float(sum(self.frames.tolist()))

    @property
    def avg_loss(self) -> float:
        """``AvgXent - AvgTargetEnt``; NaN before the first frame."""
        return float((self.xent.sum() - self.entropy.sum()) / self.num_frames) if self.num_frames else np.nan

    @property
    def frame_accuracy(self) -> float:
        """Weighted share of right frames in percent; NaN before the first frame."""
        return float(100 * self.correct.sum() / self.num_frames) if self.num_frames else np.nan

    def check_finite(self, where: str) -> None:
        """Refuse a loss that is not a number; ``where`` begins the message."""
        total = float(self.xent.sum())
        if not np.isfinite(total):
            raise UserError(
                f"{where}: the cross-entropy is {total}; use a lower learning rate or check the data"
            )

    def report_per_class(self) -> str:
        """Today's ``PER-CLASS PERFORMANCE`` block."""
        frames = self.frames + 0.5
        rows = (
            ("Frames per-class", self.frames),
            ("Loss per-class", (self.xent - self.entropy) / frames),
            ("Frame-accuracy per-class", 100 * self.correct / frames),
        )
        lines = (f"@@@ {name}: [ {' '.join(f'{value:g}' for value in values)} ]" for name, values in rows)
        return "PER-CLASS PERFORMANCE:\n" + "\n".join(lines) + "\n"

    def report(self) -> str:
        """Kaldi's closing lines of this generation, from ``AvgLoss:`` to ``FRAME_ACCURACY``."""
        frames = self.num_frames or np.nan
        averages = (
            f"[AvgXent: {self.xent.sum() / frames:g}, AvgTargetEnt: {_plain(self.entropy.sum() / frames)}]"
        )
        progress = f"progress: [{''.join(f'{p:g} ' for p in self.progress)}]\n"
        loss = f"AvgLoss: {self.avg_loss:g} (Xent), {averages}\n"
        accuracy = f"FRAME_ACCURACY >> {self.frame_accuracy:g}% <<"
        if self.generation == "2014":
            return f"{loss}{progress if self.progress else ''}\n{accuracy}"
        return f"{loss}{progress}{accuracy}\n"


def _plain(value: float) -> str:
    return f"{value + 0.0:g}"

"""Cross-entropy and frame accuracy as nnet1 reports them.

``AvgXent = -sum w t log(y + 1e-20) / frames``, ``AvgTargetEnt`` the same with ``log t``, ``AvgLoss``
their difference, ``FRAME_ACCURACY`` the weighted share of frames whose largest output is where the
largest target is (the first one if several are equal). Numbers are printed with six digits, as C++
does. The 2014 tools take ``log y`` without the floor; today's weigh a frame by the sum of its targets.
As soon as a block of more than ``report_frames`` is complete (always 360 000 in 2014), its loss is logged.
"""

import time

import numpy as np
import torch

from steps.nnet1.components import Generation
from utils import cli
from utils.cli import UserError

FLOOR = 1e-20
FRAMES_AN_HOUR = 360000
REPORT_FRAMES = 5 * FRAMES_AN_HOUR
LOOK_SECONDS = 1.0


class Xent:
    """Sums of an epoch; :meth:`eval` adds a minibatch and returns its derivative; ``where`` begins errors."""

    def __init__(
        self,
        num_classes: int,
        generation: Generation = "modern",
        report_frames: int = REPORT_FRAMES,
        device: torch.device | str = "cpu",
        where: str = "training",
    ) -> None:
        self.sums = torch.zeros(4, num_classes, dtype=torch.float64, device=device)
        self._here = self.sums.numpy() if self.sums.is_cpu else np.zeros((4, num_classes))
        self.frames, self.xent, self.entropy, self.correct = self._here
        self.behind = not self.sums.is_cpu
        self.generation, self.where = generation, where
        self.by_target = generation == "modern"
        self.floor = FLOOR if self.by_target else 0.0
        self.report_frames = report_frames if generation == "modern" else FRAMES_AN_HOUR
        self.progress: list[float] = []
        self._unread, self._reported = 0, (0.0, 0.0)
        self._started = self._told = self._looked = time.monotonic()

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
        return (y - targets).mul_(column)

    def note(self, frames: int) -> None:
        """Count a minibatch, and read the sums if it is time.

        For a GPU that is once a second, and where a block may be complete unless weights are above 1.
        """
        self._unread += frames
        due = 0 < self.report_frames < self._unread + self.num_frames - self._reported[0]
        if due or not self.behind or time.monotonic() - self._looked > LOOK_SECONDS:
            self.read()

    def read(self) -> None:
        """Bring the sums of all minibatches so far from the device; a loss that is no number is a UserError.

        The loss of a block that is complete is logged.
        """
        self._here[:] = self.sums.cpu().numpy()
        self._unread, self._looked = 0, time.monotonic()
        if not np.isfinite(total := float(self.xent.sum())):
            text = f"the cross-entropy is {total}; use a lower learning rate or check the data"
            raise UserError(f"{self.where}: {text}")
        frames = self.num_frames
        block = frames - self._reported[0]
        if not 0 < self.report_frames < block:
            return
        loss = total - float(self.entropy.sum())
        self.progress.append((loss - self._reported[1]) / block)
        self._reported = (frames, loss)
        line = f"ProgressLoss[last {block // FRAMES_AN_HOUR:.0f}h of {frames // FRAMES_AN_HOUR:.0f}h]: "
        line += f"{self.progress[-1]:g} (Xent)"
        if self.generation == "modern":
            speed = block / max(self._looked - self._told, 1e-9)
            line += f", fps={speed:g}, elapsed {(self._looked - self._started) / 3600:.3g}h"
        self._told = self._looked
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
        entropy = self.entropy.sum() / frames + 0.0  # never -0
        averages = f"[AvgXent: {self.xent.sum() / frames:g}, AvgTargetEnt: {entropy:g}]"
        progress = f"progress: [{''.join(f'{p:g} ' for p in self.progress)}]\n"
        loss = f"AvgLoss: {self.avg_loss:g} (Xent), {averages}\n"
        accuracy = f"FRAME_ACCURACY >> {self.frame_accuracy:g}% <<"
        if self.generation == "2014":
            return f"{loss}{progress if self.progress else ''}\n{accuracy}"
        return f"{loss}{progress}{accuracy}\n"

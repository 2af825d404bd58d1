"""The training of projected LSTMs a second time, in float64 and plain loops, straight from the equations.

Nothing of steps/nnet1 is used. Frames are [streams, dim] arrays in lists; the four gates lie side by side
in the order g, i, f, o. Both generations are here: kaldi-lstm's chunks (the last frame repeated, targets
delayed, all streams to their ends) with its clipping of cells, and today's (padding that is zeroed, an end
as soon as one stream runs dry) with all its clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def clip(x: np.ndarray, limit: float) -> np.ndarray:
    return np.clip(x, -limit, limit) if limit > 0 else x


@dataclass
class Clips:
    """Limits of cells, of derivatives, of the cells' derivatives and of gradients; 0 is none."""

    cell: float = 50.0
    diff: float = 0.0
    cell_diff: float = 0.0
    grad: float = 0.0


@dataclass
class Lstm:
    """One layer: parameters by nnet1's names, momentum, and the state of each stream."""

    params: dict[str, np.ndarray]
    clips: Clips
    num_stream: int
    hits: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.params = {name: value.astype(np.float64) for name, value in self.params.items()}
        self.corr = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.n = len(self.params["peephole_i_c"])
        self.c = np.zeros((self.num_stream, self.n))
        self.r = np.zeros((self.num_stream, len(self.params["w_r_m"])))

    def _clipped(self, name: str, value: np.ndarray) -> np.ndarray:
        limited = clip(value, getattr(self.clips, name))
        if not np.array_equal(limited, value):
            self.hits.add(name)
        return limited

    def forward(self, inputs: list[np.ndarray], lengths: list[int] | None) -> list[np.ndarray]:
        p = self.params
        self.inputs, self.lengths = inputs, lengths
        self.frames: list[dict[str, np.ndarray]] = []
        for t, x in enumerate(inputs):
            a = x @ p["w_gifo_x"].T + p["bias"] + self.r @ p["w_gifo_r"].T
            a_g, a_i, a_f, a_o = np.split(a, 4, axis=1)
            now = {"c_before": self.c, "r_before": self.r, "g": np.tanh(a_g)}
            now["i"] = sigmoid(a_i + p["peephole_i_c"] * self.c)
            now["f"] = sigmoid(a_f + p["peephole_f_c"] * self.c)
            now["c"] = self._clipped("cell", now["g"] * now["i"] + self.c * now["f"])
            now["o"] = sigmoid(a_o + p["peephole_o_c"] * now["c"])
            now["h"] = np.tanh(now["c"])
            now["m"] = now["o"] * now["h"]
            now["r"] = now["m"] @ p["w_r_m"].T
            for name in ("g", "i", "f", "c", "o", "h", "m", "r"):
                self._silence(now[name], t)
            self.c, self.r = now["c"], now["r"]
            self.frames.append(now)
        self.c, self.r = self.c.copy(), self.r.copy()
        return [now["r"] for now in self.frames]

    def _silence(self, value: np.ndarray, t: int) -> None:
        for stream, length in enumerate(self.lengths or []):
            if t >= length:
                value[stream] = 0

    def backward(self, diffs: list[np.ndarray]) -> list[np.ndarray]:
        p, n = self.params, self.n
        d_a = np.zeros((self.num_stream, 4 * n))
        d_c, f_next = np.zeros((self.num_stream, n)), np.zeros((self.num_stream, n))
        for t in range(len(diffs) - 1, -1, -1):
            now = self.frames[t]
            _, d_i_next, d_f_next, _ = np.split(d_a, 4, axis=1)
            d_r = diffs[t] + d_a @ p["w_gifo_r"]
            d_m = d_r @ p["w_r_m"]
            d_o = d_m * now["h"] * now["o"] * (1 - now["o"])
            d_c = d_m * now["o"] * (1 - now["h"] ** 2) + d_c * f_next
            d_c = d_c + d_i_next * p["peephole_i_c"] + d_f_next * p["peephole_f_c"] + d_o * p["peephole_o_c"]
            d_c = self._clipped("cell_diff", d_c)
            d_f = d_c * now["c_before"] * now["f"] * (1 - now["f"])
            d_i = d_c * now["g"] * now["i"] * (1 - now["i"])
            d_g = d_c * now["i"] * (1 - now["g"] ** 2)
            d_a = self._clipped("diff", np.hstack([d_g, d_i, d_f, d_o]))
            for value in (d_a, d_c, d_r):
                self._silence(value, t)
            f_next, now["d_a"], now["d_r"] = now["f"], d_a, d_r
        return [now["d_a"] @ p["w_gifo_x"] for now in self.frames]

    def update(self, rate: float, momentum: float) -> None:
        gradient = {name: np.zeros_like(value) for name, value in self.params.items()}
        for x, now in zip(self.inputs, self.frames, strict=True):
            _, d_i, d_f, d_o = np.split(now["d_a"], 4, axis=1)
            gradient["w_gifo_x"] += now["d_a"].T @ x
            gradient["w_gifo_r"] += now["d_a"].T @ now["r_before"]
            gradient["bias"] += now["d_a"].sum(axis=0)
            gradient["peephole_i_c"] += (d_i * now["c_before"]).sum(axis=0)
            gradient["peephole_f_c"] += (d_f * now["c_before"]).sum(axis=0)
            gradient["peephole_o_c"] += (d_o * now["c"]).sum(axis=0)
            gradient["w_r_m"] += now["d_r"].T @ now["m"]
        for name, value in gradient.items():
            self.corr[name] = self._clipped("grad", value + momentum * self.corr[name])
            self.params[name] = self.params[name] - rate * self.corr[name]


@dataclass
class Affine:
    """The output layer before the softmax, with momentum."""

    weight: np.ndarray
    bias: np.ndarray

    def __post_init__(self) -> None:
        self.weight, self.bias = self.weight.astype(np.float64), self.bias.astype(np.float64)
        self.corr = (np.zeros_like(self.weight), np.zeros_like(self.bias))

    def update(self, inputs: np.ndarray, diffs: np.ndarray, rate: float, momentum: float) -> None:
        gradients = (diffs.T @ inputs, diffs.sum(axis=0))
        self.corr = tuple(g + momentum * c for g, c in zip(gradients, self.corr, strict=True))
        self.weight, self.bias = self.weight - rate * self.corr[0], self.bias - rate * self.corr[1]


@dataclass
class Trainer:
    """An epoch over utterances (features [frames, dim], classes [frames])."""

    lstms: list[Lstm]
    affine: Affine
    batch_size: int
    delay: int = 0
    modern: bool = False
    rate: float = 0.0
    momentum: float = 0.0
    loss: float = 0.0
    right: float = 0.0
    frames: int = 0

    def run(self, utterances: list[tuple[np.ndarray, np.ndarray]]) -> None:
        waiting = list(utterances)
        streams: list[list] = [[None, 0] for _ in range(self.lstms[0].num_stream)]
        while True:
            for index, stream in enumerate(streams):
                if not self._left(stream) and waiting:
                    stream[:] = [waiting.pop(0), 0]
                    for lstm in self.lstms:
                        lstm.c[index] = lstm.r[index] = 0
            left = [self._left(stream) for stream in streams]
            if not any(left) or (self.modern and not all(left)):
                return
            self._chunk(streams, utterances[0][0].shape[1])

    @staticmethod
    def _left(stream: list) -> int:
        return 0 if stream[0] is None else max(0, len(stream[0][0]) - stream[1])

    def _chunk(self, streams: list[list], dim: int) -> None:
        lengths = [min(self.batch_size, self._left(stream)) for stream in streams]
        inputs = [np.zeros((len(streams), dim)) for _ in range(self.batch_size)]
        classes = np.full((self.batch_size, len(streams)), -1)
        for index, stream in enumerate(streams):
            if stream[0] is None:
                continue
            feats, labels = stream[0]
            for t in range(self.batch_size):
                place = stream[1] + t
                if place < len(feats):
                    classes[t, index] = labels[place]
                if place < len(feats) or not self.modern:
                    inputs[t][index] = feats[min(place + self.delay, len(feats) - 1)]
            stream[1] += self.batch_size
        self._step(inputs, classes, lengths if self.modern else None)

    def _step(self, inputs: list[np.ndarray], classes: np.ndarray, lengths: list[int] | None) -> None:
        for lstm in self.lstms:
            inputs = lstm.forward(inputs, lengths)
        diffs, d_inputs = [], []
        for x, wanted in zip(inputs, classes, strict=True):
            a = x @ self.affine.weight.T + self.affine.bias
            y = np.exp(a - a.max(axis=1, keepdims=True))
            y = y / y.sum(axis=1, keepdims=True)
            diff = np.zeros_like(y)
            for row, label in enumerate(wanted):
                if label >= 0:
                    diff[row] = y[row]
                    diff[row, label] -= 1
                    self.loss -= np.log(y[row, label])
                    self.right += float(y[row].argmax() == label)
                    self.frames += 1
            diffs.append(diff)
            d_inputs.append(diff @ self.affine.weight)
        self.affine.update(np.vstack(inputs), np.vstack(diffs), self.rate, self.momentum)
        for lstm in reversed(self.lstms):
            d_inputs = lstm.backward(d_inputs)
            lstm.update(self.rate, self.momentum)

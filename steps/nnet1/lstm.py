"""The projected LSTM with peepholes at work, on interleaved streams, in plain torch operations or in C.

For cells N, projection R and every frame t (gates in the order g, i, f, o)::

    a = Wx x(t) + b + Wr r(t-1);        g = tanh(a_g)
    i = s(a_i + p_i c(t-1));            f = s(a_f + p_f c(t-1));    c = clip(g i + c(t-1) f)
    o = s(a_o + p_o c);                 m = o tanh(c);              y = r = W_rm m

Rows are interleaved: frame t of stream s is row ``t * S + s``. The state (c, r) of the last frame is
carried to the next chunk unless the stream is reset; gradients end at the edge of the chunk. The thin
products, with as many rows as streams, are those of the library that ``thin`` names (see ``products``), or
with all arithmetic on the gates in ``kernels/lstm.c``.
"""

from typing import Any

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import host, kernels, products
from steps.nnet1.layers import Layer, Signal
from steps.nnet1.options import TrainOptions

TIMED = {"input_dim": 16, "output_dim": 256, "cell_dim": 400}
TIMED_STREAMS, TIMED_FRAMES = 4, 20
MATRICES = ("w_gifo_x", "w_gifo_r", "w_r_m")


class LstmLayer(Layer):
    """``LstmProjectedStreams`` (2014) and ``LstmProjected`` (2014 and today), told apart by their clips."""

    def __init__(self, component: nn.Lstm, num_stream: int = 1, thin: str = "torch") -> None:
        super().__init__(component)
        self.lstm, self.cell_dim, self.num_stream, self.thin = component, component.cell_dim, num_stream, thin
        self.reset()
        self.start_utterance()

    def reset(self) -> None:
        """See :class:`Layer`."""
        self.corr = {name: torch.zeros_like(value) for name, value in self.lstm.params().items()}

    def start_utterance(self) -> None:
        """Set the state of every stream to zero."""
        like = self.lstm.bias
        self.state_c = like.new_zeros(self.num_stream, self.cell_dim)
        self.state_r = like.new_zeros(self.num_stream, self.output_dim)

    def reset_streams(self, flags: torch.Tensor) -> None:
        """Set the state of the flagged streams [num_stream] to zero."""
        self.state_c.masked_fill_(flags[:, None], 0)
        self.state_r.masked_fill_(flags[:, None], 0)

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """Run all frames; keeps gates [T, S, 4N], c [T + 1, S, N], h and m [T, S, N] and r [T + 1, S, R]."""
        n, frames = self.cell_dim, len(x) // self.num_stream
        gates, c, _, _, r = self.kept = (
            self._buffer(frames, 4 * n),
            self._buffer(frames + 1, n),
            self._buffer(frames, n),
            self._buffer(frames, n, summed=True),
            self._buffer(frames + 1, self.output_dim, summed=True),
        )
        rows = gates.view(len(x), -1)
        rows[:] = self.lstm.bias
        products.multiply(x, self.lstm.w_gifo_x.t(), rows, beta=1.0)
        c[0], r[0] = self.state_c, self.state_r
        self._forward()
        self.state_c.copy_(c[-1])
        self.state_r.copy_(r[-1])
        return r[1:].reshape(len(x), self.output_dim)

    def _buffer(self, frames: int, columns: int, *, summed: bool = False) -> torch.Tensor:
        """Return a buffer [frames, streams, columns]; C wants zeros behind rows that it sums over."""
        bias, streams = self.lstm.bias, self.num_stream
        if self.thin == "c" and summed:
            return bias.new_zeros(frames, streams, kernels.padded_dim(columns))[..., :columns]
        return bias.new_empty(frames, streams, columns)

    def _call(self, name: str, *arguments: object) -> None:
        """Call a kernel on as many threads as torch has."""
        p, (frames, streams, _), pad = self.lstm, self.kept[0].shape, kernels.padded_dim
        n, r_dim = self.cell_dim, self.output_dim
        peepholes = (p.peephole_i_c, p.peephole_f_c, p.peephole_o_c)
        values = (frames, streams, n, pad(n), r_dim, pad(r_dim), *self.padded, *peepholes, *arguments)
        given = [part.data_ptr() if isinstance(part, torch.Tensor) else part for part in values]
        getattr(kernels.library(), name)(torch.get_num_threads(), *given)

    def _forward(self) -> None:
        """Run all frames over what is kept: gates hold ``Wx x + b``, c and r begin with the state."""
        p, n = self.lstm, self.cell_dim
        if self.thin == "c":
            self.padded = [torch.from_numpy(host.padded(w.numpy())) for w in (p.w_gifo_r, p.w_r_m)]
            self._call("lstm_forward", p.cell_clip, *self.kept, None, None)
            return
        gates, c, h, m, r = self.kept
        from_r, to_r = (products.prepared(w.t(), self.thin, self.num_stream) for w in (p.w_gifo_r, p.w_r_m))
        for t in range(len(gates)):
            a = gates[t]
            from_r(r[t], a, 1.0)
            a[:, :n].tanh_()
            a[:, n : 2 * n].addcmul_(p.peephole_i_c, c[t]).sigmoid_()
            a[:, 2 * n : 3 * n].addcmul_(p.peephole_f_c, c[t]).sigmoid_()
            torch.mul(a[:, :n], a[:, n : 2 * n], out=c[t + 1])
            c[t + 1].addcmul_(c[t], a[:, 2 * n : 3 * n])
            if p.cell_clip > 0:
                c[t + 1].clamp_(-p.cell_clip, p.cell_clip)
            a[:, 3 * n :].addcmul_(p.peephole_o_c, c[t + 1]).sigmoid_()
            torch.tanh(c[t + 1], out=h[t])
            torch.mul(a[:, 3 * n :], h[t], out=m[t])
            to_r(m[t], r[t + 1], 0.0)

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """Backpropagate through time; leaves the derivatives for :meth:`update`."""
        frames = len(self.kept[0])
        d_gates, d_r = self.derivatives = (
            self._buffer(frames, 4 * self.cell_dim),
            self._buffer(frames, self.output_dim, summed=True),
        )
        d_r[:] = at.dy.view_as(d_r)
        self._backward()
        if not self.gives_dx:
            return at.dy
        return products.multiply(d_gates.view(len(at.x), -1), self.lstm.w_gifo_x, torch.empty_like(at.x))

    def _backward(self) -> None:
        """Run all frames back: d_r holds the derivative at the output on entry, the whole one on return."""
        p, n = self.lstm, self.cell_dim
        gates, c, h, _, _ = self.kept
        d_gates, d_r = self.derivatives
        if self.thin == "c":
            work = (self._buffer(1, n, summed=True), self._buffer(1, n))
            self._call("lstm_backward", p.diff_clip, p.cell_diff_clip, gates, c, h, d_r, d_gates, *work)
            return
        to_r, to_m = (products.prepared(w, self.thin, self.num_stream) for w in (p.w_gifo_r, p.w_r_m))
        d_c, d_m = torch.zeros_like(c[0]), torch.empty_like(c[0])
        for t in range(len(gates) - 1, -1, -1):
            after = d_gates[t + 1] if t + 1 < len(gates) else None
            if after is not None:
                to_r(after, d_r[t], 1.0)
            to_m(d_r[t], d_m, 0.0)
            g, i, f, o = gates[t].split(n, dim=1)
            d_g, d_i, d_f, d_o = d_gates[t].split(n, dim=1)
            torch.mul(d_m * h[t], o * (1 - o), out=d_o)
            d_c_next, d_c = d_c, d_m * o * (1 - h[t] * h[t])
            if after is not None:
                d_c.addcmul_(d_c_next, gates[t + 1, :, 2 * n : 3 * n])
                d_c.addcmul_(after[:, n : 2 * n], p.peephole_i_c)
                d_c.addcmul_(after[:, 2 * n : 3 * n], p.peephole_f_c)
            d_c.addcmul_(d_o, p.peephole_o_c)
            if p.cell_diff_clip > 0:
                d_c.clamp_(-p.cell_diff_clip, p.cell_diff_clip)
            torch.mul(d_c * c[t], f * (1 - f), out=d_f)
            torch.mul(d_c * g, i * (1 - i), out=d_i)
            torch.mul(d_c * i, 1 - g * g, out=d_g)
            if p.diff_clip > 0:
                d_gates[t].clamp_(-p.diff_clip, p.diff_clip)

    def update(self, at: Signal, options: TrainOptions) -> None:
        """``corr = grad + momentum corr``, clipped to ``grad_clip``; ``p -= lr coef corr``."""
        self._accumulate(at.x, options.momentum)
        for name, value in self.lstm.params().items():
            corr = self.corr[name]
            if self.lstm.grad_clip > 0:
                corr.clamp_(-self.lstm.grad_clip, self.lstm.grad_clip)
            coef = self.lstm.learn_rate_coef if name in MATRICES else self.lstm.bias_learn_rate_coef
            value.add_(corr, alpha=-options.learn_rate * coef)

    def _accumulate(self, x: torch.Tensor, momentum: float) -> None:
        """Add the sums over all rows to the scaled former corrections: one product a matrix."""
        n, corr = self.cell_dim, self.corr
        _, c, _, m, r = self.kept
        d_gates, d_r = (part.flatten(0, 1) for part in self.derivatives)
        before, after = c[:-1].flatten(0, 1), c[1:].flatten(0, 1)
        products_of = {
            "w_gifo_x": (d_gates, x),
            "w_gifo_r": (d_gates, r[:-1].flatten(0, 1)),
            "w_r_m": (d_r, m.flatten(0, 1)),
        }
        for name, (left, right) in products_of.items():
            products.multiply(left.t(), right, corr[name], beta=momentum)
        _, d_i, d_f, d_o = d_gates.split(n, dim=1)
        sums_of = {
            "bias": d_gates,
            "peephole_i_c": d_i * before,
            "peephole_f_c": d_f * before,
            "peephole_o_c": d_o * after,
        }
        for name, rows in sums_of.items():
            corr[name].mul_(momentum).add_(rows.sum(dim=0))


def choose() -> str:
    """Choose among the candidates of the CPU."""
    return products.chosen("thin", _run)


def _run(name: str) -> products.Run:
    """Make a chunk of a small LSTM, forward and back, by a candidate."""
    own = torch.Generator().manual_seed(0)
    params: dict[str, Any] = {
        name: 0.1 * torch.rand(*shape, generator=own) - 0.05
        for name, shape in nn.Lstm.shapes(**TIMED).items()
    }
    layer = LstmLayer(nn.Lstm(**TIMED, **params), TIMED_STREAMS, name)
    x = torch.randn(TIMED_FRAMES * TIMED_STREAMS, TIMED["input_dim"], generator=own)

    def run() -> None:
        y = layer.propagate(x)
        layer.backpropagate(Signal(x, y, y))

    run()
    return run

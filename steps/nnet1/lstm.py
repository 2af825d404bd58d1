"""The projected LSTM with peepholes at work, on interleaved streams, in plain torch operations.

For cells N, projection R and every frame t (gates in the order g, i, f, o)::

    a = Wx x(t) + b + Wr r(t-1);        g = tanh(a_g)
    i = s(a_i + p_i c(t-1));            f = s(a_f + p_f c(t-1));    c = clip(g i + c(t-1) f)
    o = s(a_o + p_o c);                 m = o tanh(c);              y = r = W_rm m

Rows are interleaved: frame t of stream s is row ``t * S + s``. The state (c, r) of the last frame is
carried to the next chunk unless the stream is reset; gradients end at the edge of the chunk. The thin
products, with as many rows as streams, are those of the library that ``thin`` names forward and ``back``
back (see ``products``).
"""

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import products
from steps.nnet1.layers import Layer, Signal
from steps.nnet1.options import TrainOptions

MATRICES = ("w_gifo_x", "w_gifo_r", "w_r_m")


class LstmLayer(Layer):
    """``LstmProjectedStreams`` (2014) and ``LstmProjected`` (2014 and today), told apart by their clips."""

    trainable = True

    def __init__(
        self, component: nn.Lstm, num_stream: int = 1, thin: str = "torch", back: str = "torch"
    ) -> None:
        super().__init__(component)
        self.thin, self.back = thin, back
        self.lstm = component
        self.cell_dim = component.cell_dim
        self.num_stream = num_stream
        self.reset()
        self.start_utterance()

    def reset(self) -> None:
        """See :class:`Layer`; the buffers are made at the first backward pass."""
        self.corr: dict[str, torch.Tensor] = {}

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
        """Run all frames and keep what the backward pass needs; the state moves on."""
        gates, c, _, _, r = self.kept = self._buffers(x)
        rows = gates.view(len(x), -1)
        rows[:] = self.lstm.bias
        products.multiply(x, self.lstm.w_gifo_x.t(), rows, beta=1.0)
        c[0], r[0] = self.state_c, self.state_r
        self._forward()
        self.state_c.copy_(c[-1])
        self.state_r.copy_(r[-1])
        return r[1:].reshape(len(x), self.output_dim)

    def _buffers(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return gates [T, S, 4N], c [T + 1, S, N], h and m [T, S, N] and r [T + 1, S, R] of a chunk."""
        n, streams = self.cell_dim, self.num_stream
        frames = len(x) // streams
        shapes = ((0, 4 * n), (1, n), (0, n), (0, n), (1, self.output_dim))
        return tuple(x.new_empty(frames + before, streams, columns) for before, columns in shapes)

    def _forward(self) -> None:
        """Run all frames over what is kept: gates hold ``Wx x + b``, c and r begin with the state."""
        p, n = self.lstm, self.cell_dim
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
        d_gates, d_r = self.derivatives = self._derivative_buffers()
        d_r[:] = at.dy.view_as(d_r)
        self._backward()
        return self._input_derivative(at, d_gates)

    def _derivative_buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return those of the gates [T, S, 4N] and of r [T, S, R]."""
        gates, _, _, _, r = self.kept
        return torch.empty_like(gates), torch.empty_like(r[1:])

    def _backward(self) -> None:
        """Run all frames back: d_r holds the derivative at the output on entry, the whole one on return."""
        p = self.lstm
        gates, c, h, _, _ = self.kept
        d_gates, d_r = self.derivatives
        frames = len(gates)
        to_r, to_m = (products.prepared(w, self.back, self.num_stream) for w in (p.w_gifo_r, p.w_r_m))
        d_c, d_m = torch.zeros_like(c[0]), torch.empty_like(c[0])
        for t in range(frames - 1, -1, -1):
            if t + 1 < frames:
                to_r(d_gates[t + 1], d_r[t], 1.0)
            to_m(d_r[t], d_m, 0.0)
            d_c = self._step_back(t, d_m, d_c, gates, c, h, d_gates)
            if p.diff_clip > 0:
                d_gates[t].clamp_(-p.diff_clip, p.diff_clip)

    def _input_derivative(self, at: Signal, d_gates: torch.Tensor) -> torch.Tensor:
        """Return the derivative at the input, or what came in where nobody asks for it."""
        if not self.gives_dx:
            return at.dy
        return products.multiply(d_gates.view(len(at.x), -1), self.lstm.w_gifo_x, torch.empty_like(at.x))

    def _step_back(
        self,
        t: int,
        d_m: torch.Tensor,
        d_c_next: torch.Tensor,
        gates: torch.Tensor,
        c: torch.Tensor,
        h: torch.Tensor,
        d_gates: torch.Tensor,
    ) -> torch.Tensor:
        """Fill ``d_gates[t]`` and return the derivative at the cells of frame ``t``."""
        p, n = self.lstm, self.cell_dim
        g, i, f, o = gates[t].split(n, dim=1)
        d_g, d_i, d_f, d_o = d_gates[t].split(n, dim=1)
        torch.mul(d_m * h[t], o * (1 - o), out=d_o)
        d_c = d_m * o * (1 - h[t] * h[t])
        if t + 1 < len(gates):
            _, d_i_next, d_f_next, _ = d_gates[t + 1].split(n, dim=1)
            d_c.addcmul_(d_c_next, gates[t + 1, :, 2 * n : 3 * n])
            d_c.addcmul_(d_i_next, p.peephole_i_c).addcmul_(d_f_next, p.peephole_f_c)
        d_c.addcmul_(d_o, p.peephole_o_c)
        if p.cell_diff_clip > 0:
            d_c.clamp_(-p.cell_diff_clip, p.cell_diff_clip)
        torch.mul(d_c * c[t], f * (1 - f), out=d_f)
        torch.mul(d_c * g, i * (1 - i), out=d_i)
        torch.mul(d_c * i, 1 - g * g, out=d_g)
        return d_c

    def update(self, at: Signal, options: TrainOptions) -> None:
        """``corr = grad + momentum corr``, clipped to ``grad_clip``; ``p -= lr coef corr``."""
        params = self.lstm.params()
        if not self.corr:
            self.corr = {name: torch.zeros_like(value) for name, value in params.items()}
        self._accumulate(at.x, options.momentum)
        for name, value in params.items():
            corr = self.corr[name]
            if self.lstm.grad_clip > 0:
                corr.clamp_(-self.lstm.grad_clip, self.lstm.grad_clip)
            coef = self.lstm.learn_rate_coef if name in MATRICES else self.lstm.bias_learn_rate_coef
            value.add_(corr, alpha=-options.learn_rate * coef)

    def _accumulate(self, x: torch.Tensor, momentum: float) -> None:
        """Add the sums over all rows to the scaled former corrections: one product a matrix."""
        n, corr = self.cell_dim, self.corr
        _, _, _, m, r = self.kept
        d_gates, d_r = self.derivatives
        rows = d_gates.view(len(x), 4 * n)
        pairs = {
            "w_gifo_x": (rows, x),
            "w_gifo_r": (rows, r[:-1].flatten(0, 1)),
            "w_r_m": (d_r.flatten(0, 1), m.flatten(0, 1)),
        }
        for name, (left, right) in pairs.items():
            products.multiply(left.t(), right, corr[name], beta=momentum)
        self._accumulate_vectors(momentum)

    def _accumulate_vectors(self, momentum: float) -> None:
        """Do the same for the bias and the peepholes."""
        n, corr = self.cell_dim, self.corr
        _, c, _, _, _ = self.kept
        rows = self.derivatives[0].flatten(0, 1)
        before, after = c[:-1].flatten(0, 1), c[1:].flatten(0, 1)
        corr["bias"].mul_(momentum).add_(rows.sum(dim=0))
        corr["peephole_i_c"].mul_(momentum).add_((rows[:, n : 2 * n] * before).sum(dim=0))
        corr["peephole_f_c"].mul_(momentum).add_((rows[:, 2 * n : 3 * n] * before).sum(dim=0))
        corr["peephole_o_c"].mul_(momentum).add_((rows[:, 3 * n :] * after).sum(dim=0))

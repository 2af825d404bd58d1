"""What a component's body holds in the two generations of nnet1 files: option tokens, then tensors."""

from __future__ import annotations

from steps.nnet1 import components as nnet1
from steps.nnet1.components import Component, Generation, lstm_shapes

KINDS: dict[str, type[Component]] = {
    kind.kind: kind
    for kind in (
        nnet1.AffineTransform,
        nnet1.Sigmoid,
        nnet1.Tanh,
        nnet1.Softmax,
        nnet1.AddShift,
        nnet1.Rescale,
        nnet1.Splice,
        nnet1.Copy,
        nnet1.Transmit,
        nnet1.TimeShift,
        nnet1.LstmProjectedStreams,
        nnet1.LstmProjected,
    )
}
ONLY_2014 = ("Transmit", "TimeShift", "LstmProjectedStreams")
END_OF_COMPONENT = "<!EndOfComponent>"

# Option tokens, the attributes behind them and their types; not every generation writes every one.
OPTIONS: dict[str, tuple[str, type]] = {
    "<CellDim>": ("cell_dim", int),
    "<NumStream>": ("num_stream", int),
    "<LearnRateCoef>": ("learn_rate_coef", float),
    "<BiasLearnRateCoef>": ("bias_learn_rate_coef", float),
    "<MaxNorm>": ("max_norm", float),
    "<CellClip>": ("cell_clip", float),
    "<DiffClip>": ("diff_clip", float),
    "<CellDiffClip>": ("cell_diff_clip", float),
    "<GradClip>": ("grad_clip", float),
    "<ClipGradient>": (
        "grad_clip",
        float,
    ),  # the name that Kaldi gave <GradClip> in 2015, read but not written
    "<Shift>": ("shift", int),
}
_AFFINE = ("<LearnRateCoef>", "<BiasLearnRateCoef>", "<MaxNorm>")
_LSTM_CLIPS = ("<CellClip>", "<DiffClip>", "<CellDiffClip>", "<GradClip>")


def written_options(kind: str, generation: Generation) -> tuple[str, ...]:
    """Option tokens that a file of this generation holds for a component, in their order."""
    modern = generation == "modern"
    if kind == "AffineTransform":
        return _AFFINE
    if kind in ("AddShift", "Rescale"):
        return ("<LearnRateCoef>",) if modern else ()
    if kind == "TimeShift":
        return ("<Shift>",)
    if kind == "LstmProjectedStreams":
        return ("<CellDim>", "<NumStream>")
    if kind == "LstmProjected":
        return (
            ("<CellDim>", "<LearnRateCoef>", "<BiasLearnRateCoef>", *_LSTM_CLIPS)
            if modern
            else ("<CellDim>",)
        )
    return ()


def known_options(kind: str) -> tuple[str, ...]:
    """Option tokens that are understood for a component, in any order and each of them optional."""
    older = ("<ClipGradient>",) if kind == "LstmProjected" else ()
    return written_options(kind, "modern") + older


def tensor_shapes(kind: str, input_dim: int, output_dim: int, cell_dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a component by attribute, in the order of the files."""
    if kind == "AffineTransform":
        return {"weight": (output_dim, input_dim), "bias": (output_dim,)}
    if kind == "AddShift":
        return {"shift": (output_dim,)}
    if kind == "Rescale":
        return {"scale": (output_dim,)}
    if kind in ("LstmProjected", "LstmProjectedStreams"):
        return lstm_shapes(input_dim, output_dim, cell_dim)
    return {}

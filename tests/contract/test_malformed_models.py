"""Networks, prototypes and normalisations that are not what they should be, and what uses them."""

import struct

import numpy as np

from tests.contract.forkserver import REPO
from tests.contract.malformed import (
    BIG,
    PICKLE,
    SOFTMAX,
    Case,
    affine,
    int32,
    matrix,
    nnet,
    refusal,
    vector,
)

COPY = "steps/nnet1/nnet_copy.py x.nnet out.nnet"


def real(value: float) -> bytes:
    return b"\4" + struct.pack("<f", value)


def binary(
    weight: bytes = b"", bias: bytes = b"", dims: tuple[int, int] = (3, 3), tail: bytes = b""
) -> bytes:
    """Return a binary network of an affine component and a softmax, with parts to be replaced."""
    options = b"<LearnRateCoef> " + real(1) + b"<BiasLearnRateCoef> " + real(1) + b"<MaxNorm> " + real(0)
    body = (weight or matrix(np.eye(3))[2:]) + (bias or vector([0, 0, 0])[2:])
    first = b"<AffineTransform> " + int32(dims[0]) + int32(dims[1]) + options + body + b"<!EndOfComponent> "
    last = b"<Softmax> " + int32(3) + int32(3) + b"<!EndOfComponent> "
    return b"\0B<Nnet> " + first + last + b"</Nnet> " + tail


GOOD, GOOD_BINARY = nnet(affine(), SOFTMAX), binary()


def swap(old: str, new: str, count: int = 1) -> str:
    """Return a good network with the first occurrence of a text replaced."""
    return GOOD.replace(old, new, count)


def before(kind: str) -> str:
    """Return the beginning of a network whose second component is good."""
    return nnet(f"{kind}\n", "<Sigmoid> 3 3 \n<!EndOfComponent> \n")


def lstm(cells: int, rest: str = "") -> str:
    return f"<Nnet> \n<LstmProjectedStreams> 2 3 \n<CellDim> {cells} <NumStream> 4 {rest}"


def raw(*parts: bytes | int) -> bytes:
    return b"\0B<Nnet> " + b"".join(int32(part) if isinstance(part, int) else part for part in parts)


TANHS = raw(b"<Tanh> ", 2, 2, b"<Tanh> ", 3, 3, b"</Nnet> ")
NO_STREAMS = (REPO / "tests/fixtures/nnet1/files/google.bin").read_bytes()
NO_STREAMS = NO_STREAMS.replace(b"<NumStream> \4\4", b"<NumStream> \4\0")
HUGE_MATRIX = binary(matrix(np.eye(3), dims=(BIG, BIG))[2:], dims=(BIG, BIG))
NONE, INTEGER = "not an nnet1 file", "dimension holds something that is not an integer"
FIRST = r"component 1 <AffineTransform>, byte \d+: "
# name, content of x.nnet, message
MODELS = [
    ("empty", "", NONE),
    ("text", "this is no network\n", f"{NONE}: it does not begin with <Nnet>"),
    ("pickle", PICKLE, NONE),
    ("no_end", swap("</Nnet> \n", ""), r"the file ends where a token was expected"),
    ("extra_token_behind", GOOD + "<Extra> \n", r"end, byte \d+: 9 bytes follow </Nnet>"),
    ("unknown_component", swap("Softmax", "Hardmax"), r"component 2.* unknown component <Hardmax>"),
    ("no_brackets_on_token", swap("<Softmax>", "Softmax"), r"expected a token like <Nnet>, got 'Softmax'"),
    ("dims_huge", swap("3 3 \n", f"{BIG} {BIG} \n"), r"component 1 .*expected weight of"),
    ("matrix_short_row", swap("0.5 0.5 0.5 \n", "0.5 0.5 \n"), r"the rows of weight are of 2 to 3"),
    ("matrix_unclosed", GOOD.split("]")[0], r"no '\]' closes weight"),
    ("bias_long", swap("[ 0 0 0 ]", "[ 0 0 0 0 ]"), r"expected bias of 3, got 4"),
    ("splice_too_few", before("<Splice> 6 3 \n[ 0 ]"), r"expected offsets of 2, got 1"),
    ("lstm_huge", lstm(BIG, "[\n 1 ]\n"), r"expected .* of \d+ x 3, got 1 x 1"),
    (
        "binary_token",
        raw(b"<AffineTransform> ", 2, 3, b"XM ", 2, 3),
        r"expected weight as FM or DM , got 'XM '",
    ),
    ("binary_do_not_follow", TANHS, r"component 2 <Tanh> takes 3 inputs, but component 1 <Tanh> gives 2"),
    ("binary_copy", raw(b"<Copy> ", 1, 2, 1, b"\3\0\0\0</Nnet> "), r"index 3 is outside 1..2"),
    ("binary_no_streams", NO_STREAMS, r"component 2 .*byte 30: .*<NumStream> must be at least 1, got 0"),
    ("binary_truncated_in_weight", GOOD_BINARY[:120], r"weight takes 36 bytes, but the file has \d+ more"),
    ("binary_huge", HUGE_MATRIX, r"weight takes \d+ bytes"),
]
HIDDEN = "<AffineTransform> <InputDim> 3 <OutputDim> 4 <ParamStddev> 0.1\n"
SQUARE = "<InputDim> 3 <OutputDim> 3"
# name, content of x.proto, message
PROTOTYPES = [
    ("empty", "", r"x\.proto: the prototype has no component"),
    ("unknown", HIDDEN + "<Exec> <InputDim> 4 <OutputDim> 4\n", r"x\.proto:2: unknown component '<Exec>'"),
    ("shell", "$(touch canary)\n", r"x\.proto:1: unknown component '\$\(touch'"),
    ("dims_huge", "<Sigmoid> <InputDim> 999999999 <OutputDim> 999999999\n", r"must be in 1..1048576"),
    ("dims_follow", f"{HIDDEN}<Sigmoid> <InputDim> 5 <OutputDim> 5\n", r"x\.proto:2: .*5 does not follow"),
    ("option", f"<Sigmoid> {SQUARE} <Foo> 1\n", r"x\.proto:1: .*unknown option '<Foo>'"),
    ("nan", HIDDEN.replace("0.1", "nan"), r"<ParamStddev> needs a number, got 'nan'"),
    ("vector_long", f"<Copy> {SQUARE} <BuildVector> 1:999999999 </BuildVector>\n", r"too long"),
    ("copy", f"<Copy> {SQUARE} <BuildVector> 1 2 4 </BuildVector>\n", r"index 4 is outside 1..3"),
    (
        "of_2014",
        f"<LstmProjected> {SQUARE} <CellDim> 2 <ParamScale> 1 <GradClip> 1\n",
        r"2014 has no <GradClip>",
    ),
    ("all_too_many", "<AffineTransform> <InputDim> 1000000 <OutputDim> 1000000\n", r"are more than"),
]
# name, content of x.stats for cmvn_to_nnet, message
STATISTICS = [
    ("three_rows", matrix(np.ones((3, 4))), r"expected CMVN statistics of 2 x \(dim \+ 1\), got 3 x 4"),
    ("nan", matrix(np.full((2, 4), np.nan)), r"not finite"),
    ("huge", matrix(np.ones((2, 4)), dims=(2, BIG)), r"announces \d+ bytes"),
]
CASES = [Case(name, COPY, {"x.nnet": data}, rf"x\.nnet: .*({text})") for name, data, text in MODELS]
CASES += [
    Case(f"proto_{name}", "steps/nnet1/nnet_initialize.py x.proto out.nnet", {"x.proto": data}, text)
    for name, data, text in PROTOTYPES
]
CASES += [
    Case(f"stats_{name}", "steps/nnet1/cmvn_to_nnet.py x.stats out.nnet", {"x.stats": data}, text)
    for name, data, text in STATISTICS
]
CASES += [
    Case("model_missing", COPY, {}, r"x\.nnet: No such file"),
    Case("model_option_past", f"{COPY} --remove-last-components=-1", {"x.nnet": GOOD}, "at least 0", 2),
]
test_is_refused = refusal(CASES)

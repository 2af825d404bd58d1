"""Networks, prototypes and normalisations that are not what they should be, and what uses them."""

from __future__ import annotations

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
    """Return a size byte and a float32."""
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
    """Return the beginning of a network of an LSTM."""
    return f"<Nnet> \n<LstmProjectedStreams> 2 3 \n<CellDim> {cells} <NumStream> 4 {rest}"


def raw(*parts: bytes | int) -> bytes:
    """Return a binary network of tokens and numbers as they stand."""
    return b"\0B<Nnet> " + b"".join(int32(part) if isinstance(part, int) else part for part in parts)


TANHS = raw(b"<Tanh> ", 2, 2, b"<Tanh> ", 3, 3, b"</Nnet> ")
NO_STREAMS = (REPO / "tests/fixtures/nnet1/files/google.bin").read_bytes()
NO_STREAMS = NO_STREAMS.replace(b"<NumStream> \4\4", b"<NumStream> \4\0")
HUGE_MATRIX = binary(matrix(np.eye(3), dims=(BIG, BIG))[2:], dims=(BIG, BIG))
NEGATIVE_MATRIX = binary(matrix(np.eye(3), dims=(-3, 3))[2:])
NONE, INTEGER = "not an nnet1 file", "dimension holds something that is not an integer"
FIRST = r"component 1 <AffineTransform>, byte \d+: "
# name, content of x.nnet, message
MODELS = [
    ("empty", "", NONE),
    ("text", "this is no network\n", f"{NONE}: it does not begin with <Nnet>"),
    ("pickle", PICKLE, NONE),
    ("zip_of_torch", b"PK\3\4" + bytes(60), NONE),
    ("nnet3", b"\0B<Nnet3> ", NONE),
    ("no_components", nnet(), r"network|component"),
    ("nnet_alone", "<Nnet>", r"truncated"),
    ("no_end", swap("</Nnet> \n", ""), r"the file ends where a token was expected"),
    ("extra_token_behind", GOOD + "<Extra> \n", r"end, byte \d+: 9 bytes follow </Nnet>"),
    ("second_network", GOOD + GOOD, r"bytes follow </Nnet>"),
    ("extra_token_inside", swap(" [\n", " <Extra> 1 [\n"), rf"{FIRST}expected '\['"),
    ("extra_number", swap("3 3 \n", "3 3 3 \n"), FIRST),
    ("extra_word", swap("<MaxNorm>", "word <MaxNorm>"), FIRST),
    ("unknown_component", swap("Softmax", "Hardmax"), r"component 2.* unknown component <Hardmax>"),
    ("no_brackets_on_token", swap("<Softmax>", "Softmax"), r"expected a token like <Nnet>, got 'Softmax'"),
    ("token_too_long", swap("Softmax", "S" * 99), r"expected a token like <Nnet>"),
    ("dims_word", swap("3 3 \n", "three 3 \n"), rf"the output {INTEGER}: .*three"),
    ("dims_float", swap("3 3 \n", "3.0 3 \n"), rf"the output {INTEGER}: .*3\.0"),
    ("dims_zero", swap("3 3 \n", "0 3 \n"), r"dimensions must be at least 1, got output 0"),
    ("dims_negative", swap("3 3 \n", "3 -3 \n"), r"dimensions must be at least 1, got output 3, input -3"),
    ("dims_past_int32", swap("3 3 \n", "3 4294967299 \n"), rf"the input {INTEGER}"),
    ("dims_huge", swap("3 3 \n", f"{BIG} {BIG} \n"), r"component 1 .*expected weight of"),
    ("dims_do_not_follow", nnet(affine(2, 3), SOFTMAX), r"network, byte"),
    ("matrix_short_row", swap("0.5 0.5 0.5 \n", "0.5 0.5 \n"), r"the rows of weight are of 2 to 3"),
    ("matrix_missing_row", swap("  0.5 0.5 0.5 \n", ""), r"expected weight of 3 x 3, got 2 x 3"),
    ("matrix_word", swap("0.5", "half"), r"weight holds something that is not a number"),
    ("matrix_unclosed", GOOD.split("]")[0], r"no '\]' closes weight"),
    ("matrix_underscore", swap("0.5", "0_5"), r"weight holds something that is not a number"),
    ("bias_long", swap("[ 0 0 0 ]", "[ 0 0 0 0 ]"), r"expected bias of 3, got 4"),
    ("bias_missing", swap(" [ 0 0 0 ]\n", ""), r"expected '\[' before bias"),
    ("option_no_value", swap("<MaxNorm> 0", "<MaxNorm>"), r"<MaxNorm> holds something that is not a number"),
    ("utf16", GOOD.encode("utf-16"), NONE),
    (
        "splice_not_multiple",
        before("<Splice> 7 3 \n[ 0 1 ]"),
        r"2 offsets of 3 columns make 6 outputs",
    ),
    ("splice_too_few", before("<Splice> 6 3 \n[ 0 ]"), r"expected offsets of 2, got 1"),
    (
        "splice_words",
        before("<Splice> 6 3 \n[ 0 x ]"),
        r"offsets holds something that is not an integer: .*x",
    ),
    ("copy_outside", before("<Copy> 3 3 \n[ 1 2 4 ]"), r"component 1 <Copy>"),
    ("copy_zero", before("<Copy> 3 3 \n[ 0 1 2 ]"), r"component 1 <Copy>"),
    ("lstm_no_cells", lstm(0), r"<CellDim> must be at least 1, got 0"),
    ("lstm_huge", lstm(BIG, "[\n 1 ]\n"), r"expected .* of \d+ x 3, got 1 x 1"),
    ("lstm_negative", lstm(-800), r"<CellDim> must be at least 1, got -800"),
    ("binary_mark_alone", b"\0B", NONE),
    ("binary_header_alone", raw(), r"header, byte 9: the file ends"),
    ("binary_no_component", raw(b"</Nnet> "), r"network, byte 17: the network has no component"),
    ("binary_end_first", raw(b"<!EndOfComponent> "), r"unknown component <!EndOfComponent>"),
    ("binary_unknown", raw(b"<Relu> ", 2), r"component 1, byte 9: unknown component <Relu>"),
    ("binary_option", raw(b"<AffineTransform> ", 2, 3, b"<Nnett> "), r"byte 37: unknown option <Nnett>"),
    (
        "binary_token",
        raw(b"<AffineTransform> ", 2, 3, b"XM ", 2, 3),
        r"expected weight as FM or DM , got 'XM '",
    ),
    ("binary_negative_dim", raw(b"<Tanh> ", -1, 3), r"byte 9: dimensions must be at least 1"),
    ("binary_dims", raw(b"<Tanh> ", 3, 2, b"</Nnet> "), r"byte 9: <Tanh>: input and output dimension"),
    ("binary_eight_bytes", raw(b"<Tanh> \x08\3\0\0\0"), r"byte 16: the output dimension .* but claims 8"),
    ("binary_end_cut", raw(b"<Tanh> ", 2, 2, b"</Nnet>"), r"in or after </Nnet>; is it truncated"),
    ("binary_do_not_follow", TANHS, r"component 2 <Tanh> takes 3 inputs, but component 1 <Tanh> gives 2"),
    ("binary_copy", raw(b"<Copy> ", 1, 2, 1, b"\3\0\0\0</Nnet> "), r"index 3 is outside 1..2"),
    ("binary_splice", raw(b"<Splice> ", 4, 2, 1), r"expected offsets of 2, got 1"),
    ("binary_no_cells", raw(b"<LstmProjected> ", 1, 1, b"FM "), r"<CellDim> must be at least 1, got none"),
    ("binary_no_streams", NO_STREAMS, r"component 2 .*byte 30: .*<NumStream> must be at least 1, got 0"),
    ("binary_truncated_at_end", GOOD_BINARY[:-1], r"truncated"),
    (
        "binary_truncated_in_dims",
        GOOD_BINARY[:30],
        r"takes 4 bytes, but the file has \d more; is it truncated",
    ),
    ("binary_truncated_in_weight", GOOD_BINARY[:120], r"weight takes 36 bytes, but the file has \d+ more"),
    ("binary_tail", binary(tail=b"x"), r"1 bytes follow </Nnet>"),
    ("binary_huge", HUGE_MATRIX, r"weight takes \d+ bytes"),
    ("binary_dims_differ", binary(dims=(3, 4)), r"expected weight of 3 x 4, got 3 x 3"),
    ("binary_negative", NEGATIVE_MATRIX, r"expected weight of 3 x 3, got -3 x 3"),
    ("binary_weight_is_vector", binary(vector([1, 2, 3])[2:]), r"expected weight as FM  ?or DM , got 'FV"),
    ("binary_bias_is_matrix", binary(b"", matrix(np.eye(3))[2:]), r"expected bias as FV  ?or DV , got 'FM"),
    ("binary_compressed", binary(b"CM " + bytes(40)), r"expected weight as FM"),
    ("binary_size_byte", GOOD_BINARY.replace(b"<Softmax> \4", b"<Softmax> \5"), r"of 4 bytes, but claims 5"),
]
HIDDEN = "<AffineTransform> <InputDim> 3 <OutputDim> 4 <ParamStddev> 0.1\n"
SQUARE = "<InputDim> 3 <OutputDim> 3"
# name, content of x.proto, message
PROTOTYPES = [
    ("empty", "", r"x\.proto: the prototype has no component"),
    ("not_text", b"\xff\xfe\0\0", r"not a text file \(byte 0\)"),
    ("unknown", HIDDEN + "<Exec> <InputDim> 4 <OutputDim> 4\n", r"x\.proto:2: unknown component '<Exec>'"),
    ("shell", "$(touch canary)\n", r"x\.proto:1: unknown component '\$\(touch'"),
    ("no_dims", "<Sigmoid>\n", r"x\.proto:1: <Sigmoid>: <InputDim> must be in"),
    ("dims_zero", "<Sigmoid> <InputDim> 0 <OutputDim> 0\n", r"x\.proto:1: .*<InputDim> must be in 1"),
    ("dims_huge", "<Sigmoid> <InputDim> 999999999 <OutputDim> 999999999\n", r"must be in 1..1048576"),
    ("dims_word", "<Sigmoid> <InputDim> four\n", r"<InputDim> needs an integer, got 'four'"),
    ("dims_follow", f"{HIDDEN}<Sigmoid> <InputDim> 5 <OutputDim> 5\n", r"x\.proto:2: .*5 does not follow"),
    ("option", f"<Sigmoid> {SQUARE} <Foo> 1\n", r"x\.proto:1: .*unknown option '<Foo>'"),
    ("twice", "<Sigmoid> <InputDim> 3 <InputDim> 3\n", r"<InputDim> is given twice"),
    ("no_value", "<Sigmoid> <InputDim> 3 <OutputDim>\n", r"<OutputDim> needs an integer, got 'nothing'"),
    ("nan", HIDDEN.replace("0.1", "nan"), r"<ParamStddev> needs a number, got 'nan'"),
    ("vector_endless", f"<Copy> {SQUARE} <BuildVector> 1:0:9 </BuildVector>\n", r"expected n, min:max"),
    ("vector_long", f"<Copy> {SQUARE} <BuildVector> 1:999999999 </BuildVector>\n", r"too long"),
    ("vector_open", f"<Copy> {SQUARE} <BuildVector> 1 2 3\n", r"needs </BuildVector>"),
    ("sizes_differ", "<Softmax> <InputDim> 3 <OutputDim> 4\n", r"<Softmax>"),
    ("brackets_alone", "<NnetProto>\n</NnetProto>\n", r"the prototype has no component"),
    ("option_elsewhere", f"<Tanh> {SQUARE} <Shift> 3\n", r"x\.proto:1: <Tanh>: unknown option '<Shift>'"),
    ("option_odd", f"<Tanh> {SQUARE} ü\n", r"unknown option 'ü'"),
    ("shift_none", f"<TimeShift> {SQUARE} <Shift>\n", r"<Shift> needs an integer, got 'nothing'"),
    ("shift_float", f"<TimeShift> {SQUARE} <Shift> 1.5\n", r"<Shift> needs an integer, got '1\.5'"),
    ("too_large", HIDDEN.replace("0.1", "1e99"), r"<ParamStddev> needs a number, got '1e99'"),
    (
        "vector_never",
        f"<Splice> {SQUARE} <BuildVector> 1:0 </BuildVector>\n",
        r"'1:0' in <BuildVector> never",
    ),
    (
        "splice",
        f"<Splice> {SQUARE} <BuildVector> 0 1 </BuildVector>\n",
        r"2 offsets of 3 columns make 6 outputs",
    ),
    ("copy", f"<Copy> {SQUARE} <BuildVector> 1 2 4 </BuildVector>\n", r"index 4 is outside 1..3"),
    ("no_cells", f"<LstmProjected> {SQUARE}\n", r"<CellDim> must be at least 1, got none"),
    (
        "no_streams",
        f"<LstmProjectedStreams> {SQUARE} <CellDim> 2 <NumStream> 0\n",
        r"<NumStream> must be at least 1",
    ),
    (
        "of_2014",
        f"<LstmProjected> {SQUARE} <CellDim> 2 <ParamScale> 1 <GradClip> 1\n",
        r"2014 has no <GradClip>",
    ),
    ("all_too_many", "<AffineTransform> <InputDim> 1000000 <OutputDim> 1000000\n", r"are more than"),
    ("splice_zero", "<Splice> <InputDim> 3 <OutputDim> 6 <BuildVector> </BuildVector>\n", r"<Splice>"),
]
# name, content of x.stats for cmvn_to_nnet, message
GOOD_STATISTICS = matrix(np.ones((2, 4)))
STATISTICS = [
    ("three_rows", matrix(np.ones((3, 4))), r"expected CMVN statistics of 2 x \(dim \+ 1\), got 3 x 4"),
    ("one_column", matrix(np.ones((2, 1))), r"got 2 x 1"),
    ("no_frames", matrix(np.zeros((2, 4))), r"are of 0 frames"),
    ("nan", matrix(np.full((2, 4), np.nan)), r"not finite"),
    ("negative_frames", matrix(-np.ones((2, 4))), r"are of -1 frames"),
    ("two_matrices", GOOD_STATISTICS * 2, r"byte \d+: expected the end of the file"),
    ("with_key", b"global " + GOOD_STATISTICS, r"byte 0: expected a matrix"),
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
CUT = {"x.nnet": GOOD[:99]}
CASES += [
    Case("model_missing", COPY, {}, r"x\.nnet: No such file"),
    Case("model_is_folder", COPY.replace("x.nnet", "."), {}, r"\.: Is a directory"),
    Case("model_removed_wholly", f"{COPY} --remove-first-components=2", {"x.nnet": GOOD}, "no component|2"),
    Case("model_option_past", f"{COPY} --remove-last-components=-1", {"x.nnet": GOOD}, "at least 0", 2),
    Case("info_truncated", "steps/nnet1/nnet_info.py x.nnet", CUT, r"x\.nnet: .*truncated|expected"),
]
test_is_refused = refusal(CASES)

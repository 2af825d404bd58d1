"""Networks, prototypes and normalisations that are not what they should be, and what uses them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.contract.malformed import (
    BIG,
    PICKLE,
    SOFTMAX,
    Case,
    affine,
    check_refused,
    int32,
    matrix,
    nnet,
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
SIGMOID = "<Sigmoid> 3 3 \n<!EndOfComponent> \n"
LSTM = "<LstmProjectedStreams> 2 3 \n<CellDim> {} <NumStream> 4 "

# name, content of x.nnet, message
MODELS = [
    ("empty", "", r"not an nnet1 file"),
    ("text", "this is no network\n", r"not an nnet1 file: it does not begin with <Nnet>"),
    ("pickle", PICKLE, r"not an nnet1 file"),
    ("zip_of_torch", b"PK\3\4" + bytes(60), r"not an nnet1 file"),
    ("nnet3", b"\0B<Nnet3> ", r"not an nnet1 file"),
    ("no_components", nnet(), r"network|component"),
    ("nnet_alone", "<Nnet>", r"truncated"),
    ("no_end", GOOD.replace("</Nnet> \n", ""), r"the file ends where a token was expected"),
    ("extra_token_behind", GOOD + "<Extra> \n", r"end, byte \d+: 9 bytes follow </Nnet>"),
    ("second_network", GOOD + GOOD, r"bytes follow </Nnet>"),
    (
        "extra_token_inside",
        GOOD.replace(" [\n", " <Extra> 1 [\n", 1),
        r"component 1 <AffineTransform>, byte \d+: expected '\['",
    ),
    ("extra_number", GOOD.replace("3 3 \n", "3 3 3 \n", 1), r"component 1 <AffineTransform>, byte \d+: "),
    ("extra_word", GOOD.replace("<MaxNorm>", "word <MaxNorm>"), r"component 1 <AffineTransform>, byte \d+: "),
    ("unknown_component", GOOD.replace("Softmax", "Hardmax"), r"component 2.* unknown component <Hardmax>"),
    (
        "no_brackets_on_token",
        GOOD.replace("<Softmax>", "Softmax"),
        r"expected a token like <Nnet>, got 'Softmax'",
    ),
    ("token_too_long", GOOD.replace("Softmax", "S" * 99), r"expected a token like <Nnet>"),
    (
        "dims_word",
        GOOD.replace("3 3 \n", "three 3 \n", 1),
        r"expected an integer for the output dimension, got 'three'",
    ),
    (
        "dims_float",
        GOOD.replace("3 3 \n", "3.0 3 \n", 1),
        r"expected an integer for the output dimension, got '3\.0'",
    ),
    ("dims_zero", GOOD.replace("3 3 \n", "0 3 \n", 1), r"dimensions must be at least 1, got output 0"),
    (
        "dims_negative",
        GOOD.replace("3 3 \n", "3 -3 \n", 1),
        r"dimensions must be at least 1, got output 3, input -3",
    ),
    (
        "dims_past_int32",
        GOOD.replace("3 3 \n", "3 4294967299 \n", 1),
        r"expected an integer for the input dimension",
    ),
    ("dims_huge", GOOD.replace("3 3 \n", f"{BIG} {BIG} \n", 1), r"component 1 .*expected weight of"),
    ("dims_do_not_follow", nnet(affine(2, 3), SOFTMAX), r"network, byte"),
    (
        "matrix_short_row",
        GOOD.replace("0.5 0.5 0.5 \n", "0.5 0.5 \n", 1),
        r"the rows of weight are of 2 to 3",
    ),
    ("matrix_missing_row", GOOD.replace("  0.5 0.5 0.5 \n", "", 1), r"expected weight of 3 x 3, got 2 x 3"),
    ("matrix_word", GOOD.replace("0.5", "half", 1), r"weight holds something that is not a number"),
    ("matrix_unclosed", GOOD.split("]")[0], r"no '\]' closes weight"),
    ("matrix_underscore", GOOD.replace("0.5", "0_5", 1), r"weight holds something that is not a number"),
    ("bias_long", GOOD.replace("[ 0 0 0 ]", "[ 0 0 0 0 ]"), r"expected bias of 3, got 4"),
    ("bias_missing", GOOD.replace(" [ 0 0 0 ]\n", ""), r"expected '\[' before bias"),
    (
        "option_no_value",
        GOOD.replace("<MaxNorm> 0", "<MaxNorm>"),
        r"<MaxNorm> holds something that is not a number",
    ),
    ("utf16", GOOD.encode("utf-16"), r"not an nnet1 file"),
    ("splice_not_multiple", nnet("<Splice> 7 3 \n[ 0 1 ]\n", SIGMOID), r"7 outputs are not a multiple of 3"),
    ("splice_too_few", nnet("<Splice> 6 3 \n[ 0 ]\n", SIGMOID), r"expected 2 frame offsets, got 1"),
    (
        "splice_words",
        nnet("<Splice> 6 3 \n[ 0 x ]\n", SIGMOID),
        r"frame offsets holds something that is not an integer",
    ),
    ("copy_outside", nnet("<Copy> 3 3 \n[ 1 2 4 ]\n", SIGMOID), r"component 1 <Copy>"),
    ("copy_zero", nnet("<Copy> 3 3 \n[ 0 1 2 ]\n", SIGMOID), r"component 1 <Copy>"),
    ("lstm_no_cells", "<Nnet> \n" + LSTM.format(0), r"<CellDim> must be at least 1, got 0"),
    ("lstm_huge", "<Nnet> \n" + LSTM.format(BIG) + "[\n 1 ]\n", r"expected .* of \d+ x 3, got 1 x 1"),
    ("lstm_negative", "<Nnet> \n" + LSTM.format(-800), r"<CellDim> must be at least 1, got -800"),
    ("binary_mark_alone", b"\0B", r"not an nnet1 file"),
    ("binary_truncated_at_end", GOOD_BINARY[:-1], r"truncated"),
    (
        "binary_truncated_in_dims",
        GOOD_BINARY[:30],
        r"takes 4 bytes, but the file has \d more; is it truncated",
    ),
    ("binary_truncated_in_weight", GOOD_BINARY[:120], r"weight takes 36 bytes, but the file has \d+ more"),
    ("binary_tail", binary(tail=b"x"), r"1 bytes follow </Nnet>"),
    (
        "binary_huge",
        binary(matrix(np.eye(3), dims=(BIG, BIG))[2:], dims=(BIG, BIG)),
        r"weight takes \d+ bytes",
    ),
    ("binary_dims_differ", binary(dims=(3, 4)), r"expected weight of 3 x 4, got 3 x 3"),
    ("binary_negative", binary(matrix(np.eye(3), dims=(-3, 3))[2:]), r"expected weight of 3 x 3, got -3 x 3"),
    ("binary_weight_is_vector", binary(vector([1, 2, 3])[2:]), r"expected weight as FM  ?or DM , got 'FV"),
    ("binary_bias_is_matrix", binary(b"", matrix(np.eye(3))[2:]), r"expected bias as FV  ?or DV , got 'FM"),
    ("binary_compressed", binary(b"CM " + bytes(40)), r"expected weight as FM"),
    (
        "binary_size_byte",
        GOOD_BINARY.replace(b"<Softmax> \4", b"<Softmax> \5"),
        r"should be of 4 bytes, but claims 5",
    ),
]

# name, the line behind a good one in x.proto, message
HIDDEN = "<AffineTransform> <InputDim> 3 <OutputDim> 4 <ParamStddev> 0.1\n"
PROTOTYPES = [
    ("proto_empty", "", r"x\.proto: the prototype has no component"),
    ("proto_not_text", b"\xff\xfe\0\0", r"not a text file \(byte 0\)"),
    (
        "proto_unknown",
        HIDDEN + "<Exec> <InputDim> 4 <OutputDim> 4\n",
        r"x\.proto:2: unknown component '<Exec>'",
    ),
    ("proto_shell", "$(touch canary)\n", r"x\.proto:1: unknown component '\$\(touch'"),
    ("proto_no_dims", "<Sigmoid>\n", r"x\.proto:1: <Sigmoid>: <InputDim> must be in"),
    ("proto_dims_zero", "<Sigmoid> <InputDim> 0 <OutputDim> 0\n", r"x\.proto:1: .*<InputDim> must be in 1"),
    ("proto_dims_huge", "<Sigmoid> <InputDim> 999999999 <OutputDim> 999999999\n", r"must be in 1..1048576"),
    ("proto_dims_word", "<Sigmoid> <InputDim> four\n", r"<InputDim> needs an integer, got 'four'"),
    (
        "proto_dims_follow",
        HIDDEN + "<Sigmoid> <InputDim> 5 <OutputDim> 5\n",
        r"x\.proto:2: .*5 does not follow",
    ),
    (
        "proto_option",
        "<Sigmoid> <InputDim> 3 <OutputDim> 3 <Foo> 1\n",
        r"x\.proto:1: .*unknown option '<Foo>'",
    ),
    ("proto_twice", "<Sigmoid> <InputDim> 3 <InputDim> 3\n", r"<InputDim> is given twice"),
    (
        "proto_no_value",
        "<Sigmoid> <InputDim> 3 <OutputDim>\n",
        r"<OutputDim> needs an integer, got 'nothing'",
    ),
    ("proto_nan", HIDDEN.replace("0.1", "nan"), r"<ParamStddev> needs a number, got 'nan'"),
    (
        "proto_vector_endless",
        "<Copy> <InputDim> 3 <OutputDim> 3 <BuildVector> 1:0:9 </BuildVector>\n",
        r"never reaches",
    ),
    (
        "proto_vector_long",
        "<Copy> <InputDim> 3 <OutputDim> 3 <BuildVector> 1:999999999 </BuildVector>\n",
        r"too long",
    ),
    ("proto_vector_open", "<Copy> <InputDim> 3 <OutputDim> 3 <BuildVector> 1 2 3\n", r"needs </BuildVector>"),
    ("proto_sizes_differ", "<Softmax> <InputDim> 3 <OutputDim> 4\n", r"<Softmax>"),
    ("proto_splice_zero", "<Splice> <InputDim> 3 <OutputDim> 6 <BuildVector> </BuildVector>\n", r"<Splice>"),
]

CASES = [Case(name, COPY, {"x.nnet": data}, rf"x\.nnet: .*({text})") for name, data, text in MODELS]
CASES += [
    Case(name, "steps/nnet1/nnet_initialize.py x.proto out.nnet", {"x.proto": data}, text)
    for name, data, text in PROTOTYPES
]
CASES += [
    Case("model_missing", COPY, {}, r"x\.nnet: No such file"),
    Case("model_is_folder", COPY.replace("x.nnet", "."), {}, r"\.: Is a directory"),
    Case("model_removed_wholly", f"{COPY} --remove-first-components=2", {"x.nnet": GOOD}, "no component|2"),
    Case("model_option_past", f"{COPY} --remove-last-components=-1", {"x.nnet": GOOD}, "at least 0", 2),
    Case(
        "info_truncated",
        "steps/nnet1/nnet_info.py x.nnet",
        {"x.nnet": GOOD[:99]},
        r"x\.nnet: .*truncated|expected",
    ),
]

# cmvn_to_nnet: name, statistics, message
STATISTICS = [
    ("three_rows", matrix(np.ones((3, 4))), r"expected CMVN statistics of 2 x \(dim \+ 1\), got 3 x 4"),
    ("one_column", matrix(np.ones((2, 1))), r"got 2 x 1"),
    ("no_frames", matrix(np.zeros((2, 4))), r"are of 0 frames"),
    ("nan", matrix(np.full((2, 4), np.nan)), r"not finite"),
    ("negative_frames", matrix(-np.ones((2, 4))), r"are of -1 frames"),
    ("two_matrices", matrix(np.ones((2, 4))) * 2, r"byte \d+: expected the end of the file"),
    ("with_key", b"global " + matrix(np.ones((2, 4))), r"byte 0: expected a matrix"),
    ("huge", matrix(np.ones((2, 4)), dims=(2, BIG)), r"announces \d+ bytes"),
]
CASES += [
    Case(f"stats_{name}", "steps/nnet1/cmvn_to_nnet.py x.stats out.nnet", {"x.stats": data}, text)
    for name, data, text in STATISTICS
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, tmp_path, fork_server):
    check_refused(case, tmp_path, fork_server)

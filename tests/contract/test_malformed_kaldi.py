"""Archives, script files, rspecifiers, networks, prototypes and statistics with mistakes."""

import struct

import numpy as np

from tests.contract.forkserver import REPO
from tests.contract.malformed import (
    BIG,
    PICKLE,
    SOFTMAX,
    affine,
    ark,
    cases,
    int32,
    matrix,
    nnet,
    posterior,
    refusal,
    rows,
    vector,
)

NETWORK = {"x.nnet": nnet(affine(), SOFTMAX)}
GOOD = ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2))))
FORWARD = "steps/nnet1/nnet_forward.py x.nnet {} ark:out"


def one(value: bytes) -> bytes:
    return ark(("u1", value))


def sized(num_rows: int, cols: int) -> bytes:
    """Return an archive of one matrix of 4 x 3 whose header says something else."""
    return one(matrix(rows(), dims=(num_rows, cols)))


COMPRESSED = one(b"\0BCM " + struct.pack("<ffii", 0, 1, BIG, BIG))
ARCHIVES = cases(
    FORWARD.format("ark:x.ark"),
    ("nothing_but_text", r"x\.ark: byte \d+: ", b"this is no archive"),
    ("key_not_utf8", r"x\.ark: byte 0: .*not UTF-8", b"u\xff\xfe1 " + matrix(rows())),
    ("vector_for_matrix", r"x\.ark: byte 5: expected a matrix.*FV", one(vector([1, 2, 3]))),
    ("negative_rows", r"x\.ark: byte 8: expected dimensions", sized(-4, 3)),
    ("huge_both", r"announces 184467\d+ bytes", sized(BIG, BIG)),
    ("one_row_too_many", r"announces 60 bytes, 48 are left", sized(5, 3)),
    ("truncated_in_body", r"truncated or wrong header", GOOD[:-1]),
    ("compressed_huge", r"announces \d+ bytes", COMPRESSED),
    ("text_words", r"x\.ark: byte 3: expected numbers: .*two", b"u1  [\n  1 two 3 ]\n"),
    ("text_ragged", r"row 2 has 2 columns, the first has 3", b"u1  [\n  1 2 3\n  4 5 ]\n"),
    file="x.ark",
    base=NETWORK,
)
SCRIPTS = cases(
    FORWARD.format("scp:x.scp"),
    ("scp_no_offset", r"x\.ark: byte 0: ", "u1 x.ark\n"),
    ("scp_offset_past_end", r"x\.scp:1: .*9999 lies outside", "u1 x.ark:9999\n"),
    ("scp_second_target", r"x\.scp:2: .*cannot open 'gone\.ark'", "u1 x.ark:3\nu2 gone.ark:3\n"),
    ("scp_pipe", r"x\.scp:1: .*allow-pipes", "u1 touch canary; cat x.ark |\n"),
    ("scp_substitution", r"x\.scp:1: cannot open", "u1 $(touch canary).ark:3\n"),
    ("scp_range_outside", r"x\.scp:1: the range \[0:7\]", "u1 x.ark:3[0:7]\n"),
    file="x.scp",
    base={**NETWORK, "x.ark": GOOD},
)
REFERENCES = cases(
    FORWARD,
    ("missing_ark", r"cannot open 'nowhere.ark': No such file", {}, "ark:nowhere.ark"),
    ("pipe_rspecifier", r"allow-pipes", {}, "'ark:touch canary |'"),
    ("pipe_fails", "status 3", {"x.ark": GOOD}, "--allow-pipes=true 'ark:cat x.ark; exit 3 |'"),
    base=NETWORK,
)
REFERENCES += cases(
    "steps/nnet1/nnet_forward.py x.nnet ark:x.ark ark:{}",
    ("output_in_no_folder", "/proc/nowhere", {}, "/proc/nowhere/x"),
    ("output_is_a_folder", "sub", {"sub/file": "x"}, "sub"),
    base={**NETWORK, "x.ark": GOOD},
)

# What training and forward passes take: features, targets, networks, counts.
LABELS = ark(("u1", posterior([0, 1, 2, 0])), ("u2", posterior([1, 1, 1, 1])))
FILES = {**NETWORK, "f.ark": GOOD, "l.ark": LABELS}
POSTERIORS = "steps/nnet1/nnet_forward.py x.nnet ark:f.ark ark,scp:out.ark,out.scp"
TRAIN = "steps/nnet1/nnet_train_frmshuff.py --minibatch-size=2 ark:f.ark ark:l.ark x.nnet out.nnet"
STREAMS = "steps/nnet1/nnet_train_lstm_streams.py --targets-delay=0 ark:f.ark ark:l.ark x.nnet out.nnet"
NAN = matrix([[1, 2, 3], [np.nan, 4, 5], [6, 7, 8], [9, 8, 7]])
FEATURES = [
    ("nan", r"u1: feature nan in frame 1", one(NAN)),
    ("width", r"u1: the features have 4 columns, the network takes 3", one(matrix(rows(dim=4)))),
    ("duplicate", r"f\.ark: duplicate key|u1", one(matrix(rows())) * 2),
]
TARGETS = [
    ("class_outside", r"u1: target class 3 in frame 2 .*classes 0 to 2", one(posterior([0, 1, 3, 0]))),
    ("weight_nan", r"the cross-entropy is nan", one(posterior([0] * 4, np.nan))),
    ("count_huge", r"l\.ark: byte \d+: truncated or wrong header", one(b"\0B" + int32(BIG))),
    ("text_odd", r"l\.ark: byte \d+: .*pairs", b"u1 [ 0 1 ] [ 1 ] \n"),
    ("of_others", r"not one minibatch", ark(("x1", posterior([0] * 4)))),
]
TRAINING = [
    case._replace(name=f"{tool}_{case.name}")
    for tool, command, tables in (
        ("train", TRAIN, (("f.ark", FEATURES), ("l.ark", TARGETS))),
        ("streams", STREAMS, (("f.ark", FEATURES), ("l.ark", TARGETS))),
        ("forward", POSTERIORS, (("f.ark", FEATURES),)),
    )
    for file, table in tables
    for case in cases(command, *table, file=file, base=FILES)
]
NAN_NNET = {"x.nnet": nnet(affine(value="nan"), SOFTMAX)}
TRAINING += cases(TRAIN, ("train_nan_network", r"x\.nnet|not finite|nan", NAN_NNET), base=FILES)
TRAINING += cases(
    f"{POSTERIORS} {{}}",
    ("forward_nan_network", "u1: .*not finite", NAN_NNET, ""),
    ("forward_counts_words", r"c: byte 0: expected numbers", {"c": "[ 1 x 2 ]\n"}, "--class-frame-counts=c"),
    (
        "forward_counts_more",
        "4 class counts for a network with 3",
        {"c": "[ 1 2 3 4 ]\n"},
        "--class-frame-counts=c",
    ),
    ("forward_transform", "2", {"t": nnet(affine(2, 2))}, "--feature-transform=t"),
    base=FILES,
)
TRAINING += cases(
    TRAIN.replace("ark:f.ark", "scp:x.scp"),
    ("train_scp_key_alone", r"x\.scp:1: expected '<key> <file>:<offset>', got 'u1'", b"u1\n"),
    ("train_scp_not_utf8", r"x\.scp:1: not UTF-8", b"u1 caf\xe9\n"),
    ("train_scp_duplicate", r"x\.scp: duplicate key 'u1'", b"u1 f.ark:3\n" * 2),
    file="x.scp",
    base=FILES,
)


def real(value: float) -> bytes:
    return b"\4" + struct.pack("<f", value)


def binary(weight: bytes = b"", dims: tuple[int, int] = (3, 3)) -> bytes:
    """Return a binary network of an affine component and a softmax, with parts to be replaced."""
    options = b"<LearnRateCoef> " + real(1) + b"<BiasLearnRateCoef> " + real(1) + b"<MaxNorm> " + real(0)
    body = (weight or matrix(np.eye(3))[2:]) + vector([0, 0, 0])[2:]
    first = b"<AffineTransform> " + int32(dims[0]) + int32(dims[1]) + options + body + b"<!EndOfComponent> "
    return b"\0B<Nnet> " + first + b"<Softmax> " + int32(3) + int32(3) + b"<!EndOfComponent> </Nnet> "


def swap(old: str, new: str) -> str:
    """Return a good network with the first occurrence of a text replaced."""
    return NETWORK["x.nnet"].replace(old, new, 1)


def raw(*parts: bytes | int) -> bytes:
    """Return a binary network of tokens and numbers as they stand."""
    return b"\0B<Nnet> " + b"".join(int32(part) if isinstance(part, int) else part for part in parts)


SPLICE = nnet("<Splice> 6 3 \n[ 0 ]\n", "<Sigmoid> 3 3 \n<!EndOfComponent> \n")
LSTM = f"<Nnet> \n<LstmProjectedStreams> 2 3 \n<CellDim> {BIG} <NumStream> 4 [\n 1 ]\n"
NO_STREAMS = (REPO / "tests/fixtures/nnet1/files/google.bin").read_bytes()
NO_STREAMS = NO_STREAMS.replace(b"<NumStream> \4\4", b"<NumStream> \4\0")
HUGE = binary(matrix(np.eye(3), dims=(BIG, BIG))[2:], dims=(BIG, BIG))
TANHS = raw(b"<Tanh> ", 2, 2, b"<Tanh> ", 3, 3, b"</Nnet> ")
COPY = "steps/nnet1/nnet_copy.py x.nnet out.nnet"
MODELS = cases(
    COPY,
    ("text", r"x\.nnet: byte \d+: expected a token like <Nnet>, got 'this'", "this is no network\n"),
    ("pickle", r"x\.nnet: byte \d+: expected a token", PICKLE),
    ("no_end", r"expected a token .*truncated", swap("</Nnet> \n", "")),
    ("extra_token", r"x\.nnet: byte \d+: more follows </Nnet>", swap("</Nnet> \n", "</Nnet> \n<Extra> \n")),
    ("unknown_component", r"component 2.* unknown component <Hardmax>", swap("Softmax", "Hardmax")),
    ("no_brackets", r"expected a token like <Nnet>, got 'Softmax'", swap("<Softmax>", "Softmax")),
    ("dims_huge", r"component 1 .*expected weight of", swap("3 3 \n", f"{BIG} {BIG} \n")),
    (
        "short_row",
        r"component 1 .*row \d has \d columns, the first has \d",
        swap("0.5 0.5 0.5 \n", "0.5 0.5 \n"),
    ),
    ("unclosed", r"component 1 .*truncated", swap("]", "").split("]")[0]),
    ("bias_long", r"expected bias of 3, got 4", swap("[ 0 0 0 ]", "[ 0 0 0 0 ]")),
    ("splice_too_few", r"makes 3 outputs of 3 inputs, not 6", SPLICE),
    ("lstm_huge", r"component 1 .*truncated", LSTM),
    (
        "binary_token",
        r"component 1 .*expected a matrix",
        raw(b"<AffineTransform> ", 2, 3, b"XM ", 2, 3),
    ),
    ("do_not_follow", r"component 2 <Tanh> takes 3 inputs, but component 1 <Tanh> gives 2", TANHS),
    ("copy", r"index 3 is outside 1..2", raw(b"<Copy> ", 1, 2, 1, b"\3\0\0\0</Nnet> ")),
    ("no_streams", r"component 2 .*byte \d+: .*<NumStream> must be at least 1, got 0", NO_STREAMS),
    ("truncated", r"component 1 .*announces 36 bytes, \d+ are left", binary()[:120]),
    ("huge", r"component 1 .*announces \d+ bytes", HUGE),
    ("missing", r"x\.nnet': No such file", {}),
    file="x.nnet",
)
HIDDEN = "<AffineTransform> <InputDim> 3 <OutputDim> 4 <ParamStddev> 0.1\n"
SQUARE = "<InputDim> 3 <OutputDim> 3"
VECTOR = "<Copy> <InputDim> 3 <OutputDim> 3 <BuildVector> {} </BuildVector>\n"
OF_2014 = f"<LstmProjected> {SQUARE} <CellDim> 2 <ParamScale> 1 <GradClip> 1\n"
PROTOTYPES = cases(
    "steps/nnet1/nnet_initialize.py x.proto out.nnet",
    ("proto_empty", r"x\.proto: the prototype has no component", ""),
    (
        "proto_unknown",
        r"x\.proto:2: unknown component '<Exec>'",
        f"{HIDDEN}<Exec> <InputDim> 4 <OutputDim> 4\n",
    ),
    ("proto_shell", r"x\.proto:1: unknown component '\$\(touch'", "$(touch canary)\n"),
    (
        "proto_follow",
        r"component 2 <Sigmoid> takes 5 inputs",
        f"{HIDDEN}<Sigmoid> <InputDim> 5 <OutputDim> 5\n",
    ),
    ("proto_option", r"x\.proto:1: .*unknown option '<Foo>'", f"<Sigmoid> {SQUARE} <Foo> 1\n"),
    ("proto_nan", r"x\.proto:1: .*finite number, got 'nan'", HIDDEN.replace("0.1", "nan")),
    (
        "proto_negative",
        r"x\.proto:1: .*<OutputDim> must be at least 1, got -4",
        HIDDEN.replace("4 ", "-4 ", 1),
    ),
    ("proto_copy", r"index 4 is outside 1..3", VECTOR.format("1 2 4")),
    ("proto_of_2014", r"2014 has no <GradClip>", OF_2014),
    file="x.proto",
)
STATISTICS = cases(
    "steps/nnet1/cmvn_to_nnet.py x.stats out.nnet",
    ("stats_rows", r"expected CMVN statistics of 2 x \(dim \+ 1\), got 3 x 4", matrix(np.ones((3, 4)))),
    ("stats_nan", r"not finite", matrix(np.full((2, 4), np.nan))),
    file="x.stats",
)
test_is_refused = refusal(ARCHIVES, SCRIPTS, REFERENCES, TRAINING, MODELS, PROTOTYPES, STATISTICS)

"""Archives, script files and rspecifiers that are not what they should be, and what training takes."""

import gzip

import numpy as np

from tests.contract.malformed import (
    BIG,
    SOFTMAX,
    Case,
    affine,
    ark,
    int32,
    matrix,
    nnet,
    posterior,
    refusal,
    rows,
    vector,
)

FORWARD, NETWORK = "steps/nnet1/nnet_forward.py x.nnet", {"x.nnet": nnet(affine(), SOFTMAX)}
GOOD = ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2))))


def one(value: bytes) -> bytes:
    return ark(("u1", value))


def sized(num_rows: int, cols: int) -> bytes:
    """Return an archive of one matrix of 4 x 3 whose header says something else."""
    return one(matrix(rows(), dims=(num_rows, cols)))


def compressed(token: bytes, num_rows: int, cols: int, body: bytes, low: float = 0) -> bytes:
    """Return an archive of a compressed matrix whose header may lie."""
    header = np.array([(low, 1, num_rows, cols)], "<f4, <f4, <i4, <i4").tobytes()
    return one(b"\0B" + token + header + body)


DIMS, TRUNCATED = "byte 8: expected dimensions", r"truncated or wrong header"
# name, content of x.ark, what the message must say after its path
ARCHIVES = [
    ("nothing_but_text", b"this is no archive", r"byte \d+: "),
    ("key_without_end", b"u" * 5000, r"byte 0: expected an utterance id"),
    ("key_not_utf8", b"u\xff\xfe1 " + matrix(rows()), r"byte 0: .*not UTF-8"),
    ("vector_for_matrix", one(vector([1, 2, 3])), r"byte 5: expected a matrix.*FV"),
    ("wrong_size_byte", one(b"\0BFM \x08" + matrix(rows())[6:]), DIMS),
    ("negative_rows", sized(-4, 3), DIMS),
    ("huge_both", sized(BIG, BIG), r"announces 184467\d+ bytes"),
    ("one_row_too_many", sized(5, 3), r"announces 60 bytes, 48 are left"),
    ("truncated_in_body", GOOD[:-1], TRUNCATED),
    ("compressed_huge", compressed(b"CM ", BIG, BIG, b""), r"announces \d+ bytes"),
    ("compressed_3_short", compressed(b"CM3 ", 4, 4, b"x" * 15), r"announces 16 bytes, 15"),
    ("text_words", b"u1  [\n  1 two 3 ]\n", r"byte 3: expected numbers: .*two"),
    ("text_ragged", b"u1  [\n  1 2 3\n  4 5 ]\n", r"row 2 has 2 columns, the first has 3"),
    ("text_unclosed", b"u1  [\n  1 2 3\n", r"truncated"),
]
# name, x.scp beside a good x.ark, what the message must say after x.scp:1 or as a whole
SCRIPTS = [
    ("no_offset", "u1 x.ark\n", r"^.*x\.ark: byte 0: "),
    ("offset_past_end", "u1 x.ark:9999\n", r".*9999 lies outside"),
    ("offset_endless", f"u1 x.ark:{'9' * 5000}\n", r""),
    ("missing_target", "u1 gone.ark:3\n", r"cannot open 'gone\.ark'"),
    ("second_target", "u1 x.ark:3\nu2 g.ark:3\n", r"^.*x\.scp:2: .*g\.ark"),
    ("pipe", "u1 touch canary; cat x.ark |\n", r".*allow-pipes"),
    ("substitution", "u1 $(touch canary).ark:3\n", r"cannot open"),
    ("range_outside", "u1 x.ark:3[0:7]\n", r"the range \[0:7\]"),
]
ZIPPED = gzip.compress(GOOD, mtime=0)
UNSORTED = {"x.scp": "u2 x.ark:3\nu1 x.ark:3\n", "x.ark": ark(("b", matrix(rows())), ("a", matrix(rows())))}
# name, options and rspecifier, files, message
REFERENCES = [
    ("missing_ark", "ark:nowhere.ark", {}, r"cannot open 'nowhere.ark': No such file"),
    ("ark_unsorted", "ark,s:x.ark", UNSORTED, r"'a' comes after"),
    ("pipe_rspecifier", "'ark:touch canary |'", {}, r"allow-pipes"),
    ("long_name", f"ark:{'n' * 300}.ark", {}, r"File name too long"),
    ("gzip_not_gzip", "ark:x.gz", {"x.gz": GOOD}, r"x\.gz: byte 0: cannot read: Not a gzipped"),
    ("gzip_truncated", "ark:x.gz", {"x.gz": ZIPPED[:-20]}, r"x\.gz: byte \d+: cannot read"),
    ("pipe_that_fails", "--allow-pipes=true 'ark:cat x.ark; exit 3 |'", {"x.ark": GOOD}, "status 3"),
]
OUT = {**NETWORK, "x.ark": GOOD}
CASES = [
    Case(
        name,
        f"{FORWARD} ark:x.ark ark:out",
        {**NETWORK, "x.ark": data},
        rf"x\.ark: {text}" if text[:4] == "byte" else text,
    )
    for name, data, text in ARCHIVES
]
CASES += [
    Case(
        f"scp_{name}",
        f"{FORWARD} scp:x.scp ark:out",
        {**NETWORK, "x.scp": script, "x.ark": GOOD},
        text[1:] if text[:1] == "^" else rf"x\.scp:1: {text}",
    )
    for name, script, text in SCRIPTS
]
CASES += [
    Case(name, f"{FORWARD} {spec} ark:out", {**NETWORK, **files}, text)
    for name, spec, files, text in REFERENCES
]
CASES += [
    Case(f"output_{name}", f"{FORWARD} ark:x.ark ark:{out}", {**OUT, "sub/file": "x"}, said)
    for name, out, said in (
        ("in_no_folder", "/proc/nowhere/x", "/proc/nowhere"),
        ("is_a_folder", "sub", "sub"),
    )
]

# What training and forward passes take: features, targets, networks, counts.
FILES = {
    **NETWORK,
    "f.ark": GOOD,
    "l.ark": ark(("u1", posterior([0, 1, 2, 0])), ("u2", posterior([1, 1, 1, 1]))),
}
POSTERIORS = f"{FORWARD} ark:f.ark ark,scp:out.ark,out.scp"
TRAIN = "steps/nnet1/nnet_train_frmshuff.py --minibatch-size=2 ark:f.ark ark:l.ark x.nnet out.nnet"
STREAMS = "steps/nnet1/nnet_train_lstm_streams.py --targets-delay=0 ark:f.ark ark:l.ark x.nnet out.nnet"
# name, features, message
FEATURES = [
    ("nan", one(matrix([[1, 2, 3], [np.nan, 4, 5], [6, 7, 8], [9, 8, 7]])), r"u1: feature nan in frame 1"),
    ("width", one(matrix(rows(dim=4))), r"u1: the features have 4 columns, the network takes 3"),
    ("huge", one(matrix(rows(), dims=(BIG, 3))), r"f\.ark: .*announces"),
    ("duplicate", one(matrix(rows())) * 2, r"f\.ark: duplicate key|u1"),
]
NOTHING = r"not one minibatch"
# name, targets, message
TARGETS = [
    ("class_outside", one(posterior([0, 1, 3, 0])), r"u1: target class 3 in frame 2 .*classes 0 to 2"),
    ("weight_nan", one(posterior([0] * 4, np.nan)), r"u1: a target weight is not a number"),
    ("count_huge", one(b"\0B" + int32(BIG)), r"l\.ark: byte \d+: truncated or wrong header"),
    ("pairs_huge", one(b"\0B" + int32(1) + int32(BIG)), r"l\.ark: byte \d+: truncated or wrong"),
    ("text_odd", b"u1 [ 0 1 ] [ 1 ] \n", r"l\.ark: byte \d+: .*pairs"),
    ("are_matrix", one(matrix(rows())), r"l\.ark: byte \d+: expected"),
    ("of_others", ark(("x1", posterior([0] * 4))), NOTHING),
]
TRAINERS = (("train", TRAIN), ("streams", STREAMS))
CASES += [
    Case(f"{tool}_{file}_{name}", command, {**FILES, file: data}, text)
    for file, table, tools in (
        ("f.ark", FEATURES, (*TRAINERS, ("forward", POSTERIORS))),
        ("l.ark", TARGETS, TRAINERS),
    )
    for name, data, text in table
    for tool, command in tools
]
NAN_NNET = {**FILES, "x.nnet": nnet(affine(value="nan"), SOFTMAX)}
COUNTS = f"{POSTERIORS} --class-frame-counts=c"
CASES += [
    Case("forward_nan_network", POSTERIORS, NAN_NNET, "u1: .*not finite"),
    Case("train_nan_network", TRAIN, NAN_NNET, r"x\.nnet|not finite|nan"),
    Case("forward_counts_words", COUNTS, {**FILES, "c": "[ 1 x 2 ]\n"}, "c:1: expected"),
    Case(
        "forward_counts_more",
        COUNTS,
        {**FILES, "c": "[ 1 2 3 4 ]\n"},
        "4 class counts for a network with 3 outputs",
    ),
    Case("forward_transform", f"{POSTERIORS} --feature-transform=t", {**FILES, "t": nnet(affine(2, 2))}, "2"),
]
SCRIPTS_OF_TRAINING = [
    ("key_alone", b"u1\n", r"x\.scp:1: expected '<key> <file>:<offset>', got 'u1'"),
    ("not_utf8", b"u1 caf\xe9\n", r"x\.scp:1: not UTF-8"),
    ("cut", b"u1 f.ark:3", r"x\.scp: truncated"),
    ("duplicate", b"u1 f.ark:3\n" * 2, r"x\.scp: duplicate key 'u1'"),
]
CASES += [
    Case(f"train_scp_{name}", TRAIN.replace("ark:f.ark", "scp:x.scp"), {**FILES, "x.scp": data}, said)
    for name, data, said in SCRIPTS_OF_TRAINING
]
test_is_refused = refusal(CASES)

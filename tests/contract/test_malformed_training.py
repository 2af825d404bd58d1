"""Features, targets, networks and counts that cannot be used, before what trains and runs networks."""

from __future__ import annotations

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
)

FILES = {
    "x.nnet": nnet(affine(), SOFTMAX),
    "f.ark": ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2)))),
    "l.ark": ark(("u1", posterior([0, 1, 2, 0])), ("u2", posterior([1, 1, 1, 1]))),
}
TRAIN = "steps/nnet1/nnet_train_frmshuff.py --minibatch-size=2 ark:f.ark ark:l.ark x.nnet out.nnet"
STREAMS = "steps/nnet1/nnet_train_lstm_streams.py --targets-delay=0 ark:f.ark ark:l.ark x.nnet out.nnet"
FORWARD = "steps/nnet1/nnet_forward.py x.nnet ark:f.ark ark,scp:out.ark,out.scp"
NAN = rows().copy()
NAN[2, 1] = np.nan


def one(value: bytes, key: str = "u1") -> bytes:
    """Return an archive of one value."""
    return ark((key, value))


# name, features, message
FEATURES = [
    ("nan", one(matrix(NAN)), r"u1: feature nan in frame 2, column 1"),
    ("infinite", one(matrix(rows() * np.inf)), r"u1: feature -?inf in frame 0, column 0"),
    ("width", one(matrix(rows(dim=4))), r"u1: the features have 4 columns, the network takes 3"),
    ("truncated", FILES["f.ark"][:-5], r"f\.ark: byte \d+: truncated"),
    ("huge", one(matrix(rows(), dims=(BIG, 3))), r"f\.ark: .*announces"),
    ("duplicate", one(matrix(rows())) * 2, r"f\.ark: duplicate key|u1"),
]
NOTHING = r"not one minibatch"
# name, targets, message
TARGETS = [
    ("class_outside", one(posterior([0, 1, 3, 0])), r"u1: target class 3 in frame 2 .*classes 0 to 2"),
    ("class_negative", one(posterior([0, 1, -1, 0])), r"u1: target class -1 in frame 2"),
    ("weight_nan", one(posterior([0] * 4, np.nan)), r"u1: a target weight is not a number"),
    ("truncated", FILES["l.ark"][:-2], r"l\.ark: byte \d+"),
    ("count_huge", one(b"\0B" + int32(BIG)), r"l\.ark: byte \d+: truncated or wrong header"),
    ("count_negative", one(b"\0B" + int32(-1)), r"l\.ark: byte \d+: negative dimension"),
    ("pairs_huge", one(b"\0B" + int32(1) + int32(BIG)), r"l\.ark: byte \d+: truncated or wrong"),
    ("text_words", b"u1 [ 0 1 ] [ a 1 ] \n", r"l\.ark: byte \d+: wrong posterior"),
    ("text_odd", b"u1 [ 0 1 ] [ 1 ] \n", r"l\.ark: byte \d+: .*pairs"),
    ("text_open", b"u1 [ 0 1 ] [ 1 1 \n", r"l\.ark: byte \d+: wrong posterior"),
    ("text_class_huge", b"u1 [ 99999999999 1 ] \n", r"l\.ark: byte \d+: wrong posterior"),
    ("are_matrix", one(matrix(rows())), r"l\.ark: byte \d+: expected"),
    ("empty", b"", NOTHING),
    ("of_others", one(posterior([0] * 4), "x1"), NOTHING),
]
TRAINERS = (("train", TRAIN), ("streams", STREAMS))
CASES = [
    Case(f"{tool}_{file}_{name}", command, {**FILES, file: data}, text)
    for file, table, tools in (
        ("f.ark", FEATURES, (*TRAINERS, ("forward", FORWARD))),
        ("l.ark", TARGETS, TRAINERS),
    )
    for name, data, text in table
    for tool, command in tools
]
NAN_NNET = {**FILES, "x.nnet": nnet(affine(value="nan"), SOFTMAX)}
COUNTS = f"{FORWARD} --class-frame-counts=c"
CASES += [
    Case("forward_nan_network", FORWARD, NAN_NNET, "u1: .*not finite"),
    Case("train_nan_network", TRAIN, NAN_NNET, r"x\.nnet|not finite|nan"),
    Case("streams_nan_network", STREAMS, NAN_NNET, r"x\.nnet|not finite|nan"),
    Case("forward_counts_words", COUNTS, {**FILES, "c": "[ 1 x 2 ]\n"}, "c:1: expected"),
    Case("forward_counts_empty", COUNTS, {**FILES, "c": ""}, "c"),
    Case(
        "forward_counts_more",
        COUNTS,
        {**FILES, "c": "[ 1 2 3 4 ]\n"},
        "4 class counts for a network with 3 outputs",
    ),
    Case("forward_transform", f"{FORWARD} --feature-transform=t", {**FILES, "t": nnet(affine(2, 2))}, "2"),
    Case("train_gpu", f"{TRAIN} --use-gpu=maybe", FILES, "maybe", 2),
]
test_is_refused = refusal(CASES)

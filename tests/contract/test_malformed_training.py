"""Features, targets, networks and counts that cannot be used, before what trains and runs networks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.malformed import (
    BIG,
    SOFTMAX,
    Case,
    affine,
    ark,
    check_refused,
    int32,
    matrix,
    nnet,
    posterior,
    rows,
)

GOOD, NAN_NNET = nnet(affine(), SOFTMAX), nnet(affine(value="nan"), SOFTMAX)
FEATS = ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2))))
LABELS = ark(("u1", posterior([0, 1, 2, 0])), ("u2", posterior([1, 1, 1, 1])))
TRAIN = "steps/nnet1/nnet_train_frmshuff.py --minibatch-size=2 ark:f.ark ark:l.ark x.nnet out.nnet"
STREAMS = "steps/nnet1/nnet_train_lstm_streams.py --targets-delay=0 ark:f.ark ark:l.ark x.nnet out.nnet"
FORWARD = "steps/nnet1/nnet_forward.py x.nnet ark:f.ark ark,scp:out.ark,out.scp"
NAN = rows().copy()
NAN[2, 1] = np.nan

# name, features, labels, message
DATA = [
    ("feats_nan", ark(("u1", matrix(NAN))), LABELS, r"u1: feature nan in frame 2, column 1"),
    (
        "feats_infinite",
        ark(("u1", matrix(rows() * np.inf))),
        LABELS,
        r"u1: feature -?inf in frame 0, column 0",
    ),
    (
        "feats_width",
        ark(("u1", matrix(rows(dim=4)))),
        LABELS,
        r"u1: the features have 4 columns, the network takes 3",
    ),
    ("feats_truncated", FEATS[:-5], LABELS, r"f\.ark: byte \d+: truncated"),
    ("feats_huge", ark(("u1", matrix(rows(), dims=(BIG, 3)))), LABELS, r"f\.ark: .*announces"),
    (
        "feats_duplicate",
        ark(("u1", matrix(rows())), ("u1", matrix(rows()))),
        LABELS,
        r"f\.ark: duplicate key|u1",
    ),
]
TARGETS = [
    (
        "class_outside",
        ark(("u1", posterior([0, 1, 3, 0]))),
        r"u1: target class 3 in frame 2 .*classes 0 to 2",
    ),
    ("class_negative", ark(("u1", posterior([0, 1, -1, 0]))), r"u1: target class -1 in frame 2"),
    ("weight_nan", ark(("u1", posterior([0] * 4, np.nan))), r"u1: a target weight is not a number"),
    ("labels_truncated", LABELS[:-2], r"l\.ark: byte \d+"),
    ("labels_count_huge", ark(("u1", b"\0B" + int32(BIG))), r"l\.ark: byte \d+: truncated or wrong header"),
    ("labels_count_negative", ark(("u1", b"\0B" + int32(-1))), r"l\.ark: byte \d+: negative dimension"),
    (
        "labels_pairs_huge",
        ark(("u1", b"\0B" + int32(1) + int32(BIG))),
        r"l\.ark: byte \d+: truncated or wrong",
    ),
    ("labels_text_words", b"u1 [ 0 1 ] [ a 1 ] \n", r"l\.ark: byte \d+: wrong posterior"),
    ("labels_text_odd", b"u1 [ 0 1 ] [ 1 ] \n", r"l\.ark: byte \d+: .*pairs"),
    ("labels_text_open", b"u1 [ 0 1 ] [ 1 1 \n", r"l\.ark: byte \d+: wrong posterior"),
    ("labels_text_class_huge", b"u1 [ 99999999999 1 ] \n", r"l\.ark: byte \d+: wrong posterior"),
    ("labels_are_matrix", ark(("u1", matrix(rows()))), r"l\.ark: byte \d+: expected"),
    ("labels_empty", b"", r"no (frames|utterance|data)|nothing|Done 0|left"),
    ("labels_of_others", ark(("x1", posterior([0] * 4))), r"no (frames|utterance|data)|nothing|Done 0|left"),
]
CASES = [
    Case(f"{tool}_{name}", command, {"f.ark": feats, "l.ark": labels, "x.nnet": GOOD}, text)
    for name, feats, labels, text in DATA
    for tool, command in (("train", TRAIN), ("streams", STREAMS), ("forward", FORWARD))
    if not (tool == "forward" and name == "feats_empty")
]
CASES += [
    Case(f"{tool}_{name}", command, {"f.ark": FEATS, "l.ark": labels, "x.nnet": GOOD}, text)
    for name, labels, text in TARGETS
    for tool, command in (("train", TRAIN), ("streams", STREAMS))
]
CASES += [
    Case("forward_nan_network", FORWARD, {"x.nnet": NAN_NNET, "f.ark": FEATS}, "u1: .*not finite"),
    Case(
        "train_nan_network",
        TRAIN,
        {"x.nnet": NAN_NNET, "f.ark": FEATS, "l.ark": LABELS},
        r"x\.nnet|not finite|nan",
    ),
    Case(
        "streams_nan_network",
        STREAMS,
        {"x.nnet": NAN_NNET, "f.ark": FEATS, "l.ark": LABELS},
        r"x\.nnet|not finite|nan",
    ),
    Case(
        "forward_counts_words",
        f"{FORWARD} --class-frame-counts=c",
        {"x.nnet": GOOD, "c": "[ 1 x 2 ]\n"},
        "c:1: expected",
    ),
    Case("forward_counts_empty", f"{FORWARD} --class-frame-counts=c", {"x.nnet": GOOD, "c": ""}, "c"),
    Case(
        "forward_counts_too_many",
        f"{FORWARD} --class-frame-counts=c",
        {"x.nnet": GOOD, "c": "[ 1 2 3 4 ]\n", "f.ark": FEATS},
        "4 class counts for a network with 3 outputs",
    ),
    Case(
        "forward_transform",
        f"{FORWARD} --feature-transform=t",
        {"x.nnet": GOOD, "t": nnet(affine(2, 2)), "f.ark": FEATS},
        "2",
    ),
    Case("train_gpu", f"{TRAIN} --use-gpu=maybe", {"x.nnet": GOOD}, "maybe", 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, tmp_path, fork_server):
    check_refused(case, tmp_path, fork_server)

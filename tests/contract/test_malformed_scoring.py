"""Labels, posteriors, vectors, SVMs and results that are not what they should be."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np

from tests.contract.malformed import BIG, PICKLE, Case, ark, matrix, posteriors, refusal, rows, vector

UTTS = [f"u{number:02}" for number in range(12)]
LABELS = "".join(f"{utt} {'abc'[number % 3]}\n" for number, utt in enumerate(UTTS))
SPEAKERS = "".join(f"{utt} s{number // 2}\n" for number, utt in enumerate(UTTS))
FRAMES = "".join(f"{utt} 4\n" for utt in UTTS)
POST = [(utt, matrix(posteriors())) for utt in UTTS]
VECTORS = [(utt, vector(rows(1, 5, seed)[0])) for seed, utt in enumerate(UTTS)]
FILES = {"d/utt2genre": LABELS, "d/utt2spk": SPEAKERS, "d/genres.txt": "a\nb\nc\n",
         "d/utt2num_frames": FRAMES, "p.ark": ark(*POST), "v.ark": ark(*VECTORS)}  # fmt: skip
VOTE = "local/majority_vote.py d ark:p.ark out"
LSTM = "local/segment_features.py --type lstm '' ark:p.ark ark,scp:v.ark,v.scp"
FUSION = "local/segment_features.py --type fusion ark:f.ark ark:p.ark ark,scp:v.ark,v.scp"
TRAIN = "local/train_svm.py d ark:v.ark svm.npz"
SCORE = "local/score_svm.py d svm.npz ark:v.ark out"
SPLIT, LABEL = "local/split_tr_cv.py d tr cv", "local/make_frame_labels.py d"
COMPARE = "local/compare_results.py e f"


def cases(*table: tuple, command: str = "", file: str = "", prefix: str = "") -> list[Case]:
    """Return a case for each row: name, [command,] message, [content of the file | files…]."""
    found = []
    for name, *row in table:
        words = command or row.pop(0)
        message, *files = row
        changed = {file: files[0]} if file else files[0] if files else {}
        status = 2 if message.startswith("usage: ") else 1
        found.append(
            Case(prefix + name, words, {**FILES, **changed}, message.removeprefix("usage: "), status)
        )
    return found


def altered(frame: int, column: int, value: float) -> bytes:
    """Return posteriors with one number replaced."""
    values = posteriors()
    values[frame, column] = value
    return matrix(values)


def with_one(entries: list[tuple[str, bytes]], data: bytes) -> bytes:
    """Return an archive with the value of u03 replaced."""
    return ark(*((utt, data if utt == "u03" else value) for utt, value in entries))


# name, message, posteriors of u03
NO_DISTRIBUTION = "'u03': frame {} is not a distribution"
POSTERIORS = [
    ("nan", r"'u03': frame 2 is not finite", altered(2, 1, np.nan)),
    ("infinite", r"'u03': frame 2 is not finite", altered(2, 1, np.inf)),
    ("negative", NO_DISTRIBUTION.format(1), altered(1, 1, -0.5)),
    ("above_one", NO_DISTRIBUTION.format(0), altered(0, 2, 7.0)),
    ("logarithms", NO_DISTRIBUTION.format(0), matrix(np.log(posteriors()))),
    ("zeros", NO_DISTRIBUTION.format(0), matrix(np.zeros((4, 3)))),
    ("no_frames", r"'u03' has no frames", matrix(np.zeros((0, 3)))),
    ("too_few_classes", r"'u03': expected posteriors of 3|'u03' has 8 values", matrix(posteriors(4, 2))),
    ("huge", r"p\.ark: byte \d+: .*announces", matrix(posteriors(), dims=(BIG, BIG))),
    ("vector", r"p\.ark: byte \d+: expected a matrix", vector([1, 0, 0])),
]
SPOILT = [(name, said, {"p.ark": with_one(POST, data)}) for name, said, data in POSTERIORS]
CASES = cases(*SPOILT, command=VOTE, prefix="vote_") + cases(*SPOILT, command=LSTM, prefix="statistics_")

MORE = {
    "d/utt2genre": LABELS + "u99 a\n",
    "d/utt2num_frames": FRAMES + "u99 4\n",
    "d/utt2spk": SPEAKERS + "u99 s\n",
}
TABLES = [
    ("genres_empty", r"genres\.txt: expected at least two classes", {"d/genres.txt": ""}),
    ("genres_one", r"genres\.txt: expected at least two classes", {"d/genres.txt": "a\n"}),
    ("genres_twice", r"genres\.txt:3: the class 'a' stands twice", {"d/genres.txt": "a\nb\na\n"}),
    ("genres_two_words", r"genres\.txt:2: expected one class name", {"d/genres.txt": "a\nb c\n"}),
    ("genres_blank_line", r"genres\.txt:2: expected one class name, got ''", {"d/genres.txt": "a\n\nb\nc\n"}),
    ("genres_not_utf8", r"genres\.txt.*UTF-8", {"d/genres.txt": b"a\nb\xff\nc\n"}),
    ("label_unknown", r"'u04' has class 'z', expected", {"d/utt2genre": LABELS.replace("u04 b", "u04 z")}),
    ("labels_empty", r"utt2genre: no utterances", {"d/utt2genre": ""}),
    ("unlabelled", r"'u04' is not in d/utt2genre", {"d/utt2genre": LABELS.replace("u04 b\n", "")}),
    ("utterance_missing", r"'u99' of d/utt2genre is missing", MORE),
]
CASES += cases(*TABLES, command=VOTE, prefix="vote_") + cases(*TABLES, command=TRAIN, prefix="svm_")


def frames(number: object) -> dict[str, str]:
    """Return utt2num_frames with another number of frames of u04."""
    return {"d/utt2num_frames": FRAMES.replace("u04 4", f"u04 {number}")}


NOWHERE = "local/majority_vote.py nowhere ark:p.ark out"
CASES += cases(
    ("frames_negative", VOTE, r"utt2num_frames: 'u04' has '-4' frames", frames(-4)),
    ("frames_zero", VOTE, r"utt2num_frames: 'u04' has '0' frames", frames(0)),
    ("frames_word", VOTE, r"utt2num_frames: 'u04' has 'x' frames", frames("x")),
    ("frames_power", VOTE, r"utt2num_frames: 'u04' has '²' frames", frames("²")),
    ("frames_differ", VOTE, r"'u04': expected 5 frames .*, got 4", frames(5)),
    ("vote_no_folder", NOWHERE, r"nowhere/genres\.txt: .*No such file"),
    ("speaker", TRAIN, r"'u04' of d/utt2genre is missing", {"d/utt2spk": SPEAKERS.replace("u04 s2\n", "")}),
    ("fusion_lengths", FUSION, "'u00': expected 5 .*got 4", {"f.ark": ark(("u00", matrix(rows(5))))}),
    ("fusion_missing", FUSION, r"'u01' of ark:p\.ark is missing", {"f.ark": ark(("u00", matrix(rows())))}),
    ("fusion_nan", FUSION, "'u00': .* not finite", {"f.ark": ark(("u00", matrix(rows() * np.nan)))}),
    ("sc_no_frames", FUSION.replace("fusion", "sc"), "'u00' has no frames",
     {"f.ark": ark(("u00", matrix(np.zeros((0, 3)))))}),
    ("k_above_one", LSTM.replace("--type", "--k 1.5 --type"), r"usage: --k: expected a posterior"),
    ("k_nan", LSTM.replace("--type", "--k nan --type"), r"usage: expected a finite number, got 'nan'"),
    ("vectors_empty", TRAIN, r"v\.ark: no utterances", {"v.ark": b""}),
    ("vectors_duplicate", TRAIN, r"duplicate key 'u00'", {"v.ark": ark(VECTORS[0], VECTORS[0])}),
    ("grid_negative", f"{TRAIN} --c-grid=-1,2", r"usage: c-grid"),
    ("grid_words", f"{TRAIN} --c-grid=a,b", r"usage: c-grid"),
)  # fmt: skip

# name, message, value of u03 in v.ark
VECTOR = [
    ("nan", r"'u03' is not finite", vector([1, np.nan, 0, 0, 0])),
    ("length", r"'u03': expected 5 values, got 2", vector([1, 2])),
    ("huge", r"v\.ark: byte \d+: .*announces", vector([1, 2], size=BIG)),
    ("negative", r"v\.ark: byte \d+: expected the dimension", vector([1, 2], size=-2)),
    ("matrix", r"v\.ark: byte \d+: expected a vector", matrix(rows())),
    ("text_words", r"v\.ark: byte \d+: expected numbers", b" [ 1 2 three 4 5 ]\n"),
    ("text_open", r"v\.ark: byte \d+: expected '\[", b" [ 1 2 3 4 5\n"),
]
SPOILT = [(name, said, {"v.ark": with_one(VECTORS, data)}) for name, said, data in VECTOR]
CASES += cases(*SPOILT, command=TRAIN, prefix="vector_")


def svm(**replaced: object) -> bytes:
    """Return an npz file of an SVM for three classes and five dimensions, with arrays replaced."""
    arrays = {"format": 1, "classes": np.array(list("abc")), "mean": np.zeros(5), "scale": np.ones(5),
              "weight": np.ones((3, 5)), "bias": np.zeros(3), "cost": 1.0, "grid": np.ones(1),
              "grid_correct": np.ones(1, int), "num_train": 12, "folds": 2, "grouped": True, "kind": "lstm",
              "k": 0.9, **replaced}  # fmt: skip
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(value) for name, value in arrays.items() if value is not None})
    return buffer.getvalue()


def packed(name: str, content: bytes) -> bytes:
    """Return a zip file with one entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    """Return an npz whose array claims 2^40 numbers."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
    return packed("mean.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


OBJECTS = svm(classes=np.array(["a", "b", {"c": 1}], dtype=object))  # which only unpickling could read
NARROW = svm(mean=np.zeros(4), scale=np.ones(4), weight=np.ones((3, 4)))
SHAPES = r"svm\.npz: weight: expected float64 \(3, 5\), got float64 \(3, 4\)"
SVMS = [
    ("empty", r"svm\.npz: not an SVM", b""),
    ("text", r"svm\.npz: not an SVM", b"I am an SVM\n"),
    ("pickle", r"svm\.npz: not an SVM", PICKLE),
    ("objects", r"svm\.npz: not an SVM .*allow_pickle", OBJECTS),
    ("cut", r"svm\.npz: not an SVM", svm()[:-40]),
    ("array_huge", r"svm\.npz: not an SVM", bomb()),
    ("array_missing", r"svm\.npz: not an SVM .*bias", svm(bias=None)),
    ("format", r"svm\.npz: expected format 1, got 2", svm(format=2)),
    ("shape", SHAPES, svm(weight=np.ones((3, 4)))),
    ("nan", r"svm\.npz: bias is not finite", svm(bias=np.full(3, np.nan))),
    ("type", r"svm\.npz: mean: expected float64", svm(mean=np.zeros(5, np.float32))),
    ("zip_broken", r"svm\.npz: not an SVM", b"PK\3\4broken"),
    ("array_junk", r"svm\.npz: not an SVM", packed("weight.npy", b"junk")),
    ("scale_zero", r"svm\.npz: .*positive scales", svm(scale=np.zeros(5))),
    ("classes", r"svm\.npz knows the classes 'a b d', d has 'a b c'", svm(classes=np.array(list("abd")))),
    ("dimensions", r"expected vectors of 4 values", NARROW),
]
CASES += cases(*SVMS, command=SCORE, file="svm.npz", prefix="svm_file_")

UNLABELLED = {"d/utt2genre": LABELS.replace("u04 b\n", "")}
CASES += cases(
    ("svm_file_missing", SCORE, r"svm\.npz: cannot read an SVM .*: No such file"),
    ("split_percent", f"{SPLIT} --cv-percent 150", r"--cv-percent 150: expected a percentage"),
    ("split_no_artists", SPLIT, r"'u01' is not in d/utt2spk", {"d/utt2spk": "u00 s\n"}),
    ("split_no_class", SPLIT, r"d/utt2genre: utterance 'u04' of d/utt2spk", UNLABELLED),
    ("split_one_artist", SPLIT, "d: no class can spare", {"d/utt2spk": re.sub(r"s\d", "s", SPEAKERS)}),
    ("split_no_folder", "local/split_tr_cv.py nowhere tr cv", r"nowhere"),
    ("labels_class", LABEL, r"'u00' has class 'a', expected one of b c", {"d/genres.txt": "b\nc\n"}),
    ("labels_power", LABEL, r"utt2num_frames: 'u04' has '²' frames", frames("²")),
    ("labels_missing", LABEL, "'u04' of d/utt2genre is missing",
     {"d/utt2num_frames": FRAMES.replace("u04 4\n", "")}),
    ("labels_huge", LABEL, r"utt2num_frames: 'u04' has '1000000000000' frames", frames(10**12)),
)  # fmt: skip

INFINITE = '{"classes": ["a","b","c"], "measures": [{"name": "x", "confusion": [[1e999]]}]}'
MEASURES = [
    ("no_json", r"accuracy\.json", "{"),
    ("not_utf8", r"accuracy\.json", b'{"a": "\xff"}'),
    ("list", r"accuracy\.json", "[]"),
    ("other_keys", r"accuracy\.json", json.dumps({"a": 1})),
    ("infinite", r"accuracy\.json", INFINITE),
]
CASES += cases(*MEASURES, command=COMPARE, file="e/score_test/accuracy.json", prefix="measures_")
test_is_refused = refusal(CASES)

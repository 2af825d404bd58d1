"""Labels, posteriors, vectors, SVMs and results that are not what they should be."""

import io
import json
import re
import zipfile

import numpy as np

from tests.contract.malformed import PICKLE, Case, ark, matrix, posteriors, refusal, rows, vector

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
    values = posteriors()
    values[frame, column] = value
    return matrix(values)


def with_one(entries: list[tuple[str, bytes]], data: bytes) -> bytes:
    return ark(*((utt, data if utt == "u03" else value) for utt, value in entries))


# name, message, posteriors of u03
NO_DISTRIBUTION = "'u03': frame {} is not a distribution"
POSTERIORS = [
    ("nan", r"'u03': frame 2 is not finite", altered(2, 1, np.nan)),
    ("logarithms", NO_DISTRIBUTION.format(0), matrix(np.log(posteriors()))),
    ("no_frames", r"'u03' has no frames", matrix(np.zeros((0, 3)))),
    ("too_few_classes", r"'u03': expected posteriors of 3|'u03' has 8 values", matrix(posteriors(4, 2))),
]
SPOILT = [(name, said, {"p.ark": with_one(POST, data)}) for name, said, data in POSTERIORS]
CASES = cases(*SPOILT, command=VOTE, prefix="vote_") + cases(*SPOILT, command=LSTM, prefix="statistics_")

MORE = {
    "d/utt2genre": LABELS + "u99 a\n",
    "d/utt2num_frames": FRAMES + "u99 4\n",
    "d/utt2spk": SPEAKERS + "u99 s\n",
}
TABLES = [
    ("genres_one", r"genres\.txt: expected at least two classes", {"d/genres.txt": "a\n"}),
    ("genres_twice", r"genres\.txt:3: the class 'a' stands twice", {"d/genres.txt": "a\nb\na\n"}),
    ("label_unknown", r"'u04' has class 'z', expected", {"d/utt2genre": LABELS.replace("u04 b", "u04 z")}),
    ("unlabelled", r"'u04' is not in d/utt2genre", {"d/utt2genre": LABELS.replace("u04 b\n", "")}),
    ("utterance_missing", r"'u99' of d/utt2genre is missing", MORE),
]
CASES += cases(*TABLES, command=VOTE, prefix="vote_") + cases(*TABLES, command=TRAIN, prefix="svm_")


def frames(number: object) -> dict[str, str]:
    """Return utt2num_frames with another number of frames of u04."""
    return {"d/utt2num_frames": FRAMES.replace("u04 4", f"u04 {number}")}


CASES += cases(
    ("frames_power", VOTE, r"utt2num_frames: 'u04' has '²' frames", frames("²")),
    ("frames_differ", VOTE, r"'u04': expected 5 frames .*, got 4", frames(5)),
    ("speaker", TRAIN, r"'u04' of d/utt2genre is missing", {"d/utt2spk": SPEAKERS.replace("u04 s2\n", "")}),
    ("fusion_lengths", FUSION, "'u00': expected 5 .*got 4", {"f.ark": ark(("u00", matrix(rows(5))))}),
    ("fusion_missing", FUSION, r"'u01' of ark:p\.ark is missing", {"f.ark": ark(("u00", matrix(rows())))}),
    ("sc_no_frames", FUSION.replace("fusion", "sc"), "'u00' has no frames",
     {"f.ark": ark(("u00", matrix(np.zeros((0, 3)))))}),
    ("k_above_one", LSTM.replace("--type", "--k 1.5 --type"), r"usage: --k: expected a posterior"),
    ("grid_negative", f"{TRAIN} --c-grid=-1,2", r"usage: c-grid"),
)  # fmt: skip

# name, message, value of u03 in v.ark
VECTOR = [
    ("nan", r"'u03' is not finite", vector([1, np.nan, 0, 0, 0])),
    ("length", r"'u03': expected 5 values, got 2", vector([1, 2])),
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
    ("pickle", r"svm\.npz: not an SVM", PICKLE),
    ("objects", r"svm\.npz: not an SVM .*allow_pickle", OBJECTS),
    ("array_huge", r"svm\.npz: not an SVM", bomb()),
    ("shape", SHAPES, svm(weight=np.ones((3, 4)))),
    ("nan", r"svm\.npz: bias is not finite", svm(bias=np.full(3, np.nan))),
    ("classes", r"svm\.npz knows the classes 'a b d', d has 'a b c'", svm(classes=np.array(list("abd")))),
    ("dimensions", r"expected vectors of 4 values", NARROW),
]
CASES += cases(*SVMS, command=SCORE, file="svm.npz", prefix="svm_file_")

UNLABELLED = {"d/utt2genre": LABELS.replace("u04 b\n", "")}
CASES += cases(
    ("svm_file_missing", SCORE, r"svm\.npz: cannot read an SVM .*: No such file"),
    ("split_no_artists", SPLIT, r"'u01' is not in d/utt2spk", {"d/utt2spk": "u00 s\n"}),
    ("split_one_artist", SPLIT, "d: no class can spare", {"d/utt2spk": re.sub(r"s\d", "s", SPEAKERS)}),
    ("labels_huge", LABEL, r"utt2num_frames: 'u04' has '1000000000000' frames", frames(10**12)),
)  # fmt: skip

MEASURES = [
    ("no_json", r"accuracy\.json", "{"),
    ("other_keys", r"accuracy\.json", json.dumps({"a": 1})),
]
CASES += cases(*MEASURES, command=COMPARE, file="e/score_test/accuracy.json", prefix="measures_")

FIRST, *OTHERS = LABELS.splitlines(keepends=True)
REST = "".join(OTHERS)
NO_PAIR = r":1: expected '<key> <value>' with a blank between them"
DAMAGED = [  # name, what is said after the table's name, the table
    ("key_alone", f"{NO_PAIR}, got 'u00'", f"u00\n{REST}"),
    ("tab", NO_PAIR, LABELS.replace(" ", "\t", 1)),
    ("blank_first", NO_PAIR, f" {LABELS}"),
    ("blank_line", r":2: expected '<key> <value>'", f"{FIRST}\n{REST}"),
    ("crlf", r":1: ends in a carriage return", LABELS.replace("\n", "\r\n")),
    ("not_utf8", r":2: not UTF-8", FIRST.encode() + b"u01 caf\xe9\n"),
    ("utf16", r":1: not UTF-8", LABELS.encode("utf-16")),
    ("cut", r": truncated: the last line has no end", LABELS[:-1]),
    ("duplicate", r":2: duplicate key 'u00'", FIRST + LABELS),
    ("unsorted", r":12: 'u00' comes after 'u11': not sorted", REST + FIRST),
    ("nul", r":1: holds a control character", f"u00 x\0y\n{REST}"),
]
CASES += [
    Case(f"table_{program}_{name}", command, {**FILES, "d/utt2genre": text}, f"d/utt2genre{said}")
    for name, said, text in DAMAGED
    for program, command in (("vote", VOTE), ("svm", TRAIN))
]
test_is_refused = refusal(CASES)

"""Labels, posteriors, vectors, SVMs and results that are not what they should be."""

import io
import json
import zipfile

import numpy as np

from tests.contract.malformed import PICKLE, ark, cases, matrix, posteriors, refusal, rows, vector

UTTS = [f"u{number:02}" for number in range(12)]
LABELS = "".join(f"{utt} {'abc'[number % 3]}\n" for number, utt in enumerate(UTTS))
SPEAKERS = "".join(f"{utt} s{number // 2}\n" for number, utt in enumerate(UTTS))
FRAMES = "".join(f"{utt} 4\n" for utt in UTTS)
POST = [(utt, matrix(posteriors())) for utt in UTTS]
VECTORS = [(utt, vector(rows(1, 5, seed)[0])) for seed, utt in enumerate(UTTS)]
TABLES = {
    "d/utt2genre": LABELS,
    "d/utt2spk": SPEAKERS,
    "d/genres.txt": "a\nb\nc\n",
    "d/utt2num_frames": FRAMES,
}
THREE = {name: "".join(TABLES[name].splitlines(keepends=True)[:3]) for name in TABLES}
FILES = {**TABLES, "p.ark": ark(*POST), "v.ark": ark(*VECTORS)}
VOTE = "local/majority_vote.py d ark:p.ark out"
LSTM = "local/segment_features.py --type lstm '' ark:p.ark ark,scp:v.ark,v.scp"
FUSION = "local/segment_features.py --type fusion ark:f.ark ark:p.ark ark,scp:v.ark,v.scp"
TRAIN = "local/train_svm.py d ark:v.ark svm.npz"
SPLIT, COMPARE = "local/make_training_data.py d tr cv cmvn", "local/compare_results.py e f"


def altered(frame: int, column: int, value: float) -> bytes:
    values = posteriors()
    values[frame, column] = value
    return matrix(values)


def with_one(entries: list[tuple[str, bytes]], data: bytes) -> bytes:
    return ark(*((utt, data if utt == "u03" else value) for utt, value in entries))


POSTERIORS = [
    (name, said, with_one(POST, data))
    for name, said, data in (
        ("nan", r"'u03': frame 2 is not a distribution: .* got a sum of nan", altered(2, 1, np.nan)),
        ("logarithms", r"'u03': frame 0 is not a distribution", matrix(np.log(posteriors()))),
        ("no_frames", r"'u03': expected frames .* of 3 classes, got 0 frames", matrix(np.zeros((0, 3)))),
        ("too_few_classes", r"'u03': .*of 3 classes, got 4 frames of 2", matrix(posteriors(4, 2))),
    )
]
CASES = cases(VOTE, *POSTERIORS, file="p.ark", base=FILES)
CASES += [c._replace(name=f"statistics_{c.name}") for c in cases(LSTM, *POSTERIORS, file="p.ark", base=FILES)]
CASES += cases(
    TRAIN,
    ("vector_nan", r"'u03' is not finite", with_one(VECTORS, vector([1, np.nan, 0, 0, 0]))),
    ("vector_length", r"'u03': expected 5 values, got 2", with_one(VECTORS, vector([1, 2]))),
    file="v.ark",
    base=FILES,
)

LAST = (("d/utt2genre", "a"), ("d/utt2num_frames", 4), ("d/utt2spk", "s"))
MORE = {name: f"{FILES[name]}u99 {value}\n" for name, value in LAST}
FEW = {"d/utt2genre": LABELS.replace("u04 b\n", "")}
CASES += cases(
    VOTE,
    ("genres_one", r"genres\.txt: expected at least two classes", {"d/genres.txt": "a\n"}),
    ("label_unknown", r"'u04' has class 'z', expected", {"d/utt2genre": LABELS.replace("u04 b", "u04 z")}),
    ("unlabelled", r"'u04' is not in d/utt2genre", FEW),
    ("utterance_missing", r"'u99' of d/utt2genre is missing", MORE),
    base=FILES,
)
CASES += cases(
    "{}",
    ("speaker", "'u04' of d/utt2genre is missing", {"d/utt2spk": SPEAKERS.replace("u04 s2\n", "")}, TRAIN),
    (
        "fusion_lengths",
        "got 5 of 'u00' and 4 of 'u00'",
        {"f.ark": ark(("u00", matrix(rows(5))))},
        FUSION,
    ),
    (
        "fusion_missing",
        r"got 0 of '' and 4 of 'u01'",
        {"f.ark": ark(("u00", matrix(rows())))},
        FUSION,
    ),
    ("one_track", "d: no class has a track to spare", THREE, SPLIT),
    ("measures_no_json", r"accuracy\.json", {"e/score_test/accuracy.json": "{"}, COMPARE),
    ("measures_other_keys", r"accuracy\.json", {"e/score_test/accuracy.json": json.dumps({"a": 1})}, COMPARE),
    base=FILES,
)
CASES += cases(
    "{}",
    ("k_above_one", "--k: expected a posterior", {}, LSTM.replace("--type", "--k 1.5 --type")),
    ("grid_negative", "c-grid", {}, f"{TRAIN} --c-grid=-1,2"),
    base=FILES,
    status=2,
)


def svm(**replaced: object) -> bytes:
    """Return an npz file of an SVM for three classes and five dimensions, with arrays replaced."""
    arrays = {"format": 2, "classes": np.array(list("abc")), "mean": np.zeros(5), "scale": np.ones(5),
              "weight": np.ones((3, 5)), "bias": np.zeros(3), "cost": 1.0, "notes": "", "kind": "lstm",
              "k": 0.9, **replaced}  # fmt: skip
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(value) for name, value in arrays.items()})
    return buffer.getvalue()


def bomb() -> bytes:
    """Return an npz whose array claims 2^40 numbers."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("mean.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


OBJECTS = svm(classes=np.array(["a", "b", {"c": 1}], dtype=object))  # which only unpickling could read
NARROW = svm(mean=np.zeros(4), scale=np.ones(4), weight=np.ones((3, 4)))
SHAPES = r"svm\.npz: cannot read an SVM .*weight: expected finite .* \(3, 5\), got float64 \(3, 4\)"
CASES += cases(
    "local/score_svm.py d svm.npz ark:v.ark out",
    ("svm_missing", r"svm\.npz: cannot read an SVM .*No such file", {}),
    ("svm_pickle", r"svm\.npz: cannot read an SVM", PICKLE),
    ("svm_objects", r"svm\.npz: cannot read an SVM .*allow_pickle", OBJECTS),
    ("svm_array_huge", r"svm\.npz: cannot read an SVM", bomb()),
    ("svm_shape", SHAPES, svm(weight=np.ones((3, 4)))),
    ("svm_nan", r"svm\.npz: cannot read an SVM .*bias: expected finite", svm(bias=np.full(3, np.nan))),
    ("svm_classes", r"svm\.npz knows the classes 'a b d', d has 'a b c'", svm(classes=np.array(list("abd")))),
    ("svm_dimensions", r"'u00': expected 4 values, got 5", NARROW),
    file="svm.npz",
    base=FILES,
)

FIRST, *OTHERS = LABELS.splitlines(keepends=True)
REST = "".join(OTHERS)
NO_PAIR = r"d/utt2genre:1: expected '<key> <value>' with a blank between them"
CASES += cases(
    VOTE,
    ("table_key_alone", f"{NO_PAIR}, got 'u00'", f"u00\n{REST}"),
    ("table_tab", NO_PAIR, LABELS.replace(" ", "\t", 1)),
    ("table_blank_first", NO_PAIR, f" {LABELS}"),
    ("table_blank_line", r"d/utt2genre:2: expected '<key> <value>'", f"{FIRST}\n{REST}"),
    ("table_crlf", r"d/utt2genre:1: ends in a carriage return", LABELS.replace("\n", "\r\n")),
    ("table_not_utf8", r"d/utt2genre:2: not UTF-8", FIRST.encode() + b"u01 caf\xe9\n"),
    ("table_cut", r"d/utt2genre: truncated: the last line has no end", LABELS[:-1]),
    ("table_duplicate", r"d/utt2genre:2: duplicate key 'u00'", FIRST + LABELS),
    ("table_unsorted", r"d/utt2genre:12: 'u00' comes after 'u11': not sorted", REST + FIRST),
    ("table_nul", r"d/utt2genre:1: holds a control character", f"u00 x\0y\n{REST}"),
    file="d/utt2genre",
    base=FILES,
)
test_is_refused = refusal(CASES)

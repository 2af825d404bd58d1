"""Labels, posteriors, vectors, SVMs and results that are not what they should be."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from tests.contract.malformed import BIG, PICKLE, Case, ark, check_refused, matrix, posteriors, rows, vector

UTTS = [f"u{number:02}" for number in range(12)]
GENRES = "a\nb\nc\n"
LABELS = "".join(f"{utt} {'abc'[number % 3]}\n" for number, utt in enumerate(UTTS))
SPEAKERS = "".join(f"{utt} s{number // 2}\n" for number, utt in enumerate(UTTS))
FRAMES = "".join(f"{utt} 4\n" for utt in UTTS)
DATA = {"d/utt2genre": LABELS, "d/utt2spk": SPEAKERS, "d/genres.txt": GENRES, "d/utt2num_frames": FRAMES}
POST = [(utt, matrix(posteriors())) for utt in UTTS]
VECTORS = [(utt, vector(rows(1, 5, seed)[0])) for seed, utt in enumerate(UTTS)]
VOTE = "local/majority_vote.py d ark:p.ark out"
LSTM = "local/segment_features.py --type lstm '' ark:p.ark ark,scp:v.ark,v.scp"
FUSION = "local/segment_features.py --type fusion ark:f.ark ark:p.ark ark,scp:v.ark,v.scp"
TRAIN = "local/train_svm.py d ark:v.ark svm.npz"
SCORE = "local/score_svm.py d svm.npz ark:v.ark out"


def altered(frame: int, column: int, value: float) -> bytes:
    """Return posteriors with one number replaced."""
    values = posteriors()
    values[frame, column] = value
    return matrix(values)


# name, posteriors of u03, message
POSTERIORS = [
    ("nan", altered(2, 1, np.nan), r"'u03': frame 2 is not finite"),
    ("infinite", altered(2, 1, np.inf), r"'u03': frame 2 is not finite"),
    ("negative", altered(1, 1, -0.5), r"'u03': frame 1 is not a distribution"),
    ("above_one", altered(0, 2, 7.0), r"'u03': frame 0 is not a distribution"),
    ("logarithms", matrix(np.log(posteriors())), r"'u03': frame 0 is not a distribution"),
    ("zeros", matrix(np.zeros((4, 3))), r"'u03': frame 0 is not a distribution"),
    ("no_frames", matrix(np.zeros((0, 3))), r"'u03' has no frames"),
    ("too_few_classes", matrix(posteriors(4, 2)), r"'u03': expected posteriors of 3|'u03' has 8 values"),
    ("huge", matrix(posteriors(), dims=(BIG, BIG)), r"p\.ark: byte \d+: .*announces"),
    ("vector", vector([1, 0, 0]), r"p\.ark: byte \d+: expected a matrix"),
]


def with_post(data: bytes) -> bytes:
    """Return the archive of posteriors with one replaced."""
    return ark(*((utt, data if utt == "u03" else value) for utt, value in POST))


def case(name: str, command: str, message: str, status: int = 1, **files: str | bytes) -> Case:
    """Return a case with a good data directory, posteriors and vectors, in which some files are replaced."""
    names = {key: {"genres": "d/genres.txt"}.get(key, key if "." in key else f"d/{key}") for key in files}
    replaced = {names[key].replace("__", "."): value for key, value in files.items()}
    return Case(
        name, command, {**DATA, "p.ark": ark(*POST), "v.ark": ark(*VECTORS), **replaced}, message, status
    )


CASES = [
    case(f"{tool}_{name}", command, text, **{"p.ark": with_post(data)})
    for name, data, text in POSTERIORS
    for tool, command in (("vote", VOTE), ("statistics", LSTM))
]

TABLES = [
    ("genres_empty", {"genres": ""}, r"genres\.txt: expected at least two classes"),
    ("genres_one", {"genres": "a\n"}, r"genres\.txt: expected at least two classes"),
    ("genres_twice", {"genres": "a\nb\na\n"}, r"genres\.txt:3: the class 'a' stands twice"),
    ("genres_two_words", {"genres": "a\nb c\n"}, r"genres\.txt:2: expected one class name"),
    ("genres_blank_line", {"genres": "a\n\nb\nc\n"}, r"genres\.txt:2: expected one class name, got ''"),
    ("genres_not_utf8", {"genres": b"a\nb\xff\nc\n"}, r"genres\.txt.*UTF-8"),
    (
        "label_unknown",
        {"utt2genre": LABELS.replace("u04 b", "u04 z")},
        r"utt2genre: 'u04' has class 'z', expected one of",
    ),
    ("labels_empty", {"utt2genre": ""}, r"utt2genre: no utterances"),
    ("utterance_unlabelled", {"utt2genre": LABELS.replace("u04 b\n", "")}, r"'u04' is not in d/utt2genre"),
    (
        "utterance_missing",
        {
            "utt2genre": LABELS + "u99 a\n",
            "utt2num_frames": FRAMES + "u99 4\n",
            "utt2spk": SPEAKERS + "u99 s\n",
        },
        r"'u99' of d/utt2genre is missing",
    ),
]
CASES += [
    case(f"{tool}_{name}", command, text, **files)
    for name, files, text in TABLES
    for tool, command in (("vote", VOTE), ("svm", TRAIN))
]
CASES += [
    case(
        "frames_negative",
        VOTE,
        r"utt2num_frames: 'u04' has '-4' frames",
        utt2num_frames=FRAMES.replace("u04 4", "u04 -4"),
    ),
    case(
        "frames_zero",
        VOTE,
        r"utt2num_frames: 'u04' has '0' frames",
        utt2num_frames=FRAMES.replace("u04 4", "u04 0"),
    ),
    case(
        "frames_word",
        VOTE,
        r"utt2num_frames: 'u04' has 'x' frames",
        utt2num_frames=FRAMES.replace("u04 4", "u04 x"),
    ),
    case(
        "frames_power",
        VOTE,
        r"utt2num_frames: 'u04' has '²' frames",
        utt2num_frames=FRAMES.replace("u04 4", "u04 ²"),
    ),
    case(
        "frames_differ",
        VOTE,
        r"'u04': expected 5 frames .*, got 4",
        utt2num_frames=FRAMES.replace("u04 4", "u04 5"),
    ),
    case(
        "vote_no_folder",
        "local/majority_vote.py nowhere ark:p.ark out",
        r"nowhere/genres\.txt: .*No such file",
    ),
    case(
        "speaker_missing", TRAIN, r"'u04' of d/utt2genre is missing", utt2spk=SPEAKERS.replace("u04 s2\n", "")
    ),
    case(
        "fusion_lengths",
        FUSION,
        r"'u00': expected 5 posteriors .*got 4",
        **{"f.ark": ark(("u00", matrix(rows(5))))},
    ),
    case(
        "fusion_missing", FUSION, r"'u01' of ark:p\.ark is missing", **{"f.ark": ark(("u00", matrix(rows())))}
    ),
    case(
        "fusion_nan",
        FUSION,
        r"'u00': the features are not finite",
        **{"f.ark": ark(("u00", matrix(rows() * np.nan)))},
    ),
    case(
        "sc_no_frames",
        FUSION.replace("fusion", "sc"),
        r"'u00' has no frames",
        **{"f.ark": ark(("u00", matrix(np.zeros((0, 3)))))},
    ),
    case("k_above_one", LSTM.replace("--type", "--k 1.5 --type"), r"--k: expected a posterior", 2),
    case("k_nan", LSTM.replace("--type", "--k nan --type"), r"expected a finite number, got 'nan'", 2),
]

# name, value of u03 in v.ark, message
VECTOR = [
    ("nan", vector([1, np.nan, 0, 0, 0]), r"'u03' is not finite"),
    ("length", vector([1, 2]), r"'u03': expected 5 values, got 2"),
    ("huge", vector([1, 2], size=BIG), r"v\.ark: byte \d+: .*announces"),
    ("negative", vector([1, 2], size=-2), r"v\.ark: byte \d+: expected the dimension"),
    ("matrix", matrix(rows()), r"v\.ark: byte \d+: expected a vector"),
    ("text_words", b" [ 1 2 three 4 5 ]\n", r"v\.ark: byte \d+: expected numbers"),
    ("text_open", b" [ 1 2 3 4 5\n", r"v\.ark: byte \d+: expected '\["),
]
CASES += [
    case(
        f"vector_{name}", TRAIN, text, **{"v.ark": ark(*((u, data if u == "u03" else v) for u, v in VECTORS))}
    )
    for name, data, text in VECTOR
]
CASES += [
    case("vectors_empty", TRAIN, r"v\.ark: no utterances", **{"v.ark": b""}),
    case("vectors_duplicate", TRAIN, r"duplicate key 'u00'", **{"v.ark": ark(VECTORS[0], VECTORS[0])}),
    case("grid_negative", f"{TRAIN} --c-grid=-1,2", r"c-grid", 2),
    case("grid_words", f"{TRAIN} --c-grid=a,b", r"c-grid", 2),
]


def svm(**replaced: object) -> bytes:
    """Return an npz file of an SVM for three classes and five dimensions, with arrays replaced."""
    arrays = {"format": 1, "classes": np.array(list("abc")), "mean": np.zeros(5), "scale": np.ones(5),
              "weight": np.ones((3, 5)), "bias": np.zeros(3), "cost": 1.0, "grid": np.ones(1),
              "grid_correct": np.ones(1, int), "num_train": 12, "folds": 2, "grouped": True, "kind": "lstm",
              "k": 0.9, **replaced}  # fmt: skip
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(value) for name, value in arrays.items() if value is not None})
    return buffer.getvalue()


def pickled() -> bytes:
    """Return an npz with an array of Python objects, which only unpickling could read."""
    return svm(classes=np.array(["a", "b", {"c": 1}], dtype=object))


def bomb() -> bytes:
    """Return an npz whose array claims 2^40 numbers."""
    buffer = io.BytesIO()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("mean.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


SVMS = [
    ("empty", b"", r"svm\.npz: not an SVM"),
    ("text", b"I am an SVM\n", r"svm\.npz: not an SVM"),
    ("pickle", PICKLE, r"svm\.npz: not an SVM"),
    ("objects", pickled(), r"svm\.npz: not an SVM .*allow_pickle"),
    ("cut", svm()[:-40], r"svm\.npz: not an SVM"),
    ("array_huge", bomb(), r"svm\.npz: not an SVM"),
    ("array_missing", svm(bias=None), r"svm\.npz: not an SVM .*bias"),
    ("format", svm(format=2), r"svm\.npz: expected format 1, got 2"),
    (
        "shape",
        svm(weight=np.ones((3, 4))),
        r"svm\.npz: weight: expected float64 \(3, 5\), got float64 \(3, 4\)",
    ),
    ("nan", svm(bias=np.full(3, np.nan)), r"svm\.npz: bias is not finite"),
    ("scale_zero", svm(scale=np.zeros(5)), r"svm\.npz: .*positive scales"),
    ("classes", svm(classes=np.array(list("abd"))), r"svm\.npz knows the classes 'a b d', d has 'a b c'"),
    (
        "dimensions",
        svm(mean=np.zeros(4), scale=np.ones(4), weight=np.ones((3, 4))),
        r"expected vectors of 4 values",
    ),
]
CASES += [case(f"svm_file_{name}", SCORE, text, **{"svm.npz": data}) for name, data, text in SVMS]
CASES += [case("svm_file_missing", SCORE, r"svm\.npz: cannot read the SVM: No such file")]

SPLIT = "local/split_tr_cv.py d tr cv"
LABEL = "local/make_frame_labels.py d"
CASES += [
    case("split_percent", f"{SPLIT} --cv-percent 150", r"--cv-percent 150: expected a percentage"),
    case("split_no_artists", SPLIT, r"d/utt2genre: utterance 'u01' is not in d/utt2spk", utt2spk="u00 s\n"),
    case(
        "split_no_class",
        SPLIT,
        r"d/utt2genre: utterance 'u04' of d/utt2spk",
        utt2genre=LABELS.replace("u04 b\n", ""),
    ),
    case("split_one_artist", SPLIT, r"d: no class can spare", utt2spk="".join(f"{utt} s\n" for utt in UTTS)),
    case("split_no_folder", "local/split_tr_cv.py nowhere tr cv", r"nowhere"),
    case(
        "frame_labels_class", LABEL, r"utt2genre: 'u00' has class 'a', expected one of b c", genres="b\nc\n"
    ),
    case(
        "frame_labels_power",
        LABEL,
        r"utt2num_frames: 'u04' has '²' frames",
        utt2num_frames=FRAMES.replace("u04 4", "u04 ²"),
    ),
    case(
        "frame_labels_missing",
        LABEL,
        r"'u04' of d/utt2genre is missing",
        utt2num_frames=FRAMES.replace("u04 4\n", ""),
    ),
    case(
        "frame_labels_huge",
        LABEL,
        r"utt2num_frames: 'u04' has '1000000000000' frames",
        utt2num_frames=FRAMES.replace("u04 4", f"u04 {10**12}"),
    ),
]

MEASURES = [
    ("no_json", "{", r"accuracy\.json"),
    ("not_utf8", b'{"a": "\xff"}', r"accuracy\.json"),
    ("list", "[]", r"accuracy\.json"),
    ("other_keys", json.dumps({"a": 1}), r"accuracy\.json"),
    (
        "infinite",
        '{"classes": ["a","b","c"], "measures": [{"name": "x", "confusion": [[1e999]]}]}',
        r"accuracy\.json",
    ),
]
CASES += [
    case(f"measures_{name}", "local/compare_results.py e f", text, **{"e/score_test/accuracy.json": data})
    for name, data, text in MEASURES
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, tmp_path, fork_server):
    check_refused(case, tmp_path, fork_server)

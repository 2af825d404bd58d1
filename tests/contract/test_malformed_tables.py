"""Tables of keys and values that are damaged, each in the same ways, before every kind of program."""

from __future__ import annotations

from tests.contract.malformed import (
    SOFTMAX,
    Case,
    affine,
    ark,
    matrix,
    nnet,
    posterior,
    posteriors,
    refusal,
    rows,
    vector,
)

UTTS = ("u1", "u2", "u3")


def table(*values: str) -> str:
    """Return a table of the three utterances."""
    return "".join(f"{utt} {value}\n" for utt, value in zip(UTTS, values, strict=True))


def damaged(good: str) -> dict[str, bytes]:
    """Return a table of three lines in all the ways in which it may be wrong."""
    first, second, third = good.splitlines(keepends=True)
    return {
        "key_alone": f"u1\n{second}{third}".encode(),
        "blank_line": f"{first}\n{second}{third}".encode(),
        "crlf": good.replace("\n", "\r\n").encode(),
        "not_utf8": first.encode() + b"u2 caf\xe9\n" + third.encode(),
        "utf16": good.encode("utf-16"),
        "cut": good[:-1].encode(),
        "duplicate": f"{first}{first}{second}{third}".encode(),
        "unsorted": f"{second}{first}{third}".encode(),
        "nul": f"{first}{second}u3 x\0y\n".encode(),
        "tab": good.replace(" ", "\t", 1).encode(),
        "blank_first": f" {good}".encode(),
    }


TABLE = {
    "key_alone": r":1: expected '<key> <value>' with a blank between them, got 'u1'",
    "tab": r":1: expected '<key> <value>' with a blank between them",
    "blank_first": r":1: expected '<key> <value>' with a blank between them",
    "blank_line": r":2: expected '<key> <value>'",
    "crlf": r":1: ends in a carriage return",
    "not_utf8": r":2: not UTF-8",
    "utf16": r":1: not UTF-8",
    "cut": r": truncated: the last line has no end",
    "duplicate": r":2: duplicate key 'u1'",
    "nul": r":3: holds a control character",
}
SORTED = {**TABLE, "unsorted": r":2: 'u1' comes after 'u2': not sorted"}
READ_SCP = {
    "key_alone": r":1: expected '<key> <file>:<offset>', got 'u1'",
    "blank_line": r":2: expected",
    "not_utf8": r":2: not UTF-8",
    "utf16": r":1: not UTF-8",
    "cut": r": truncated",
    "duplicate": r": duplicate key 'u1'",
    "nul": r":3: ",
}

DATA = {
    "d/utt2genre": table("a", "b", "c"),
    "d/utt2spk": table("s1", "s2", "s3"),
    "d/spk2utt": "s1 u1\ns2 u2\ns3 u3\n",
    "d/wav.scp": table("1.wav", "2.wav", "3.wav"),
    "d/genres.txt": "a\nb\nc\n",
    "d/utt2num_frames": table("4", "4", "4"),
}
FEATS = ark(*((utt, matrix(rows())) for utt in UTTS))
PLACES = table(*(f"f.ark:{3 + number * len(FEATS) // 3}" for number in range(3)))
LABELS = ark(*((utt, posterior([0, 1, 2, 0])) for utt in UTTS))
TRAINING = {"f.scp": PLACES, "f.ark": FEATS, "l.ark": LABELS, "x.nnet": nnet(affine(), SOFTMAX)}
TRAIN = "steps/nnet1/nnet_train_frmshuff.py --minibatch-size=2 scp:f.scp ark:l.ark x.nnet out.nnet"
SCORED = {
    **DATA,
    "p.ark": ark(*((utt, matrix(posteriors())) for utt in UTTS)),
    "v.ark": ark(*((utt, vector([1, 2, 3])) for utt in UTTS)),
}
WAVS = {"wav.scp": table("1.wav", "2.wav", "3.wav")}
PROGRAMS = [  # name, command, its good files, the table that is damaged, what is said of each damage
    ("convert", "steps/convert_audio.py wav.scp wav wav22k.scp", WAVS, "wav.scp", TABLE),
    ("train", TRAIN, TRAINING, "f.scp", READ_SCP),
    ("forward", "steps/nnet1/nnet_forward.py x.nnet scp:f.scp ark:out", TRAINING, "f.scp", TABLE),
    ("vote", "local/majority_vote.py d ark:p.ark out", SCORED, "d/utt2genre", SORTED),
    ("svm", "local/train_svm.py d ark:v.ark svm.npz", SCORED, "d/utt2genre", SORTED),
    ("validate", "utils/validate_data_dir.py --no-feats d", DATA, "d/utt2genre", SORTED),
]
CASES = [
    Case(
        f"{name}_{damage}",
        command,
        {**files, table: damaged(str(files[table]))[damage]},
        table.replace(".", r"\.") + message,
        many=name == "validate",
    )
    for name, command, files, table, messages in PROGRAMS
    for damage, message in messages.items()
]
test_is_refused = refusal(CASES)

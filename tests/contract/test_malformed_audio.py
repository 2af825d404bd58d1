"""Recordings and tables of recordings that cannot be used; disks that fill while a program writes."""

import struct

import numpy as np
import pytest

from tests.contract.malformed import (
    SOFTMAX,
    Case,
    affine,
    ark,
    check_refused,
    check_works,
    matrix,
    nnet,
    posteriors,
    refusal,
    rows,
    vector,
    write_files,
)

CONVERT = "steps/convert_audio.py wav.scp wav wav22k.scp"


def wav(
    data: bytes, *, rate: int = 22050, channels: int = 1, bits: int = 16, code: int = 1, size=None
) -> bytes:
    """Return a WAV file whose header may lie."""
    align = channels * bits // 8 % 65536
    head = struct.pack("<HHIIHH", code, channels, rate, rate * align % 2**32, align, bits)
    stated = struct.pack("<I", len(data) if size is None else size)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + stated
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


def floats(*odd: float) -> bytes:
    """Return a WAV file in float32 that ends with the given samples."""
    samples = np.concatenate([np.zeros(20000), odd]).astype("<f4").tobytes()
    return wav(samples, bits=32, code=3)


PCM = np.random.default_rng(7).integers(-9000, 9000, 30000).astype("<i2").tobytes()
WAV = wav(PCM)

# name, content of x.snd, what is said about it
RECORDINGS = [
    ("empty", b"", "zero bytes long"),
    ("text", b"I will be music one day.\n" * 99, r"not audio.*text beginning"),
    ("wav_header_alone", wav(b""), "no samples"),
    ("wav_channels_0", wav(PCM, channels=0), "not audio"),
    ("wav_rate_7999", wav(PCM, rate=7999), "sample rate 7999 Hz, expected 8000 to 192000"),
    ("wav_nan", floats(np.nan), "sample 20000 is NaN or infinite"),
    ("wav_overflow", floats(1e30), r"exceed full scale, peak \+600"),
    ("wav_short", wav(PCM[:16382]), "8191 samples at 22050 Hz .* shorter than one window of 8192"),
]

# name, wav.scp, what is said
TABLES = [
    ("utt_with_slash", "../u1 x.wav\n", r"wav\.scp: utterance '\.\./u1' cannot be the name of a file"),
    ("file_missing", "u1 gone.wav\n", r"gone\.wav: No such file"),
    ("pipe", "u1 touch canary; cat x.wav |\n", "pipes are not run"),
    ("substitution", "u1 $(touch canary)\n", r"\$\(touch canary\): No such file"),
]

CASES = [
    Case(name, CONVERT, {"wav.scp": "u1 x.snd\n", "x.snd": data}, rf"x\.snd: .*({text})")
    for name, data, text in RECORDINGS
]
CASES += [Case(name, CONVERT, {"wav.scp": table, "x.wav": WAV}, text) for name, table, text in TABLES]
test_is_refused = refusal(CASES)
NAMES = ("with blanks and  two.wav", 'it\'s "quoted".wav', "$(touch canary).wav",
         "`touch canary`; & | > < .wav", "-rf.wav", "--config=x.wav", "ünïcödé ♫ 音楽.wav",
         "back\\slash *?[x]{a,b}.wav", "%s %n {0} JOB.wav", "colon:12.wav", "#hash.wav", "n" * 240 + ".wav",
         "wav.mp3", "no_extension")  # fmt: skip


def test_odd_but_legal_names_of_recordings_work(tmp_path, run_cli):
    table = "".join(f"u{number:02} {name}\n" for number, name in enumerate(NAMES))
    write_files(tmp_path, {"wav.scp": table, **dict.fromkeys(NAMES, WAV)})
    check_works(CONVERT, tmp_path, run_cli)
    outputs = {path.name: path.read_bytes() for path in (tmp_path / "wav").iterdir()}
    assert sorted(outputs) == [f"u{number:02}.wav" for number in range(len(NAMES))]
    assert set(outputs.values()) == {WAV}


LIMIT = 1000
UTTS = [f"u{number:02}" for number in range(40)]
FILES = {
    "wav.scp": "u1 x.wav\n",
    "x.wav": WAV,
    "f.ark": ark(*((utt, matrix(rows(9))) for utt in UTTS)),
    "p.ark": ark(*((utt, matrix(posteriors(9))) for utt in UTTS)),
    "v.ark": ark(*((utt, vector(rows(1, 90, n)[0])) for n, utt in enumerate(UTTS))),
    "d/genres.txt": "a\nb\nc\n",
    "d/utt2genre": "".join(f"{utt} {'abc'[n % 3]}\n" for n, utt in enumerate(UTTS)),
    "d/utt2spk": "".join(f"{utt} s{n // 2:02}\n" for n, utt in enumerate(UTTS)),
    "d/utt2num_frames": "".join(f"{utt} 9\n" for utt in UTTS),
    "x.nnet": nnet(affine(), SOFTMAX),
    "x.proto": "<AffineTransform> <InputDim> 30 <OutputDim> 30 <ParamStddev> 0.1\n",
}
COMMANDS = {
    "convert": "steps/convert_audio.py wav.scp wav wav22k.scp",
    "scattering": "steps/compute_scattering.py scp:wav.scp ark,scp:o.ark,o.scp",
    "forward": "steps/nnet1/nnet_forward.py x.nnet ark:f.ark ark,scp:o.ark,o.scp",
    "initialize": "steps/nnet1/nnet_initialize.py x.proto o.nnet",
    "segments": "local/segment_features.py --type lstm '' ark:p.ark ark,scp:o.ark,o.scp",
    "svm": "local/train_svm.py --folds 2 --c-grid 0.01 d ark:v.ark o.npz",
    "votes": "local/majority_vote.py d ark:p.ark out",
    "synth": "local/make_synth_corpus.py --num-train 12 --num-test 12 --min-seconds 1 --max-seconds 2 synth",
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_nothing_is_half_written(name, tmp_path, run_cli):
    case = Case(name, COMMANDS[name], FILES, r"File too large|No space left", file_bytes=LIMIT)
    check_refused(case, tmp_path, run_cli)

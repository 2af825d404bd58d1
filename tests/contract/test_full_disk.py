"""A disk that fills while a program writes: one clear message, and nothing half written.

A limit on the size of files stands for the full disk, because that needs no privileges; the test with a
real one, a small tmpfs, is in tests/reliability.
"""

import io

import numpy as np
import pytest
import soundfile

from tests.contract.malformed import Case, ark, check_refused, matrix, posterior, posteriors, rows, vector

LIMIT = 1000


def wav() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(1).uniform(-0.3, 0.3, 11025), 22050, format="WAV")
    return buffer.getvalue()


UTTS = [f"u{number:02}" for number in range(40)]
NNET = (
    "<Nnet> \n<AffineTransform> 3 3 \n<LearnRateCoef> 1 <BiasLearnRateCoef> 1 <MaxNorm> 0 \n [\n  1 0 0 \n"
    "  0 1 0 \n  0 0 1 ]\n [ 0 0 0 ]\n<!EndOfComponent> \n<Softmax> 3 3 \n<!EndOfComponent> \n</Nnet> \n"
)
FILES = {
    "wav.scp": "u1 x.wav\n",
    "x.wav": wav(),
    "f.ark": ark(*((utt, matrix(rows(9))) for utt in UTTS)),
    "p.ark": ark(*((utt, matrix(posteriors(9))) for utt in UTTS)),
    "l.ark": ark(*((utt, posterior([0, 1, 2] * 3)) for utt in UTTS)),
    "v.ark": ark(*((utt, vector(rows(1, 90, n)[0])) for n, utt in enumerate(UTTS))),
    "d/genres.txt": "a\nb\nc\n",
    "d/utt2genre": "".join(f"{utt} {'abc'[n % 3]}\n" for n, utt in enumerate(UTTS)),
    "d/utt2spk": "".join(f"{utt} s{n // 2:02}\n" for n, utt in enumerate(UTTS)),
    "d/utt2num_frames": "".join(f"{utt} 9\n" for utt in UTTS),
    "x.nnet": NNET,
    "x.proto": "<AffineTransform> <InputDim> 30 <OutputDim> 30 <ParamStddev> 0.1\n",
    "corpus/a/s.wav": wav(),
}
COMMANDS = {
    "convert": "steps/convert_audio.py wav.scp wav wav22k.scp",
    "scattering": "steps/compute_scattering.py scp:wav.scp ark,scp:o.ark,o.scp",
    "forward": "steps/nnet1/nnet_forward.py x.nnet ark:f.ark ark,scp:o.ark,o.scp",
    "initialize": "steps/nnet1/nnet_initialize.py x.proto o.nnet",
    "labels": "local/make_frame_labels.py d",
    "segments": "local/segment_features.py --type lstm '' ark:p.ark ark,scp:o.ark,o.scp",
    "svm": "local/train_svm.py --folds 2 --c-grid 0.01 d ark:v.ark o.npz",
    "votes": "local/majority_vote.py d ark:p.ark out",
    "synth": "local/make_synth_corpus.py --num-train 12 --num-test 12 --min-seconds 1 --max-seconds 2 synth",
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_nothing_is_half_written(name, tmp_path, run_cli):
    case = Case(name, COMMANDS[name], FILES, r"File too large|No space left", file_bytes=LIMIT)
    check_refused(case, tmp_path, run_cli)

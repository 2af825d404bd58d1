"""The training tools and nnet_forward need no more memory for a larger corpus."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_copy, nnet_initialize

NUM_FRAMES, DIM = 500, 200
SMALL, LARGE = 40, 320
MEGABYTE = 2**20
DIFFERENCE = (LARGE - SMALL) * NUM_FRAMES * DIM * 4
TOOLS = Path(__file__).resolve().parents[2] / "steps" / "nnet1"

# Reports the largest resident size of the one program that it runs.
MEASURE = (
    "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode; "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Corpora ``small`` (16 MB of features) and ``large`` (128 MB), and three tiny networks."""
    root = tmp_path_factory.mktemp("corpora")
    base = np.random.default_rng(1).normal(size=(NUM_FRAMES, DIM)).astype(np.float32)
    for name, size in (("small", SMALL), ("large", LARGE)):
        folder = root / name
        folder.mkdir()
        with (
            archive.Writer(f"ark,scp:{folder}/f.ark,{folder}/f.scp") as feats,
            archive.Writer(f"ark,scp:{folder}/l.ark,{folder}/l.scp", kind="posterior") as labels,
        ):
            for number in range(size):
                feats.write(f"utt{number:04}", base + np.float32(number % 7))
                labels.write(f"utt{number:04}", [[(number % 3, 1.0)]] * NUM_FRAMES)
    affine = "<AffineTransform> <InputDim> {0} <OutputDim> 3 <BiasMean> 0 <BiasRange> 0 <ParamStddev> 0.01"
    softmax = "<Softmax> <InputDim> 3 <OutputDim> 3"
    lstm = "<LstmProjectedStreams> <InputDim> {0} <OutputDim> 4 <CellDim> 4 <NumStream> 4 <ParamScale> 0.01"
    protos = {
        "dnn": [affine.format(DIM), softmax],
        "lstm": [
            f"<Transmit> <InputDim> {DIM} <OutputDim> {DIM}",
            lstm.format(DIM),
            affine.format(4),
            softmax,
        ],
    }
    for name, lines in protos.items():
        (root / f"{name}.proto").write_text("\n".join(lines) + "\n")
        nnet_initialize.main([f"{root}/{name}.proto", f"{root}/{name}.nnet"])
    nnet_copy.main(["--to-test=true", f"{root}/lstm.nnet", f"{root}/test.nnet"])
    return root


def peak(tool, root, corpus, output, words):
    """Largest resident size of a tool in bytes."""
    places = {"d": root / corpus, "r": root, "o": output}
    command = [sys.executable, "-c", MEASURE, sys.executable, str(TOOLS / tool)]
    command += [word.format(**places) for word in words.split()]
    environment = dict(os.environ, OMP_NUM_THREADS="1", MALLOC_ARENA_MAX="1")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return 1024 * int(done.stdout)


FRAMES = "--learn-rate=1e-6 --randomizer-size=4096"
STREAMS = "--learn-rate=1e-8 --batch-size=100"
RUNS = {
    "frames of archives": (
        "nnet_train_frmshuff.py",
        f"{FRAMES} ark:{{d}}/f.ark ark:{{d}}/l.ark {{r}}/dnn.nnet {{o}}",
    ),
    "frames of script files": (
        "nnet_train_frmshuff.py",
        f"{FRAMES} scp:{{d}}/f.scp scp:{{d}}/l.scp {{r}}/dnn.nnet {{o}}",
    ),
    "streams of archives": (
        "nnet_train_lstm_streams.py",
        f"{STREAMS} ark:{{d}}/f.ark ark,s,cs:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    ),
    "streams of script files": (
        "nnet_train_lstm_streams.py",
        f"{STREAMS} scp:{{d}}/f.scp ark:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    ),
    "forward from an archive": ("nnet_forward.py", "{r}/dnn.nnet ark:{d}/f.ark ark:{o}"),
    "forward from a script file": ("nnet_forward.py", "{r}/test.nnet scp:{d}/f.scp ark,scp:{o},{o}.scp"),
}


@pytest.mark.parametrize("name", RUNS)
def test_memory_does_not_grow_with_the_corpus(name, corpora, tmp_path):
    tool, words = RUNS[name]
    small, large = (peak(tool, corpora, corpus, tmp_path / "out", words) for corpus in ("small", "large"))
    growth = f"{small / MEGABYTE:.0f} MB for the small corpus, {large / MEGABYTE:.0f} MB for the large one"
    assert large - small < DIFFERENCE / 10, growth

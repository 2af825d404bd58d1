"""The training tools and nnet_forward need no more memory for a larger corpus."""

import numpy as np
import pytest

from steps import archive
from steps.nnet1 import nnet_copy, nnet_initialize

NUM_FRAMES, DIM = 500, 200
SMALL, LARGE = 40, 320
DIFFERENCE = (LARGE - SMALL) * NUM_FRAMES * DIM * 4 / 2**20  # MB


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
    transmit = f"<Transmit> <InputDim> {DIM} <OutputDim> {DIM}"
    protos = {
        "dnn": [affine.format(DIM), softmax],
        "lstm": [transmit, lstm.format(DIM), affine.format(4), softmax],
    }
    for name, lines in protos.items():
        (root / f"{name}.proto").write_text("\n".join(lines) + "\n")
        nnet_initialize.main([f"{root}/{name}.proto", f"{root}/{name}.nnet"])
    nnet_copy.main(["--to-test=true", f"{root}/lstm.nnet", f"{root}/test.nnet"])
    return root


FRAMES = "nnet_train_frmshuff.py --learn-rate=1e-6 --randomizer-size=4096"
STREAMS = "nnet_train_lstm_streams.py --learn-rate=1e-8 --batch-size=100"
RUNS = {  # {d}: the corpus, {r}: the networks, {o}: the output
    "frames of archives": f"{FRAMES} ark:{{d}}/f.ark ark:{{d}}/l.ark {{r}}/dnn.nnet {{o}}",
    "frames of script files": f"{FRAMES} scp:{{d}}/f.scp scp:{{d}}/l.scp {{r}}/dnn.nnet {{o}}",
    "streams of archives": f"{STREAMS} ark:{{d}}/f.ark ark,s,cs:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    "streams of script files": f"{STREAMS} scp:{{d}}/f.scp ark:{{d}}/l.ark {{r}}/lstm.nnet {{o}}",
    "forward from an archive": "nnet_forward.py {r}/dnn.nnet ark:{d}/f.ark ark:{o}",
    "forward from a script file": "nnet_forward.py {r}/test.nnet scp:{d}/f.scp ark,scp:{o},{o}.scp",
}


@pytest.mark.parametrize("name", RUNS)
def test_memory_does_not_grow_with_the_corpus(name, corpora, tmp_path, run_cli):
    peaks = []
    for corpus in ("small", "large"):
        places = {"d": corpora / corpus, "r": corpora, "o": tmp_path / "out"}
        tool, *words = RUNS[name].format(**places).split(" ")
        peaks.append(run_cli(f"steps/nnet1/{tool}", *words, cwd=tmp_path, check=True).peak_mib)
    assert peaks[1] - peaks[0] < DIFFERENCE / 10, f"{peaks} MB for the small and the large corpus"

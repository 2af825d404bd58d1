"""Networks, prototypes, options and recordings of random and of damaged bytes: read, or refused by name."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import subprocess
import tracemalloc

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from steps import audio
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.prototype import read_prototype
from tests.conftest import REPO
from tests.fuzzing import DAMAGE, FEW, MANY, damaged
from utils import cli
from utils.cli import UserError

MODELS = sorted(
    path for path in (REPO / "tests/fixtures/nnet1/files").iterdir() if b"<Nnet>" in path.read_bytes()[:9]
)
KINDS = ("AffineTransform", "Softmax", "Sigmoid", "Splice", "Copy", "LstmProjectedStreams", "TimeShift")
OPTIONS = ("Nnet", "/Nnet", "CellDim", "Shift", "LearnRateCoef", "MaxNorm", "!EndOfComponent")
NUMBERS = ("[", "]", "0", "1", "2", "3", "-1", "0.5", "nan", "1e99", "2147483647", "FM", "FV", "\n")
PROTOTYPE = ("<InputDim>", "<OutputDim>", "<BuildVector>", "1:3")
TOKENS = st.sampled_from((*(f"<{word}>" for word in (*KINDS, *OPTIONS)), *NUMBERS))


@FEW
@given(which=st.sampled_from(MODELS), changes=DAMAGE)
def test_damaged_networks_are_read_or_refused(which, changes, tmp_path):
    path = tmp_path / "x.nnet"
    path.write_bytes(damaged(which.read_bytes(), changes))
    tracemalloc.start()
    try:
        network = read_network(path)
    except UserError as error:
        assert str(path) in str(error)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    else:
        write_network(network, tmp_path / "y.nnet", binary=True)
        again = read_network(tmp_path / "y.nnet")
        assert [c.kind for c in again.components] == [c.kind for c in network.components]
    finally:
        tracemalloc.stop()


@MANY
@given(words=st.lists(st.one_of(TOKENS, st.sampled_from(PROTOTYPE)), max_size=30))
def test_networks_and_prototypes_of_random_tokens_are_read_or_refused(words, tmp_path):
    path = tmp_path / "x"
    for begin, read in (("<Nnet> ", read_network), ("", read_prototype)):
        path.write_text(begin + " ".join(words))
        with contextlib.suppress(UserError):
            read(path)


@functools.cache
def sound(kind: str) -> bytes:
    """Return a second of noise in a format."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(1).uniform(-0.3, 0.3, 22050), 22050, format=kind)
    return buffer.getvalue()


@FEW
@given(kind=st.sampled_from(("WAV", "FLAC", "OGG", "MP3", "AU", "AIFF", "CAF")), changes=DAMAGE)
def test_damaged_recordings_are_converted_or_refused_and_nothing_is_lost_without_a_word(
    kind, changes, tmp_path
):
    path, target = tmp_path / "x", tmp_path / "y.wav"
    path.write_bytes(damaged(sound(kind), changes))
    target.unlink(missing_ok=True)
    try:
        audio.convert_track(path, target, audio.Conversion())
    except audio.AudioError as error:
        assert str(path) in str(error)
        assert not target.exists()
    else:
        assert soundfile.info(str(target)).samplerate == 22050
        with audio.Track(path) as track:
            taken = sum(len(block) for block in track.blocks())
        # A header may lie about rate or channels; then nobody knows the length.
        known = (track.sample_rate, track.channels) == (22050, 1)
        assert track.warnings or taken > 22050 - 4096 or not known
    assert {p.name for p in tmp_path.iterdir()} <= {"x", "y.wav"}


def parser() -> cli.KaldiParser:
    """Return a parser with an option of each type."""
    made = cli.KaldiParser("x.py [options] <a>", "Test.")
    made.add_argument("--number", type=cli.positive_int, default=1)
    made.add_argument("--real", type=cli.finite_float, default=1.0)
    made.add_argument("--flag", type=cli.boolean, default=False)
    made.add_argument("--text", default="")
    made.add_argument("argument", nargs="?")
    return made


LINES = st.one_of(
    st.text(max_size=20),
    st.builds(
        "--{}={}".format,
        st.sampled_from(("number", "real", "flag", "text", "help", "config", "none", "")),
        st.one_of(
            st.text(max_size=8), st.sampled_from(("1", "0", "-1", "nan", "true", "yes", "9" * 5000, "²"))
        ),
    ),
)


@MANY
@given(lines=st.lists(LINES, max_size=4), words=st.lists(LINES, max_size=3))
def test_options_are_taken_or_refused_with_two(lines, words, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    for argv in ([f"--config={conf}"], words):
        try:
            found = parser().parse_args(argv)
        except SystemExit as stop:
            assert stop.code == 2 or (stop.code == 0 and any("-h" in word for word in argv))
        else:
            assert found.number >= 1 and np.isfinite(found.real) and isinstance(found.flag, bool)


SCRIPT = (
    'nj=1; name=x; flag=false; set -- --config "$1"; . utils/parse_options.sh; '
    'printf "%s|%s|%s" "$nj" "$name" "$flag"'
)
BASH = shutil.which("bash") or "bash"
SHELL = st.text(st.sampled_from(list("abnj=name-flag \t'\"$`\\(){}[];&|<>#!*?~%\r/.:1")), max_size=24)


@FEW
@given(
    lines=st.lists(
        st.one_of(SHELL, st.builds("{}={}".format, st.sampled_from(("nj", "--name", "flag")), SHELL))
    )
)
def test_config_files_of_scripts_set_options_and_nothing_else(lines, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_bytes("\n".join(lines).encode())
    words = [BASH, "-euo", "pipefail", "-c", SCRIPT, "script", str(conf)]
    done = subprocess.run(
        words, cwd=REPO, capture_output=True, text=True, timeout=20, check=False, env={"PATH": "/nowhere"}
    )
    assert done.returncode in (0, 2), done.stderr
    assert (done.returncode == 2) == ("ERROR (script)" in done.stderr), done.stderr
    if done.returncode == 0:
        assert done.stderr == f"script --config {conf}\n"
        assert all(
            value in "x1false" or any(value in line for line in lines) for value in done.stdout.split("|")
        )

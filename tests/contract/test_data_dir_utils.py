"""Validate and cut data directories."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPO
from utils import validate_data_dir
from utils.cli import UserError

GOOD = {
    "wav.scp": "a1 wav/a1.mp3\na2 wav/a 2.flac\nb1 wav/b1.ogg\n",
    "wav22k.scp": "a1 c/a1.wav\na2 c/a2.wav\nb1 c/b1.wav\n",
    "feats.scp": "a1 f.ark:3\na2 f.ark:99\nb1 f.ark:180\n",
    "labels.scp": "a1 l.ark:3\na2 l.ark:99\nb1 l.ark:180\n",
    "utt2spk": "a1 a\na2 a\nb1 b\n",
    "spk2utt": "a a1 a2\nb b1\n",
    "utt2genre": "a1 rock_pop\na2 world\nb1 world\n",
    "genres.txt": "rock_pop\nworld\n",
    "utt2dur": "a1 29.5\na2 30\nb1 21.25\n",
    "utt2num_frames": "a1 10\na2 11\nb1 12\n",
    "frame_shift": "0.0232\n",
}


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_good_directory(folder: Path, run_cli) -> None:
    assert "3 utterances" in run_cli("utils/validate_data_dir.py", folder, check=True).stderr


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("feats.scp", None, "feats.scp: no such file"),
        ("utt2genre", "a1\trock_pop\na2 world\nb1 world\n", "utt2genre:1: expected '<key> <value>' with"),
        ("utt2spk", "a1 a\na2\t a\nb1 b\n", "utt2spk:2: expected '<key> <value>' with a blank"),
        ("utt2spk", "a1 a\na2 a x\nb1 b\n", "utt2spk:2: 'a2': expected one word, got 'a x'"),
        ("feats.scp", "a1 f:3\nb1 f:9\n", "(3 in utt2spk, 2 in feats.scp)"),
        ("wav22k.scp", "a1 x\na2 x\nb1 x\nc1 x\n", "'c1' is not in both of utt2spk and wav22k.scp"),
        ("spk2utt", "a a1\nb b1\n", "spk2utt: not the inverse of utt2spk: 'a' has 2 utterances"),
        ("genres.txt", "rock_pop\njazz\n", "utt2genre: 'a2' has class 'world', not in genres.txt"),
        ("genres.txt", "classical\nrock_pop\nworld\n", "class 'classical' has no track"),
        ("genres.txt", "rock_pop\nworld\nworld\n", "genres.txt:3: the class 'world' stands twice"),
        ("genres.txt", "rock pop\nworld\n", "genres.txt:1: expected one class name, got 'rock pop'"),
        ("utt2dur", "a1 29\na2 0\nb1 1\n", "utt2dur:2: 'a2': expected a positive number, got '0'"),
        ("frame_shift", "-1\n", "frame_shift:1: expected a positive number, got '-1'"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(folder: Path, name: str, text: str | None, message: str) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text, newline="")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=re.escape(message)):
        validate_data_dir.validate(folder, validate_data_dir.REQUIRED)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_split_table(tmp_path: Path) -> None:
    script, source = "set -eu; cd $0; . utils/jobs.sh; split_table $1 $2 $3", tmp_path / "in.scp"

    def split(most: int) -> subprocess.CompletedProcess[bytes]:
        (tmp_path / str(most)).mkdir(exist_ok=True)
        words = ["bash", "-c", script, REPO, str(most), source, tmp_path / f"{most}/JOB.scp"]
        return subprocess.run(words, capture_output=True, check=False)

    source.write_bytes(b"a 1\nb 2\nc \xff\nd 4\ne 5\r\nf 6\ng 7\n")
    for most, lengths in ((3, [3, 2, 2]), (9, [1] * 7)):
        done = split(most)
        parts = [path.read_bytes() for path in sorted((tmp_path / f"{most}").iterdir())]
        assert done.stdout == b"%d\n" % len(parts) and [part.count(b"\n") for part in parts] == lengths
        assert b"".join(parts) == source.read_bytes()
    source.write_bytes(b"")
    done = split(2)
    assert done.returncode == 1 and f"{source}: empty" in done.stderr.decode()

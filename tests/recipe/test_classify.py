"""A trained system asked about recordings: from its experiment, and from the zip when all else is gone."""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from local.classify import groups
from steps import archive
from steps.classify import parts
from steps.classify.decide import Classifier, by_scores
from steps.classify.parts import collect, unpack
from steps.scoring.scores import read_predictions
from tests.workspace import environment, make_workspace, run_in, run_recipe
from utils import tables
from utils.cli import UserError

pytestmark = pytest.mark.xdist_group("classify")
SYSTEMS = {
    "network": "exp/synth_lstm_512",
    "lstm": "exp/synth_lstm_512/svm_lstm",
    "fusion": "exp/synth_lstm_512/svm_fusion",
    "sc": "exp/synth_sc/svm_sc",
    "lee2009": "exp/synth_lee2009",
    "best": "exp/synth_best",
}


def call(folder: Path, program: str, *words: object) -> subprocess.CompletedProcess:
    return run_in(folder, folder / "local" / program, *words)


def table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.split("\n")[:-1]]


@pytest.fixture(scope="module")
def folder(workspace):
    folder = workspace
    models = ("--lstms", "lstm_512", "--systems", "lee2009", "--best-config", "conf/best/best.conf")
    done = run_recipe(folder, "--dnns", "", *models, "--stage", "8", "--stop-stage", "9")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "zips").mkdir()
    for name, exp in SYSTEMS.items():
        done = call(folder, "export_system.sh", exp, f"zips/{name}.zip")
        assert done.returncode == 0, done.stderr
    return folder


def recordings(folder: Path) -> dict[str, str]:
    table = tables.read_table(folder / "data/synth/test/wav.scp")
    return {utt: str(folder / path) for utt, path in table.items()}


@pytest.fixture
def track(folder, tmp_path) -> Path:
    """Return a recording of the test set, under a name that is its own and nowhere in data/."""
    return Path(shutil.copy(next(iter(recordings(folder).values())), tmp_path / "good one.wav"))


@pytest.fixture
def unpacked(tmp_path):
    (tmp_path / "parts").mkdir()
    return lambda path: Classifier(unpack(path, tmp_path / "parts"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_test_set_gets_the_predictions_of_the_results(folder, name, unpacked, monkeypatch):
    tracks = recordings(folder)
    exp = folder / SYSTEMS[name]
    accuracy = {"lstm": "LSeg_acc", "fusion": "FSeg_acc", "sc": "ScSeg_acc"}.get(name, "Seg_acc")
    predictions = read_predictions(exp / f"score_test/predictions_{accuracy}.tsv")
    torch.set_num_threads(1)  # as every job of the recipe
    found = list(unpacked(folder / f"zips/{name}.zip").classify(map(Path, tracks.values())))
    assert [decision.genre for decision in found] == predictions.hyp.tolist()
    chances = np.stack([decision.probabilities for decision in found])
    shares = {"network": lambda row: row, "best": lambda row: row / row.sum()}.get(
        name, lambda row: by_scores(row)[1]
    )
    assert np.array_equal(chances, [shares(row) for row in predictions.scores])  # the TSV holds all bits
    if name in ("network", "lstm", "fusion"):
        monkeypatch.chdir(folder)
        posts = dict(archive.read_matrices("scp:exp/synth_lstm_512/post_test/post.scp"))
        assert all(np.array_equal(found[i].posteriors, posts[utt]) for i, utt in enumerate(tracks))
    of_experiment = Classifier(collect(exp)).classify(map(Path, list(tracks.values())[:2]))
    assert [one.probabilities.tolist() for one in of_experiment] == chances[:2].tolist()


def test_the_command_prints_what_the_system_decides(folder, unpacked):
    tracks = list(recordings(folder).values())
    found = unpacked(folder / "zips/fusion.zip").classify(map(Path, tracks))
    chances = [decision.probabilities for decision in found]
    done = call(folder, "classify.sh", "--nj", "2", "zips/fusion.zip", *tracks)
    assert done.returncode == 0, done.stderr
    rows = table(done.stdout)
    assert [row[0] for row in rows] == tracks
    assert [row[3:] for row in rows] == [[f"{value:.6f}" for value in row] for row in chances]
    of_experiment = call(folder, "classify.sh", SYSTEMS["fusion"], *tracks[:3])
    assert table(of_experiment.stdout) == rows[:3], of_experiment.stderr


def test_a_zip_decides_when_its_experiment_is_gone(folder, track, tmp_path):
    other = make_workspace(tmp_path / "elsewhere")
    for top in ("data", "exp"):
        shutil.copytree(folder / top, other / top)
    wanted = call(other, "classify.sh", SYSTEMS["fusion"], track).stdout
    assert call(other, "export_system.sh", SYSTEMS["fusion"], "fusion.zip").returncode == 0
    shutil.move(other / "fusion.zip", tmp_path / "moved.zip")
    for top in ("data", "exp"):
        shutil.rmtree(other / top)
    for conf in (other / "conf").glob("scattering*.conf"):
        conf.write_text("--T=4096\n")  # today's configuration must not count
    assert wanted and call(other, "classify.sh", tmp_path / "moved.zip", track).stdout == wanted
    assert call(other, "classify.sh", SYSTEMS["fusion"], track).returncode == 1


def test_what_cannot_be_read_is_told_and_the_others_go_on(folder, track, tmp_path):
    music = tmp_path / "music"
    (music / "deep").mkdir(parents=True)
    (music / "broken.wav").write_bytes(b"RIFF....nothing")
    (music / "notes.txt").write_text("no audio")
    (music / "._hidden.wav").touch()
    (music / "gone.wav").symlink_to("nowhere")
    os.mkfifo(music / "pipe.wav")
    shutil.move(track, music / "deep")
    done = call(folder, "classify.sh", "--format", "json", "zips/sc.zip", music, tmp_path / "none.mp3")
    assert done.returncode == 1
    (fact,) = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert fact["path"] == f"{music}/deep/good one.wav"
    assert fact["genre"] == max(fact["probabilities"], key=fact["probabilities"].get)
    errors = [line for line in done.stderr.split("\n") if line.startswith("ERROR")]
    named = zip(["broken.wav", "gone.wav", "pipe.wav", "none.mp3"], errors, strict=True)
    assert all(name in error for name, error in named)
    assert "Traceback" not in done.stderr and "4 of 5 tracks" in done.stderr
    (whole := music / "deep/good one.wav").write_bytes(whole.read_bytes()[:-20000])
    answers = ((), ("--allow-truncated=true",))
    cut = [call(folder, "classify.sh", *words, "zips/sc.zip", whole) for words in answers]
    assert [done.returncode for done in cut] == [1, 0] and cut[1].stdout.startswith(str(whole))
    assert all("truncated or corrupt" in done.stderr for done in cut)


def test_a_killed_process_is_told_and_leaves_nothing(folder, tmp_path):
    tracks = list(recordings(folder).values()) * 40
    words = [folder / "local/classify.sh", "--nj", "2", folder / "zips/sc.zip", *tracks]
    own = {**environment(), "RECIPE_PYTHON": sys.executable, "TMPDIR": str(tmp_path)}
    settings = {"env": own, "cwd": folder, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(list(map(str, words)), **settings, **pipes) as process:
        assert process.stdout.readline()  # the workers work
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        worker = next(pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(int(worker), signal.SIGKILL)
        errors = process.communicate()[1]
    assert process.returncode == 1 and "a process of --nj ended" in errors and "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_no_process_outlives_one_that_is_killed(folder, tmp_path):
    tracks = list(recordings(folder).values()) * 40
    words = [folder / "local/classify.sh", "--nj", "2", folder / "zips/sc.zip", *tracks]
    own = {**environment(), "RECIPE_PYTHON": sys.executable, "TMPDIR": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(list(map(str, words)), env=own, cwd=folder, **pipes) as process:
        assert process.stdout.readline()
        process.kill()
        process.communicate(timeout=20)  # until the last one that could write has ended


def test_the_first_answers_come_first():
    tracks = [Path(str(number)) for number in range(50)]
    some = list(groups(tracks, 2, 16))
    assert sum(some, []) == tracks and [len(group) for group in some] == [1, 1, 2, 2, 4, 4, 8, 8, 10, 10]


def test_header_and_timeline(folder, track, tmp_path):
    track = str(track.rename(tmp_path / "a$b $x^{.wav"))
    words = ("--header", "true", "--rule", "mean", "--timeline", tmp_path / "time")
    done = call(folder, "classify.sh", *words, SYSTEMS["network"], track)
    head, row = table(done.stdout)
    assert head[:3] == ["path", "genre", "probability"] and len(head) == 9 and row[1] in head[3:]
    with (tmp_path / "time" / f"0001_{Path(track).stem}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["seconds"]) == pytest.approx(4096 / 22050, abs=1e-3)
    means = [np.mean([float(frame[name]) for frame in rows]) for name in head[3:]]
    assert np.allclose(means, [float(word) for word in row[3:]], atol=1e-5)
    assert (tmp_path / "time" / f"0001_{Path(track).stem}.png").read_bytes()[:4] == b"\x89PNG"


def change(source: Path, target: Path, edit) -> Path:
    """Write a zip again after ``edit`` changed its entries and its manifest."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(entries.pop("manifest.json"))
    edit(entries, manifest)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in entries.items():
            archive.writestr(name, content)
    return target


def put(entries, manifest, name, content):
    """Put a part into a zip with a true checksum."""
    entries[name] = content
    manifest["parts"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def npz(save, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def larger(content: bytes) -> bytes:
    """Let the header of the first array with a shape promise more than there is."""
    with np.load(io.BytesIO(content)) as arrays:
        (dim,) = arrays["mean"].shape
    shape = f"({dim},), }}".encode().ljust(24)
    assert shape in content
    return content.replace(shape, f"({10**13},), }}".encode().ljust(24))


def without(entries, manifest, name="svm.npz"):
    del entries[name], manifest["parts"][name]


def refill(content: bytes):
    """Return an edit that gives genres.txt another content under its old checksum."""
    return lambda entries, _: entries.update({"genres.txt": content})


HOSTILE = {
    "another version": (lambda _, manifest: manifest.update(format=99), "format 99"),
    "unknown kind": (lambda _, manifest: manifest.update(kind="oracle"), "oracle"),
    "a path outside": (lambda *zip_: put(*zip_, "../evil.sh", b"x"), "expected the parts"),
    "a stowaway": (lambda entries, _: entries.update({"run.sh": b"x"}), "other files"),
    "a missing part": (without, "expected the parts"),
    "a missing entry": (lambda entries, _: entries.pop("svm.npz"), "other files"),
    "other bytes": (refill(b"x" * 58), "not what"),
    "zeros without end": (refill(bytes(50_000_000)), "larger than"),
    "no manifest to speak of": (lambda _, manifest: manifest.pop("parts"), "not a system"),
    "other classes": (lambda *zip_: put(*zip_, "genres.txt", b"a\nb\n"), "classes"),
    "no SVM": (lambda *zip_: put(*zip_, "svm.npz", b"PK"), "svm.npz"),
    "a foreign option": (lambda *zip_: put(*zip_, "scattering.conf", b"--rm=1\n"), "scattering.conf"),
    "a compressed array": (
        lambda *zip_: put(*zip_, "svm.npz", npz(np.savez_compressed, weight=np.zeros(10**6))),
        "are compressed",
    ),
    "an array of terabytes": (
        lambda entries, m: put(entries, m, "svm.npz", larger(entries["svm.npz"])),
        "svm.npz: cannot read an SVM",
    ),
    "a sample rate": (lambda *zip_: put(*zip_, "audio.conf", b"--sample-rate=999999999\n"), "8000 to"),
    "a text of zeros": (lambda *zip_: put(*zip_, "genres.txt", bytes(2_000_000)), "larger than"),
    "other features": (lambda *zip_: put(*zip_, "scattering.conf", b"--T=4096\n"), "do not fit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_zips_are_refused(folder, track, tmp_path, unpacked, name, capsys):
    edit, message = HOSTILE[name]
    path = change(folder / "zips/sc.zip", tmp_path / "bad.zip", edit)
    try:
        (said,) = unpacked(path).classify([track])
    except (UserError, SystemExit) as error:
        said = f"{error} {capsys.readouterr().err}"
    assert message in str(said)
    assert not (tmp_path / "evil.sh").exists()


@pytest.mark.parametrize(
    ("name", "part", "array"), [("lee2009", "model.npz", "low"), ("best", "best.npz", "/weight")]
)
def test_arrays_of_other_shapes_are_refused(folder, track, tmp_path, name, part, array):
    def cut(entries, manifest):
        with np.load(io.BytesIO(entries[part])) as arrays:
            found = {key: arrays[key][..., :1] if key.endswith(array) else arrays[key] for key in arrays}
        put(entries, manifest, part, npz(np.savez, **found))

    path = change(folder / f"zips/{name}.zip", tmp_path / "bad.zip", cut)
    for nj in (1, 2):
        done = call(folder, "classify.sh", "--nj", nj, path, track, track)
        assert done.returncode == 1 and "do not fit" in done.stderr and "Traceback" not in done.stderr


def test_a_zip_that_would_be_too_large_has_rounded_weights(folder, tmp_path, monkeypatch):
    exact, small = folder / "zips/network.zip", tmp_path / "small.zip"
    monkeypatch.setattr(parts, "MAX_ZIP", 0.6 * exact.stat().st_size)
    rounded = parts.export(collect(folder / SYSTEMS["network"]), small)
    assert rounded == "weights of final_test.nnet rounded to 10 significant bits"
    assert small.stat().st_size < parts.MAX_ZIP
    found = [
        call(folder, "classify.sh", "--rule", "mean", path, *recordings(folder).values())
        for path in (exact, small)
    ]
    assert rounded in found[1].stderr and "rounded" not in found[0].stderr
    rows, others = (table(done.stdout) for done in found)
    assert [row[1] for row in rows] == [row[1] for row in others]
    chances, near = (np.array([row[3:] for row in each], float) for each in (rows, others))
    assert 0 < np.abs(chances - near).max() < 1e-3


def test_what_is_no_system_is_told(folder, track, tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/model.npz").touch()
    (tmp_path / "cut.zip").write_bytes((folder / "zips/sc.zip").read_bytes()[:500])
    for source, message in (
        (tmp_path / "cut.zip", "not a system"),
        (tmp_path / "none.zip", "no such experiment"),
        ("exp/synth_lstm_512/log", "no trained system"),
        (tmp_path / "odd", "no folder of data/"),
    ):
        done = call(folder, "classify.sh", source, track)
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    asked = {"no posteriors": ("--timeline", tmp_path), "does not decide": ("--rule", "mean")}
    for message, words in asked.items():
        done = call(folder, "classify.sh", *words, folder / "zips/sc.zip", track)
        assert done.returncode == 1 and not done.stdout and message in done.stderr

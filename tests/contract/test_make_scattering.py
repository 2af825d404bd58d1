"""steps/compute_scattering.py and steps/make_scattering.sh on small data directories."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steps import archive, compute_scattering, convert_audio
from steps.scattering import Config, features, num_dims
from steps.scattering.config import parse_quality
from utils import cli, tables

RATE = 22050


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(5)
    return {
        f"utt{n}": np.round(3000 * rng.standard_normal(8192 + 7000 * n)).astype(np.int16) for n in range(5)
    }


@pytest.fixture
def data(tmp_path, signals):
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "wav").mkdir()
    for utt, samples in signals.items():
        soundfile.write(tmp_path / "wav" / f"{utt}.wav", samples, RATE, subtype="PCM_16")
    lines = [f"{utt} {tmp_path}/wav/{utt}.wav\n" for utt in sorted(signals)]
    (folder / "wav22k.scp").write_text("".join(lines))
    return folder


def compute(*options: object) -> None:
    assert compute_scattering.main([str(option) for option in options]) == 0


def test_features_of_the_program_are_those_of_the_package(data, signals, run_cli, tmp_path):
    counts, ark = tmp_path / "frames", tmp_path / "f.ark"
    options = ("--config=conf/scattering.conf", f"--write-num-frames={counts}")
    run_cli("steps/compute_scattering.py", *options, f"scp:{data}/wav22k.scp", f"ark:{ark}", check=True)
    found = dict(archive.read_matrices(f"ark:{ark}"))
    assert list(found) == sorted(signals)
    for utt, samples in signals.items():
        assert np.array_equal(found[utt], features((samples / 32768).astype(np.float32)))
    frames = {utt: int(n) for utt, n in tables.read_table(counts).items()}
    assert frames == {utt: Config().num_frames(len(samples)) for utt, samples in signals.items()}


def test_raw(data, signals, tmp_path):
    compute("--raw", "true", f"scp:{data}/wav22k.scp", f"ark:{tmp_path}/f.ark")
    expected = features((signals["utt1"] / 32768).astype(np.float32), raw=True)
    assert np.array_equal(dict(archive.read_matrices(f"ark:{tmp_path}/f.ark"))["utt1"], expected)


def test_every_configuration_has_its_dimension(repo, tmp_path, capsys):
    (tmp_path / "wav.scp").write_text(f"u1 {tmp_path}/x.wav\n")
    soundfile.write(tmp_path / "x.wav", np.zeros(40000), RATE, subtype="PCM_16")
    confs = sorted((repo / "conf").glob("scattering*.conf"))
    assert len(confs) >= 4
    for conf in confs:
        compute("--config", conf, f"scp:{tmp_path}/wav.scp", f"ark:{tmp_path}/f.ark")
        values = {key: value for _, line in cli.read_config(conf) for key, _, value in [line.partition("=")]}
        config = Config(
            T=int(values["--T"]), Q=parse_quality(values["--Q"]), max_order=int(values["--max-order"])
        )
        [(_, frames)] = archive.read_matrices(f"ark:{tmp_path}/f.ark")
        assert frames.shape == (config.num_frames(40000), num_dims(config))
        assert f" {num_dims(config)} dimensions" in capsys.readouterr().err


def feats(data: Path) -> dict[str, np.ndarray]:
    return dict(archive.read_matrices(f"scp:{data}/feats.scp"))


def test_result_does_not_depend_on_the_number_of_jobs(data, run_cli, tmp_path):
    args = ("steps/make_scattering.sh", "--cmd", "utils/run.py")
    run_cli(*args, "--nj", 3, data, tmp_path / "log", tmp_path / "three", check=True)
    three = feats(data)
    assert (data / "feats.scp").read_text().count(".3.ark") == 1
    counts = (data / "utt2num_frames").read_text()
    run_cli(*args, "--nj", 1, data, tmp_path / "log1", tmp_path / "one", check=True)
    one = feats(data)
    assert list(one) == list(three)
    assert all(np.array_equal(one[utt], three[utt]) for utt in one)
    assert (data / "utt2num_frames").read_text() == counts
    assert counts.splitlines()[0] == f"utt0 {Config().num_frames(8192)}"
    assert float((data / "frame_shift").read_text()) == pytest.approx(4096 / 22050)
    done = run_cli(*args, "--nj", 2, data, tmp_path / "log1", tmp_path / "one", check=True)
    assert "up to date" in done.stderr
    (tmp_path / "wrong.conf").write_text("--T=1\n")
    failed = run_cli(
        *args, "--scattering-config", tmp_path / "wrong.conf", data, tmp_path / "log1", tmp_path / "one"
    )
    assert failed.returncode == 1 and "T must lie between" in failed.stderr
    assert all(np.array_equal(frames, three[utt]) for utt, frames in feats(data).items())
    run_cli(
        *args,
        "--scattering-config",
        "conf/scattering_t4096.conf",
        data,
        tmp_path / "log1",
        tmp_path / "one",
        check=True,
    )
    assert len({path.name.split(".")[1] for path in (tmp_path / "one").iterdir()}) == 1


def test_kymatio_is_a_part_of_the_recipe(data, repo, tmp_path, signals):
    """The same numbers, but for the ends of a track, which it extends once."""
    rng = np.random.default_rng(7)
    soundfile.write(tmp_path / "wav/utt4.wav", 0.1 * rng.standard_normal(40 * 4096), RATE, subtype="PCM_16")
    config = repo / "conf/scattering_kymatio.conf"
    compute("--config", config, f"scp:{data}/wav22k.scp", f"ark:{tmp_path}/f.ark")
    found = dict(archive.read_matrices(f"ark:{tmp_path}/f.ark"))
    assert list(found) == sorted(signals)
    ours = features(soundfile.read(tmp_path / "wav/utt4.wav", dtype="float32")[0])
    assert found["utt4"].shape == ours.shape and np.abs(found["utt4"] - ours)[12:-12].max() < 0.02
    assert np.abs(found["utt4"] - ours).max() > 0.02


SEGMENTS = {"a-1": "rec_a 0.25 1.0", "a-2": "rec_a 0.9 -1", "b-1": "rec_b 0.1 2.3"}
CUT = {"a-1": (5512, 22050), "a-2": (19845, 40000), "b-1": (2205, 45000)}  # samples, towards zero


@pytest.fixture
def cut_data(tmp_path):
    """A data directory of two recordings and three pieces of them, and the samples of these."""
    folder = tmp_path / "data"
    folder.mkdir()
    recordings = {}
    for name, length in (("rec_a", 40000), ("rec_b", 45000)):
        samples = np.random.default_rng(length).integers(-9000, 9000, length).astype(np.int16)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="PCM_16")
        recordings[name] = samples
    tables.write_table(folder / "wav.scp", {name: tmp_path / f"{name}.wav" for name in recordings})
    tables.write_table(folder / "segments", SEGMENTS)
    tables.write_table(folder / "utt2spk", {utt: utt[0] for utt in SEGMENTS})
    tables.write_table(folder / "spk2utt", {"a": "a-1 a-2", "b": "b-1"})
    return folder, {utt: recordings[f"rec_{utt[0]}"][slice(*CUT[utt])] for utt in SEGMENTS}


def test_segments_are_cut_out_as_kaldi_does(cut_data, run_cli, tmp_path):
    data, pieces = cut_data
    run_cli("utils/validate_data_dir.py", "--no-feats", "--no-genre", data, check=True)
    run_cli("steps/convert_audio.sh", "--nj", 2, data, tmp_path / "log", tmp_path / "wav", check=True)
    for utt, samples in pieces.items():
        assert np.array_equal(soundfile.read(tmp_path / "wav" / f"{utt}.wav", dtype="int16")[0], samples)
        seconds = float(tables.read_table(data / "utt2dur")[utt])
        assert seconds == pytest.approx(len(samples) / RATE, abs=1e-6)
    assert list(tables.read_table(data / "wav22k.scp")) == list(tables.read_table(data / "utt2hash"))
    assert not list((tmp_path / "wav").glob(".*"))
    run_cli("steps/make_scattering.sh", "--nj", 2, data, tmp_path / "log", tmp_path / "f", check=True)
    made = feats(data)
    assert list(made) == list(SEGMENTS)
    for utt, samples in pieces.items():
        assert np.array_equal(made[utt], features((samples / 32768).astype(np.float32)))


def test_segments_that_are_wrong_are_named(cut_data, run_cli, repo, tmp_path):
    data, _ = cut_data
    options = (f"--config={repo}/conf/audio.conf", f"--segments={data}/segments")
    words = [*options, str(data / "wav.scp"), str(tmp_path / "wav"), str(tmp_path / "wav22k.scp")]
    for value, message in {
        "rec_b 0.1": "segments:3: 'b-1': expected '<recording> <start> <end>'",
        "rec_b 0 1 1": "without a channel",
        "rec_b 2 1": "expected 0 <= start < end",
        "rec_b nan 1": "expected 0 <= start < end",
        "rec_b 0 2.6": "outside the recording 'rec_b' of 2.04 s",
        "rec_b 2 -1": "too short",
        "rec_b 1.7 -1": "shorter than one window",
    }.items():
        tables.write_table(data / "segments", SEGMENTS | {"b-1": value})
        with pytest.raises(cli.UserError, match=re.escape(message)):
            convert_audio.main(words)
    config = ("--audio-config", tmp_path / "audio.conf")
    config[1].write_text("--max-bad=1\n")
    done = run_cli("steps/convert_audio.sh", *config, data, tmp_path / "log", tmp_path / "wav")
    assert done.returncode == 0, done.stderr
    for name in ("wav22k.scp", "segments", "utt2spk", "utt2dur"):
        assert list(tables.read_table(data / name)) == ["a-1", "a-2"]
    assert list(tables.read_table(data / "wav.scp")) == ["rec_a", "rec_b"]
    tables.write_table(data / "segments", SEGMENTS | {"b-1": "rec_c 0 1"})
    done = run_cli("steps/convert_audio.sh", data, tmp_path / "log", tmp_path / "wav")
    assert done.returncode == 1 and "b-1: its recording is not in" in done.stderr

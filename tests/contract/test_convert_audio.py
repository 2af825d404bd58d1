"""steps/convert_audio.py and its driver steps/convert_audio.sh."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from steps import convert_audio
from utils import tables

RATES = {"a-1": 22050, "a-2": 44100, "b-1": 48000, "b-2": 32000, "c-1": 8000}


@pytest.fixture
def data_dir(tmp_path) -> Path:
    """Five short tracks of different rates and formats, in a folder with a blank in its name."""
    folder = tmp_path / "data dir"
    music = tmp_path / "music of mine"
    music.mkdir()
    folder.mkdir()
    wav_scp = {}
    for number, (utt, rate) in enumerate(RATES.items()):
        path = music / f"{utt} (take #1).{('wav', 'flac', 'ogg', 'mp3', 'au')[number]}"
        samples = 0.3 * np.sin(2 * np.pi * (300 + 50 * number) * np.arange(rate) / rate)
        soundfile.write(path, np.stack([samples, samples], axis=1), rate)
        wav_scp[utt] = str(path)
    tables.write_table(folder / "wav.scp", wav_scp)
    return folder


def convert(data: Path, *options: str) -> int:
    out = data.with_name("wav")
    return convert_audio.main([*options, str(data / "wav.scp"), str(out), str(data / "wav22k.scp")])


def test_tables_and_files(data_dir, capsys):
    assert convert(data_dir, f"--data-dir={data_dir}") == 0
    wav22k = tables.read_table(data_dir / "wav22k.scp")
    assert list(wav22k) == list(RATES)
    for utt, path in wav22k.items():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
        assert float(tables.read_table(data_dir / "utt2dur")[utt]) == pytest.approx(info.duration, abs=1e-6)
        assert info.duration == pytest.approx(1, abs=1e-3)
    assert {len(value) for value in tables.read_table(data_dir / "utt2hash").values()} == {64}
    assert "converted 5 of 5 tracks" in capsys.readouterr().err


class TestDriver:
    @pytest.fixture
    def drive(self, data_dir, run_cli):
        def run(*options, data=data_dir):
            log, wav = data_dir.with_name("log"), data_dir.with_name("wav")
            return run_cli("steps/convert_audio.sh", *options, data, log, wav)

        return run

    def test_one_job_and_three_agree_and_a_rerun_does_nothing(self, data_dir, drive):
        names = ("wav22k.scp", "utt2dur", "utt2hash")
        assert drive("--nj", "1").returncode == 0
        one = [(data_dir / name).read_bytes() for name in names]
        wavs = {path.name: path.read_bytes() for path in data_dir.with_name("wav").iterdir()}
        for path in data_dir.with_name("wav").iterdir():
            path.unlink()
        done = drive("--nj", "3")
        assert done.returncode == 0, done.stderr
        assert [(data_dir / name).read_bytes() for name in names] == one
        assert {path.name: path.read_bytes() for path in data_dir.with_name("wav").iterdir()} == wavs
        stamps = {path: path.stat().st_mtime_ns for path in data_dir.with_name("wav").iterdir()}
        assert drive("--nj", "3").returncode == 0
        assert {path: path.stat().st_mtime_ns for path in data_dir.with_name("wav").iterdir()} == stamps
        assert list(tables.read_table(data_dir / "utt2hash")) == list(RATES)

    def test_failed_tracks_of_all_jobs_are_named_and_the_configuration_may_allow_them(
        self, data_dir, drive, tmp_path
    ):
        for utt in ("a-1", "b-1"):
            Path(tables.read_table(data_dir / "wav.scp")[utt]).write_text("not audio")
        config = ("--audio-config", tmp_path / "audio.conf")
        config[1].write_text("--max-bad=1\n")
        done = drive("--nj", "5", *config)
        assert done.returncode == 1
        assert (
            "WARNING (convert_audio.py) b-1: " in done.stderr and "not audio that libsndfile" in done.stderr
        )
        assert "2 of 5 tracks failed, --max-bad allows 1: a-1 b-1; leave them out (--exclude" in done.stderr
        logs = "".join(path.read_text() for path in data_dir.with_name("log").glob("convert_audio.*.log"))
        assert "b-1: " in logs and "not audio that libsndfile reads" in logs
        assert not (data_dir / "wav22k.scp").exists()
        config[1].write_text("--max-bad=2  # two\n--min-samples=100\n")
        done = drive("--nj", "2", *config)
        assert done.returncode == 0, done.stderr
        assert "2 of 5 tracks failed and are left out: a-1 b-1" in done.stderr
        for name in ("wav.scp", "wav22k.scp"):
            assert list(tables.read_table(data_dir / name)) == ["a-2", "b-2", "c-1"]
        again = drive("--nj", "2", *config)
        assert again.returncode == 0 and "up to date" in again.stderr

    def test_what_was_converted_stays_converted(self, data_dir, drive):
        source = Path(tables.read_table(data_dir / "wav.scp")["b-1"])
        good = source.read_bytes()
        source.write_text("not audio")
        assert drive("--nj", "2").returncode == 1
        times = {path: path.stat().st_mtime_ns for path in data_dir.with_name("wav").glob("*.wav")}
        assert len(times) == 4
        assert drive("--nj", "3").returncode == 1  # the same key: nothing is decoded again
        assert {path: path.stat().st_mtime_ns for path in times} == times
        source.write_bytes(good)
        assert drive("--nj", "2").returncode == 0
        assert [path.name for path in data_dir.with_name("wav").glob(".*")] == []

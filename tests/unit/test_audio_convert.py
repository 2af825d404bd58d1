"""Conversion: what the resampler must keep, what must be reported, what must be refused."""

import hashlib

import numpy as np
import pytest
import soundfile

from steps.audio import AudioError, Conversion, convert_track, decode

OUT = 22050


def sine(frequency: float, rate: int, seconds: float = 2.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def convert(tmp_path):
    def run(samples, rate, *, subtype="FLOAT", **options):
        soundfile.write(tmp_path / "in.wav", samples, rate, subtype=subtype)
        report = convert_track(tmp_path / "in.wav", tmp_path / "out.wav", Conversion(**options))
        info = soundfile.info(tmp_path / "out.wav")
        assert (info.samplerate, info.channels, info.format, info.subtype) == (OUT, 1, "WAV", "PCM_16")
        return soundfile.read(tmp_path / "out.wav", dtype="int16")[0], report

    return run


def test_track_at_the_target_rate_is_kept_bit_for_bit(convert):
    samples = np.random.default_rng(0).integers(-32768, 32768, 100000).astype(np.int16)
    out, report = convert(samples, OUT, subtype="PCM_16")
    assert np.array_equal(out, samples)
    assert report.sha256 == hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
    assert report.warnings == ()


@pytest.mark.parametrize("rate", [8000, 11025, 32000, 44100, 48000, 96000, 192000])
def test_resampled_sine_is_the_sine_at_the_new_rate(convert, rate):
    out, report = convert(sine(1000, rate), rate)
    assert len(out) == report.num_samples == 2 * OUT
    wanted = sine(1000, OUT)
    inner = slice(2000, -2000)
    assert np.abs(out[inner] / 32768 - wanted[inner]).max() < 2 / 32768


def test_what_cannot_be_represented_is_removed_not_folded(convert):
    out, _ = convert(sine(15000, 44100), 44100)  # would fold to 7050 Hz
    assert np.abs(out[2000:-2000]).max() <= 1


def test_channels_are_averaged(convert):
    left, right = sine(500, OUT), sine(700, OUT)
    out, _ = convert(np.stack([left, right], axis=1), OUT)
    assert np.abs(out / 32768 - (left + right) / 2).max() <= 1 / 32768
    six = np.stack([left * k for k in range(6)], axis=1) / 6
    out, _ = convert(six, OUT)
    assert np.abs(out / 32768 - left * 15 / 36).max() <= 1 / 32768


@pytest.mark.parametrize("block", [1000, 65536])
def test_result_does_not_depend_on_the_blocks(convert, monkeypatch, block):
    whole, _ = convert(sine(1234, 44100, 4), 44100)
    monkeypatch.setattr(decode, "BLOCK_FRAMES", block)
    pieces, _ = convert(sine(1234, 44100, 4), 44100)
    assert np.array_equal(whole, pieces)


class TestFullScale:
    loud = sine(440, OUT, amplitude=1.25)

    def test_report_saturates(self, convert):
        out, report = convert(self.loud, OUT)
        assert (out.max(), out.min()) == (32767, -32768)
        number = np.count_nonzero(np.abs(self.loud.astype(np.float32)) > 1)
        assert f"{number} samples exceed full scale, peak +1.94 dBFS" in report.warnings[0]

    def test_float_file_in_other_units_is_refused(self, convert):
        with pytest.raises(AudioError, match="more than the 6 dB allowed"):
            convert(self.loud * 20000, OUT)


def test_silence_and_an_offset_stay(convert):
    out, report = convert(np.zeros(2 * OUT), OUT)
    assert not out.any() and report.warnings == ("the track is silent: kept",)
    out, _ = convert(sine(440, OUT) * 0.5 + 0.1, OUT)
    assert out.mean() / 32768 == pytest.approx(0.1, abs=1e-3)


class TestRefusal:
    def test_shorter_than_a_window(self, convert, tmp_path):
        convert(sine(440, OUT, 8192 / OUT), OUT)
        (tmp_path / "out.wav").unlink()
        with pytest.raises(AudioError, match="8191 samples at 22050 Hz .0.371 s., shorter than one window"):
            convert(sine(440, OUT, 8191 / OUT), OUT)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav"]

    def test_earlier_result_survives(self, convert, tmp_path):
        convert(sine(440, OUT), OUT)
        before = (tmp_path / "out.wav").read_bytes()
        bad = sine(440, OUT)
        bad[-1] = np.nan
        with pytest.raises(AudioError):
            convert(bad, OUT)
        assert (tmp_path / "out.wav").read_bytes() == before

"""Decoding: every container, and every way in which a file can say less or more than it holds."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.corpus import artists
from steps.audio import AudioError, Track, containers, mpeg

RATE, SECONDS = 22050, 5
FORMATS = {
    "a.wav": {"subtype": "PCM_16"},
    "b.wav": {"subtype": "PCM_24"},
    "c.wav": {"subtype": "FLOAT"},
    "d.flac": {"subtype": "PCM_16"},
    "e.ogg": {"format": "OGG", "subtype": "VORBIS"},
    "f.mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "g.au": {"subtype": "PCM_16"},
    "h.aiff": {"subtype": "PCM_16"},
    "i.w64": {"subtype": "PCM_16"},
}


def tone(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(1)
    time = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * 440 * time) + 0.05 * rng.standard_normal(len(time))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for name, kind in FORMATS.items():
        soundfile.write(folder / name, tone(), RATE, **kind)
    return folder


def decode(path: Path, **options) -> tuple[np.ndarray, Track]:
    with Track(path, **options) as track:
        return np.concatenate(list(track.blocks())), track


def cut(source: Path, target: Path, share: float) -> Path:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def xing_at(data: bytes) -> int:
    return max(data.find(b"Xing", 0, 200), data.find(b"Info", 0, 200))


@pytest.mark.parametrize("name", FORMATS)
def test_reads_every_format(sounds, name):
    samples, track = decode(sounds / name)
    assert samples.shape == (RATE * SECONDS, 1)
    assert (track.sample_rate, track.channels, track.header_frames) == (RATE, 1, RATE * SECONDS)
    assert not track.warnings
    if track.codec.split("/")[0] not in ("MP3", "OGG"):
        assert np.abs(samples[:, 0] - tone()).max() <= 1 / 32768


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_file_is_named(sounds, tmp_path, name):
    path = cut(sounds / name, tmp_path / name, 0.6)
    with pytest.raises(AudioError, match=f"{name}.*(truncated|decoding failed)"):
        decode(path)


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_file_can_be_allowed(sounds, tmp_path, name):
    path = cut(sounds / name, tmp_path / name, 0.6)
    samples, track = decode(path, allow_truncated=True)
    assert 0.2 * RATE * SECONDS < len(samples) < 0.75 * RATE * SECONDS
    assert "truncated" in track.warnings[0]


@pytest.mark.parametrize("name", ["d.flac", "e.ogg", "f.mp3"])
@pytest.mark.parametrize("filler", ["zeros", "noise"])
def test_hole_in_a_compressed_file_is_named(tmp_path, name, filler):
    soundfile.write(tmp_path / name, tone(10), RATE, **FORMATS[name])
    data = (tmp_path / name).read_bytes()
    a, b = len(data) // 2, len(data) * 6 // 10
    hole = bytes(b - a) if filler == "zeros" else np.random.default_rng(0).bytes(b - a)
    (tmp_path / name).write_bytes(data[:a] + hole + data[b:])
    with pytest.raises(AudioError, match=name):
        decode(tmp_path / name)


@pytest.mark.parametrize("name", ["a.wav", "d.flac", "f.mp3", "g.au"])
def test_bytes_after_the_audio_do_no_harm(sounds, tmp_path, name):
    tail = b"TAG" + bytes(125) + b"x" * 3000
    (tmp_path / name).write_bytes((sounds / name).read_bytes() + tail)
    samples, _ = decode(tmp_path / name)
    assert len(samples) == RATE * SECONDS


class TestMp3Counts:
    """The count in an MP3 header may be wrong: what the file holds is what counts."""

    def test_too_small_count_is_read_beyond(self, sounds, tmp_path):
        data = bytearray((sounds / "f.mp3").read_bytes())
        at = xing_at(data) + 8
        (count,) = struct.unpack(">I", data[at : at + 4])
        data[at : at + 4] = struct.pack(">I", count // 2)
        (tmp_path / "low.mp3").write_bytes(data)
        whole, _ = decode(sounds / "f.mp3")
        samples, track = decode(tmp_path / "low.mp3")
        assert "the header says" in track.warnings[0]
        assert np.array_equal(samples[: len(whole)], whole)
        assert len(samples) - len(whole) < 2 * 1152

    def test_too_large_count_is_corrected(self, sounds, tmp_path):
        data = bytearray((sounds / "f.mp3").read_bytes())
        at = xing_at(data) + 8
        (count,) = struct.unpack(">I", data[at : at + 4])
        data[at : at + 4] = struct.pack(">I", count * 2)
        (tmp_path / "high.mp3").write_bytes(data)
        samples, track = decode(tmp_path / "high.mp3")
        assert 0 <= len(samples) - RATE * SECONDS < 1152
        assert "the header says" in track.warnings[0]

    @pytest.mark.parametrize(("excess", "whole"), [(1, True), (5000, True), (1, False), (5000, False)])
    def test_too_many_bytes_matter_only_if_frames_are_missing(self, sounds, tmp_path, excess, whole):
        data = bytearray((sounds / "f.mp3").read_bytes())
        at = xing_at(data) + 12
        data[at : at + 4] = struct.pack(">I", len(data) + excess)
        (tmp_path / "tagged.mp3").write_bytes(data if whole else data[: len(data) // 2])
        if whole:
            samples, track = decode(tmp_path / "tagged.mp3")
            assert 0 <= len(samples) - RATE * SECONDS < 1152
            assert "before its own header says, by less than a hundredth" in track.warnings[0]
        else:
            with pytest.raises(AudioError, match="truncated or corrupt; replace it, leave the track out, or"):
                decode(tmp_path / "tagged.mp3")

    def test_variable_rate_without_a_header_is_read_to_the_end(self, tmp_path):
        quiet_then_loud = np.concatenate(
            [tone() * 1e-4, np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 4)]
        )
        soundfile.write(tmp_path / "v.mp3", quiet_then_loud, RATE, format="MP3", compression_level=0.5)
        data = bytearray((tmp_path / "v.mp3").read_bytes())
        at = xing_at(data)
        data[at : at + 4] = bytes(4)
        (tmp_path / "v.mp3").write_bytes(data)
        samples, track = decode(tmp_path / "v.mp3")
        assert track.header_frames is None
        assert 0 <= len(samples) - len(quiet_then_loud) < 4 * 1152

    def test_tag_before_the_stream(self, sounds, tmp_path):
        tag = b"ID3\x04\0\0" + bytes((0, 0, 2, 0)) + bytes(256)
        (tmp_path / "t.mp3").write_bytes(tag + (sounds / "f.mp3").read_bytes())
        samples, _ = decode(tmp_path / "t.mp3")
        assert len(samples) == RATE * SECONDS
        with (tmp_path / "t.mp3").open("rb") as file:
            stream = mpeg.find_stream(file)
        assert stream is not None and stream.start == len(tag)

    @pytest.mark.parametrize(
        ("header", "size"),
        [
            ("fffb9064", 417),
            ("fffb9264", 418),
            ("fff380c4", 208),
            ("ffe388c4", 576),
            ("fffd9064", 0),
            ("00fb9064", 0),
        ],
    )
    def test_frame_sizes(self, header, size):
        assert mpeg.frame_size(bytes.fromhex(header)) == size


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_open_length_is_read_to_the_end(sounds, tmp_path, length):
    data = bytearray((sounds / "a.wav").read_bytes())
    at = data.find(b"data") + 4
    data[at : at + 4] = struct.pack("<I", length)
    (tmp_path / "pipe.wav").write_bytes(data)
    assert len(decode(tmp_path / "pipe.wav")[0]) == RATE * SECONDS
    assert containers.missing_bytes(tmp_path / "pipe.wav") == 0


def test_flac_of_open_length_is_read_to_the_end(sounds, tmp_path):
    data = bytearray((sounds / "d.flac").read_bytes())
    data[21] &= 0xF0  # STREAMINFO: 36 bits of total samples, 0 for unknown
    data[22:26] = bytes(4)
    (tmp_path / "pipe.flac").write_bytes(data)
    samples, track = decode(tmp_path / "pipe.flac")
    assert len(samples) == RATE * SECONDS
    assert track.header_frames is None


def test_missing_bytes_are_counted(sounds, tmp_path):
    for name in ("a.wav", "g.au", "h.aiff", "i.w64"):
        data = (sounds / name).read_bytes()
        (tmp_path / name).write_bytes(data[:-1000])
        assert containers.missing_bytes(sounds / name) == 0
        assert containers.missing_bytes(tmp_path / name) == 1000


def test_content_decides_not_the_name(sounds, tmp_path):
    for source, name in (("f.mp3", "x.wav"), ("a.wav", "y.mp3"), ("e.ogg", "z.raw"), ("d.flac", "none")):
        (tmp_path / name).write_bytes((sounds / source).read_bytes())
        assert len(decode(tmp_path / name)[0]) == RATE * SECONDS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "zero bytes long"),
        (b"not audio at all, just text", "not audio"),
        (b"RIFF\0\0\0\0WAVE", "not audio"),
    ],
)
def test_what_is_not_audio_is_named(tmp_path, content, message):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AudioError, match=f"x.wav: {message}"):
        decode(tmp_path / "x.wav")


def test_missing_file_and_pipe_are_refused(tmp_path):
    with pytest.raises(AudioError, match="No such file"):
        Track(tmp_path / "absent.wav")
    with pytest.raises(AudioError, match="pipes are not run"):
        Track("touch /tmp/never |")


@pytest.mark.parametrize("rate", [4000, 200000])
def test_unlikely_sample_rates_are_refused(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", np.zeros(10000), rate)
    with pytest.raises(AudioError, match=f"sample rate {rate} Hz, expected 8000 to 192000"):
        Track(tmp_path / "x.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, value):
    samples = np.zeros((70000, 2), np.float32)
    samples[66000, 1] = value
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 66000 is NaN or infinite"):
        decode(tmp_path / "x.wav")


def test_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="no samples"):
        decode(tmp_path / "x.wav")


FAKE_FFMPEG = """#!/bin/sh
for word; do case $word in file:*) path=${word#file:};; esac; done
if grep -q broken "$path"; then head -c 4024 "$path.au"; echo "codec gave up" >&2; exit 1; fi
if grep -q strange "$path"; then echo "invalid data found" >&2; exit 1; fi
cat "$path.au"
"""


class TestFfmpeg:
    """What libsndfile does not know goes through ffmpeg, where there is one."""

    @pytest.fixture(autouse=True)
    def _fake(self, tmp_path, monkeypatch):
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "ffmpeg"
        program.write_text(FAKE_FFMPEG)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        stereo = np.stack([tone(), -tone()], axis=1)
        for kind in ("good", "broken", "strange"):
            (tmp_path / f"{kind}.m4a").write_text(f"{kind} but unknown to libsndfile")
            soundfile.write(tmp_path / f"{kind}.m4a.au", stereo, RATE, subtype="FLOAT", endian="BIG")

    def test_is_used(self, tmp_path):
        samples, track = decode(tmp_path / "good.m4a")
        assert (track.codec, track.sample_rate, track.channels) == ("ffmpeg", RATE, 2)
        assert np.abs(samples[:, 1] + tone()).max() < 1e-6

    def test_failure_in_the_middle_is_an_error(self, tmp_path):
        with pytest.raises(AudioError, match="broken.m4a.*status 1: codec gave up"):
            decode(tmp_path / "broken.m4a")

    def test_tags_are_read_by_ffprobe(self, tmp_path):
        assert artists.from_tags(tmp_path / "good.m4a") == ""
        program = tmp_path / "bin" / "ffprobe"
        program.write_text(
            "#!/bin/sh\nfor word; do last=$word; done\n[ -f ${last#file:} ] && echo ' Ann  '\n"
        )
        program.chmod(0o755)
        assert artists.from_tags(tmp_path / "good.m4a") == "Ann"
        assert artists.from_tags(tmp_path / "absent.m4a") == ""

    def test_file_that_it_does_not_know(self, tmp_path):
        with pytest.raises(
            AudioError, match="strange.m4a.*not audio that libsndfile reads.*, nor ffmpeg .invalid data"
        ):
            Track(tmp_path / "strange.m4a")

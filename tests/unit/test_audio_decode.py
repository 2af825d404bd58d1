"""Decoding: every container, and every way in which a file can say less or more than it holds."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steps.audio import AudioError, Track

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
    "j.caf": {"subtype": "PCM_16"},
    "k.rf64": {"format": "RF64", "subtype": "PCM_16"},
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
def test_truncated_file_is_named_and_can_be_allowed(sounds, tmp_path, name, monkeypatch):
    data = (sounds / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    monkeypatch.setenv("PATH", "")  # no ffmpeg
    if name == "j.caf":  # libsndfile refuses it
        with pytest.raises(AudioError, match="j.caf.*file is malformed.; install ffmpeg"):
            decode(tmp_path / name, allow_truncated=True)
        return
    with pytest.raises(AudioError, match=f"{name}.*(truncated|decoding failed)"):
        decode(tmp_path / name)
    samples, track = decode(tmp_path / name, allow_truncated=True)
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


class TestMp3Counts:
    """The count in an MP3 header may be wrong: what the file holds is what counts."""

    @pytest.mark.parametrize("factor", [0.5, 2])
    def test_too_small_count_is_read_beyond_and_too_large_one_corrected(self, sounds, tmp_path, factor):
        data = bytearray((sounds / "f.mp3").read_bytes())
        at = xing_at(data) + 8
        (count,) = struct.unpack(">I", data[at : at + 4])
        data[at : at + 4] = struct.pack(">I", int(count * factor))
        (tmp_path / "x.mp3").write_bytes(data)
        whole, _ = decode(sounds / "f.mp3")
        samples, track = decode(tmp_path / "x.mp3")
        assert "the header states" in track.warnings[0]
        assert np.array_equal(samples[: len(whole)], whole)
        assert 0 <= len(samples) - len(whole) < (2 * 1152 if factor < 1 else 1152)

    @pytest.mark.parametrize("excess", [1, 5000])
    def test_too_many_bytes_matter_only_if_frames_are_missing(self, sounds, tmp_path, excess):
        data = bytearray((sounds / "f.mp3").read_bytes())
        at = xing_at(data) + 12
        data[at : at + 4] = struct.pack(">I", len(data) + excess)
        (tmp_path / "tagged.mp3").write_bytes(data)
        samples, track = decode(tmp_path / "tagged.mp3")
        assert 0 <= len(samples) - RATE * SECONDS < 1152
        (tmp_path / "tagged.mp3").write_bytes(data[: len(data) // 2])
        with pytest.raises(AudioError, match="truncated or corrupt; replace it, leave the track out, or"):
            decode(tmp_path / "tagged.mp3")


def test_mp3_without_a_count_is_read_to_the_end(tmp_path):
    loud, quiet = tone(5), 1e-4 * tone(5)
    for name, parts in (("x.mp3", (loud, quiet)), ("y.mp3", (quiet, loud))):
        soundfile.write(tmp_path / name, np.concatenate(parts), RATE, **FORMATS["f.mp3"])
        data = (tmp_path / name).read_bytes()
        first = data.index(b"\xff\xf3", 100)  # the frame behind that of the Info header
        (tmp_path / name).write_bytes(b"ID3\4\0\0\0\0\1\0" + bytes(128) + data[first:])
        samples, track = decode(tmp_path / name)
        assert 0 <= len(samples) - 2 * 5 * RATE < 4 * 1152
        assert track.header_frames is None and not track.warnings
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
        again, track = decode(tmp_path / name)
        assert len(samples) - 4096 - 2 * 1152 < len(again) and len(track.warnings) == 1


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_open_length_is_read_to_the_end(sounds, tmp_path, length):
    (tmp_path / "pipe.wav").write_bytes(patched((sounds / "a.wav").read_bytes(), b"data", 4, length, "<I"))
    assert len(decode(tmp_path / "pipe.wav")[0]) == RATE * SECONDS


def test_flac_of_open_length_is_read_to_the_end(sounds, tmp_path):
    data = bytearray((sounds / "d.flac").read_bytes())
    data[21] &= 0xF0  # STREAMINFO: 36 bits of total samples, 0 for unknown
    data[22:26] = bytes(4)
    (tmp_path / "pipe.flac").write_bytes(data)
    samples, track = decode(tmp_path / "pipe.flac")
    assert len(samples) == RATE * SECONDS
    assert track.header_frames is None


FAKE_FFMPEG = """#!/bin/sh
for word; do case $word in file:*) path=${word#file:};; esac; done
if grep -q broken "$path"; then head -c 4024 "$path.au"; echo "codec gave up" >&2; exit 1; fi
if grep -q strange "$path"; then echo "invalid data found" >&2; exit 1; fi
cat "$path.au"
"""


def test_what_libsndfile_does_not_know_goes_through_ffmpeg(tmp_path, monkeypatch):
    probe = f'#!/bin/sh\necho \'{{"format": {{"duration": "{SECONDS}.000"}}}}\'\n'
    (tmp_path / "bin").mkdir()
    for name, text in (("ffmpeg", FAKE_FFMPEG), ("ffprobe", probe)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    stereo = np.stack([tone(), -tone()], axis=1)
    for kind in ("good", "broken", "strange"):
        (tmp_path / f"{kind}.m4a").write_text(f"{kind} but unknown to libsndfile")
        soundfile.write(tmp_path / f"{kind}.m4a.au", stereo, RATE, subtype="FLOAT", endian="BIG")
    samples, track = decode(tmp_path / "good.m4a")
    assert (track.codec, track.sample_rate, track.channels) == ("ffmpeg", RATE, 2)
    assert np.abs(samples[:, 1] + tone()).max() < 1e-6
    with pytest.raises(AudioError, match="broken.m4a.*status 1: codec gave up"):
        decode(tmp_path / "broken.m4a")
    with pytest.raises(AudioError, match="strange.m4a.*not audio that libsndfile.*, nor ffmpeg .invalid"):
        Track(tmp_path / "strange.m4a")


QUARTER = RATE * SECONDS // 4
#: Where a header counts its samples: a mark, the distance from it, a quarter of the count, its form.
MORE = {
    "a.wav": (b"data", 4, 2 * QUARTER, "<I"),
    "d.flac": (b"fLaC", 22, QUARTER, ">I"),
    "g.au": (b".snd", 8, 2 * QUARTER, ">I"),
    "h.aiff": (b"SSND", 4, 2 * QUARTER + 8, ">I"),
    "i.w64": (b"data", 16, 2 * QUARTER + 24, "<Q"),
    "j.caf": (b"data", 4, 2 * QUARTER + 4, ">Q"),
    "k.rf64": (b"ds64", 16, 2 * QUARTER, "<Q"),
}


def patched(data: bytes, mark: bytes, distance: int, value: int, form: str) -> bytes:
    """Return a file with another number in its header."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.find(mark) + distance, value)
    return bytes(changed)


@pytest.mark.parametrize("name", MORE)
def test_more_than_the_header_counts_is_refused(sounds, tmp_path, name):
    (tmp_path / name).write_bytes(patched((sounds / name).read_bytes(), *MORE[name]))
    text = "the header counts .* bytes of samples, .* are there"
    with pytest.raises(
        AudioError, match=f"{name}: {text if name != 'd.flac' else 'the decoder ended after 1.25 s'}"
    ):
        decode(tmp_path / name)


@pytest.mark.parametrize("name", [*MORE, "e.ogg", "f.mp3"])
def test_of_joined_files_nothing_is_lost_without_a_word(tmp_path, sounds, monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    data = (sounds / name).read_bytes()
    (tmp_path / "joined").write_bytes(data + data)
    if name == "f.mp3":
        samples, track = decode(tmp_path / "joined")
        assert "states 5.00 s, 10." in track.warnings[0]
        assert 0 <= len(samples) - 2 * RATE * SECONDS < 4 * 1152
        return
    with pytest.raises(AudioError, match="bytes of samples|another stream|the decoder ended after 5.00 s"):
        decode(tmp_path / "joined")

"""Recordings and tables of recordings that cannot be used."""

from __future__ import annotations

import functools
import io
import struct

import numpy as np
import soundfile

from tests.contract.malformed import PICKLE, Case, check_refused, check_works, refusal, write_files

CONVERT = "steps/convert_audio.py --utt2dur utt2dur --report report.tsv wav.scp wav wav22k.scp"


@functools.cache
def sound(kind: str) -> bytes:
    """Return two seconds of noise and tones in a format."""
    time = np.arange(2 * 22050) / 22050
    samples = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.random.default_rng(7).normal(size=len(time))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 22050, format=kind)
    return buffer.getvalue()


def wav(
    data: bytes, *, rate: int = 22050, channels: int = 1, bits: int = 16, code: int = 1, size=None
) -> bytes:
    """Return a WAV file whose header may lie."""
    align = channels * bits // 8 % 65536
    head = struct.pack("<HHIIHH", code, channels, rate, rate * align % 2**32, align, bits)
    stated = struct.pack("<I", len(data) if size is None else size)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + stated
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


def au(data: bytes, offset: int = 24, size: int | None = None, code: int = 3, rate: int = 22050) -> bytes:
    """Return a Sun file of 16-bit samples whose header may lie."""
    return struct.pack(">4sIIIII", b".snd", offset, len(data) if size is None else size, code, rate, 1) + data


def floats(*odd: float) -> bytes:
    """Return a WAV file in float32 that ends with the given samples."""
    samples = np.concatenate([np.zeros(20000), odd]).astype("<f4").tobytes()
    return wav(samples, bits=32, code=3)


PCM = np.random.default_rng(7).integers(-9000, 9000, 30000).astype("<i2").tobytes()
MP3, OGG, FLAC = sound("MP3"), sound("OGG"), sound("FLAC")
AU, WAV = au(PCM), wav(PCM)
JUNK = np.random.default_rng(8).bytes(20000)

# name, content of x.snd, what is said about it
RECORDINGS = [
    ("empty", b"", "zero bytes long"),
    ("one_byte", b"R", "not audio"),
    ("text", b"I will be music one day.\n" * 99, r"not audio.*text beginning"),
    ("html_page", b"<html><body>404 Not Found</body></html>", r"not audio.*text beginning"),
    ("noise", JUNK, "not audio|decoding failed|no samples|shorter than"),
    ("zeros", bytes(20000), "not audio"),
    ("pickle", PICKLE, "not audio"),
    ("png", b"\x89PNG\r\n\x1a\n" + JUNK, "not audio|decoding failed|no samples|lost"),
    ("wav_magic_alone", WAV[:4], "not audio"),
    ("wav_header_cut", WAV[:20], "not audio"),
    ("wav_header_alone", wav(b""), "no samples"),
    ("wav_body_cut", WAV[:-7000], "truncated or corrupt"),
    ("wav_body_gone", WAV[:44], "truncated or corrupt|no samples"),
    ("wav_no_fmt", WAV[:12] + WAV[36:], "not audio"),
    ("wav_channels_0", wav(PCM, channels=0), "not audio"),
    ("wav_channels_65535", wav(PCM, channels=65535), "not audio"),
    ("wav_rate_0", wav(PCM, rate=0), "not audio|sample rate"),
    ("wav_rate_1", wav(PCM, rate=1), "sample rate 1 Hz"),
    ("wav_rate_7999", wav(PCM, rate=7999), "sample rate 7999 Hz, expected 8000 to 192000"),
    ("wav_rate_huge", wav(PCM, rate=2**32 - 1), "not audio|sample rate"),
    ("wav_rate_384k", wav(PCM, rate=384000), "sample rate 384000 Hz"),
    ("wav_bits_0", wav(PCM, bits=0), "not audio"),
    ("wav_codec_unknown", wav(PCM, code=0x7777), "not audio"),
    ("wav_size_huge", wav(PCM, size=0x7FFF0000), "truncated or corrupt"),
    ("wav_chunk_huge", WAV[:36] + b"LIST" + struct.pack("<I", 0x7FFFFFF0) + WAV[36:], "not audio|no samples"),
    ("wav_big_endian_mark", b"RIFX" + WAV[4:], "not audio"),
    ("wav_nan", floats(np.nan), "sample 20000 is NaN or infinite"),
    ("wav_infinite", floats(0.1, np.inf), "sample 20001 is NaN or infinite"),
    ("wav_overflow", floats(1e30), r"exceed full scale, peak \+600"),
    ("wav_full_scale_32768", floats(*[32768.0] * 9), "exceed full scale"),
    ("wav_short", wav(PCM[:16382]), "8191 samples at 22050 Hz .* shorter than one window of 8192"),
    ("wav_one_sample", wav(PCM[:2]), "shorter than one window"),
    ("wav_resampled_short", wav(PCM, rate=96000), "shorter than one window"),
    ("flac_magic_alone", FLAC[:4], "not audio"),
    ("flac_header_cut", FLAC[:30], "not audio"),
    ("flac_header_alone", FLAC[:42], "not audio|no samples|decoding failed|truncated"),
    ("flac_body_cut", FLAC[: len(FLAC) // 2], "decoding failed|truncated or corrupt"),
    ("flac_end_cut", FLAC[:-3000], "decoding failed|truncated or corrupt"),
    ("flac_body_noise", FLAC[:9000] + JUNK, "decoding failed|truncated or corrupt|expected"),
    ("flac_rate_0", FLAC[:18] + bytes(3) + FLAC[21:], "not audio|sample rate|decoding failed"),
    ("flac_version", b"fLaX" + FLAC[4:], "not audio|no samples|lost"),
    ("ogg_magic_alone", OGG[:4], "not audio"),
    ("ogg_header_cut", OGG[:50], "not audio"),
    ("ogg_codebook_cut", OGG[:1000], "not audio"),
    ("ogg_body_cut", OGG[: len(OGG) // 2], "truncated or corrupt|not audio"),
    ("ogg_end_cut", OGG[:-400], "truncated or corrupt|not audio"),
    ("ogg_no_vorbis", OGG[:29] + b"zorbis" + OGG[35:], "not audio"),
    ("ogg_rate_0", OGG[:40] + bytes(4) + OGG[44:], "not audio|sample rate"),
    ("ogg_channels_0", OGG[:39] + b"\0" + OGG[40:], "not audio"),
    ("mp3_magic_alone", MP3[:4], "not audio|no samples"),
    ("mp3_half_a_frame", MP3[:60], "not audio|no samples|shorter"),
    ("mp3_body_cut", MP3[: len(MP3) // 2], "truncated or corrupt|lost|before its own header"),
    ("mp3_id3_alone", b"ID3\4\0\0\0\0\1\0" + bytes(128), "not audio|no samples"),
    ("mp3_id3_huge", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + MP3, "not audio|no samples"),
    ("mp3_sync_only", b"\xff\xfb" * 9000, "not audio|no samples|lost|decoding failed"),
    ("mp3_then_noise", MP3[:400] + JUNK * 5, "lost|truncated|before its own|decoding|shorter|not audio"),
    ("au_magic_alone", AU[:4], "not audio"),
    ("au_header_cut", AU[:16], "not audio"),
    ("au_offset_beyond", au(PCM, offset=10**6), "not audio|no samples|truncated"),
    ("au_size_huge", au(PCM, size=10**9), "truncated or corrupt"),
    ("au_codec_unknown", au(PCM, code=99), "not audio"),
    ("au_rate_1", au(PCM, rate=1), "sample rate 1 Hz"),
    ("aiff_cut", sound("AIFF")[:-5000], "truncated or corrupt"),
    ("w64_cut", sound("W64")[:-5000], "truncated or corrupt"),
    ("caf_magic_alone", b"caff\0\1\0\0", "not audio"),
]

# name, wav.scp, what is said
TABLES = [
    ("table_empty", "", r"wav\.scp"),
    ("table_tab", "u1\tx.wav\n", r"wav\.scp:1: expected '<key> <value>'"),
    ("table_is_binary", WAV, r"wav\.scp"),
    ("utt_with_slash", "../u1 x.wav\n", r"wav\.scp: utterance '\.\./u1' cannot be the name of a file"),
    ("utt_absolute", "/opt/u1 x.wav\n", r"wav\.scp: utterance '/opt/u1' cannot be"),
    ("utt_hidden", ".u1 x.wav\n", r"wav\.scp: utterance '\.u1' cannot be"),
    ("utt_too_long", f"{'u' * 300} x.wav\n", "File name too long|too long"),
    ("file_missing", "u1 gone.wav\n", r"gone\.wav: No such file"),
    ("file_is_folder", "u1 .\n", r"\.: Is a directory"),
    ("file_too_long", f"u1 {'n' * 300}.wav\n", "File name too long"),
    ("pipe", "u1 touch canary; cat x.wav |\n", "pipes are not run"),
    ("pipe_and_blank", "u1 sox x.wav -t wav - | \n", "pipes are not run"),
    ("pipe_before", "u1 |touch canary\n", r"\|touch canary: No such file"),
    ("substitution", "u1 $(touch canary)\n", r"\$\(touch canary\): No such file"),
    ("backticks", "u1 `touch canary`\n", "No such file"),
    ("semicolon", "u1 x.wav; touch canary\n", r"x\.wav; touch canary: No such file"),
    ("option_like", "u1 --help\n", "--help: No such file"),
    ("tilde", "u1 ~/x.wav\n", r"~/x\.wav: No such file"),
    ("url", "u1 http://127.0.0.1:9/x.wav\n", r"No such file"),
]

CASES = [
    Case(name, CONVERT, {"wav.scp": "u1 x.snd\n", "x.snd": data}, rf"x\.snd: .*({text})")
    for name, data, text in RECORDINGS
]
CASES += [Case(name, CONVERT, {"wav.scp": table, "x.wav": WAV}, text) for name, table, text in TABLES]
test_is_refused = refusal(CASES)
NAMES = ("with blanks and  two.wav", 'it\'s "quoted".wav', "$(touch canary).wav",
         "`touch canary`; & | > < .wav", "-rf.wav", "--config=x.wav", "ünïcödé ♫ 音楽.wav",
         "back\\slash *?[x]{a,b}.wav", "%s %n {0} JOB.wav", "colon:12.wav", "#hash.wav", "n" * 240 + ".wav",
         "wav.mp3", "no_extension")  # fmt: skip


def test_odd_but_legal_names_of_recordings_work(tmp_path, fork_server):
    table = "".join(f"u{number:02} {name}\n" for number, name in enumerate(NAMES))
    write_files(tmp_path, {"wav.scp": table, **dict.fromkeys(NAMES, WAV)})
    check_works(CONVERT, tmp_path, fork_server)
    outputs = {path.name: path.read_bytes() for path in (tmp_path / "wav").iterdir()}
    assert sorted(outputs) == [f"u{number:02}.wav" for number in range(len(NAMES))]
    assert set(outputs.values()) == {WAV}


def test_a_failing_track_among_good_ones_is_named_and_the_allowance_counts(tmp_path, fork_server):
    files = {"wav.scp": "u1 a.wav\nu2 b.wav\nu3 c.wav\n", "a.wav": WAV, "b.wav": WAV[:-7000], "c.wav": b""}
    name = r"2 of 3 tracks failed, --max-bad allows 1"
    case = Case("two_bad", f"{CONVERT} --max-bad 1", files, name, kept=(r"wav/u1\.wav",))
    check_refused(case, tmp_path, fork_server)
    check_works(f"{CONVERT} --max-bad 2", tmp_path, fork_server)
    assert (tmp_path / "wav22k.scp").read_text() == "u1 wav/u1.wav\n"

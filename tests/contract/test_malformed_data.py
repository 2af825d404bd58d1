"""Corpora, data directories and audio for features that are not what they should be."""

import io
import os

import numpy as np
import soundfile

from tests.contract.malformed import Case, check_works, refusal, write_files


def wav(samples: object, rate: int = 22050, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples, dtype=np.float64), rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


NOISE = np.random.default_rng(3).uniform(-0.2, 0.2, 9000)
WAV = wav(NOISE)
TREE = {
    f"corpus/{genre}/artist{n}/song{n}.wav": wav(NOISE * (n + 1) / 9 + i / 99)
    for i, genre in enumerate("ab")
    for n in range(4)
}
CSV = "path,artist,genre,split\n" + "".join(
    f"{name.removeprefix('corpus/')},x{n},g,test\n" for n, name in enumerate(TREE)
)
COLLIDING = {f"corpus/{g}/s{n}.wav": WAV for g in ("Rock & Pop", "rock and pop") for n in range(4)}
TWO_TRACKS = {"corpus/a/s.wav": WAV, "corpus/a/t.wav": WAV}

# name, the whole corpus, message
CORPORA = [
    ("empty", {"corpus/readme.txt": "x"}, r"corpus: "),
    ("one_class", TWO_TRACKS, r"corpus: .*(two|2)"),
    ("classes_collide", {**TREE, **COLLIDING}, "both become the class rock_and_pop"),
    ("name_not_utf8", {**TREE, "corpus/a/caf\udce9.wav": WAV}, r"the name is not UTF-8; rename"),
    ("name_newline", {**TREE, "corpus/a/two\nlines.wav": WAV}, r"control character cannot stand in wav\.scp"),
]
# name, options, a file beside a good corpus, message
OPTIONS = [
    ("pattern_broken", "--artist-pattern '('", {}, r"--artist-pattern '\(': not a regular expression"),
    ("two_sources", "--artist-tags true --csv t.csv", {"t.csv": CSV}, r"give one of"),
    ("percent_zero", "--test-percent 0", {}, r"--test-percent 0: expected a percentage between 0 and 100"),
]
# name, content of t.csv, what is said after its name
HEADER = r"1: expected a header"
TABLES_OF_TRACKS = [
    ("empty", "", rf"{HEADER} with 'path'"),
    ("path_twice", CSV + CSV.split("\n")[1] + "\n", r"10: path .* is there twice"),
    (
        "path_absent",
        CSV + "a/gone.wav,x,g,test\n",
        r" 1 of 9 paths are not in the corpus, e\.g\. 'a/gone\.wav'",
    ),
    ("path_outside", CSV + "../../etc/passwd,x,g,test\n", r" 1 of 9 paths are not"),
    ("split", CSV.replace("test\n", "exam\n"), r" .*expected the split train or test, got 'exam'"),
]
LISTS = [
    ("unknown", "a/artist0/song0.wav\na/gone.wav\n", r"2: 'a/gone\.wav' is not in the corpus"),
]
FOLDER, GTZAN = "local/prepare_folder.py corpus data", "local/prepare_gtzan.py corpus data"
SYNTH = "local/prepare_synth.py corpus data"
CASES = [Case(f"folder_{name}", FOLDER, files, said) for name, files, said in CORPORA]
CASES += [
    Case(f"folder_{n}", f"{FOLDER} {words}", {**TREE, **more}, said) for n, words, more, said in OPTIONS
]
CASES += [
    Case(f"folder_{option}_{name}", f"{FOLDER} --{option} {file}", {**TREE, file: text}, rf"{file}:{said}")
    for option, file, table in (("csv", "t.csv", TABLES_OF_TRACKS), ("test-list", "l", LISTS))
    for name, text, said in table
]

TRACKS = "corpus/tracks.csv"
BLUES = "corpus/genres/blues"
BOTH = {f"{BLUES}/blues.00000.{kind}": "" for kind in ("au", "wav")}
CASES += [
    Case("synth_missing", SYNTH, {}, r"tracks\.csv: cannot read the table"),
    Case("gtzan_few", GTZAN, {f"{BLUES}/blues.00000.au": ""}, r"999 of 1000 excerpts|998 of 1000"),
    Case("gtzan_misplaced", GTZAN, {f"{BLUES}/jazz.00000.au": ""}, r"named jazz in the folder of blues"),
    Case("gtzan_both", GTZAN, BOTH, r"is there as well"),
]

ROW = '"classical","artist","album","track","1","artist/album/1-track.mp3"\n'
BELOW = "1: expected a path below audio/"
# name, tracklist.csv, what is said after its name
TRACKLISTS = [
    ("path_outside", ROW.replace("artist/album", "../.."), BELOW),
    ("path_twice", ROW * 2, r"2: .* is also in line 1"),
]
ISMIR04, TRACKLIST = "local/prepare_ismir04.py corpus data", "corpus/metadata/training/tracklist.csv"
CASES += [
    Case(f"ismir04_{name}", ISMIR04, {TRACKLIST: text}, rf"tracklist\.csv:{said}")
    for name, text, said in TRACKLISTS
]
CASES += [
    Case("ismir04_missing", ISMIR04, {"corpus/x": ""}, r"tracklist\.csv: No such file"),
    Case("ismir04_no_audio", ISMIR04, {TRACKLIST: ROW}, r"no such folder; --corpus-root must be"),
]

GOOD = {"d/wav.scp": "u1 a.wav\nu2 b.wav\n", "d/utt2genre": "u1 x\nu2 y\n", "d/genres.txt": "x\ny\n",
        "d/utt2spk": "u1 s1\nu2 s2\n", "d/spk2utt": "s1 u1\ns2 u2\n"}  # fmt: skip
TABLES = [
    ("empty", "utt2genre", "", r"utt2genre: is empty"),
    ("control", "utt2genre", "u1 x\nu2 \x1b[31m\n", r"utt2genre:2: holds a control character"),
    ("command", "wav.scp", "u1 a.wav\nu2 touch canary |\n", r"wav\.scp:2: 'u2' is a command"),
    ("frames_endless", "utt2num_frames", f"u1 1\nu2 {'9' * 5000}\n", r"utt2num_frames:2: .*positive integer"),
]
VALIDATE = "utils/validate_data_dir.py --no-feats d"
CASES += [
    Case(f"validate_{name}", VALIDATE, {**GOOD, f"d/{table}": text}, said, many=True)
    for name, table, text, said in TABLES
]
CASES += [
    Case("validate_missing", VALIDATE, {}, r"d: no such directory"),
]

SCATTER = "steps/compute_scattering.py scp:w.scp ark,scp:f.ark,f.scp"
TRACK = r"w\.scp: u1: "
SOUNDS = [
    ("empty", b"", rf"{TRACK}x\.wav: expected a WAV file"),
    ("one_less", wav(NOISE[:8191]), rf"{TRACK}.*expected 8192 samples.*8191"),
    ("cut", WAV[:-100], rf"{TRACK}x\.wav: truncated: expected 18044 bytes, got 17944"),
    ("rate", wav(NOISE, 44100), r"x\.wav: expected 22050 Hz, got 44100 Hz"),
    ("nan", wav(np.append(NOISE, np.nan), subtype="FLOAT"), rf"{TRACK}.*sample 9000.*nan"),
]
SCP = {"w.scp": "u1 x.wav\n"}
CASES += [Case(f"scatter_{name}", SCATTER, {**SCP, "x.wav": data}, said) for name, data, said in SOUNDS]
CASES += [
    Case("scatter_pipe", SCATTER, {"w.scp": "u1 touch canary |\n"}, rf"{TRACK}.*allow-pipes"),
    Case("scatter_ark", SCATTER.replace("scp:w", "ark:w"), {"w.scp": ""}, r"expected 'scp:FILE'"),
    Case("scatter_t_huge", f"{SCATTER} --T=1099511627776", {**SCP, "x.wav": WAV}, r"T"),
]  # fmt: skip

test_is_refused = refusal(CASES)
NAMES = ("with  blanks", 'it\'s "quoted"', "$(touch canary)", "`touch canary`;", "-rf", "ünï ♫ 音楽",
         "n" * 120, "a|b", "x.y")  # fmt: skip


def test_a_folder_with_odd_but_legal_names_is_prepared_and_converted(tmp_path, run_cli):
    root = "cor pus' $(touch canary)"
    for genre in ("clas sic's", "rock $(touch canary) & `roll`"):
        for number, name in enumerate(NAMES):
            path = tmp_path / root / genre / name / f"{name}.wav"
            write_files(tmp_path, {os.fspath(path): wav(NOISE * (number + 1) / 9)})
    check_works(f'local/prepare_folder.py "{root}" "da ta"', tmp_path, run_cli)
    for part in ("train", "test"):
        folder = f"da ta/{part}"
        check_works(f"utils/validate_data_dir.py --no-feats '{folder}'", tmp_path, run_cli)
        check_works(f"steps/convert_audio.py '{folder}/wav.scp' wav '{folder}/w.scp'", tmp_path, run_cli)
    assert len(list((tmp_path / "wav").iterdir())) == 2 * len(NAMES)

"""Corpora, data directories, audio for features, configurations and command lines with mistakes."""

import io
import os

import numpy as np
import soundfile

from tests.contract.malformed import ark, cases, check_works, matrix, nnet, refusal, rows, write_files


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
FOLDER = "local/prepare_folder.py corpus data {}"
CASES = cases(
    "local/prepare_folder.py corpus data",
    ("empty", r"corpus: ", {"corpus/readme.txt": "x"}),
    ("one_class", r"corpus: .*(two|2)", {"corpus/a/s.wav": WAV, "corpus/a/t.wav": WAV}),
    ("name_not_utf8", r"name that is not UTF-8.*; rename", {**TREE, "corpus/a/caf\udce9.wav": WAV}),
    ("name_newline", r"control character cannot stand in wav", {**TREE, "corpus/a/two\nlines.wav": WAV}),
)
CASES += cases(
    FOLDER,
    ("pattern_broken", r"--artist-pattern: expected a regular.*, got '\('", {}, "--artist-pattern '('"),
    (
        "pattern_no_group",
        r"--artist-pattern: .* a group named artist.* got '\(\.\)'",
        {},
        "--artist-pattern '(.)'",
    ),
    ("percent_zero", r"--test-percent: expected a percentage", {}, "--test-percent 0"),
    base=TREE,
    status=2,
)
GONE = r"t\.csv:10: path '{}.* is not in the corpus"
CASES += cases(
    FOLDER.format("--csv t.csv"),
    ("csv_empty", r"t\.csv:1: expected a header with 'path'", ""),
    ("csv_twice", r"t\.csv:10: path .* is there twice", CSV + CSV.split("\n")[1] + "\n"),
    ("csv_absent", GONE.format("a/gone"), CSV + "a/gone.wav,x,g,test\n"),
    ("csv_outside", GONE.format("../../etc"), CSV + "../../etc/passwd,x,g,test\n"),
    ("csv_split", r"expected the split train or test, got 'exam'", CSV.replace("test\n", "exam\n")),
    file="t.csv",
    base=TREE,
)
BLUES = "corpus/genres/blues"
ROW = '"classical","artist","album","track","1","artist/album/1-track.mp3"\n'
TRACKLIST = "corpus/metadata/training/tracklist.csv"
CLASS = r"tracklist\.csv:1: expected 6 or 7 columns, the first a class, got .*opera"
CASES += cases(
    "local/prepare_{1}.py corpus data",
    ("synth_missing", r"tracks\.csv: cannot read the table", {}, "", "synth"),
    ("gtzan_few", "998 of 1000 files", {f"{BLUES}/blues.00000.au": ""}, "", "gtzan"),
    ("ismir04_class", CLASS, {TRACKLIST: ROW.replace("classical", "opera")}, "", "ismir04"),
    (
        "ismir04_missing",
        r"tracklist\.csv: cannot read .*--corpus-root must be",
        {"corpus/x": ""},
        "",
        "ismir04",
    ),
)
VALIDATE = "utils/validate_data_dir.py --no-feats d"
CASES += cases(VALIDATE, ("validate_missing", r"d/utt2spk: no such file"), many=True)
SCATTER = "steps/compute_scattering.py scp:w.scp ark,scp:f.ark,f.scp"
TRACK = r"u1: "
SCP = {"w.scp": "u1 x.wav\n"}
CASES += cases(
    SCATTER,
    ("scatter_empty", rf"{TRACK}x\.wav: expected a WAV file", b""),
    ("scatter_one_less", rf"{TRACK}.*expected 8192 samples.*8191", wav(NOISE[:8191])),
    ("scatter_cut", rf"{TRACK}x\.wav: truncated: expected 18044 bytes, got 17944", WAV[:-100]),
    ("scatter_rate", r"x\.wav: expected 22050 Hz and one channel, got 44100 Hz and 1", wav(NOISE, 44100)),
    ("scatter_nan", rf"{TRACK}.*sample 9000.*nan", wav(np.append(NOISE, np.nan), subtype="FLOAT")),
    ("scatter_pipe", rf"{TRACK}touch canary \|: No such file", {"w.scp": "u1 touch canary |\n"}),
    file="x.wav",
    base=SCP,
)
CASES += cases(f"{SCATTER} --T=1099511627776", ("scatter_t_huge", "T", {**SCP, "x.wav": WAV}))

# tests/contract/test_parse_options.py has the configurations of scripts
CONVERT = "steps/convert_audio.py --config x.conf wav.scp wav wav22k.scp"
SCRIPT = "steps/convert_audio.sh --config @/x.conf @/data @/log @/wav"
NAMED = r"x\.conf:1: expected '--name=value'"
CASES += cases(
    CONVERT,
    ("config_unknown_key", NAMED, "no_such=1\n"),
    ("config_no_equals", NAMED.replace(":1", ":2"), "# good\n--nj\n"),
    ("config_command", NAMED, "touch canary\n"),
    ("config_substitution", NAMED, "cmd=$(touch canary)\n"),
    ("config_another", r"x\.conf:1: unknown option '--config'", "--config=y.conf\n"),
    ("config_not_utf8", r"x\.conf: cannot read the configuration: not a UTF-8", b"--nj=\xff\xfe\n"),
    ("config_bool_word", "expected true or false", "--allow-truncated=yes\n"),
    file="x.conf",
    status=2,
)
CASES += cases(
    SCRIPT,
    ("config_script", r"x\.conf:2: shell syntax", "nj=4\nnj=4; touch canary\n"),
    file="x.conf",
    status=2,
)
CASES += cases(
    "steps/convert_audio.py a b c {}",
    ("option_abbreviated", "--min", {}, "--min 9"),
    ("option_zero", "expected an integer of at least 1, got '0'", {}, "--sample-rate 0"),
    ("option_power", "expected an integer of at least 1, got '2²'", {}, "--sample-rate 2²"),
    ("option_nan", "expected a finite number, got 'nan'", {}, "--max-over-db nan"),
    ("option_config_missing", r"y\.conf: cannot read the configuration: No such file", {}, "--config y.conf"),
    status=2,
)
CASES += cases("steps/convert_audio.sh @/data @/log @/wav", ("no_files", r"wav\.scp' does not exist"))
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


def test_archives_may_have_such_names_too(tmp_path, run_cli):
    write_files(tmp_path, {"x.nnet": nnet("<Tanh> 3 3 \n")})
    forward = "steps/nnet1/nnet_forward.py x.nnet"
    for name in (f"{name}.ark" for name in NAMES if "|" not in name):
        write_files(tmp_path, {name: ark(("u1", matrix(rows()))), "x.scp": f"u1 {name}:3\n"})
        quoted = name.replace("'", "'\"'\"'")
        check_works(f"{forward} scp:x.scp ark:1.out", tmp_path, run_cli)
        check_works(f"{forward} 'ark:{quoted}' 'ark:./{quoted}.out'", tmp_path, run_cli)
        assert (tmp_path / "1.out").read_bytes() == (tmp_path / f"{name}.out").read_bytes()

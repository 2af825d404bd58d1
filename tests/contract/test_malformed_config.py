"""Configuration files and command lines with mistakes, and with attempts at running something."""

import pytest

from tests.contract.malformed import (
    Case,
    ark,
    check_works,
    matrix,
    nnet,
    refusal,
    rows,
    write_files,
)

SCRIPT = "steps/convert_audio.sh --config @/x.conf @/data @/log @/wav"
PROGRAM = "steps/convert_audio.py --config x.conf wav.scp wav wav22k.scp"
FEATS = ark(("u1", matrix(rows())))
NAMED = r"x\.conf:1: expected '--name=value'"
UTF8 = r"x\.conf: cannot read the configuration: not a UTF-8"

# name, x.conf, message of a program; tests/contract/test_parse_options.py has the scripts'
CONFIGS = [
    ("unknown_key", "no_such=1\n", NAMED),
    ("no_equals", "# good\n--nj\n", NAMED.replace(":1", ":2")),
    ("command", "touch canary\n", NAMED),
    ("substitution", "cmd=$(touch canary)\n", NAMED),
    ("another", "--config=y.conf\n", r"x\.conf:1: unknown option '--config'"),
    ("not_utf8", b"--nj=\xff\xfe\n", UTF8),
    ("bool_word", "--allow-truncated=yes\n", "expected true or false"),
]
CASES = [Case(f"config_{name}", PROGRAM, {"x.conf": text}, said, 2) for name, text, said in CONFIGS]
# name, command, message of a wrong use
USES = [
    ("script_config", SCRIPT, r"x\.conf:2: shell syntax"),
    (
        "program_config_missing",
        PROGRAM.replace("x.conf", "y.conf"),
        r"y\.conf: cannot read the configuration: No such file",
    ),
]
INTEGER, FINITE = "expected an integer of at least 1, got", "expected a finite number, got"
BOOLEAN = "expected true or false, got"
# name, options of steps/convert_audio.py, message
OPTIONS = [
    ("abbreviated", "--min 9", "--min"),
    ("integer_zero", "--sample-rate 0", f"{INTEGER} '0'"),
    ("integer_power", "--sample-rate 2²", f"{INTEGER} '2²'"),
    ("float_nan", "--max-over-db nan", f"{FINITE} 'nan'"),
    ("boolean_word", "--allow-truncated yes", f"{BOOLEAN} 'yes'"),
]
CASES += [
    Case(name, command, {"x.conf": "nj=4\nnj=4; touch canary\n"}, said, 2) for name, command, said in USES
]
CASES += [
    Case(f"option_{name}", f"steps/convert_audio.py a b c {text}", {}, said, 2)
    for name, text, said in OPTIONS
]
CASES.append(Case("no_files", "steps/convert_audio.sh @/data @/log @/wav", {}, r"wav\.scp' does not exist"))

test_is_refused = refusal(CASES)


NAMES = ("with blank", 'it\'s "quoted"', "$(touch canary)", "`touch canary`;", "--rf", "é♫")


@pytest.mark.parametrize("name", [f"{name}.ark" for name in NAMES])
def test_odd_but_legal_names_of_archives_work(name, tmp_path, run_cli):
    write_files(tmp_path, {name: FEATS, "x.scp": f"u1 {name}:3\n", "x.nnet": nnet("<Tanh> 3 3 \n")})
    forward = "steps/nnet1/nnet_forward.py x.nnet"
    check_works(f"{forward} scp:x.scp ark:1.out", tmp_path, run_cli)
    quoted = name.replace("'", "'\"'\"'")
    check_works(f"{forward} 'ark:{quoted}' 'ark:./{quoted}.out'", tmp_path, run_cli)
    assert (tmp_path / "1.out").read_bytes() == (tmp_path / f"{name}.out").read_bytes()

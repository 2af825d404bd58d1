"""Configuration files and command lines with mistakes, and with attempts at running something."""

from __future__ import annotations

import pytest

from tests.contract.malformed import (
    Case,
    ark,
    check_refused,
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
    ("unknown_dashed", "--no-such=1\n", r"x\.conf:1: unknown option '--no-such'"),
    ("no_equals", "# good\n--nj\n", NAMED.replace(":1", ":2")),
    ("blank_for_equals", "--nj 4\n", NAMED),
    ("no_name", "--=4\n", NAMED),
    ("spaces_around", "nj = 4\n", NAMED),
    ("command", "touch canary\n", NAMED),
    ("command_behind", "nj=4; touch canary\n", NAMED),
    ("substitution", "cmd=$(touch canary)\n", NAMED),
    ("backticks", "cmd=`touch canary`\n", NAMED),
    ("in_double_quotes", 'cmd="$(touch canary)"\n', NAMED),
    ("redirection", "nj=4 >canary\n", NAMED),
    ("background", "nj=4 & touch canary\n", NAMED),
    ("pipe", "nj=4 | touch canary\n", NAMED),
    ("array_subscript", "nj[$(touch canary)]=4\n", NAMED),
    ("export", "export nj=4\n", NAMED),
    ("path", "PATH=/nowhere\n", NAMED),
    ("bash_env", "BASH_ENV=canary\n", NAMED),
    ("ifs", "IFS=x\n", NAMED),
    ("help_message", "help_message=x\n", NAMED),
    ("function", "nj() { touch canary; }\n", NAMED),
    ("another", "--config=y.conf\n", r"x\.conf:1: unknown option '--config'"),
    ("not_utf8", b"--nj=\xff\xfe\n", UTF8),
    ("utf16", "--nj=4\n".encode("utf-16"), UTF8),
    ("yaml", "nj: 4\n", NAMED),
    ("json", '{"nj": 4}\n', NAMED),
    ("bool_word", "--allow-truncated=yes\n", "expected true or false"),
    ("bool_empty", "--allow-truncated=\n", "expected true or false"),
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
    ("program_config_folder", PROGRAM.replace("x.conf", "."), r"\.: cannot read .*Is a directory"),
    ("program_config_no_name", "steps/convert_audio.py a b c --config", "config"),
    ("option_too_few", "steps/convert_audio.py", "required: wav_scp"),
    ("option_too_many", "steps/convert_audio.py a b c d", "unrecognized arguments: d"),
    ("script_option_unknown", "steps/convert_audio.sh --no-such 1 a b c", "--no-such: unknown option"),
]
INTEGER, FINITE = "expected an integer of at least 1, got", "expected a finite number, got"
BOOLEAN = "expected true or false, got"
# name, options of steps/convert_audio.py, message
OPTIONS = [
    ("unknown", "--no-such 1", "no-such"),
    ("abbreviated", "--qual VHQ", "qual"),
    ("value_missing", "--quality", "quality"),
    ("choice", "--quality best", "invalid choice: 'best'"),
    ("integer_word", "--sample-rate fast", f"{INTEGER} 'fast'"),
    ("integer_zero", "--sample-rate 0", f"{INTEGER} '0'"),
    ("integer_negative", "--sample-rate=-22050", f"{INTEGER} '-22050'"),
    ("integer_power", "--sample-rate 2²", f"{INTEGER} '2²'"),
    ("integer_underscore", "--sample-rate 22_050", f"{INTEGER} '22_050'"),
    ("integer_endless", f"--sample-rate {'9' * 5000}", "sample-rate"),
    ("float_nan", "--max-over-db nan", f"{FINITE} 'nan'"),
    ("float_infinite", "--max-over-db 1e999", f"{FINITE} '1e999'"),
    ("float_shell", "--max-over-db '$(touch canary)'", rf"{FINITE} '\$\(touch canary\)'"),
    ("boolean_word", "--allow-truncated yes", f"{BOOLEAN} 'yes'"),
    ("boolean_number", "--allow-truncated=2", f"{BOOLEAN} '2'"),
    ("unknown_equals", "--no-such=$(touch)", "no-such"),
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


def test_a_value_in_single_quotes_is_taken_as_it_stands(tmp_path, fork_server):
    write_files(tmp_path, {"x.conf": "audio_config='$(touch canary) `touch canary` \\x'\n"})
    said = r"\$\(touch canary\) `touch canary` \\x' does not exist"
    check_refused(Case("quoted", SCRIPT, {"data/wav.scp": "u1 /dev/null\n"}, said), tmp_path, fork_server)


NAMES = ("with blank", 'it\'s "quoted"', "$(touch canary)", "`touch canary`;", "--rf", "é♫")


@pytest.mark.parametrize("name", [f"{name}.ark" for name in NAMES])
def test_odd_but_legal_names_of_archives_work(name, tmp_path, fork_server):
    write_files(tmp_path, {name: FEATS, "x.scp": f"u1 {name}:3\n", "x.nnet": nnet("<Tanh> 3 3 \n")})
    forward = "steps/nnet1/nnet_forward.py x.nnet"
    check_works(f"{forward} scp:x.scp ark:1.out", tmp_path, fork_server)
    quoted = name.replace("'", "'\"'\"'")
    check_works(f"{forward} 'ark:{quoted}' 'ark:./{quoted}.out'", tmp_path, fork_server)
    assert (tmp_path / "1.out").read_bytes() == (tmp_path / f"{name}.out").read_bytes()

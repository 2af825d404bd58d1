"""Configuration files and command lines with mistakes, and with attempts at running something."""

from __future__ import annotations

import pytest

from tests.contract.malformed import Case, ark, check_refused, check_works, matrix, rows, write_files

SCRIPT = "steps/convert_audio.sh --config @/x.conf @/data @/log @/wav"
PROGRAM = "steps/convert_audio.py --config x.conf wav.scp wav wav22k.scp"
FEATS = ark(("u1", matrix(rows())))

# name, x.conf, what the script says, what the program says (None: the same)
CONFIGS = [
    (
        "unknown_key",
        "no_such=1\n",
        r"x\.conf:1: unknown key 'no_such'",
        r"x\.conf:1: expected '--name=value'",
    ),
    (
        "unknown_dashed",
        "--no-such=1\n",
        r"x\.conf:1: unknown key 'no_such'",
        r"x\.conf:1: unknown option '--no-such'",
    ),
    ("no_equals", "# good\n--nj\n", r"x\.conf:2: expected name=value", r"x\.conf:2: expected '--name=value'"),
    (
        "blank_for_equals",
        "--nj 4\n",
        r"x\.conf:1: expected name=value",
        r"x\.conf:1: expected '--name=value'",
    ),
    (
        "no_name",
        "--=4\n",
        r"x\.conf:1: expected name=value|unknown key",
        r"x\.conf:1: expected '--name=value'",
    ),
    ("spaces_around", "nj = 4\n", r"x\.conf:1: expected name=value", r"x\.conf:1: expected '--name=value'"),
    ("command", "touch canary\n", r"x\.conf:1: expected name=value", r"x\.conf:1: expected '--name=value'"),
    (
        "command_behind",
        "nj=4; touch canary\n",
        r"x\.conf:1: shell syntax",
        r"x\.conf:1: expected '--name=value'",
    ),
    (
        "substitution",
        "cmd=$(touch canary)\n",
        r"x\.conf:1: shell syntax",
        r"x\.conf:1: expected '--name=value'",
    ),
    ("backticks", "cmd=`touch canary`\n", r"x\.conf:1: shell syntax", r"x\.conf:1: expected '--name=value'"),
    ("in_double_quotes", 'cmd="$(touch canary)"\n', r"x\.conf:1: .*not interpreted", r"x\.conf:1: expected"),
    ("redirection", "nj=4 >canary\n", r"x\.conf:1: shell syntax", r"x\.conf:1: expected"),
    ("background", "nj=4 & touch canary\n", r"x\.conf:1: shell syntax", r"x\.conf:1: expected"),
    ("pipe", "nj=4 | touch canary\n", r"x\.conf:1: shell syntax", r"x\.conf:1: expected"),
    (
        "array_subscript",
        "nj[$(touch canary)]=4\n",
        r"x\.conf:1: (unknown key|expected)",
        r"x\.conf:1: expected",
    ),
    ("export", "export nj=4\n", r"x\.conf:1: expected name=value", r"x\.conf:1: expected"),
    ("path", "PATH=/nowhere\n", r"x\.conf:1: unknown key 'PATH'", r"x\.conf:1: expected"),
    ("bash_env", "BASH_ENV=canary\n", r"x\.conf:1: unknown key 'BASH_ENV'", r"x\.conf:1: expected"),
    ("ifs", "IFS=x\n", r"x\.conf:1: unknown key 'IFS'", r"x\.conf:1: expected"),
    ("help_message", "help_message=x\n", r"x\.conf:1: unknown key 'help_message'", r"x\.conf:1: expected"),
    ("function", "nj() { touch canary; }\n", r"x\.conf:1: expected name=value", r"x\.conf:1: expected"),
    (
        "another_config",
        "--config=y.conf\n",
        r"x\.conf:1: .*may not name another",
        r"x\.conf:1: unknown option '--config'",
    ),
    ("crlf", "--nj=4\r\n", r"x\.conf:1: .*CR LF", None),
    ("nul", b"--nj=4\0\n", None, None),
    ("not_utf8", b"--nj=\xff\xfe\n", None, r"x\.conf: cannot read the configuration: not a UTF-8"),
    (
        "utf16",
        "--nj=4\n".encode("utf-16"),
        r"x\.conf:1: ",
        r"x\.conf: cannot read the configuration: not a UTF-8",
    ),
    ("yaml", "nj: 4\n", r"x\.conf:1: expected name=value", r"x\.conf:1: expected"),
    ("json", '{"nj": 4}\n', r"x\.conf:1: expected name=value", r"x\.conf:1: expected"),
    ("bool_word", "--allow-truncated=yes\n", None, "expected true or false"),
    ("bool_empty", "--allow-truncated=\n", None, "expected true or false"),
]
CASES = [
    Case(f"script_{name}", SCRIPT, {"x.conf": text}, shell, 2) for name, text, shell, _ in CONFIGS if shell
]
CASES += [
    Case(f"program_{name}", PROGRAM, {"x.conf": text}, python, 2)
    for name, text, _, python in CONFIGS
    if python
]
CASES += [
    Case(
        f"script_bool_{name}",
        "local/score_segments.sh --config @/x.conf @/data @/sc",
        {"x.conf": f"--sweep={value}\n"},
        rf"x\.conf:1: .*expected true or false, got '{value}'",
        2,
    )
    for name, value in (("word", "yes"), ("empty", ""))
]
CASES += [
    Case("script_config_missing", SCRIPT, {}, r"x\.conf: no such readable file", 2),
    Case(
        "script_config_folder",
        SCRIPT.replace("x.conf", "sub"),
        {"sub/y": ""},
        r"sub: no such readable file",
        2,
    ),
    Case("program_config_missing", PROGRAM, {}, r"x\.conf: cannot read the configuration: No such file", 2),
    Case("program_config_folder", PROGRAM.replace("x.conf", "."), {}, r"\.: cannot read .*Is a directory", 2),
    Case("program_config_no_name", "steps/convert_audio.py a b c --config", {}, "config", 2),
]

# name, options, message
OPTIONS = [
    ("unknown", "--no-such 1", "no-such"),
    ("abbreviated", "--qual VHQ", "qual"),
    ("value_missing", "--quality", "quality"),
    ("choice", "--quality best", "invalid choice: 'best'"),
    ("integer_word", "--sample-rate fast", "expected an integer of at least 1, got 'fast'"),
    ("integer_zero", "--sample-rate 0", "expected an integer of at least 1, got '0'"),
    ("integer_negative", "--sample-rate=-22050", "expected an integer of at least 1, got '-22050'"),
    ("integer_power", "--sample-rate 2²", "expected an integer of at least 1, got '2²'"),
    ("integer_underscore", "--sample-rate 22_050", "expected an integer of at least 1, got '22_050'"),
    ("integer_endless", f"--sample-rate {'9' * 5000}", "sample-rate"),
    ("float_nan", "--max-over-db nan", "expected a finite number, got 'nan'"),
    ("float_infinite", "--max-over-db 1e999", "expected a finite number, got '1e999'"),
    ("float_shell", "--max-over-db '$(touch canary)'", r"expected a finite number, got '\$\(touch canary\)'"),
    ("boolean_word", "--allow-truncated yes", "expected true or false, got 'yes'"),
    ("boolean_number", "--allow-truncated=2", "expected true or false, got '2'"),
    ("unknown_equals", "--no-such=$(touch)", "no-such"),
]
CASES += [
    Case(f"option_{name}", f"steps/convert_audio.py a b c {text}", {}, said, 2)
    for name, text, said in OPTIONS
]
CASES += [
    Case("option_too_few", "steps/convert_audio.py", {}, "required: wav_scp", 2),
    Case("option_too_many", "steps/convert_audio.py a b c d", {}, "unrecognized arguments: d", 2),
    Case(
        "script_option_unknown",
        "steps/convert_audio.sh --no-such 1 a b c",
        {},
        "--no-such: unknown option",
        2,
    ),
    Case("script_option_value", "steps/convert_audio.sh --nj", {}, "--nj: its value is missing", 2),
    Case("script_option_short", "steps/convert_audio.sh -x a b c", {}, "-x: unknown option", 2),
    Case("script_option_capital", "steps/convert_audio.sh --PATH /x a b c", {}, "unknown option", 2),
    Case("script_option_swallow", "steps/convert_audio.sh --nj --cmd x a b c", {}, "its value is missing", 2),
    Case("script_no_files", "steps/convert_audio.sh @/data @/log @/wav", {}, r"wav\.scp' does not exist", 1),
    Case(
        "script_cmd_empty",
        "steps/convert_audio.sh --cmd '' @/data @/log @/wav",
        {},
        "--cmd: expected a job runner",
        2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, tmp_path, fork_server):
    check_refused(case, tmp_path, fork_server)


def test_a_value_in_single_quotes_is_taken_as_it_stands(tmp_path, fork_server):
    write_files(tmp_path, {"x.conf": "audio_config='$(touch canary) `touch canary` \\x'\n"})
    case = Case(
        "quoted",
        SCRIPT,
        {"data/wav.scp": "u1 /dev/null\n"},
        r"\$\(touch canary\) `touch canary` \\x' does not exist",
    )
    check_refused(case, tmp_path, fork_server)


NAMES = (
    "with blank.ark",
    'it\'s "quoted".ark',
    "$(touch canary).ark",
    "`touch canary`;.ark",
    "--rf.ark",
    "é♫.ark",
)


@pytest.mark.parametrize("name", NAMES)
def test_odd_but_legal_names_of_archives_work(name, tmp_path, fork_server):
    write_files(tmp_path, {name: FEATS, "x.scp": f"u1 {name}:3\n"})
    check_works("steps/nnet1/compute_cmvn_stats.py scp:x.scp cmvn.1", tmp_path, fork_server)
    quoted = name.replace("'", "'\"'\"'")
    check_works(f"steps/nnet1/compute_cmvn_stats.py 'ark:{quoted}' './{quoted}.cmvn'", tmp_path, fork_server)
    assert (tmp_path / "cmvn.1").read_bytes() == (tmp_path / f"{name}.cmvn").read_bytes()

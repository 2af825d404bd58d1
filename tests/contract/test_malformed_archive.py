"""Archives, script files and rspecifiers that are not what they should be."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.contract.malformed import BIG, Case, ark, check_refused, int32, matrix, posterior, rows, vector

CMVN = "steps/nnet1/compute_cmvn_stats.py"
GOOD = ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2))))


def compressed(token: bytes, low: float, extent: float, num_rows: int, cols: int, body: bytes) -> bytes:
    """Return a compressed matrix whose header may lie."""
    header = np.array([(low, extent, num_rows, cols)], "<f4, <f4, <i4, <i4").tobytes()
    return b"\0B" + token + header + body


# name, content of x.ark, what the message must say after its path
ARCHIVES = [
    ("nothing_but_text", b"this is no archive", r"byte \d+: "),
    ("zero_bytes_of_key", b"\0\0\0\0", r"byte 0: expected an utterance id"),
    ("key_without_end", b"u" * 5000, r"byte 0: expected an utterance id"),
    ("key_alone", b"u1", r"byte 0: expected an utterance id|truncated after the key 'u1'"),
    ("key_and_blank", b"u1 ", r"byte 3: "),
    ("key_not_utf8", b"u\xff\xfe1 " + matrix(rows()), r"byte 0: .*not UTF-8"),
    ("newline_in_key", b"u1\nu2 " + matrix(rows()), r"byte 0: expected an utterance id"),
    ("wrong_magic", ark(("u1", b"\0X" + matrix(rows())[2:])), r"byte 3: expected"),
    ("no_magic", ark(("u1", matrix(rows())[2:])), r"byte 3: expected"),
    ("wrong_token", ark(("u1", b"\0BXX " + matrix(rows())[5:])), r"byte 3: expected a matrix.*XX"),
    ("vector_for_matrix", ark(("u1", vector([1, 2, 3]))), r"byte 3: expected a matrix.*FV"),
    ("posterior_for_matrix", ark(("u1", posterior([0, 1]))), r"byte 3: expected a matrix"),
    ("wrong_size_byte", ark(("u1", b"\0BFM \x08" + matrix(rows())[6:])), r"byte 3: expected the dimensions"),
    (
        "second_size_byte",
        ark(("u1", b"\0BFM " + int32(4) + b"\5" + matrix(rows())[11:])),
        r"byte 3: expected the",
    ),
    ("negative_rows", ark(("u1", matrix(rows(), dims=(-4, 3)))), r"byte 3: expected the dimensions"),
    ("negative_both", ark(("u1", matrix(rows(), dims=(-4, -3)))), r"byte 3: expected the dimensions"),
    ("huge_rows", ark(("u1", matrix(rows(), dims=(BIG, 3)))), r"byte \d+: truncated or wrong header"),
    ("huge_both", ark(("u1", matrix(rows(), dims=(BIG, BIG)))), r"announces 184467\d+ bytes"),
    (
        "product_overflows_32_bit",
        ark(("u1", matrix(rows(), dims=(65536, 65536)))),
        r"announces 17179869199 bytes",
    ),
    ("one_row_too_many", ark(("u1", matrix(rows(), dims=(5, 3)))), r"announces 75 bytes, 63 are left"),
    ("one_row_too_few", ark(("u1", matrix(rows(), dims=(3, 3)))), r"byte \d+: "),
    ("truncated_in_header", GOOD[:9], r"byte 3: expected the dimensions"),
    ("truncated_in_body", GOOD[:-1], r"truncated or wrong header"),
    ("truncated_in_token", GOOD[:6], r"byte 3: expected"),
    ("garbage_between", ark(("u1", matrix(rows()))) + b"garbage " + GOOD, r"byte \d+: expected"),
    ("duplicate_key", ark(("u1", matrix(rows())), ("u1", matrix(rows()))), r"duplicate key 'u1'"),
    ("double_truncated", ark(("u1", matrix(rows(), token=b"DM ")[:-8])), r"truncated or wrong header"),
    ("nan", ark(("u1", matrix([[1, 2], [np.nan, 4]]))), r"u1: column 0 .*not finite"),
    ("infinity", ark(("u1", matrix([[1, 2], [3, -np.inf]]))), r"u1: column 1 .*not finite"),
    (
        "columns_change",
        ark(("u1", matrix(rows())), ("u2", matrix(rows(dim=4)))),
        r"u2: expected 3 columns, got 4",
    ),
    ("no_rows_at_all", ark(("u1", matrix(np.zeros((0, 3))))), r"no features"),
    (
        "compressed_negative",
        ark(("u1", compressed(b"CM ", 0, 1, -1, 3, b"x" * 99))),
        r"negative dimensions -1 x 3",
    ),
    ("compressed_huge", ark(("u1", compressed(b"CM ", 0, 1, BIG, BIG, b""))), r"announces \d+ bytes"),
    ("compressed_2_huge", ark(("u1", compressed(b"CM2 ", 0, 1, BIG, BIG, b"x" * 9))), r"announces \d+ bytes"),
    (
        "compressed_3_short",
        ark(("u1", compressed(b"CM3 ", 0, 1, 4, 4, b"x" * 15))),
        r"announces 16 bytes, 15",
    ),
    ("compressed_nan", ark(("u1", compressed(b"CM ", np.nan, 1, 1, 1, b"x" * 9))), r"range .* not finite"),
    ("compressed_no_header", ark(("u1", b"\0BCM abc")), r"announces 16 bytes, 3 are left"),
    ("text_words", b"u1  [\n  1 two 3 ]\n", r"byte 3: expected numbers: .*two"),
    ("text_ragged", b"u1  [\n  1 2 3\n  4 5 ]\n", r"row 2 has 2 columns, the first has 3"),
    ("text_unclosed", b"u1  [\n  1 2 3\n", r"truncated"),
    ("text_closed_on_no_line", b"u1  [\n  1 2 3 ]", r"truncated: the last line has no end"),
    ("text_no_bracket", b"u1 1 2 3\n", r"byte 3: expected a matrix, binary or text, got b'1 2 3"),
    ("text_underscore", b"u1  [\n  1_000 2 ]\n", r"expected numbers: .*1_000"),
    ("text_nan", b"u1  [\n  nan 2 ]\n", r"u1: column 0 .*not finite"),
    ("text_too_big_for_float32", b"u1  [\n  1e300 2 ]\n", r"u1: column 0 .*not finite"),
    ("text_binary_inside", b"u1  [\n  1 \xff\xfe ]\n", r"expected numbers"),
]

# name, rspecifier, files, message
REFERENCES = [
    ("missing_ark", "ark:nowhere.ark", {}, r"cannot open 'nowhere.ark': No such file"),
    ("missing_scp", "scp:nowhere.scp", {}, r"nowhere.scp: cannot read: No such file"),
    ("folder_as_ark", "ark:.", {}, r"'\.': Is a directory"),
    ("folder_as_scp", "scp:.", {}, r"\.: cannot read: Is a directory"),
    ("empty_ark", "ark:x.ark", {"x.ark": b""}, r"no features"),
    ("empty_scp", "scp:x.scp", {"x.scp": b""}, r"no features"),
    ("scp_no_offset", "scp:x.scp", {"x.scp": "u1 x.ark\n", "x.ark": GOOD}, r"x\.ark: byte 0: "),
    (
        "scp_empty_offset",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:\n", "x.ark": GOOD},
        r"x\.scp:1: cannot open 'x\.ark:'",
    ),
    (
        "scp_offset_past_end",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:9999\n", "x.ark": GOOD},
        r"x\.scp:1: .*9999 lies outside",
    ),
    (
        "scp_offset_wrong",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:4\n", "x.ark": GOOD},
        r"x\.scp:1: x\.ark: byte 4: expected",
    ),
    ("scp_offset_negative", "scp:x.scp", {"x.scp": "u1 x.ark:-3\n", "x.ark": GOOD}, r"x\.scp:1: cannot open"),
    (
        "scp_offset_huge",
        "scp:x.scp",
        {"x.scp": f"u1 x.ark:{10**30}\n", "x.ark": GOOD},
        r"x\.scp:1: cannot open",
    ),
    ("scp_offset_endless", "scp:x.scp", {"x.scp": f"u1 x.ark:{'9' * 5000}\n", "x.ark": GOOD}, r"x\.scp:1: "),
    (
        "scp_offset_superscript",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:³\n", "x.ark": GOOD},
        r"x\.scp:1: cannot open",
    ),
    ("scp_missing_target", "scp:x.scp", {"x.scp": "u1 gone.ark:3\n"}, r"x\.scp:1: cannot open 'gone\.ark'"),
    (
        "scp_second_target",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3\nu2 g.ark:3\n", "x.ark": GOOD},
        r"x\.scp:2: .*g\.ark",
    ),
    (
        "scp_pipe",
        "scp:x.scp",
        {"x.scp": "u1 touch canary; cat x.ark |\n", "x.ark": GOOD},
        r"x\.scp:1: .*allow-pipes",
    ),
    ("scp_pipe_first", "scp:x.scp", {"x.scp": "u1 |touch canary\n"}, r"x\.scp:1: cannot open"),
    ("scp_substitution", "scp:x.scp", {"x.scp": "u1 $(touch canary).ark:3\n"}, r"x\.scp:1: cannot open"),
    ("scp_backticks", "scp:x.scp", {"x.scp": "u1 `touch canary`:3\n"}, r"x\.scp:1: cannot open"),
    (
        "scp_tilde_and_variable",
        "scp:x.scp",
        {"x.scp": "u1 ~/$HOME/x.ark:3\n"},
        r"x\.scp:1: cannot open '~/\$HOME",
    ),
    (
        "scp_unsorted",
        "s,scp:x.scp",
        {"x.scp": "u2 x.ark:3\nu1 x.ark:3\n", "x.ark": GOOD},
        r"'u1' comes after 'u2'",
    ),
    (
        "ark_unsorted",
        "ark,s:x.ark",
        {"x.ark": ark(("b", matrix(rows())), ("a", matrix(rows())))},
        r"'a' comes after",
    ),
    (
        "range_outside",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3[0:7]\n", "x.ark": GOOD},
        r"x\.scp:1: the range \[0:7\]",
    ),
    (
        "range_reversed",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3[2:1]\n", "x.ark": GOOD},
        r"x\.scp:1: the range \[2:1\]",
    ),
    (
        "range_three_axes",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3[0:1,0:1,0:1]\n", "x.ark": GOOD},
        r"x\.scp:1: .* is no range",
    ),
    (
        "range_two_colons",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3[0:1:2]\n", "x.ark": GOOD},
        r"x\.scp:1: .* is no range",
    ),
    ("range_commas", "scp:x.scp", {"x.scp": "u1 x.ark:3[,,,]\n", "x.ark": GOOD}, r"is no range"),
    ("range_one", "scp:x.scp", {"x.scp": "u1 x.ark:3[2]\n", "x.ark": GOOD}, r"\[2\] is no range"),
    (
        "range_open",
        "scp:x.scp",
        {"x.scp": "u1 x.ark:3[2:]\n", "x.ark": GOOD},
        r"\[2:\] is no range",
    ),
    ("range_starts_outside", "scp:x.scp", {"x.scp": "u1 x.ark:3[4:5]\n", "x.ark": GOOD}, r"lies outside"),
    ("pipe_rspecifier", "'ark:touch canary |'", {}, r"allow-pipes"),
    ("pipe_script", "'scp:touch canary |'", {}, r"allow-pipes"),
    ("no_rspecifier", "x.ark", {"x.ark": GOOD}, r"'x\.ark' is no rspecifier"),
    ("empty_rspecifier", "''", {}, r"'' is no rspecifier"),
    ("unknown_option", "ark,exec:x.ark", {"x.ark": GOOD}, r"is no rspecifier"),
    ("both_kinds", "ark,scp:x.ark,x.scp", {"x.ark": GOOD}, r"is no rspecifier"),
    ("nul_in_name", "'ark:nowhere\\0.ark'", {}, r"cannot open"),
    ("long_name", f"ark:{'n' * 300}.ark", {}, r"File name too long"),
    ("gzip_not_gzip", "ark:x.gz", {"x.gz": GOOD}, r"x\.gz: byte 0: cannot read: Not a gzipped"),
    (
        "gzip_truncated",
        "ark:x.gz",
        {"x.gz": gzip.compress(GOOD, mtime=0)[:-20]},
        r"x\.gz: byte \d+: cannot read",
    ),
    (
        "gzip_corrupt",
        "ark:x.gz",
        {"x.gz": gzip.compress(GOOD, mtime=0)[:30] + b"\xff" * 40},
        r"x\.gz: byte \d+: cannot read",
    ),
    (
        "gzip_text_truncated",
        "ark:x.gz",
        {"x.gz": gzip.compress(b"u1  [\n 1 2\n 3 4 ]\n" * 9, mtime=0)[:-9]},
        r"x\.gz: byte \d+: cannot read|duplicate key",
    ),
]

CASES = [
    Case(
        name,
        f"{CMVN} ark:x.ark cmvn",
        {"x.ark": data},
        rf"x\.ark: {text}" if text.startswith("byte") else text,
    )
    for name, data, text in ARCHIVES
]
CASES += [Case(name, f"{CMVN} {spec} cmvn", files, text) for name, spec, files, text in REFERENCES]
CASES += [
    Case(
        "pipe_that_fails",
        f"{CMVN} --allow-pipes=true 'ark:cat x.ark; exit 3 |' cmvn",
        {"x.ark": GOOD},
        "status 3",
    ),
    Case("pipe_with_no_program", f"{CMVN} --allow-pipes=true 'ark:no_such_program |' cmvn", {}, "status 127"),
    Case(
        "pipe_cut_short",
        f"{CMVN} --allow-pipes=true 'ark:head -c 70 x.ark |' cmvn",
        {"x.ark": GOOD},
        "truncated",
    ),
    Case(
        "scp_pipe_that_fails",
        f"{CMVN} --allow-pipes=true scp:x.scp cmvn",
        {"x.scp": "u1 false |\n"},
        "x|false",
    ),
    Case("output_in_no_folder", f"{CMVN} ark:x.ark /proc/nowhere/cmvn", {"x.ark": GOOD}, "/proc/nowhere"),
    Case("output_is_a_folder", f"{CMVN} ark:x.ark sub", {"x.ark": GOOD, "sub/file": "x"}, "sub"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(case, tmp_path, fork_server):
    check_refused(case, tmp_path, fork_server)

"""Archives, script files and rspecifiers that are not what they should be."""

from __future__ import annotations

import gzip

import numpy as np

from tests.contract.malformed import (
    BIG,
    SOFTMAX,
    Case,
    affine,
    ark,
    int32,
    matrix,
    nnet,
    posterior,
    refusal,
    rows,
    vector,
)

FORWARD, NETWORK = "steps/nnet1/nnet_forward.py x.nnet", {"x.nnet": nnet(affine(), SOFTMAX)}
GOOD = ark(("u1", matrix(rows())), ("u2", matrix(rows(seed=2))))


def one(value: bytes) -> bytes:
    """Return an archive of one value."""
    return ark(("u1", value))


def sized(num_rows: int, cols: int) -> bytes:
    """Return an archive of one matrix of 4 x 3 whose header says something else."""
    return one(matrix(rows(), dims=(num_rows, cols)))


def compressed(token: bytes, num_rows: int, cols: int, body: bytes, low: float = 0) -> bytes:
    """Return an archive of a compressed matrix whose header may lie."""
    header = np.array([(low, 1, num_rows, cols)], "<f4, <f4, <i4, <i4").tobytes()
    return one(b"\0B" + token + header + body)


DIMS, TRUNCATED = "byte 3: expected the dimensions", r"truncated or wrong header"
# name, content of x.ark, what the message must say after its path
ARCHIVES = [
    ("nothing_but_text", b"this is no archive", r"byte \d+: "),
    ("zero_bytes_of_key", b"\0\0\0\0", r"byte 0: expected an utterance id"),
    ("key_without_end", b"u" * 5000, r"byte 0: expected an utterance id"),
    ("key_alone", b"u1", r"byte 0: expected an utterance id|truncated after the key 'u1'"),
    ("key_and_blank", b"u1 ", r"byte 3: "),
    ("key_not_utf8", b"u\xff\xfe1 " + matrix(rows()), r"byte 0: .*not UTF-8"),
    ("newline_in_key", b"u1\nu2 " + matrix(rows()), r"byte 0: expected an utterance id"),
    ("wrong_magic", one(b"\0X" + matrix(rows())[2:]), r"byte 3: expected"),
    ("no_magic", one(matrix(rows())[2:]), r"byte 3: expected"),
    ("wrong_token", one(b"\0BXX " + matrix(rows())[5:]), r"byte 3: expected a matrix.*XX"),
    ("vector_for_matrix", one(vector([1, 2, 3])), r"byte 3: expected a matrix.*FV"),
    ("posterior_for_matrix", one(posterior([0, 1])), r"byte 3: expected a matrix"),
    ("wrong_size_byte", one(b"\0BFM \x08" + matrix(rows())[6:]), DIMS),
    ("second_size_byte", one(b"\0BFM " + int32(4) + b"\5" + matrix(rows())[11:]), DIMS),
    ("negative_rows", sized(-4, 3), DIMS),
    ("negative_both", sized(-4, -3), DIMS),
    ("huge_rows", sized(BIG, 3), rf"byte \d+: {TRUNCATED}"),
    ("huge_both", sized(BIG, BIG), r"announces 184467\d+ bytes"),
    ("product_overflows_32_bit", sized(65536, 65536), r"announces 17179869199 bytes"),
    ("one_row_too_many", sized(5, 3), r"announces 75 bytes, 63 are left"),
    ("one_row_too_few", sized(3, 3), r"byte \d+: "),
    ("truncated_in_header", GOOD[:9], DIMS),
    ("truncated_in_body", GOOD[:-1], TRUNCATED),
    ("truncated_in_token", GOOD[:6], r"byte 3: expected"),
    ("garbage_between", one(matrix(rows())) + b"garbage " + GOOD, r"byte \d+: expected"),
    ("duplicate_key", one(matrix(rows())) * 2, r"duplicate key 'u1'"),
    ("double_truncated", one(matrix(rows(), token=b"DM ")[:-8]), TRUNCATED),
    ("nan", one(matrix([[1, 2, 3], [np.nan, 4, 5]])), r"u1: feature nan in frame 1, column 0"),
    ("infinity", one(matrix([[1, 2, 3], [3, -np.inf, 5]])), r"u1: feature -inf in frame 1, column 1"),
    (
        "columns_change",
        one(matrix(rows())) + ark(("u2", matrix(rows(dim=4)))),
        r"u2: the features have 4 columns, the network takes 3",
    ),
    ("compressed_negative", compressed(b"CM ", -1, 3, b"x" * 99), r"negative dimensions -1 x 3"),
    ("compressed_huge", compressed(b"CM ", BIG, BIG, b""), r"announces \d+ bytes"),
    ("compressed_2_huge", compressed(b"CM2 ", BIG, BIG, b"x" * 9), r"announces \d+ bytes"),
    ("compressed_3_short", compressed(b"CM3 ", 4, 4, b"x" * 15), r"announces 16 bytes, 15"),
    ("compressed_nan", compressed(b"CM ", 1, 1, b"x" * 9, low=np.nan), r"range .* not finite"),
    ("compressed_no_header", one(b"\0BCM abc"), r"announces 16 bytes, 3 are left"),
    ("text_words", b"u1  [\n  1 two 3 ]\n", r"byte 3: expected numbers: .*two"),
    ("text_ragged", b"u1  [\n  1 2 3\n  4 5 ]\n", r"row 2 has 2 columns, the first has 3"),
    ("text_unclosed", b"u1  [\n  1 2 3\n", r"truncated"),
    ("text_closed_on_no_line", b"u1  [\n  1 2 3 ]", r"truncated: the last line has no end"),
    ("text_no_bracket", b"u1 1 2 3\n", r"byte 3: expected a matrix, binary or text, got b'1 2 3"),
    ("text_underscore", b"u1  [\n  1_000 2 ]\n", r"expected numbers: .*1_000"),
    ("text_nan", b"u1  [\n  nan 2 3 ]\n", r"u1: feature nan in frame 0, column 0"),
    ("text_too_big_for_float32", b"u1  [\n  1e300 2 3 ]\n", r"u1: feature inf in frame 0, column 0"),
    ("text_binary_inside", b"u1  [\n  1 \xff\xfe ]\n", r"expected numbers"),
]
# name, x.scp beside a good x.ark, what the message must say after x.scp:1 or as a whole
SCRIPTS = [
    ("no_offset", "u1 x.ark\n", r"^.*x\.ark: byte 0: "),
    ("empty_offset", "u1 x.ark:\n", r"cannot open 'x\.ark:'"),
    ("offset_past_end", "u1 x.ark:9999\n", r".*9999 lies outside"),
    ("offset_wrong", "u1 x.ark:4\n", r"x\.ark: byte 4: expected"),
    ("offset_negative", "u1 x.ark:-3\n", r"cannot open"),
    ("offset_huge", f"u1 x.ark:{10**30}\n", r"cannot open"),
    ("offset_endless", f"u1 x.ark:{'9' * 5000}\n", r""),
    ("offset_superscript", "u1 x.ark:³\n", r"cannot open"),
    ("missing_target", "u1 gone.ark:3\n", r"cannot open 'gone\.ark'"),
    ("second_target", "u1 x.ark:3\nu2 g.ark:3\n", r"^.*x\.scp:2: .*g\.ark"),
    ("pipe", "u1 touch canary; cat x.ark |\n", r".*allow-pipes"),
    ("pipe_first", "u1 |touch canary\n", r"cannot open"),
    ("substitution", "u1 $(touch canary).ark:3\n", r"cannot open"),
    ("backticks", "u1 `touch canary`:3\n", r"cannot open"),
    ("tilde_and_variable", "u1 ~/$HOME/x.ark:3\n", r"cannot open '~/\$HOME"),
    ("range_outside", "u1 x.ark:3[0:7]\n", r"the range \[0:7\]"),
    ("range_reversed", "u1 x.ark:3[2:1]\n", r"the range \[2:1\]"),
    ("range_three_axes", "u1 x.ark:3[0:1,0:1,0:1]\n", r".* is no range"),
    ("range_two_colons", "u1 x.ark:3[0:1:2]\n", r".* is no range"),
    ("range_commas", "u1 x.ark:3[,,,]\n", r".*is no range"),
    ("range_one", "u1 x.ark:3[2]\n", r".*\[2\] is no range"),
    ("range_open", "u1 x.ark:3[2:]\n", r".*\[2:\] is no range"),
    ("range_starts_outside", "u1 x.ark:3[4:5]\n", r".*lies outside"),
]
ZIPPED = gzip.compress(GOOD, mtime=0)
SHORT = gzip.compress(b"u1  [\n 1 2 3\n 4 5 6 ]\n" * 9, mtime=0)[:-9]
UNSORTED = {"x.scp": "u2 x.ark:3\nu1 x.ark:3\n", "x.ark": ark(("b", matrix(rows())), ("a", matrix(rows())))}
# name, options and rspecifier, files, message
REFERENCES = [
    ("missing_ark", "ark:nowhere.ark", {}, r"cannot open 'nowhere.ark': No such file"),
    ("missing_scp", "scp:nowhere.scp", {}, r"nowhere.scp: cannot read: No such file"),
    ("folder_as_ark", "ark:.", {}, r"'\.': Is a directory"),
    ("folder_as_scp", "scp:.", {}, r"\.: cannot read: Is a directory"),
    ("scp_unsorted", "s,scp:x.scp", {**UNSORTED, "x.ark": GOOD}, r"'u1' comes after 'u2'"),
    ("ark_unsorted", "ark,s:x.ark", UNSORTED, r"'a' comes after"),
    ("pipe_rspecifier", "'ark:touch canary |'", {}, r"allow-pipes"),
    ("pipe_script", "'scp:touch canary |'", {}, r"allow-pipes"),
    ("no_rspecifier", "x.ark", {"x.ark": GOOD}, r"'x\.ark' is no rspecifier"),
    ("empty_rspecifier", "''", {}, r"'' is no rspecifier"),
    ("unknown_option", "ark,exec:x.ark", {"x.ark": GOOD}, r"is no rspecifier"),
    ("both_kinds", "ark,scp:x.ark,x.scp", {"x.ark": GOOD}, r"is no rspecifier"),
    ("nul_in_name", "'ark:nowhere\\0.ark'", {}, r"cannot open"),
    ("long_name", f"ark:{'n' * 300}.ark", {}, r"File name too long"),
    ("gzip_not_gzip", "ark:x.gz", {"x.gz": GOOD}, r"x\.gz: byte 0: cannot read: Not a gzipped"),
    ("gzip_truncated", "ark:x.gz", {"x.gz": ZIPPED[:-20]}, r"x\.gz: byte \d+: cannot read"),
    ("gzip_corrupt", "ark:x.gz", {"x.gz": ZIPPED[:30] + b"\xff" * 40}, r"x\.gz: byte \d+: cannot read"),
    ("gzip_text_truncated", "ark:x.gz", {"x.gz": SHORT}, r"x\.gz: byte \d+: cannot read|duplicate key"),
    ("pipe_that_fails", "--allow-pipes=true 'ark:cat x.ark; exit 3 |'", {"x.ark": GOOD}, "status 3"),
    ("pipe_with_no_program", "--allow-pipes=true 'ark:no_such_program |'", {}, "status 127"),
    ("pipe_cut_short", "--allow-pipes=true 'ark:head -c 70 x.ark |'", {"x.ark": GOOD}, "truncated"),
    ("scp_pipe_that_fails", "--allow-pipes=true scp:x.scp", {"x.scp": "u1 false |\n"}, "x|false"),
]
OUT = {**NETWORK, "x.ark": GOOD}
CASES = [
    Case(
        name,
        f"{FORWARD} ark:x.ark ark:out",
        {**NETWORK, "x.ark": data},
        rf"x\.ark: {text}" if text[:4] == "byte" else text,
    )
    for name, data, text in ARCHIVES
]
CASES += [
    Case(
        f"scp_{name}",
        f"{FORWARD} scp:x.scp ark:out",
        {**NETWORK, "x.scp": script, "x.ark": GOOD},
        text[1:] if text[:1] == "^" else rf"x\.scp:1: {text}",
    )
    for name, script, text in SCRIPTS
]
CASES += [
    Case(name, f"{FORWARD} {spec} ark:out", {**NETWORK, **files}, text)
    for name, spec, files, text in REFERENCES
]
CASES += [
    Case(f"output_{name}", f"{FORWARD} ark:x.ark ark:{out}", {**OUT, "sub/file": "x"}, said)
    for name, out, said in (
        ("in_no_folder", "/proc/nowhere/x", "/proc/nowhere"),
        ("is_a_folder", "sub", "sub"),
    )
]
test_is_refused = refusal(CASES)

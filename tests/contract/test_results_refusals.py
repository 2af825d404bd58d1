"""What stages 7 to 9 refuse: archives of other tracks, of another run, or of no use."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "scoring"))

import scoring_tree as toy

from local import majority_vote, score_svm, segment_features, write_results
from steps import archive
from utils.cli import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with data/toy and scored exp/toy_*."""
    return toy.build(tmp_path_factory.mktemp("toy"))


def rewrite(path: Path, change) -> str:
    """Write a changed copy of an archive of matrices beside it and return its rspecifier."""
    changed = dict(archive.read_matrices(f"scp:{path}/post.scp"))
    change(changed)
    with archive.Writer(f"ark:{path}/changed.ark") as writer:
        for utt, value in changed.items():
            writer.write(utt, value)
    return f"ark:{path}/changed.ark"


FIRST = "classical-test0-000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop(FIRST), f"'{FIRST}' of .* is missing: expected 37 utterances, got 36"),
        (lambda p: p.update(extra=p[FIRST]), "'extra' is not in"),
        (lambda p: p.update({FIRST: p[FIRST][:-1]}), f"'{FIRST}': expected \\d+ frames"),
        (lambda p: p.update({FIRST: p[FIRST] * np.float32("nan")}), "not finite"),
        (lambda p: p.update({FIRST: p[FIRST][:, :5]}), "expected posteriors of 6 classes, got 5"),
        (lambda p: p.update({FIRST: np.log(p[FIRST])}), "not a distribution"),
    ],
)
def test_posteriors_that_do_not_fit_are_refused(root, tmp_path, change, message):
    rspecifier = rewrite(root / "exp/toy_dnn1/post_test", change)
    with pytest.raises(UserError, match=message):
        toy.run(majority_vote, root / "data/toy/test", rspecifier, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_features_and_posteriors_must_be_of_the_same_tracks(root, tmp_path):
    posts = root / "exp/toy_dnn1/post_test"
    feats = f"scp:{root}/data/toy/test/feats.scp"
    cases = {
        "is missing": lambda p: p.pop(FIRST),
        "'extra' of": lambda p: p.update(extra=p[FIRST]),
        "posteriors": lambda p: p.update({FIRST: p[FIRST][:-1]}),
    }
    for message, change in cases.items():
        with pytest.raises(UserError, match=message):
            toy.run(
                segment_features, "--type=fusion", feats, rewrite(posts, change), f"ark:{tmp_path}/out.ark"
            )
    assert not list(tmp_path.iterdir())


def test_vectors_of_another_type_are_refused(root, tmp_path):
    exp = root / "exp/toy_lstm_512"
    with pytest.raises(UserError, match="expected vectors of 24 values .* got 36"):
        toy.run(
            score_svm,
            root / "data/toy/test",
            exp / "svm_lstm/svm.npz",
            f"scp:{exp}/svm_fusion/test.scp",
            tmp_path,
        )


def test_mixed_runs_are_refused(root, tmp_path):
    mixed = tmp_path / "toy_mixed"
    shutil.copytree(root / "exp/toy_lstm_512", mixed)
    shutil.copy(root / "exp/toy_dnn1/score_test/accuracy.json", mixed / "score_test")
    with pytest.raises(UserError, match="does not agree with accuracy.json"):
        toy.run(write_results, root / "data/toy", mixed)
    with pytest.raises(UserError, match="nothing was scored"):
        toy.run(write_results, root / "data/toy", tmp_path)

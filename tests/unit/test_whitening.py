"""The whitening transform: white frames within classes, in a network file that Kaldi reads."""

import numpy as np
import pytest

from local import make_feature_transform
from steps.nnet1.feature_transform import whitening
from steps.nnet1.model_file import read_network
from utils.cli import UserError


def made(dim=5):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(dim, dim))
    classes = {f"u{n:02}": "ab"[n % 2] for n in range(20)}
    return [
        (u, rng.normal(size=(300, dim)) @ mix + 100 + 50 * (c == "a")) for u, c in classes.items()
    ], classes


def test_frames_come_out_white_within_classes():
    feats, classes = made()
    weight, bias = whitening(feats, classes, 1e-9)
    out = {c: np.concatenate([x @ weight.T + bias for u, x in feats if classes[u] == c]) for c in "ab"}
    within = np.mean([np.cov(x.T, bias=True) for x in out.values()], axis=0)
    np.testing.assert_allclose(within, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(out.values())).mean(axis=0), 0, atol=1e-8)
    shrunk, _ = whitening(feats, classes, 1.0)
    np.testing.assert_allclose(shrunk, np.diag(np.diag(shrunk)), atol=1e-12)


def test_program_writes_a_network_and_refuses_nan(tmp_path):
    from steps import archive

    feats, classes = made()
    with archive.Writer(f"ark,scp:{tmp_path}/f.ark,{tmp_path}/feats.scp") as writer:
        for utt, matrix in feats:
            writer.write(utt, matrix.astype(np.float32))
    (tmp_path / "utt2genre").write_text("".join(f"{u} {c}\n" for u, c in classes.items()))
    assert make_feature_transform.main(["--transform=whiten", str(tmp_path), str(tmp_path)]) == 0
    (component,) = read_network(f"{tmp_path}/feature_transform.nnet").components
    weight, _ = whitening(feats, classes, 0.03)
    np.testing.assert_allclose(component.weight, weight, rtol=1e-4, atol=1e-5)
    feats[3][1][0, 0] = np.nan
    with pytest.raises(UserError, match="u03"):
        whitening(feats, classes, 0.03)

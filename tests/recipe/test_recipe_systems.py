"""The five published systems as stage 9 runs them, on a tiny corpus."""

import json

import numpy as np
import pytest

from steps.systems import registry
from tests.workspace import run_recipe

pytestmark = pytest.mark.xdist_group("systems")
STAGE_9 = ("--dnns", "", "--lstms", "", "--stage", "9", "--stop-stage", "9")


@pytest.fixture(scope="module")
def folder(workspace):
    done = run_recipe(workspace, *STAGE_9, "--systems", " ".join(registry.NAMES))
    assert done.returncode == 0, done.stderr[-3000:]
    return workspace


def measures(folder, name: str) -> dict[str, dict]:
    text = (folder / f"exp/synth_{name}/score_test/accuracy.json").read_text()
    return {item["name"]: item for item in json.loads(text)["measures"]}


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_system_scores_every_test_track_and_says_what_it_is(folder, name):
    wanted = set(registry.load(name).SCORES)
    found = measures(folder, name)
    assert set(found) == wanted
    for measure, item in found.items():
        assert np.sum(item["confusion"]) == 12 and name in item["extra"]["notes"]
        lines = (folder / f"exp/synth_{name}/score_test/predictions_{measure}.tsv").read_text().split("\n")
        assert len(lines) == 1 + 12 + 1
    record = json.loads((folder / f"exp/synth_{name}/training.json").read_text())
    assert record["seed"] == 777 and f"conf/systems/{name}.conf" in record["configuration"]


def test_nothing_is_done_twice_and_jobs_change_no_number(folder):
    options = (*STAGE_9, "--systems", "hol2008")
    assert "once.py) doing" not in run_recipe(folder, *options, "--nj", "9").stderr
    before = (folder / "exp/synth_hol2008/score_test/predictions_Seg_acc.tsv").read_bytes()
    for stamp in (folder / "exp/synth_hol2008/.done").iterdir():
        stamp.unlink()
    done = run_recipe(folder, *options, "--nj", "15")  # three jobs a system
    assert done.returncode == 0 and "doing" in done.stderr
    assert (folder / "exp/synth_hol2008/feats_test/3/bases.scp").exists()
    assert (folder / "exp/synth_hol2008/score_test/predictions_Seg_acc.tsv").read_bytes() == before


def test_a_variant_is_an_experiment_of_its_own(folder):
    conf = folder / "conf/systems/leo2012_few.conf"
    conf.write_text("--num-axes=2\n--candidates=0.5\n")
    done = run_recipe(folder, *STAGE_9, "--seed", "778", "--systems", "leo2012_few")
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((folder / "exp/synth_leo2012_few/training.json").read_text())
    assert record["seed"] == 778 and set(measures(folder, "leo2012_few")) == set(measures(folder, "leo2012"))

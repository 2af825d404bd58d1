"""A system's zip: what is written is read, and damaged or hostile ones are refused by name."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import pytest

from steps.audio import Conversion
from steps.classify.system import MANIFEST, System, read_zip, write_zip
from steps.scattering.config import Config
from utils.cli import UserError

PARTS = {"final_test.nnet": b"network", "feature_transform.nnet": b"transform"}
SYSTEM = System("network", ("blues", "jazz"), Config(T=4096), Conversion(quality="HQ"), {"seed": 1}, PARTS)


@pytest.fixture
def path(tmp_path):
    write_zip(tmp_path / "x.zip", SYSTEM)
    return tmp_path / "x.zip"


def rewrite(path, change):
    """Write the zip again, its members (name to bytes) changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def in_manifest(**values):
    def change(members):
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **values}).encode()

    return change


def test_what_is_written_is_read(path, tmp_path):
    assert read_zip(path) == SYSTEM
    write_zip(tmp_path / "y.zip", SYSTEM)
    assert (tmp_path / "y.zip").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("final_test.nnet"), "not those of its manifest"),
        (lambda m: m.update({"../../outside": b"x"}), "not those of its manifest"),
        (lambda m: m.update({"final_test.nnet": b"netwerk"}), "final_test.nnet is damaged"),
        (lambda m: m.pop(MANIFEST), "no single manifest.json"),
        (lambda m: m.update({MANIFEST: b"{"}), "manifest.json is damaged"),
        (lambda m: m.update({"final_test.nnet": bytes(201_000_000)}), "unpack to more than"),
        (in_manifest(format=2), "of format 2; this version of the recipe reads 1"),
        (in_manifest(kind="forest"), "unknown kind 'forest'"),
        (in_manifest(scattering={"T": 4096}), "manifest.json is damaged"),
        (in_manifest(audio={"rate": 1}), "manifest.json is damaged"),
    ],
)
def test_a_damaged_or_hostile_one_is_refused(path, change, message):
    rewrite(path, change)
    with pytest.raises(UserError, match=message):
        read_zip(path)


def test_a_cut_one_and_what_is_no_zip_are_refused(path):
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="cannot read the system"):
        read_zip(path)


def test_a_system_without_its_transform_is_refused(path):
    write_zip(path, replace(SYSTEM, parts={"final_test.nnet": b"network"}))
    with pytest.raises(UserError, match="not those of its manifest"):
        read_zip(path)

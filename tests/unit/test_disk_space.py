"""The check for free space: what it takes for written, and what it says."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from utils import disk_space
from utils.cli import UserError


@pytest.fixture
def disk(monkeypatch):
    """Make every disk have a given number of bytes left."""

    def have(num_bytes):
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=num_bytes // 10, f_frsize=10))

    return have


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (2.5e9, "2.5 GB"), (3e16, "3e+04 TB")],
)
def test_amounts_have_units(num_bytes, text):
    assert disk_space.amount(num_bytes) == text


def test_a_twentieth_more_must_be_free(tmp_path, disk):
    disk(1050)
    disk_space.require(tmp_path, 1000)
    disk(1040)
    with pytest.raises(
        UserError, match=r"new/folder: about 1.05 KB will be written, but the disk has 1.04 KB left"
    ):
        disk_space.require(tmp_path / "new" / "folder", 1000)


def test_what_a_script_file_lists_counts_once(tmp_path, disk):
    (tmp_path / "x.ark").write_bytes(bytes(1000))
    (tmp_path / "a b.wav").write_bytes(bytes(500))
    scp = tmp_path / "x.scp"
    lines = (
        f"u1 {tmp_path}/x.ark:3",
        f"u2 {tmp_path}/x.ark:99",
        f"u3 {tmp_path}/a b.wav",
        "u4 gone.wav",
        "u5 cat x |",
    )
    scp.write_text("\n".join(lines) + "\n")
    assert disk_space.size(disk_space.listed(scp)) == 1500
    disk(1580)
    assert disk_space.main([str(tmp_path / "out"), str(scp)]) == 0
    disk(1570)
    with pytest.raises(UserError, match="out: about"):
        disk_space.main([str(tmp_path / "out"), str(scp)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "half").write_bytes(bytes(750))
    assert disk_space.main([str(tmp_path / "out"), str(scp)]) == 0


def test_compressed_audio_has_a_factor_of_its_own(tmp_path, disk):
    (tmp_path / "x.MP3").write_bytes(bytes(100))
    (tmp_path / "x.wav").write_bytes(bytes(1000))
    argv = [
        "--factor",
        "0.25",
        "--lossy-factor",
        "2",
        str(tmp_path / "out"),
        f"{tmp_path}/x.MP3",
        f"{tmp_path}/x.wav",
    ]
    disk(480)
    assert disk_space.main(argv) == 0
    disk(470)
    with pytest.raises(UserError):
        disk_space.main(argv)

"""The filter cache: same filters, safe against damage, company and read-only folders."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from steps.scattering import Config, bands, cache

CONFIG = Config(T=512)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SCATTERING_CACHE", str(tmp_path / "filters"))
    return tmp_path / "filters"


def flat(made):
    arrays = [band.values for rows in (made.first, made.second) for row in rows for band in row]
    starts = [band.start for rows in (made.first, made.second) for row in rows for band in row]
    return starts, [*arrays, *made.taps.values(), *made.zero]


def same(a, b):
    return (
        flat(a)[0] == flat(b)[0]
        and list(a.taps) == list(b.taps)
        and all(
            x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(flat(a)[1], flat(b)[1], strict=True)
        )
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_order", [0, 1, 2])
def test_stored_filters_are_the_built_ones(folder, dtype, max_order):
    config = Config(T=512, max_order=max_order)
    built = cache.load_or_build(config, 64, dtype)
    path = folder / cache.name(config, 64, dtype)
    assert path.is_file()
    loaded = cache.load(path, 64)
    assert loaded is not None
    assert same(loaded, built)
    assert same(built, bands.build(config, 64, dtype))


def test_other_numbers_have_other_names():
    names = {
        cache.name(config, hops, dtype)
        for config in (CONFIG, Config(T=1024), Config(T=512, Q=((8, 1),)), Config(T=512, max_order=1))
        for hops in (64, 96)
        for dtype in ("float32", "float64")
    }
    assert len(names) == 16


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_damaged_files_are_built_again(folder, capsys, damage):
    built = cache.load_or_build(CONFIG, 64, "float32")
    path = folder / cache.name(CONFIG, 64, "float32")
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    assert same(cache.load_or_build(CONFIG, 64, "float32"), built)
    assert "damaged" in capsys.readouterr().err
    assert cache.load(path, 64) is not None


def test_unwritable_folder_is_no_obstacle(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SCATTERING_CACHE", str(tmp_path / "file" / "filters"))
    assert same(cache.load_or_build(CONFIG, 64, "float32"), bands.build(CONFIG, 64, "float32"))
    assert "cannot keep the filters" in capsys.readouterr().err


def test_filters_of_older_code_are_removed(folder):
    path = folder / cache.name(CONFIG, 64, "float32")
    folder.mkdir()
    older = path.with_name(path.name[:-16] + "0" * 12 + ".npz")
    other = path.with_name("T512_96_float32_" + path.name[-29:])
    older.touch()
    other.touch()
    cache.load_or_build(CONFIG, 64, "float32")
    assert not older.exists()
    assert other.exists()


def test_empty_variable_switches_the_cache_off(monkeypatch):
    monkeypatch.setenv("SCATTERING_CACHE", "")
    assert cache.folder() is None
    assert same(cache.load_or_build(CONFIG, 64, "float32"), bands.build(CONFIG, 64, "float32"))


def test_default_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.delenv("SCATTERING_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "scattering"


def test_several_processes_build_at_once(folder, repo):
    program = (
        "from steps.scattering import Config, cache; "
        "made = cache.load_or_build(Config(T=512), 64, 'float32'); "
        "print(sum(float(b.values.sum()) for row in made.first for b in row))"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", program], cwd=repo, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {job.communicate()[0] for job in jobs}
    assert all(job.returncode == 0 for job in jobs)
    assert len(answers) == 1
    assert [path.name for path in folder.iterdir()] == [cache.name(CONFIG, 64, "float32")]

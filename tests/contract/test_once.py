"""Stamps tell the truth: what is done is skipped, what changed is done again, and the log says why."""

from __future__ import annotations

import pytest

ONCE = "utils/once.py"


@pytest.fixture
def count(tmp_path, run_cli, repo):
    """Run `cat in > out; echo >> runs` under once.py; return (process, number of runs so far)."""
    (tmp_path / "in.txt").write_text("one\n")
    (tmp_path / "conf").write_text("--k=1\n")

    def run(*extra, words=("sh", "-c", "cat in.txt >out.txt; echo run >>runs")):
        done = run_cli(
            repo / ONCE,
            "--in",
            "in.txt",
            "--in=conf",
            "--out",
            "out.txt",
            *extra,
            ".done/x",
            "--",
            *words,
            cwd=tmp_path,
        )
        runs = tmp_path / "runs"
        return done, len(runs.read_text().splitlines()) if runs.exists() else 0

    return run


def test_a_second_run_does_nothing(count):
    assert count()[1] == 1
    done, runs = count()
    assert runs == 1 and "up to date" in done.stderr and done.returncode == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: (d / "in.txt").write_text("two\n"), "input in.txt changed"),
        (lambda d: (d / "conf").write_text("--k=2\n"), "input conf changed"),
        (lambda d: (d / "out.txt").unlink(), "output out.txt is missing"),
        (lambda d: (d / "out.txt").write_text("three\n"), "output out.txt changed"),
        (lambda d: (d / ".done" / "x").write_text("{"), "not been done"),
    ],
)
def test_what_changed_is_done_again_and_named(count, tmp_path, change, reason):
    count()
    change(tmp_path)
    done, runs = count()
    assert runs == 2 and reason in done.stderr


def test_a_touched_file_with_the_same_content_changes_nothing(count, tmp_path):
    count()
    (tmp_path / "in.txt").write_text("one\n")
    assert count()[1] == 1


def test_a_failed_command_leaves_no_stamp_and_passes_its_status_on(count, tmp_path):
    count()
    (tmp_path / "in.txt").write_text("two\n")
    done, _ = count(words=("sh", "-c", "exit 3"))
    assert done.returncode == 3 and not (tmp_path / ".done" / "x").exists()
    assert count()[1] == 2


def test_a_missing_input_and_a_missing_output_are_errors(count):
    done, runs = count("--in", "nothing.txt")
    assert done.returncode == 1 and runs == 0 and "nothing.txt" in done.stderr
    done, _ = count("--out", "never.txt")
    assert done.returncode == 1 and "never.txt" in done.stderr and "Traceback" not in done.stderr


def test_what_a_script_file_points_to_counts(tmp_path, run_cli, repo):
    (tmp_path / "a.ark").write_text("data")
    (tmp_path / "x.scp").write_text("utt a.ark:3\n")
    argv = (repo / ONCE, "--in", "x.scp", "stamp", "--", "true")
    assert "not been done" in run_cli(*argv, cwd=tmp_path, check=True).stderr
    assert "up to date" in run_cli(*argv, cwd=tmp_path, check=True).stderr
    (tmp_path / "a.ark").write_text("DATA")
    assert "input a.ark changed" in run_cli(*argv, cwd=tmp_path, check=True).stderr


def test_only_line_feeds_end_the_lines_of_a_script_file(tmp_path, run_cli, repo):
    name = "next\x85line\u2028.ark"
    (tmp_path / name).write_text("data")
    (tmp_path / "x.scp").write_bytes(f"utt {name}:3\r\n".encode())
    argv = (repo / ONCE, "--in", "x.scp", "stamp", "--", "true")
    run_cli(*argv, cwd=tmp_path, check=True)
    (tmp_path / name).write_text("DATA")
    assert "changed" in run_cli(*argv, cwd=tmp_path, check=True).stderr


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path, run_cli, repo):
    for name in ("corpus", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere" / "a.wav").write_text("data")
    (tmp_path / "corpus" / "rock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "round").symlink_to(tmp_path / "corpus")
    (tmp_path / "corpus" / "nowhere").symlink_to("nothing")
    argv = (repo / ONCE, "--in", "corpus", "stamp", "--", "true")
    run_cli(*argv, cwd=tmp_path, check=True)
    assert "up to date" in run_cli(*argv, cwd=tmp_path, check=True).stderr
    (tmp_path / "elsewhere" / "a.wav").write_text("DATA")
    assert "input corpus/rock/a.wav changed" in run_cli(*argv, cwd=tmp_path, check=True).stderr


def test_runner_is_told_of_the_outputs(tmp_path, run_cli, repo):
    """All but those that stand for something else there: with blanks, or with the job's name."""
    (tmp_path / "runner").write_text('#!/bin/sh\necho "$RUNNER_OUTPUTS" >told\n')
    (tmp_path / "runner").chmod(0o755)
    names = ["a.scp", "with blank", "x.JOB.ark", "dir"]
    for name in names:
        (tmp_path / name).touch()
    outputs = [word for name in names for word in ("--out", name)]
    for words, told in ((["log/x.log"], "a.scp x.JOB.ark dir"), (["JOB=1:2", "log/x.JOB.log"], "a.scp dir")):
        argv = (*outputs, "--cmd", "./runner --mem 1G", "stamp", "--", *words, "true")
        run_cli(repo / ONCE, *argv, cwd=tmp_path, check=True)
        assert (tmp_path / "told").read_text() == f"{told}\n"
        (tmp_path / "stamp").unlink()


def test_runner_and_number_of_jobs_do_not_count_but_other_options_do(tmp_path, run_cli, repo):
    def why(*words, options=()):
        return run_cli(repo / ONCE, *options, "stamp", "--", *words, cwd=tmp_path, check=True).stderr

    why("true", "--nj", "2", "--cmd", "run.py")
    assert "up to date" in why("true", "--nj=5", "--cmd", "slurm.py --mem 2G")
    runner = f"{repo / 'utils' / 'run.py'} --mem 1G"
    assert "up to date" in why("JOB=1:2", "log/x.JOB.log", "true", options=["--cmd", runner])
    assert "command line changed" in why("true", "--k", "2")


def test_code_behind_a_command_is_found():
    from utils.code_closure import ROOT, closure

    names = {str(path.relative_to(ROOT)) for path in closure([str(ROOT / "steps" / "dump_posteriors.sh")])}
    assert {"steps/dump_posteriors.sh", "utils/once.py", "utils/cli.py", "path.sh"} <= names
    assert closure(["true", "/bin/sh"]) == []

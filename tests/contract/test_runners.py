"""The contract of Kaldi's job runners, for run.py, slurm.py and sge.py alike (the latter before fakes)."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspace import until
from utils.job_runner import frontend, scheduler

DATE = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \w+ \d{4}"


def has_ended(runner, line: str, code: int, signalled: int = 0) -> bool:
    """Whether a log's last line is what Kaldi's runner of this kind writes."""
    if runner.name == "run.py":
        how = f"code {code}; signal {signalled}" if signalled else f"code {code}"
        return bool(re.fullmatch(rf"# Ended \({how}\) at {DATE}, elapsed time \d+ seconds", line))
    status = 128 + signalled if signalled else code
    return bool(re.fullmatch(f"# Finished at {DATE} with status {status}", line))


def alive(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_array_logs_and_status(runner) -> None:
    options = ["--mem", "1G", "--num-threads", "2", "JOB=1:3", "--max-jobs-run", "2"]
    done = runner.run(*options, "log/a.JOB.log", "echo", "number JOB", "|", "cat")
    assert done.returncode == 0, done.stderr
    for job in (1, 2, 3):
        lines = runner.log(f"a.{job}.log")
        assert lines[0] == f'# echo "number {job}" | cat'
        started = [line for line in lines if re.fullmatch(f"# Started at {DATE}", line)]
        assert len(started) == 1
        assert lines.index("#") == lines.index(started[0]) + 1
        assert lines[lines.index("#") + 1] == f"number {job}"
        assert re.fullmatch(r"# Accounting: time=\d+ threads=2", lines[-3])
        assert re.fullmatch(r"# Peak memory: \d+ MB", lines[-2])
        assert has_ended(runner, lines[-1], 0)


def test_failures_are_named(runner) -> None:
    done = runner.run("JOB=1:4", "log/f.JOB.log", "test", "JOB", "-lt", "3")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{runner.name}: 2 / 4 failed, log is in log/f.*.log"
    assert "log is in log/f.3.log" in done.stderr
    assert "log is in log/f.4.log" in done.stderr
    assert has_ended(runner, runner.log("f.4.log")[-1], 1)


def test_single_job(runner) -> None:
    done = runner.run("log/deep/one.log", "echo", "x", ">", "made")
    assert done.returncode == 0, done.stderr
    assert (runner.folder / "made").read_text() == "x\n"
    done = runner.run("log/deep/one.log", "exit", "7")
    assert done.returncode == 1
    assert not any("echo" in line for line in runner.log("deep/one.log"))
    assert done.stderr.splitlines()[-1] == f"{runner.name}: job failed, log is in log/deep/one.log"
    assert has_ended(runner, runner.log("deep/one.log")[-1], 7)


def test_range_need_not_start_at_one_nor_be_called_job(runner) -> None:
    done = runner.run("nr_x=9:10", "log/r.nr_x.log", "echo", "nr_x", ">", "out.nr_x")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in runner.folder.glob("out.*")) == ["out.10", "out.9"]
    assert runner.run("JOB=7", "log/r.JOB.log", "echo", "JOB", ">", "seven").returncode == 0
    assert (runner.folder / "seven").read_text() == "7\n"


def test_killed_job_is_a_failure(runner) -> None:
    done = runner.run("JOB=1:2", "log/k.JOB.log", "[", "JOB", "=", "1", "]", "||", "kill", "-9", "$$")
    assert done.returncode == 1
    assert f"{runner.name}: 1 / 2 failed, log is in log/k.*.log" in done.stderr
    assert has_ended(runner, runner.log("k.2.log")[-1], 0, signal.SIGKILL)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["JOB=3:1", "log/JOB", "true"], "invalid job range JOB=3:1"),
        (["JOB=1:2", "log/x", "true"], "just one log file"),
        (["JOB=1:2", "log/JOB"], "expected a log file and a command"),
        (["--max-jobs-run", "0", "log/x", "true"], "invalid option --max-jobs-run 0"),
        (["--mem"], "option --mem lacks its value"),
    ],
)
def test_usage(argv: list[str], message: str) -> None:
    with pytest.raises(frontend.UsageError, match=message):
        frontend.parse(argv)


def test_max_jobs_run(runner) -> None:
    count = "touch on.JOB; ls on.* | wc -l >> seen; sleep 0.3; rm on.JOB"
    done = runner.run("--max-jobs-run", "2", "JOB=1:4", "log/m.JOB.log", *count.split())
    assert done.returncode == 0, done.stderr
    seen = [int(line) for line in (runner.folder / "seen").read_text().split()]
    assert len(seen) == 4
    assert max(seen) == 2


def two_sleepers(runner) -> tuple[subprocess.Popen[str], list[Path]]:
    """Start two jobs that sleep; return the runner and the files of the jobs' process numbers."""
    process = runner.start(
        *("--max-jobs-run", "2", "JOB=1:2", "log/s.JOB.log"),
        *("echo", "$$", ">", "pid.JOB", ";", "sleep", "100", "|", "cat"),
    )
    pids = [runner.folder / f"pid.{job}" for job in (1, 2)]
    until(lambda: all(path.exists() and path.read_text() for path in pids))
    return process, pids


@pytest.fixture
def interruptible():
    """Let what is started be interrupted, though a shell may have put the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
@pytest.mark.usefixtures("interruptible")
def test_signal_stops_the_jobs(runner, number: int, code: int) -> None:
    process, pids = two_sleepers(runner)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "stopped the jobs that ran" in err
    until(lambda: not any(map(alive, pids)))


def test_nothing_survives_a_killed_runner(local_runner) -> None:
    process, pids = two_sleepers(local_runner)
    process.kill()
    process.communicate(timeout=20)
    until(lambda: not any(map(alive, pids)))


def test_nothing_survives_a_killed_recipe(runner) -> None:
    """Neither the recipe's process nor one between it and the runner may be killed."""
    for victim in ("recipe", "step"):
        step = 'echo $$ > step; "$@"; true'
        recipe = 'echo $$ > recipe; RECIPE_PID=$$ bash -c "$0" step "$@" 2>err; true'
        argv = [*runner.words, "log/s.log", "echo", "$$", ">", "pid", ";", "sleep", "100"]
        environment = {**os.environ, **runner.environment}
        process = subprocess.Popen(["bash", "-c", recipe, step, *argv], cwd=runner.folder, env=environment)
        pid = runner.folder / "pid"
        until(lambda pid=pid: pid.exists() and pid.read_text() != "")
        os.kill(int((runner.folder / victim).read_text()), signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))
        process.wait()
        until(lambda: "is gone; stopped the jobs" in (runner.folder / "err").read_text())
        pid.unlink()


def test_recycled_process_id_is_not_the_recipe(local_runner) -> None:
    stranger = subprocess.Popen(["sleep", "30"])
    done = local_runner.run("log/s.log", "sleep", "20", RECIPE_PID=str(stranger.pid))
    stranger.kill()
    assert done.returncode == 1
    assert f"the recipe (process {stranger.pid}) is gone" in done.stderr


def test_local_long_commands_and_odd_bytes(local_runner) -> None:
    words = ["x" * 100_000] * 3
    done = local_runner.run("log/l.log", "printf", "%s", *words, "|", "wc", "-c", "&&", "cat")
    assert done.returncode == 0, done.stderr
    assert "300000" in local_runner.log("l.log")
    done = subprocess.run(
        [*local_runner.words, "log/b.log", "echo", b"caf\xe9 x"], cwd=local_runner.folder, check=False
    )
    assert done.returncode == 0
    assert b"caf\xe9 x\n" in (local_runner.folder / "log/b.log").read_bytes()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["echo", "a b"], 'echo "a b"'),
        (["echo", ""], 'echo ""'),
        (["echo", 'say "a b"'], "echo 'say \"a b\"'"),
        (["echo", 'it\'s "x y"'], "echo 'it'\\''s \"x y\"'"),
        (["a", "|", "b", ">", "c", "&&", "d", ";", "e"], "a | b > c && d ; e"),
        (["ark:cat x |", "$HOME/*.ark"], '"ark:cat x |" $HOME/*.ark'),
    ],
)
def test_quoting_is_kaldis(words: list[str], line: str) -> None:
    assert frontend.join(words) == line


def test_runner_needs_no_package_installed(local_runner) -> None:
    """The supervisor of each job runs on the bare interpreter: nodes need no more."""
    script = Path(__file__).resolve().parents[2] / "utils/job_runner/task.py"
    job = '{"command": "echo hi", "log": "log/t.log"}'
    words = [sys.executable, "-I", "-S", str(script), "-"]
    done = subprocess.run(words, input=job, text=True, cwd=local_runner.folder, check=False)
    assert done.returncode == 0
    assert "hi" in local_runner.log("t.log")


CONF = """
# comment
command qsub -v PATH -l 'arch=*64*'   # comment
option mem=* -l mem_free=$0,ram_free=$0
option mem=0
option gpu=0
option gpu=* -l gpu=$0
default gpu=0
option fast=true -q fast.q
"""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], []),
        (["--mem", "2G"], ["-l", "mem_free=2G,ram_free=2G"]),
        (["--gpu", "2"], ["-l", "gpu=2"]),
        (["--fast", "true", "-q", "x.q"], ["-q", "fast.q", "-q", "x.q"]),
    ],
)
def test_options_become_what_the_site_says(argv: list[str], words: list[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("queue.conf").write_text(CONF)

    def submission(*options: str) -> list[str]:
        return scheduler.submission(frontend.parse([*options, "log", "true"]), "queue.conf")

    assert submission(*argv) == ["qsub", "-v", "PATH", "-l", "arch=*64*", *words]
    with pytest.raises(frontend.UsageError, match="--fast false is not described in queue.conf"):
        submission("--fast", "false")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("option mem=* -l x", "x.conf: expected a line 'command"),
        ("command qsub\nopton mem=* x", "x.conf:2: expected 'command …', 'option name=value …' or"),
        ("command qsub 'x", "x.conf:1: No closing quotation"),
    ],
)
def test_wrong_site_configuration(text: str, message: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.conf").write_text(text)
    with pytest.raises(frontend.UsageError, match=re.escape(message)):
        scheduler.submission(frontend.parse(["log", "true"]), "x.conf")


def test_configuration_in_its_standard_place(slurm_runner, repo) -> None:
    (slurm_runner.folder / "conf").mkdir()
    (slurm_runner.folder / "conf/slurm.conf").write_text("command sbatch --from-standard-place\n")
    assert slurm_runner.run("log/a.log", "true").returncode == 0
    options = ("--config", str(repo / "conf/slurm.conf"), "--mem", "1G", "--num-threads", "2")
    assert slurm_runner.run(*options, "log/a.log", "true").returncode == 0
    first, second = (slurm_runner.fake / "submitted").read_text().splitlines()
    assert "--from-standard-place" in first and "1G" in second

"""A site's configuration: what options become, and what is wrong with a file."""

import pytest

from utils.job_runner import site_conf
from utils.job_runner.request import UsageError, parse

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
        (["--fast", "true"], ["-q", "fast.q"]),
        (["-q", "x.q"], ["-q", "x.q"]),
    ],
)
def test_site_configuration(argv: list[str], words: list[str]) -> None:
    conf = site_conf.parse(CONF, "queue.conf")
    assert conf.arguments(parse([*argv, "log", "true"])) == ["qsub", "-v", "PATH", "-l", "arch=*64*", *words]


def test_option_that_is_not_described() -> None:
    with pytest.raises(UsageError, match="--fast false is not described in queue.conf"):
        site_conf.parse(CONF, "queue.conf").arguments(parse(["--fast", "false", "log", "true"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("option mem=* -l x", "x.conf: expected a line 'command"),
        ("command qsub\nopton mem=* x", "x.conf:2: expected 'command', 'option' or 'default'"),
        ("command qsub\noption mem", "x.conf:2: expected 'option name=value'"),
        ("command qsub 'x", "x.conf:1: No closing quotation"),
    ],
)
def test_wrong_site_configuration(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        site_conf.parse(text, "x.conf")


@pytest.mark.parametrize("name", ["slurm", "queue"])
def test_shipped_configurations(name: str, repo) -> None:
    conf = site_conf.read(str(repo / f"conf/{name}.conf"), "", "")
    words = conf.arguments(parse(["--mem", "1G", "--num-threads", "2", "--gpu", "1", "log", "true"]))
    assert words[0] == {"slurm": "sbatch", "queue": "qsub"}[name]
    assert any("1G" in word for word in words)


def test_configuration_in_its_standard_place(slurm_runner) -> None:
    (slurm_runner.folder / "conf").mkdir()
    (slurm_runner.folder / "conf/slurm.conf").write_text("command sbatch --from-standard-place\n")
    (slurm_runner.folder / "mine.conf").write_text("command sbatch --from-mine\n")
    assert slurm_runner.run("log/a.log", "true").returncode == 0
    assert slurm_runner.run("--config", "mine.conf", "log/a.log", "true").returncode == 0
    first, second = (slurm_runner.fake / "submitted").read_text().splitlines()
    assert "--from-standard-place" in first
    assert "--from-mine" in second

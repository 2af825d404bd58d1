#!/usr/bin/env -S python3 -S
r"""Run a command unless it was run before on the same inputs with the same code.

The stamp, removed first and written last, records the command line and, by content, every input, every
output and the recipe's own code behind the command: if all of that still holds, nothing is run. Inputs are
also the configuration files that the command line names (after --config or --*-config) and the files that
these name; an ``*.scp`` stands for the files that it points to as well. Options that cannot change a result
(--nj, --cmd, --use-gpu, …) do not count, nor does the job runner that --cmd names.

Command line, inputs and code make a key, which the command finds as ONCE_KEY in its environment and in place
of each argument ONCE_KEY: what it keeps between interrupted runs is valid under the same key only. While it
runs it has a lock, <stamp>.lock; another run is refused with status 75, or waits (--wait true).

e.g. utils/once.py --cmd utils/run.py --in x --out y .done/y -- log/y.log local/make_y.py --key ONCE_KEY x y
"""

import re  # no package from elsewhere: without these (-S) Python starts faster
import shlex
from pathlib import Path

from utils import atomic, cli, plan, stamp


def parse(words: list[str]) -> stamp.Work:
    """Return what the command line asks for; not by argparse, which takes as long as all the rest."""
    given: dict[str, list[str]] = {"--in": [], "--out": [], "--cmd": [""], "--wait": ["false"]}
    rest = list(words)
    while len(rest) > 1 and (option := rest[0].partition("="))[0] in given:
        given[option[0]].append(option[2] if option[1] else rest[1])
        del rest[: 1 if option[1] else 2]
    command, runner = rest[2:], shlex.split(given["--cmd"][-1])
    if runner:  # JOB=1:N and the log stand before the command
        length = 2 if command and re.fullmatch(r"\w+=\d+(:\d+)?", command[0]) else 1
        runner, command = runner + command[:length], command[length:]
    if not command or rest[1] != "--" or rest[0].startswith("-"):
        usage = "[--in FILE] [--out FILE] [--cmd RUNNER] [--wait true] <stamp> -- [[JOB=1:N] <log>] <command>"
        raise cli.UsageError(f"expected {usage}, got {shlex.join(words)}")
    wait = given["--wait"][-1] == "true"
    return stamp.Work(Path(rest[0]), runner, command, given["--in"], given["--out"], wait)


def main(argv: list[str]) -> int:
    """Run the program."""
    work = parse(argv)
    old = stamp.read(work.stamp)
    new = stamp.describe(work, old)
    reasons = stamp.differences(old, new)
    if plan.DRY_RUN:
        plan.foresee(work.stamp, work.command, new["inputs"], work.outputs, reasons)
        return 0
    if absent := stamp.missing(new["inputs"]):
        raise cli.UserError(f"{work.stamp}: the input '{absent}' does not exist; run the stage that makes it")
    if stale := stamp.outdated(work):
        raise cli.UserError(f"{work.stamp}: {stale}; run the stage that makes it")
    if not reasons and old != {**old, **new}:  # copied, or touched: the next run need not read it again
        atomic.write_json(work.stamp, {**old, **new})
    status = stamp.run_locked(work, old, new) if reasons else None
    if status is None:
        plan.log(f"up to date: {work.stamp}")
        plan.note("up to date", work.outputs)
    return status or 0


if __name__ == "__main__":
    cli.run(main, echo=False, tidy=False)

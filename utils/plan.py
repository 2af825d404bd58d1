#!/usr/bin/env python3
"""Say what a dry run of run.sh would do; and what run.sh sums up of each stage, found and made.

once.py notes each piece of work in the file RECIPE_EVENTS; this program sums up a whole dry run. How long
work takes is estimated from the size of its inputs and from the time that the same program with the same
configurations last took here, which its stamp records.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

DRY_RUN = os.environ.get("RECIPE_DRY_RUN") == "true"

Speed = tuple[str, float, float]  # what was done, bytes of its inputs, seconds


def log(text: str) -> None:
    """Write a line to the file RECIPE_LOG; on stderr if there is none, or if RECIPE_VERBOSE is true."""
    if name := os.environ.get("RECIPE_LOG"):
        with Path(name).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{time.strftime('%F %T')} {text}\n")
    if not name or os.environ.get("RECIPE_VERBOSE") == "true":
        print(f"LOG (once.py) {text}", file=sys.stderr, flush=True)


def note(state: str, outputs: Sequence[str], seconds: float | None = None) -> None:
    """Note in RECIPE_EVENTS, by tabs: stage, 'up to date', 'made' or 'to do', time, outputs."""
    if name := os.environ.get("RECIPE_EVENTS"):
        took = "" if seconds is None else str(seconds)
        fields = (os.environ.get("RECIPE_STAGE", ""), state, took, *outputs)
        with Path(name).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\t".join(fields) + "\n")


def events() -> list[list[str]]:
    """Return what has been noted in this run."""
    name = os.environ.get("RECIPE_EVENTS")
    text = Path(name).read_text("utf-8", "surrogateescape") if name else ""
    return [line.split("\t") for line in text.split("\n")[:-1]]


def measure(command: Sequence[str], inputs: Mapping[str, Sequence], seconds: float) -> Speed:
    """Return what a stamp records of the speed: program and configurations, bytes of the inputs, seconds."""
    programs = [Path(word).name for word in command if word.endswith((".py", ".sh"))]
    configs = [Path(word).name for word in command if word.endswith(".conf")]
    size = float(sum(facts[1] for facts in inputs.values() if len(facts) > 1))
    return " ".join([*(programs[:1] or command[:1]), *configs]), size, round(seconds, 3)


def estimate(command: Sequence[str], inputs: Mapping[str, Sequence]) -> float | None:
    """Return the seconds that a command will take; None if its like was never measured here."""
    kind, size, _ = measure(command, inputs, 0)
    found: list[tuple[float, float]] = []
    for path in Path().glob("[!.]*/**/.done/*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            speed = json.loads(path.read_text(encoding="utf-8"))["speed"]
            if speed[0] == kind and speed[1] > 0:
                found.append((path.stat().st_mtime, speed[2] / speed[1]))
    return max(found)[1] * size if found and size else None


def foresee(
    stamp: Path, command: Sequence[str], inputs: Mapping[str, list], outputs: Sequence[str], why: list[str]
) -> None:
    """Note a piece of work in a dry run, and print why it would be done and how long it would take."""
    to_come = {Path(name) for _, state, _, *names in events() if state == "to do" for name in names}
    folders = {path.parent for path in to_come}
    absent = [name for name, facts in inputs.items() if facts[0] == "missing"]
    again = [name for name in inputs if Path(name) in to_come | folders]
    again += [name for name in absent if name not in again and Path(name).parent in folders]
    reasons = [f"there is no {name}" for name in absent if name not in again]
    reasons += [f"{name} is made before it" for name in again] + why
    if not reasons:
        note("up to date", outputs)
        return
    seconds = None if absent else estimate(command, inputs)
    note("to do", outputs, seconds)
    time_ = "time unknown" if seconds is None else f"about {timedelta(seconds=round(seconds))}"
    print(f"  {stamp.parent.parent} {stamp.name}: {reasons[0]}; {time_}", flush=True)


def total() -> str:
    """Say of a whole dry run how long it will take."""
    rows = events()
    times = [seconds for _, state, seconds, *_ in rows if state == "to do"]
    known = timedelta(seconds=round(sum(float(seconds) for seconds in times if seconds)))
    return (
        f"{len(times)} of {len(rows)} pieces of work are to be done; about {known} one after the other, by"
        f" the speed last measured here; of {times.count('')} it is unknown, or inputs are still to be made"
    )


if __name__ == "__main__":
    print(total(), file=sys.stderr)

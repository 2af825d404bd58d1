#!/usr/bin/env python3
"""Say what a stage of run.sh found up to date and what it made, or in a dry run what it would make.

once.py notes each piece of work in the file RECIPE_EVENTS, with the stage RECIPE_STAGE; this program sums up
one stage, or with --total a whole dry run. How long work takes is estimated from the size of its inputs and
from the time that the same program with the same configurations last took here, which its stamp records.

e.g. RECIPE_EVENTS=/tmp/events RECIPE_STAGE=5 utils/plan.py
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

DRY_RUN = os.environ.get("RECIPE_DRY_RUN") == "true"
SHOWN = 4

Speed = tuple[str, float, float]  # what was done, bytes of its inputs, seconds


def log(text: str) -> None:
    """Write a line to the file RECIPE_LOG; on stderr if there is none, or if RECIPE_VERBOSE is true."""
    if name := os.environ.get("RECIPE_LOG"):
        with Path(name).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{time.strftime('%F %T')} {text}\n")
    if not name or os.environ.get("RECIPE_VERBOSE") == "true":
        print(f"LOG (once.py) {text}", file=sys.stderr, flush=True)


def note(state: str, stamp: Path, outputs: Sequence[str], seconds: float | None = None) -> None:
    """Add a piece of work to RECIPE_EVENTS: 'up to date', 'made' or 'to do'."""
    if name := os.environ.get("RECIPE_EVENTS"):
        event = {"state": state, "stamp": str(stamp), "outputs": [*outputs], "seconds": seconds}
        event["stage"] = os.environ.get("RECIPE_STAGE", "")
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def events() -> list[dict]:
    """Return what has been noted in this run."""
    name = os.environ.get("RECIPE_EVENTS")
    return [json.loads(line) for line in Path(name).read_text("utf-8").split("\n") if line] if name else []


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


def duration(seconds: float) -> str:
    """Return seconds in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def foresee(
    stamp: Path, command: Sequence[str], inputs: Mapping[str, list], outputs: Sequence[str], why: list[str]
) -> None:
    """Note a piece of work in a dry run, and print why it would be done and how long it would take."""
    to_come = {Path(name) for event in events() if event["state"] == "to do" for name in event["outputs"]}
    folders = {path.parent for path in to_come}
    absent = [name for name, facts in inputs.items() if facts[0] == "missing"]
    again = [name for name in inputs if Path(name) in to_come | folders]
    again += [name for name in absent if name not in again and Path(name).parent in folders]
    reasons = [f"there is no {name}" for name in absent if name not in again]
    reasons += [f"{name} is made before it" for name in again]
    reasons += why
    if not reasons:
        note("up to date", stamp, outputs)
        return
    seconds = None if absent else estimate(command, inputs)
    note("to do", stamp, outputs, seconds)
    time_ = f"about {duration(seconds)}" if seconds is not None else "time unknown"
    print(f"  {stamp.parent.parent} {stamp.name}: {reasons[0]}; {time_}", flush=True)


def summary(rows: Sequence[dict]) -> str:
    """Say of the rows of one stage what was up to date and what was made."""
    found = sum(row["state"] == "up to date" for row in rows)
    made = [row["outputs"][0] for row in rows if row["state"] == "made" and row["outputs"]]
    number = f"all {found}" if found == len(rows) > 1 else f"{found} of {len(rows)}"
    texts = [f"  {number} pieces of work are up to date"] if found else []
    if made:
        more = f" and {len(made) - SHOWN} more" if len(made) > SHOWN else ""
        texts.append(f"  made {', '.join(made[:SHOWN])}{more}")
    return "\n".join(texts)


def total(rows: Sequence[dict]) -> str:
    """Say of all rows of a dry run how long they will take."""
    times = [row["seconds"] for row in rows if row["state"] == "to do"]
    if not times:
        return "Nothing is to be done."
    known = [seconds for seconds in times if seconds is not None]
    text = f"{len(times)} of {len(rows)} pieces of work are to be done"
    if known:
        text += f"; about {duration(sum(known))} one after the other, by the speed last measured here"
    if unknown := len(times) - len(known):
        text += f"; {unknown} were never measured here, or their inputs are still to be made"
    return text


if __name__ == "__main__":
    done, here = events(), os.environ.get("RECIPE_STAGE", "")
    said = total(done) if "--total" in sys.argv else summary([row for row in done if row["stage"] == here])
    if said:
        print(said, file=sys.stderr)

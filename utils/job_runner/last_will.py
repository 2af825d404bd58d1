#!/usr/bin/env python3
"""Wait for a runner's end and cancel its jobs if it did not end in order.

Reads lines from stdin: each is a JSON list, the command to run when the stream ends; the last one
counts, and an empty list means that nothing is left to do. The stream ends when the runner does,
whatever killed it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys


def main() -> int:
    """Read wills until the stream ends, then carry out the last one."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    will: list[str] = []
    for line in sys.stdin:
        will = json.loads(line)
    return subprocess.run(will, check=False).returncode if will else 0


if __name__ == "__main__":
    raise SystemExit(main())

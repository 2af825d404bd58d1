#!/usr/bin/env python3
"""Wait for a runner's end and cancel its jobs if it did not end in order.

Usage: last_will.py <file> <seconds>     (renews the time of the file until then, every so many seconds)

Reads lines from stdin: each is a JSON list, the command to run when the stream ends; the last one
counts, and an empty list means that nothing is left to do. The stream ends when the runner does,
whatever killed it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import NoReturn


def renew(path: str, seconds: float) -> NoReturn:
    """Tell other hosts that the runner lives."""
    while True:
        with contextlib.suppress(OSError):
            os.utime(path)
        time.sleep(seconds)


def main() -> int:
    """Read wills until the stream ends, then carry out the last one."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=renew, args=(sys.argv[1], float(sys.argv[2])), daemon=True).start()
    will: list[str] = []
    for line in sys.stdin:
        will = json.loads(line)
    return subprocess.run(will, check=False).returncode if will else 0


if __name__ == "__main__":
    raise SystemExit(main())

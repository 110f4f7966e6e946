"""Runs a command and prints its seconds and the peak memory of its largest process in MiB, as JSON.

It stands between the command and what measures it: on Linux a process that is started counts the memory of the one
that started it, and this one is small.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main() -> int:
    """Run the command that the arguments are, without its output; return its exit code."""
    start = time.perf_counter()
    code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False).returncode
    seconds = time.perf_counter() - start
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    print(json.dumps({"seconds": seconds, "mib": peak}))
    return code


if __name__ == "__main__":
    sys.exit(main())

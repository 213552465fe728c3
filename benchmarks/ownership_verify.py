"""How long one verification takes as a whole process: ``python -m benchmarks.ownership_verify -- OPTIONS``.

OPTIONS are those of ``spikeport watermark verify``; what is timed is the command as a user runs it, start of Python and
compilation of nothing that a user would not compile included. Prints every run, and the median against the ten seconds
that a verification on two cores may take.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from statistics import median
from time import perf_counter

LIMIT, REPEATS = 10.0, 5


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("options", nargs="+", help="of watermark verify")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "toolkit", "watermark", "verify", *chosen.options, "--json"]
    seconds, verdicts = [], set()
    for _ in range(chosen.repeats + 1):
        start = perf_counter()
        ended = subprocess.run(command, cwd=os.getcwd(), capture_output=True, text=True, check=False)
        seconds.append(perf_counter() - start)
        if ended.returncode > 1:
            sys.exit(ended.stderr)
        verdicts |= {entry["verdict"] for entry in json.loads(ended.stdout)["backends"]}
    warm = seconds[1:]  # the first run fills the file cache
    result = {
        "seconds": [round(s, 2) for s in warm],
        "median_s": round(median(warm), 2),
        "limit_s": LIMIT,
        "cores": os.cpu_count(),
        "verdicts": sorted(verdicts),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

"""Start-up: what importing Bessemer, its help and a run with nothing changed cost, as whole processes.

    .venv/bin/python benchmarks/startup.py

A bare `python -c pass` stands beside them, because it is part of each figure.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights"
RUNS = 11


def median(command: list[str], runs: int = RUNS) -> tuple[float, float, float]:
    """Minimum, median and maximum seconds of a command, after one run that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return min(times[1:]), statistics.median(times[1:]), max(times[1:])


def main() -> None:
    cases = {
        "python -c pass": ([sys.executable, "-c", "pass"], RUNS),
        "import bessemer": ([sys.executable, "-c", "import bessemer"], RUNS),
        "bessemer --help": ([sys.executable, "-m", "bessemer", "--help"], RUNS),
        "bessemer run, nothing changed": (
            [sys.executable, "-m", "bessemer", "run", str(EXAMPLE), "--json"],
            5,
        ),
    }
    print(f"{'seconds':<32} {'min':>7} {'median':>7} {'max':>7}")
    for name, (command, runs) in cases.items():
        low, mid, high = median(command, runs)
        print(f"{name:<32} {low:>7.3f} {mid:>7.3f} {high:>7.3f}")


if __name__ == "__main__":
    main()

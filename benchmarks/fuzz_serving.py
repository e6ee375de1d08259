"""A million requests that no client means to send, through every dialect: none may fail, crash or leak.

    .venv/bin/python benchmarks/fuzz_serving.py [--inputs 1000000] [--processes 2] [--seed 7]

Each process changes right requests of every dialect (JSON values, protobuf fields, bytes of CSV, Parquet, FlatBuffers,
NumPy and RecordIO, headers, paths) and gives them to the app, without sockets. It fails when an answer is 5xx other
than 501, when an exception comes out, when a process dies, or when memory grows: that of the process after the first
tenth, and what Python's allocator has after the same number of requests again. A seeded part runs with the tests.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

from bessemer.serve.plugins import DIALECTS
from bessemer.testing.dialects import repository
from bessemer.testing.fuzz import Fuzzer, Report

TASKS = ("binary", "multiclass", "regression")
#: How much the process may grow after the first tenth, and Python's allocations from one part to the next, in bytes.
MOST_GROWTH = 48 * 2**20
MOST_TRACED = 256 * 2**10
TRACED = 3000


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def child(inputs: int, seed: int) -> dict[str, Any]:
    """The work of one process: a third of the inputs for each task."""
    faulthandler.enable()
    fuzzers = [Fuzzer(repository(task, dialects=list(DIALECTS)), seed + i) for i, task in enumerate(TASKS)]
    report = Report()
    begun = time.perf_counter()
    warm = 0
    parts = 10
    for part in range(parts):
        for fuzzer in fuzzers:
            report.add(fuzzer.run(inputs // parts // len(fuzzers)))
        if part == 0:
            warm = resident()
        print(f"{report.inputs:,} inputs, {resident() / 2**20:.0f} MB", file=sys.stderr, flush=True)
    seconds, grown = time.perf_counter() - begun, resident() - warm
    traced = traced_growth(fuzzers[0])
    return {
        "inputs": report.inputs,
        "seconds": seconds,
        "statuses": [[path, status, count] for (path, status), count in report.statuses.items()],
        "failures": {reason: repr(each.request)[:2000] for reason, each in report.failures.items()},
        "slowest": [report.slowest[0], repr(report.slowest[1])[:300]],
        "grown": grown,
        "traced": traced,
    }


def traced_growth(fuzzer: Fuzzer) -> list[Any]:
    """How much more Python has allocated after some requests than after as many before them, and where most."""
    tracemalloc.start(5)
    fuzzer.run(TRACED)
    before = tracemalloc.take_snapshot()
    fuzzer.run(TRACED)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    ours = [tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, "<frozen *>")]
    stats = after.filter_traces(ours).compare_to(before.filter_traces(ours), "lineno")
    grown = sum(each.size_diff for each in stats)
    return [grown, [f"{each.size_diff:+,} bytes at {each.traceback}" for each in stats[:5]]]


def faults(results: list[dict[str, Any]]) -> list[str]:
    """What is wrong, a line each."""
    found: list[str] = []
    for i, each in enumerate(results):
        found += [f"{reason}\n    {request}" for reason, request in each["failures"].items()]
        if each["grown"] > MOST_GROWTH:
            found.append(f"process {i} grew by {each['grown'] / 2**20:.1f} MB")
        if each["traced"][0] > MOST_TRACED:
            found.append(f"process {i}: Python's allocations grew: {each['traced']}")
    return found


def show(results: list[dict[str, Any]]) -> None:
    statuses: Counter[int] = Counter()
    places: dict[str, Counter[int]] = {}
    for each in results:
        for path, status, count in each["statuses"]:
            statuses[status] += count
            places.setdefault(path, Counter())[status] += count
    inputs = sum(each["inputs"] for each in results)
    seconds = max(each["seconds"] for each in results)
    print(f"{inputs:,} inputs in {seconds:.0f} s: {inputs / seconds:,.0f} a second")
    print("by status:", dict(sorted(statuses.items())))
    for path, counts in sorted(places.items(), key=lambda item: -item[1].total())[:60]:
        print(f"  {path:75} {dict(sorted(counts.items()))}")
    for each in results:
        print(
            f"grew by {each['grown'] / 2**20:.1f} MB; traced {each['traced'][0]:+,} bytes",
            each["traced"][1][:2],
        )
        print(f"slowest {each['slowest'][0]:.3f} s: {each['slowest'][1]}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.inputs, asked.seed)))
        return 0
    each = asked.inputs // asked.processes
    command = [sys.executable, __file__, "--child", "--inputs", str(each), "--seed"]
    running = [
        subprocess.Popen([*command, str(asked.seed + 100 * i)], stdout=subprocess.PIPE, text=True)
        for i in range(asked.processes)
    ]
    outputs = [process.communicate()[0] for process in running]
    dead = [f"process {i} ended with {p.returncode}" for i, p in enumerate(running) if p.returncode]
    results = [json.loads(text) for text in outputs if text.strip()]
    show(results)
    found = [*dead, *faults(results)]
    print("\n".join(found) or "no request failed, nothing leaked")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bessemer's server offered several times what it can do: what it takes, what it refuses, and how it comes back.

    .venv/bin/python benchmarks/serving_overload.py [--times 5] [--seconds 60] [--deadline 2s]

A closed loop first finds the capacity for one-row JSON. Then `--times` the capacity is offered at a constant rate over
many connections, whatever the server answers. A request that is due waits while every connection waits for an answer,
and one that still waits at the end is never sent. At the end the server is asked one request after the other until
twenty in a row are answered about as fast as before.

`--deadline` is written as the `timeout` of a project file; with `--options` come further options of the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from peers.machine import machine
from peers.serving import load, tree
from peers.serving.calls import Call
from peers.serving.load import Load
from peers.serving.project import make
from peers.serving.server import Failed, Server

CALM = 20  # so many good answers in a row are a recovery
GIVE_UP = 60.0  # seconds


def main() -> None:
    options = arguments()
    tree.adopt()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BESSEMER_CONFIG_DIR"] = str(Path(scratch) / "config")
        (Path(scratch) / "project").mkdir()
        subject = make(Path(scratch) / "project")
        told = project_file(Path(scratch), options.deadline)
        extra = ["--project", str(told), *options.options.split()]
        with Server("bessemer", subject, Path(scratch) / "server", extra) as server:
            figures = overload(server, server.call(options.form, 1), options)
    figures |= {"deadline": options.deadline, "options": options.options, "machine": machine()}
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=float, default=5.0, help="of the capacity")
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--connections", type=int, default=512)
    parser.add_argument("--deadline", default="2s", help="the server's `timeout`")
    parser.add_argument("--form", default="v1", help="of peers.serving.calls.FORMS")
    parser.add_argument("--options", default="", help="of Bessemer's command line, for example '--workers 2'")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    return parser.parse_args()


def project_file(scratch: Path, deadline: str) -> Path:
    """A project file that says how the server is to be; its data is never read."""
    folder = scratch / "settings"
    folder.mkdir()
    found = {"name": "settings", "data": "none.csv", "target": "none", "serve": {"timeout": deadline}}
    (folder / "bessemer.yaml").write_text(yaml.safe_dump(found))
    return folder / "bessemer.yaml"


def overload(server: Server, call: Call, options: argparse.Namespace) -> dict[str, Any]:
    """Capacity, overload, recovery."""
    load.offer(call, server.place, seconds=2, connections=32)
    calm = load.offer(call, server.place, seconds=5, connections=32)
    capacity = calm.requests / calm.seconds
    usual, before = alone(server, call), tree.memory()
    cpu = tree.cpu()
    done = load.offer(
        call,
        server.place,
        seconds=options.seconds,
        connections=options.connections,
        rate=options.times * capacity,
    )
    recovered = recovery(server, call, usual, done.detail["stopped"])
    cpu, after = tree.cpu() - cpu, tree.memory()
    return {
        "capacity": capacity, "calm_p99": calm.p99, "offered": options.times * capacity, "usual_ms": usual * 1e3,
        "rss_before": before[0], "rss_after": after[0], "pss_before": before[1], "pss_after": after[1],
        "cpu_us_per_answer": cpu / max(1, done.requests) * 1e6, "recovery_s": recovered, **counted(done),
    }  # fmt: skip


def counted(done: Load) -> dict[str, Any]:
    """What became of the requests."""
    said = done.detail
    due, refused = said["due"], said["refused"]["count"]
    return {
        "due": due, "sent": said["sent"], "accepted": done.requests,
        "accepted_per_second": done.requests / done.seconds,
        "refused": refused, "refused_with_retry_after": said["retry_after"], "broken": said["broken"],
        "unanswered": said["unanswered"], "statuses": said["statuses"],
        "accepted_ms": said["ok"], "served_ms": said["served"], "refused_ms": said["refused"],
    }  # fmt: skip


def alone(server: Server, call: Call) -> float:
    """The median time of one request with nothing beside it, in seconds, its connection opened anew each time."""
    times = []
    for _ in range(CALM):
        begin = time.perf_counter()
        server.check(call)
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def recovery(server: Server, call: Call, usual: float, stopped: float) -> float | None:
    """From the end of the flood (on the monotonic clock) to the first of twenty right answers in a row that took less
    than five times the usual, in seconds; None: that did not happen.
    """
    since, row = 0.0, 0
    while time.monotonic() < stopped + GIVE_UP:
        begin = time.monotonic()
        try:
            server.check(call)
            good = time.monotonic() - begin < 5 * usual
        except (OSError, Failed):
            good = False
        if good and not row:
            since = begin - stopped
        row = row + 1 if good else 0
        if row == CALM:
            return since
        if not good:
            time.sleep(0.01)
    return None


def show(found: dict[str, Any]) -> None:
    due, refused = max(1, found["due"]), max(1, found["refused"])
    ok, no, came = found["accepted_ms"], found["refused_ms"], found["recovery_s"]
    told = found["refused_with_retry_after"] / refused
    lines = {
        "capacity": f"{found['capacity']:,.0f} requests/s in a closed loop (p99 {found['calm_p99']:.1f} ms)",
        "offered": f"{found['offered']:,.0f} requests/s; {due:,} due, {found['sent']:,} of them sent",
        "accepted": f"{found['accepted_per_second']:,.0f} requests/s ({found['accepted'] / due:.1%} of those due)",
        "refused": f"{found['refused'] / due:.1%}, {told:.1%} of them with Retry-After; statuses {found['statuses']}",
        "broken": f"{found['broken']:,}, and {found['unanswered']:,} without an answer",
        "accepted, ms": f"{_times(found['served_ms'])} from when they were sent (deadline {found['deadline']})",
        "": f"{_times(ok)} from when they were due",
        "refused, ms": _times(no),
        "RSS, MB": f"{found['rss_before'] / 1e6:,.0f} before, {found['rss_after'] / 1e6:,.0f} after",
        "recovered": "not within a minute" if came is None else f"after {came:.2f} s",
        "machine": str(found["machine"]),
    }
    print("\n".join(f"{name:<14}{text}" for name, text in lines.items()))


def _times(found: dict[str, Any]) -> str:
    return (
        ", ".join(f"{name} {found[name]:,.1f}" for name in ("p50", "p95", "p99", "max") if name in found)
        or "-"
    )


if __name__ == "__main__":
    main()

"""Bessemer's server and its peers: the same model, the same rows, the same load, one machine.

    .venv/bin/python benchmarks/serving.py --install all
    .venv/bin/python benchmarks/serving.py --json serving.json
    .venv/bin/python benchmarks/serving.py --half          # latency at half of each server's own capacity
    .venv/bin/python benchmarks/serving.py --rate 500      # latency at 500 requests a second

Each server runs in an environment of its own and scores the same 200 trees through onnxruntime with one thread inside
an operator, the way its documentation says. 1,024 different rows are sent in turn. Before a cell is measured one answer
is compared with onnxruntime's own, and answers that fail while it is measured are counted. CPU is user and system time
of the server and all processes it starts, by request that was answered with success. Latencies at a rate count from
when a request was due, not from when it could be sent.

The load comes from wrk, a closed loop; gRPC and rates from a generator in C beside this file (`peers/serving/load.c`).
Both share the machine's cores with the server.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers.machine import machine
from peers.serving import environment, load, tree
from peers.serving.calls import columns
from peers.serving.catalog import PEERS
from peers.serving.project import Subject, make
from peers.serving.report import tables
from peers.serving.scorer import scorer
from peers.serving.server import Failed, Server, speaks_grpc

import bessemer

Row = dict[str, Any]
#: kind of message, rows in it, as the tables call it
CELLS = (
    ("json", 1, "JSON, 1 row"),
    ("json", 64, "JSON, 64 rows"),
    ("binary", 64, "binary tensors, 64 rows"),
    ("grpc", 1, "gRPC, 1 row"),
    ("grpc", 64, "gRPC, 64 rows"),
)


def main() -> None:
    options = arguments()
    if options.install:
        install(chosen(options.install))
        return
    tree.adopt()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BESSEMER_CONFIG_DIR"] = str(
            Path(scratch) / "config"
        )  # a key of its own signs the package
        print("training and packaging the model", flush=True)
        (Path(scratch) / "project").mkdir()
        subject = make(Path(scratch) / "project")
        rows += bare(subject, options.seconds)
        absent = [name for name in chosen(options.servers) if not environment.installed(name)]
        for name in chosen(options.servers):
            if name not in absent:
                for row in server_rows(name, subject, Path(scratch) / name, options):
                    rows.append(row)
                    print(json.dumps({k: v for k, v in row.items() if k != "detail"}), flush=True)
                    keep(rows, options)
    print(f"\n{tables(rows, [title for _, _, title in CELLS])}\n\n{settings(options)}")
    for name in absent:
        print(f"not installed: {name} (python benchmarks/serving.py --install {name})")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", default="all", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--cells", default="all", help="of json-1, json-64, binary-64, grpc-1, grpc-64")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each cell")
    parser.add_argument("--warm", type=float, default=2.0, help="seconds of load before each cell")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; none for a closed loop")
    parser.add_argument(
        "--half", action="store_true", help="also at half of the rate that the closed loop reached"
    )
    parser.add_argument("--own-load", action="store_true", help="the generator in C for HTTP too")
    parser.add_argument("--options", default="", help="of Bessemer's command line, for example '--workers 2'")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument(
        "--install", metavar="SERVERS", help="make the environments of these servers (or all)"
    )
    return parser.parse_args()


def chosen(names: str) -> list[str]:
    """`all`, or names with commas between them."""
    found = list(PEERS) if names == "all" else names.split(",")
    if unknown := [name for name in found if name not in PEERS]:
        sys.exit(f"no {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return found


def install(names: list[str]) -> None:
    """Make their environments; those that cannot be made do not stop the others."""
    failed = [name for name in names if not environment.try_install(name)]
    if failed:
        sys.exit(f"could not be installed: {', '.join(failed)}")


def server_rows(name: str, subject: Subject, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """The cells of one server, in a process of its own; what it does not speak has none."""
    print(f"\n{PEERS[name].title}", flush=True)
    try:
        with Server(name, subject, folder, options.options.split()) as server:
            facts = {
                "server": name,
                "version": environment.version(name),
                "start_s": round(server.started, 2),
            }
            for kind, size, title in CELLS:
                if options.cells != "all" and f"{kind}-{size}" not in options.cells.split(","):
                    continue
                if name == "bessemer" and kind == "grpc" and not speaks_grpc():
                    continue
                for form in PEERS[name].forms(kind):
                    yield from cell(server, form, size, {**facts, "cell": title, "form": form}, options)
    except Failed as error:
        yield {"server": name, "cell": "", "form": "", "error": str(error)}


def cell(server: Server, form: str, size: int, facts: Row, options: argparse.Namespace) -> Iterator[Row]:
    """One cell: the closed loop or the rate that was asked for, and half the rate that the loop reached."""
    call = server.call(form, size)
    try:
        facts = {**facts, "difference": server.check(call)}
    except Failed as error:
        yield {**facts, "error": str(error)}
        return

    def run(seconds: float, rate: float = 0.0) -> load.Load:
        return load.offer(
            call,
            server.place,
            seconds=seconds,
            connections=options.connections,
            rate=rate,
            own=options.own_load,
        )

    run(options.warm, options.rate)
    first = measured(run, options.seconds, options.rate)
    yield {**facts, **first, "rate": options.rate}
    if options.half and first["requests"]:
        rate = first["per_second"] / 2
        yield {**facts, **measured(run, options.seconds, rate), "rate": rate, "half": True}


def measured(run: Callable[[float, float], load.Load], seconds: float, rate: float) -> Row:
    """One run of the load, and what the server's processes used meanwhile."""
    before = tree.cpu()
    done = run(seconds, rate)
    used = tree.cpu() - before
    resident, proportional = tree.memory()
    return {
        **asdict(done),
        "per_second": done.requests / done.seconds,
        "cpu_us": used / done.requests * 1e6 if done.requests else None,
        "rss": resident,
        "pss": proportional,
        "load": os.getloadavg()[0],
    }


def bare(subject: Subject, seconds: float) -> Iterator[Row]:
    """The model call alone, in this process: Bessemer's session from one tensor a column, and plain onnxruntime."""
    session, score = bessemer.load(subject.package).session, scorer(subject.onnx)
    for size in (1, 64):
        parts = [subject.rows[i : i + size] for i in range(0, 512, size)]
        feeds = [columns(part) for part in parts]
        title = f"JSON, {size} row" + "s" * (size > 1)
        found = timed(lambda feed: session.run_feeds(feed, ["prediction"]), feeds, seconds / 4)
        yield {"server": "", "cell": title, "form": "GraphSession.run_feeds", **found}
        yield {
            "server": "",
            "cell": title,
            "form": "onnxruntime, one tensor",
            **timed(score, parts, seconds / 4),
        }


def timed(call: Callable[[Any], Any], given: list[Any], seconds: float) -> Row:
    """A call's CPU time and how often a second it can be made."""
    for each in given:
        call(each)
    count, begin, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < begin + seconds:
        for each in given:
            call(each)
        count += len(given)
    took = time.perf_counter() - begin
    return {"cpu_us": (time.process_time() - cpu) / count * 1e6, "per_second": count / took}


def keep(rows: list[Row], options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps({"settings": settings(options), "rows": rows}, indent=1))


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures stand on."""
    return {
        "connections": options.connections, "seconds": options.seconds, "rate": options.rate,
        "bessemer": options.options, "load": load.names(options.own_load), "machine": machine(),
    }  # fmt: skip


if __name__ == "__main__":
    main()

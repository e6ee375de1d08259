"""Bessemer's AutoML against its peers: the same rows, the same threads, the same budget, several seeds.

    .venv/bin/python benchmarks/automl.py --install all
    .venv/bin/python benchmarks/automl.py --json automl.json

Each tool runs in an environment of its own and in two processes: one reads train.csv, fits and saves, the other loads
what was saved and predicts test.csv. Both are measured from outside, with all processes they start. The metric is
computed here, from the predictions, for every tool by the same lines. Of `train s` a tool says itself how long its fit
took (Bessemer: its train stage); `wall s`, `CPU s` and `peak MB` are of the whole first process, imports included
(Bessemer: every stage up to the signed package). Budgets hold for the tools that take one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from peers import environment, measure, report
from peers.catalog import DATA, TOOLS, Data
from peers.judge import Judge
from peers.machine import machine
from peers.results import Results

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
#: A process is ended after so many budgets and seconds more.
BUDGETS, GRACE = 5, 600


def main() -> None:
    options = arguments()
    if options.install:
        for name in chosen(options.install, TOOLS):
            environment.install(name)
        return
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    settings = {"budget": options.budget, "threads": options.threads, "machine": machine()}
    with tempfile.TemporaryDirectory() as scratch:
        results = Results(options.json or Path(scratch) / "results.json", settings)
        tables, tools = chosen(options.data, DATA), chosen(options.tools, TOOLS)
        redo = chosen(options.redo, TOOLS) if options.redo else []
        missing = [name for name in tools if not environment.installed(name)]
        for data in (DATA[name] for name in tables):
            judge = Judge(data, options.folder / data.name / "test.csv")
            for seed in range(1, options.seeds + 1):
                for name in (name for name in tools if name not in missing):
                    if name in redo or not results.done((data.name, name, seed)):
                        results.add(*compare(data, judge, name, seed, options))
        show(results, tables, tools, missing, options.folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="all", help=f"of {', '.join(DATA)}")
    parser.add_argument("--tools", default="all", help=f"of {', '.join(TOOLS)}")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="keep the runs in this file; those in it are not run again")
    parser.add_argument("--redo", help="tools to run again all the same")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of the tables: NAME/train.csv, NAME/test.csv"
    )
    parser.add_argument("--install", metavar="TOOLS", help="make the environments of these tools (or all)")
    return parser.parse_args()


def chosen(names: str, known: dict[str, Any]) -> list[str]:
    """`all`, or names with commas between them."""
    found = list(known) if names == "all" else names.split(",")
    if unknown := [name for name in found if name not in known]:
        sys.exit(f"no {', '.join(unknown)}; there are {', '.join(known)}")
    return found


def compare(
    data: Data, judge: Judge, name: str, seed: int, options: argparse.Namespace
) -> tuple[dict[str, Any], np.ndarray | None]:
    """One run of one tool: its figures and predictions, or the error it ended with."""
    row: dict[str, Any] = {"data": data.name, "tool": name, "seed": seed, "load": os.getloadavg()[0]}
    print(f"{data.name}, seed {seed}, {name}: ", end="", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        task = {
            "train": str((options.folder / data.name / "train.csv").resolve()),
            "test": str((options.folder / data.name / "test.csv").resolve()),
            "target": data.target, "kind": data.kind, "budget": options.budget, "seed": seed,
            "threads": options.threads, "folder": scratch,
        }  # fmt: skip
        (folder / "task.json").write_text(json.dumps(task))
        try:
            for phase in ("fit", "predict"):
                row[phase] = process(phase, name, folder, options)
            predictions = np.load(folder / "predictions.npy")
            row["metric"] = judge.metric(predictions)
        except (RuntimeError, ValueError) as error:
            row["error"] = str(error)
            print(f"FAILED\n{error}")
            return row, None
    print(f"{data.metric} {row['metric']:.5g}, {row['fit']['wall']:.0f} s, load {row['load']:.1f}")
    return row, predictions


def process(phase: str, name: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One phase in its own process: what it says of itself, and what it used.

    Raises:
        RuntimeError: it failed, or was ended at the limit.
    """
    out, log = folder / f"{phase}.json", folder / f"{phase}.log"
    used = measure.run(
        # -P: the folder it starts in, and so the tools' modules, do not stand before the libraries
        [environment.python(name), "-P", "-m", "peers.runner", phase, TOOLS[name].module, folder / "task.json"],
        env=environment.variables(options.threads, folder), cwd=folder, out=out, log=log,
        limit=BUDGETS * options.budget + GRACE,
    )  # fmt: skip
    if used.status or used.late:
        why = "was ended at the limit" if used.late else f"exit status {used.status}"
        raise RuntimeError(f"{phase} {why}\n{log.read_text(errors='replace')[-2000:]}")
    return {**json.loads(out.read_text()), **asdict(used)}


def show(results: Results, tables: list[str], tools: list[str], missing: list[str], folder: Path) -> None:
    """The tables, what they stand on, and what is not in them."""
    everything: dict[str, list[dict[str, Any]]] = {}
    for name in tables:
        runs = {tool: rows for tool, rows in results.finished(name).items() if tool in tools}
        if runs:
            judge = Judge(DATA[name], folder / name / "test.csv")
            predictions = {tool: [results.predicted(row) for row in rows] for tool, rows in runs.items()}
            print(f"\n{report.table(DATA[name], judge, runs, predictions)}\n\n{report.notes(runs)}")
            everything |= runs
    print(f"\n{results.settings}\n\n{report.versions(everything)}")
    loads = [row["load"] for row in results.rows.values()]
    print(f"\nload average before a run: {min(loads, default=0):.1f} - {max(loads, default=0):.1f}")
    for row in results.rows.values():
        if "error" in row:
            print(
                f"failed: {row['tool']} on {row['data']}, seed {row['seed']}: {row['error'].splitlines()[-1]}"
            )
    for name in missing:
        print(f"not installed: {name} (python benchmarks/automl.py --install {name})")


if __name__ == "__main__":
    main()

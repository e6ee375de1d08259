"""Holding five million rows of twenty columns to forty rules: seconds and memory, beside other tools.

    .venv/bin/python benchmarks/validation.py [--rows 5000000] [--peers pandera pointblank great_expectations]

One Parquet file, one list of rules: ranges, lists of values, patterns, missing and repeated values, and one condition
over columns; one row in 2,000 breaks one of them. Each measurement is a process of its own, and its peak is its own
(Linux). "checks" is reading and counting every rule, which is what the peers do; "set aside" also writes the rows that
break and those that do not; "stage" is the whole validate stage of a run, with the statistics of every column. All have
to count the same rows. The peers are installed into environments of their own when they are not there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from peers import validation
from peers.machine import machine

from bessemer.core.sql import literal
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.validate.contract import read
from bessemer.validate.enforce import Enforcement
from bessemer.validate.judge import opened, subject_of
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import run

INTEGERS, NUMBERS, TEXTS, EVERY = 6, 8, 4, 2_000
LETTERS = [a + b for a in "abcdefgh" for b in "xyz"]


def table(path: Path, rows: int) -> None:
    """Write the file; the planted rows are those whose number is a multiple of `EVERY`, a rule after the other."""

    def planted(place: int, good: str, bad: str) -> str:
        return f"CASE WHEN i % {EVERY} = 0 AND (i // {EVERY}) % 19 = {place} THEN {bad} ELSE {good} END"

    connection = duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    connection.execute("SET threads = 1")
    columns = [f"CAST({planted(0, 'i', 'i - 1')} AS BIGINT) AS id"]
    columns += [f"CAST({planted(1 + k, 'random() * 1000', '-5')} AS BIGINT) AS i{k}" for k in range(INTEGERS)]
    columns += [f"CAST({planted(7 + k, 'random() * 100', '500')} AS DOUBLE) AS d{k}" for k in range(NUMBERS)]
    for k in range(TEXTS):
        listed = "[" + ", ".join(map(literal, LETTERS)) + "]"
        word = f"{listed}[1 + CAST(floor(random() * {len(LETTERS)}) AS INT)]"
        bad = "'Q9'"
        columns.append(f"{planted(15 + k, word, bad)} AS s{k}")
    start = "TIMESTAMP '2024-01-01' + to_seconds(CAST(random() * 3e7 AS BIGINT))"
    columns.append(f"{start} AS t")
    connection.execute(
        f"COPY (SELECT {', '.join(columns)} FROM range({rows}) r(i)) TO {literal(path)} "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    )


def rules() -> Iterator[dict[str, Any]]:
    """Forty of them: name, column, kind and value."""

    def rule(column: str, kind: str, value: Any = None) -> dict[str, Any]:
        return {"name": f"{column}: {kind}", "column": column, "kind": kind, "value": value}

    yield rule("id", "nullable")
    yield rule("id", "unique")
    for k in range(INTEGERS):
        yield from (rule(f"i{k}", "min", 0), rule(f"i{k}", "max", 1000))
    for k in range(NUMBERS):
        yield from (rule(f"d{k}", "min", 0.0), rule(f"d{k}", "max", 100.0))
    for k in range(TEXTS):
        yield from (rule(f"s{k}", "values", LETTERS), rule(f"s{k}", "pattern", "[a-z]{2}"))
    yield rule("t", "nullable")
    yield {"name": "less", "column": "pair", "kind": "less", "columns": ["i0", "limit"]}


def contract(asked: list[dict[str, Any]]) -> str:
    """The rules as ours."""
    kinds = {"i": "integer", "d": "number", "s": "string", "t": "timestamp"}
    columns: dict[str, dict[str, Any]] = {}
    for rule in asked:
        if rule["kind"] == "less":
            continue
        name = rule["column"]
        own = columns.setdefault(name, {"type": kinds[name[0]]})
        own[rule["kind"]] = {"nullable": False, "unique": True}.get(rule["kind"], rule["value"])
    a, b = next(rule["columns"] for rule in asked if rule["kind"] == "less")
    expect = [{"sql": {"condition": f"{a} <= {b}", "name": "less"}}]
    return json.dumps({"columns": columns, "expect": expect})  # JSON is YAML


def ours(path: Path, asked: list[dict[str, Any]], what: str, folder: Path) -> dict[str, Any]:
    """One of our measurements, in this process."""
    (folder / "contract.yaml").write_text(contract(asked))
    (folder / "work").mkdir(exist_ok=True)
    ctx = Context(
        store=Store(folder / "store"), stage="validate", shared={}, seed=7, project_dir=folder,
        workdir=folder / "work", memory=2**30,
    )  # fmt: skip
    described = duckdb.connect().execute(f"DESCRIBE FROM {literal(path)}").fetchall()
    columns = [(row[0], row[1]) for row in described]
    spec = ValidateSpec(quarantine=0.5)
    if what == "stage":
        copy = folder / "raw.parquet"
        copy.write_bytes(path.read_bytes())
        (rows,) = duckdb.connect().execute(f"SELECT count(*) FROM {literal(path)}").fetchall()[0]
        meta = {"rows": rows, "columns": [{"name": n, "dtype": k} for n, k in columns]}
        raw = {"raw": ctx.store.put("raw", {"data.parquet": copy}, meta)}
        started, cpu = time.perf_counter(), time.process_time()
        made = run(spec, raw, ctx)
        used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        by_rule = ctx.store.get(made["quarantine"]).meta["by_rule"]
    else:
        started, cpu = time.perf_counter(), time.process_time()
        connection = ctx.connect()
        parsed = read((folder / "contract.yaml").read_text(), "contract.yaml")
        enforcement = Enforcement(connection, path, columns, parsed, ctx)
        (rows,) = connection.execute(f"SELECT count(*) FROM {enforcement.source}").fetchone()
        expected = opened(spec, parsed, enforcement, ctx)
        outcome = enforcement.count(subject_of(enforcement, expected, rows), expected.on_rows)
        if what == "set aside":
            enforcement.split(outcome, folder / "kept.parquet", folder / "bad.parquet", 0.5)
        used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        by_rule = outcome.by_rule
    status = Path("/proc/self/status").read_text().split()
    peak = int(status[status.index("VmHWM:") + 1]) / 1024
    return {**used, "peak": peak, "broken": by_rule}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--peers", nargs="*", choices=list(validation.TOOLS), default=[])
    parser.add_argument("--one", nargs=3, metavar=("TABLE", "RULES", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        path, asked, what = Path(options.one[0]), json.loads(Path(options.one[1]).read_text()), options.one[2]
        with tempfile.TemporaryDirectory(dir=path.parent) as name:
            print(json.dumps(ours(path, asked, what, Path(name))))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, listed = folder / "table.parquet", folder / "rules.json"
        table(path, options.rows)
        found = list(rules())
        found[-1]["columns"] = ["i0", "i0"]  # holds in every row: what is measured is that it is looked at
        listed.write_text(json.dumps(found))
        print(f"{options.rows:,} rows, {len(found)} rules, {path.stat().st_size / 2**20:,.0f} MB of Parquet")
        print(
            "| | seconds | of ours | peak MB | of ours | rows counted |\n| --- | --- | --- | --- | --- | --- |"
        )
        base = shown(
            "Bessemer, checks", measured([sys.executable, __file__, "--one", path, listed, "checks"])
        )
        for what in ("set aside", "stage"):
            shown(
                f"Bessemer, {what}", measured([sys.executable, __file__, "--one", path, listed, what]), base
            )
        for name in options.peers:
            tool = validation.TOOLS[name]
            shown(tool.title, measured([validation.python(name), "-c", tool.program, path, listed]), base)


def measured(command: list[Any]) -> dict[str, Any]:
    """What a process says of itself; its error where it failed."""
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if ran.returncode:
        return {"error": (ran.stderr.strip().splitlines() or [f"signal {-ran.returncode}"])[-1][:200]}
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def shown(title: str, found: dict[str, Any], base: dict[str, Any] | None = None) -> dict[str, Any]:
    """A line of the table. All that are compared must have counted the same."""
    if "error" in found:
        print(f"| {title} | failed: {found['error']} | | | | |", flush=True)
        return found
    base = base or found
    # of values that repeat, some count all rows and we those after the first: this rule is left out of the comparison
    mine, theirs = ({k: n for k, n in one["broken"].items() if k != "id: unique"} for one in (base, found))
    same = "as ours" if mine == theirs else f"otherwise: {sum(theirs.values()):,}"
    counted = f"{sum(found['broken'].values()):,}" if base is found else same
    times, more = found["seconds"] / base["seconds"], found["peak"] / base["peak"]
    print(
        f"| {title} | {found['seconds']:.1f} | {times:.1f}x | {found['cpu']:.1f} | {found['peak']:.0f} | {more:.1f}x "
        f"| {counted} |",
        flush=True,
    )
    return found


if __name__ == "__main__":
    main()

"""Planted drifts: how often they are found, how late, and how often nothing is found in windows without any.

    .venv/bin/python benchmarks/drift_power.py [--seeds 40] [--unchanged 800] [--peers alibi nannyml evidently]

Fourteen columns: ten numbers (two of them correlated by 0.5), three texts, a boolean. A reference has 50,000 rows;
there are four, and windows take turns. Five changes are planted at once, each in a column of its own (the test of one
column knows nothing of the others), two in windows of their own: a correlation, and an interaction of three columns of
which every two stay independent. A change is found where its own column is named, an interaction where `whole rows`
are. A finding elsewhere names no column that was changed.

Then streams: the third size of each change comes at once, grows over ten windows, or is there in two windows of six.
The delay is the number of the first window in which it is found, of fifteen.

Peers look at the first `--peer-seeds` windows of each kind and at the first reference, one process for all windows.
`alibi` is asked for 1 % a window, the others judge by their own defaults.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers import drift, windows
from peers.machine import machine

from bessemer.core.sql import connect, literal
from bessemer.monitor.check import compared, decide
from bessemer.monitor.plugins import USUAL, parts_read
from bessemer.monitor.reference import Reference
from bessemer.monitor.scan import scan
from bessemer.monitor.tables import opened
from bessemer.profile.columns import sketch_columns
from bessemer.profile.joint import joint_facts
from bessemer.profile.limits import limits

FALSE_ALARM, REFERENCES, REFERENCE_ROWS = 0.01, 4, 50_000
LENGTH = 15
BESIDE = "reconstruction"
PAIR, ROWS = "pair_a × pair_b", "whole rows"


@dataclass(frozen=True)
class Change:
    """family: those that are planted in one window. names: what a right finding may name; peers: the same of peers.

    sizes: from small to large.
    """

    family: str
    what: str
    sizes: tuple[float, ...]
    names: tuple[str, ...]
    peers: tuple[str, ...]


CHANGES = {
    "shift": Change("columns", "by {:g} standard deviations", (0.05, 0.1, 0.2, 0.4), ("moved",), ("moved",)),
    "scale": Change("columns", "x {:g}", (1.05, 1.1, 1.2, 1.4), ("scaled",), ("scaled",)),
    "missing": Change("columns", "2% to {:.1%}", (0.025, 0.03, 0.04, 0.08), ("gappy",), ("gappy",)),
    "rare category": Change("columns", "1% to {:.2%}", (0.0125, 0.015, 0.02, 0.04), ("rare",), ("rare",)),
    "new category": Change("columns", "in {:.2%} of rows", (0.0005, 0.001, 0.003, 0.01), ("new",), ("new",)),
    "correlation": Change("correlation", "0.5 to {:g}", (0.45, 0.4, 0.3, 0.0), (PAIR,), ("pair_a", "pair_b")),
    "interaction": Change(
        "interaction", "of {:g} of rows", (0.2, 0.4, 0.6, 1.0), (ROWS,), ("three_a", "three_b", "three_c")
    ),
}
FAMILIES = ("columns", "correlation", "interaction")
#: What is different in a window of a family, and so no false alarm.
CHANGED = {
    family: {
        name for each in CHANGES.values() if each.family == family for name in (*each.names, *each.peers)
    }
    | {ROWS}
    for family in FAMILIES
}
Sizes = Mapping[str, float]
UNCHANGED: Sizes = {"scale": 1.0, "missing": 0.02, "rare category": 0.01, "correlation": 0.5}


def rows(n: int, seed: Iterable[int], sizes: Sizes) -> pa.Table:
    """sizes: of changes, by name; what is not named is as in the reference."""
    rng = np.random.default_rng([17, *seed])
    said: dict[str, float] = {**dict.fromkeys(CHANGES, 0.0), **UNCHANGED, **sizes}
    normal = rng.normal(size=(9, n))
    rho = said["correlation"]
    three = normal[2:5].copy()
    # of some rows the third sign follows from the other two: every two columns stay independent
    follows = rng.random(n) < said["interaction"]
    three[2] = np.where(follows, np.abs(three[2]) * np.sign(three[0] * three[1]), three[2])
    columns: dict[str, Any] = {
        "moved": rng.normal(size=n) + said["shift"],
        "scaled": rng.normal(size=n) * said["scale"],
        "gappy": np.where(rng.random(n) < said["missing"], np.nan, rng.lognormal(size=n)),
        "pair_a": normal[0],
        "pair_b": rho * normal[0] + np.sqrt(1 - rho**2) * normal[1],
        "three_a": three[0],
        "three_b": three[1],
        "three_c": three[2],
        "skewed": rng.lognormal(size=n),
        "whole": rng.poisson(3.0, size=n).astype(float),
        "rare": np.where(rng.random(n) < said["rare category"], "rare", _levels(rng, 5, n)),
        "new": np.where(rng.random(n) < said["new category"], "new", _levels(rng, 8, n)),
        "many": _levels(rng, 40, n),
        "flag": rng.random(n) < 0.3,
    }
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def _levels(rng: np.random.Generator, k: int, n: int) -> np.ndarray[Any, Any]:
    shares = 1 / (1 + np.arange(k))
    return np.array([f"v{i}" for i in range(k)])[rng.choice(k, n, p=shares / shares.sum())]


def reference_of(folder: Path, seed: int) -> Reference:
    """What the profile stage would make of training rows."""
    path = folder / f"reference-{seed}.parquet"
    table = rows(REFERENCE_ROWS, (0, seed), {})
    pq.write_table(table, path)
    kinds: dict[Any, Any] = {pa.string(): "string", pa.bool_(): "boolean", pa.float64(): "number"}
    dtypes = {field.name: kinds[field.type] for field in table.schema}
    connection = connect(threads=1, memory=2**30, temporary=folder)
    sketches = sketch_columns(connection, path, dtypes, bins=256, categories=100)
    joint, _ = joint_facts(connection, f"read_parquet({literal(path)})", sketches, REFERENCE_ROWS)
    found = limits(
        sketches,
        lambda name: np.random.default_rng(0),
        window=1000,
        false_alarm=FALSE_ALARM,
        groups=10,
    )
    facts = {"format": 1, "false_alarm": FALSE_ALARM, "rows": REFERENCE_ROWS}
    return Reference({**facts, "columns": sketches, "thresholds": found, **joint})


@dataclass(frozen=True)
class Found:
    """names: what findings name, by the usual detectors. beside: whether `reconstruction` would find something, too."""

    names: frozenset[str]
    beside: bool


def look(reference: Reference, table: pa.Table) -> Found:
    """As `bessemer monitor check` does it."""
    detectors = (*USUAL, BESIDE)
    with opened(table) as (connection, relation):
        window = scan(connection, relation, reference, parts_read(detectors))
    tests = compared(reference, window, detectors)
    usual = [test for test in tests if test.detector != BESIDE]
    findings = decide(usual, window.rows, FALSE_ALARM).findings
    beside = any(finding.detector == BESIDE for finding in decide(tests, window.rows, FALSE_ALARM).findings)
    return Found(frozenset(finding.column for finding in findings), beside)


def share(hits: int, of: int) -> str:
    """Of so many, with the exact interval of 95 % (Clopper and Pearson)."""
    from scipy.stats import binomtest

    low, high = binomtest(hits, of).proportion_ci(0.95, "exact")
    return f"{hits / of:.1%} [{low:.1%}, {high:.1%}]"


def others(names: Iterable[str], changed: set[str]) -> list[str]:
    """What is named and does not touch anything that was changed."""
    return [name for name in names if not changed & {name, *name.split(" × ")}]


# single windows ------------------------------------------------------------------------------------------


def planted(size: int, seeds: int) -> Iterator[tuple[str, int, int, pa.Table]]:
    """Windows with changes: family, number of the size, seed, rows."""
    for f, family in enumerate(FAMILIES):
        for k in range(4):
            for seed in range(seeds):
                sizes = {name: each.sizes[k] for name, each in CHANGES.items() if each.family == family}
                yield family, k, seed, rows(size, (1, size, f, k, seed), sizes)


def unchanged(size: int, windows: int) -> Iterator[tuple[int, pa.Table]]:
    return ((seed, rows(size, (2, size, seed), {})) for seed in range(windows))


def power(references: list[Reference], size: int, seeds: int) -> None:
    found: dict[tuple[str, int], list[Found]] = {}
    for family, k, seed, table in planted(size, seeds):
        found.setdefault((family, k), []).append(look(references[seed % REFERENCES], table))
    print(f"\n| windows of {size:,}: change | " + " | ".join(("small", "", "", "large")) + " |")
    print("|" + " --- |" * 5)
    for name, each in CHANGES.items():
        cells = []
        for k in range(4):
            hits = sum(bool(set(each.names) & one.names) for one in found[each.family, k])
            cells.append(f"{each.what.format(each.sizes[k])}: {share(hits, seeds)}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    for family in ("correlation", "interaction"):
        by_rows = [share(sum(ROWS in one.names for one in found[family, k]), seeds) for k in range(4)]
        beside = [share(sum(one.beside for one in found[family, k]), seeds) for k in range(4)]
        print(f"| {family}: `mmd` | " + " | ".join(by_rows) + " |")
        print(f"| {family}: `{BESIDE}` beside | " + " | ".join(beside) + " |")
    wrong = sum(
        bool(others(one.names, CHANGED[family])) for (family, _), many in found.items() for one in many
    )
    print(f"\nwith a finding elsewhere: {share(wrong, 12 * seeds)} of {12 * seeds} changed windows")


def calm(references: list[Reference], size: int, windows: int) -> None:
    said: Counter[str] = Counter()
    alarms = 0
    for seed, table in unchanged(size, windows):
        names = look(references[seed % REFERENCES], table).names
        alarms += bool(names)
        said.update(names)
    print(
        f"\nunchanged windows of {size:,} with a finding: {share(alarms, windows)} of {windows}; {dict(said)}"
    )


# streams -------------------------------------------------------------------------------------------------

#: How much of a change is there in a window.
SHAPES: dict[str, Callable[[int], float]] = {
    "sudden": lambda i: 1.0,
    "gradual": lambda i: min(1.0, (i + 1) / 10),
    "recurring": lambda i: float(i % 6 < 2),
}


def streams(references: list[Reference], size: int, seeds: int) -> None:
    print(f"\n| windows of {size:,}: change | " + " | ".join(SHAPES) + " |")
    print("|" + " --- |" * (1 + len(SHAPES)))
    cells: dict[str, list[str]] = {name: [] for name in CHANGES}
    for shape in SHAPES:
        delays: dict[str, list[float]] = {name: [] for name in CHANGES}
        for family in FAMILIES:
            for seed in range(seeds):
                for name, delay in stream(references[seed % REFERENCES], size, shape, family, seed).items():
                    delays[name].append(delay)
        for name, found in delays.items():
            there = sum(np.isfinite(found))
            median = f"{np.median(found):.3g}" if np.isfinite(np.median(found)) else "-"
            cells[name].append(f"{median} ({there}/{len(found)})")
    for name, each in CHANGES.items():
        print(f"| {name} {each.what.format(each.sizes[2])} | " + " | ".join(cells[name]) + " |", flush=True)


def stream(reference: Reference, size: int, shape: str, family: str, seed: int) -> dict[str, float]:
    """The number of the first window in which each change of a family is found, from 1; infinite where none is."""
    open_ = {name: each for name, each in CHANGES.items() if each.family == family}
    delays = dict.fromkeys(open_, np.inf)
    for i in range(LENGTH):
        if not open_:
            break
        there = SHAPES[shape](i)
        sizes = {
            name: UNCHANGED.get(name, 0.0) + there * (each.sizes[2] - UNCHANGED.get(name, 0.0))
            for name, each in CHANGES.items()
            if each.family == family
        }
        key = (3, size, list(SHAPES).index(shape), FAMILIES.index(family), seed, i)
        names = look(reference, rows(size, key, sizes)).names
        for name in [name for name, each in open_.items() if set(each.names) & names]:
            delays[name] = i + 1.0
            del open_[name]
    return delays


# peers ---------------------------------------------------------------------------------------------------


def peers(folder: Path, names: list[str], size: int, seeds: int, calm_windows: int) -> None:
    """The same windows in the peers' processes, and in ours: the first reference alone."""
    told, reference = folder / f"windows-{size}", folder / "reference-plain.parquet"
    told.mkdir()
    connection = connect(threads=1, memory=2**30, temporary=folder)
    # as old readers take it
    copy = f"COPY (SELECT * FROM read_parquet({literal(folder / 'reference-0.parquet')})) TO {literal(reference)}"
    connection.execute(f"{copy} (FORMAT parquet)")
    keys: dict[str, tuple[str, int]] = {}
    for family, k, seed, table in planted(size, seeds):
        keys[_written(connection, told, f"{family}-{k}-{seed}", table)] = (family, k)
    for seed, table in unchanged(size, calm_windows):
        keys[_written(connection, told, f"unchanged-{seed}", table)] = ("", 0)
    head = " | ".join(f"{name} {each.what.format(each.sizes[2])}" for name, each in CHANGES.items())
    print(f"\n| windows of {size:,} | {head} | alarms in changed windows elsewhere | in unchanged ones |")
    print("|" + " --- |" * (len(CHANGES) + 3))
    for name in names:
        found = _by_peer(name, reference, told)
        if found is not None:
            print(f"| {drift.TOOLS[name].title} | " + " | ".join(summed(found, keys)) + " |", flush=True)


def _written(connection: Any, folder: Path, name: str, table: pa.Table) -> str:
    connection.register("window_rows", table)
    connection.execute(
        f"COPY (SELECT * FROM window_rows) TO {literal(folder / f'{name}.parquet')} (FORMAT parquet)"
    )
    return f"{name}.parquet"


def _by_peer(name: str, reference: Path, told: Path) -> dict[str, list[str]] | None:
    import json

    program = [drift.python(name), "-W", "ignore", "-c", windows.PROGRAMS[name], reference, told]
    done = subprocess.run(
        ["nice", *map(str, program)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        print(f"{drift.TOOLS[name].title} failed:\n{done.stderr[-2000:]}")
        return None
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def summed(found: Mapping[str, list[str]], keys: Mapping[str, tuple[str, int]]) -> list[str]:
    """Of the third size of each change how often it is found; then false alarms."""
    cells = []
    for each in CHANGES.values():
        here = [set(found[file]) for file, key in keys.items() if key == (each.family, 2)]
        cells.append(share(sum(bool(set(each.peers) & names) for names in here), len(here)))
    changed = [others(found[file], CHANGED[key[0]]) for file, key in keys.items() if key[0]]
    same = [found[file] for file, key in keys.items() if not key[0]]
    return [*cells, share(sum(map(bool, changed)), len(changed)), share(sum(map(bool, same)), len(same))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--seeds", type=int, default=40, help="windows of each kind and size")
    parser.add_argument("--unchanged", type=int, default=800, help="windows without a change")
    parser.add_argument("--streams", type=int, default=20, help="streams of each shape; of the first --rows")
    parser.add_argument("--peers", nargs="*", choices=list(windows.PROGRAMS), default=[])
    parser.add_argument("--peer-seeds", type=int, default=10)
    parser.add_argument("--peer-unchanged", type=int, default=100)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        references = [reference_of(folder, seed) for seed in range(REFERENCES)]
        for size in options.rows:
            if options.seeds:
                power(references, size, options.seeds)
            if options.unchanged:
                calm(references, size, options.unchanged)
        if options.streams:
            streams(references, options.rows[0], options.streams)
        for size in options.rows if options.peers else []:
            peers(folder, options.peers, size, options.peer_seeds, options.peer_unchanged)


if __name__ == "__main__":
    main()

"""A package with moments, booleans, texts and derived columns, of which some need all three."""

from __future__ import annotations

import datetime as dt
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.api import Project
from bessemer.package.model import Model, load

#: Derived columns that use arithmetic, texts and the calendar.
DERIVE = {
    "late": "extract(hour from seen) >= 18",
    "minute_share": "extract(minute from seen) / 60.0",
    "since": "date_diff('day', TIMESTAMP '2020-01-01', seen)",
    "rate": "amount / nullif(visits, 0)",
    "capped": "least(greatest(amount, 5), 80)",
    "rest": "visits % 3",
    "north": "case when lower(city) in ('oslo', 'bergen') then 1 else 0 end",
    "grown": "ln(1 + abs(amount))",
}


_WORDS = (
    "late",
    "parcel",
    "broken",
    "kind",
    "never",
    "again",
    "great",
    "slow",
    "refund",
    "lost",
    "happy",
    "door",
)


@cache
def package(kind: str = "derived") -> Path:
    """A classifier of 400 rows: `derived`, where some values are missing, or `words`, whose texts are sentences."""
    import pyarrow.parquet

    folder = Path(tempfile.mkdtemp(prefix=f"bessemer-{kind}-"))
    table, prepare = _derived() if kind == "derived" else _words()
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    text = f"name: {kind}\ndata: rows.parquet\ntarget: Pays €\n{prepare}"
    text += "train: {learner: lightgbm, rounds: 20}\npackage: {ignore_gates: true}\n"
    (folder / "bessemer.yaml").write_text(text, encoding="utf-8")
    run = Project(folder / "bessemer.yaml").run()
    assert run.package is not None
    return Path(run.package)


@cache
def model(kind: str = "derived") -> Model:
    """The same, loaded."""
    return load(package(kind))


def _derived() -> tuple[Any, str]:
    import pyarrow as pa

    rng = np.random.default_rng(7)
    n = 400
    amount, visits = rng.gamma(2, 20, n), rng.integers(0, 9, n)
    moments = [dt.datetime(2019, 11, 3, 4, 5) + dt.timedelta(minutes=int(m)) for m in rng.integers(0, 2e6, n)]
    city = rng.choice(["Oslo", "bergen", "Rome", "Lima", ""], n)
    odds = amount / 40 + (np.array([m.hour for m in moments]) >= 18) + np.isin(city, ["Oslo", "bergen"]) - 2
    table = pa.table(
        {
            "amount": [None if i % 11 == 0 else float(a) for i, a in enumerate(amount)],
            "visits": visits,
            "seen": [None if i % 13 == 0 else m for i, m in enumerate(moments)],
            "city": [c or None for c in city.tolist()],
            "member": [None if i % 17 == 0 else bool(v) for i, v in enumerate(rng.integers(0, 2, n))],
            "Pays €": _drawn(rng, odds),
        }
    )
    derived = "\n".join(f'    {name}: "{sql}"' for name, sql in DERIVE.items())
    return table, f"prepare:\n  derive:\n{derived}\n"


def _words() -> tuple[Any, str]:
    import pyarrow as pa

    rng = np.random.default_rng(8)
    notes = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) for _ in range(400)]
    odds = np.array([("great" in note) + ("happy" in note) - ("lost" in note) for note in notes])
    return pa.table({"note": notes, "weight": rng.normal(size=400), "Pays €": _drawn(rng, odds)}), ""


def _drawn(rng: np.random.Generator, odds: np.ndarray) -> list[str]:
    return ["yes" if y else "no" for y in rng.random(len(odds)) < 1 / (1 + np.exp(-2 * odds))]

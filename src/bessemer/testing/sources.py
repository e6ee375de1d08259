"""What every source must do. Run each check over yours, against the system itself:

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_source(check, my_system, tmp_path):
        check(my_system, tmp_path)

`System` is how the checks put rows into the system. A check raises AssertionError with what is wrong. What is read goes
the way of a project's data: through the acquire stage, to the file that lands.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import BessemerError, DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store

Options = dict[str, Any]
Check = Callable[["System", Path], None]

#: Kinds of values that a system may be without: such columns are left out of what it is asked to keep.
KINDS = ("boolean", "integer", "number", "infinite", "string", "date", "time", "zoned", "decimal", "nested")
#: What no error may show.
SECRET = "correct-horse-battery"  # noqa: S105 - the marked one


class System(Protocol):
    """A real system, and how rows get into it.

    lacks: those of KINDS that it cannot hold, and 'schema change', 'empty', 'credentials', 'interruption' where it
    knows no such thing; 'wide' where numbers have less than 64 bits, 'long' where a text may not have a megabyte,
    'blank' where an empty text is a missing value.
    """

    lacks: frozenset[str]

    def put(self, name: str, table: pa.Table) -> Options:
        """Make `table` (perhaps without rows) the content of something called `name`; gives options that read it."""

    def add(self, name: str, table: pa.Table) -> None:
        """Add rows to it; `table` may have a column more than there was."""

    def missing(self, name: str) -> Options:
        """Options that read something of this name, which is not there."""

    def refused(self, name: str) -> Options:
        """Options that read what `put` made, with a wrong password, which is SECRET."""

    def interrupted(self) -> AbstractContextManager[None]:
        """Within it the system does not answer, or not to the end."""


def read(options: Mapping[str, Any], folder: Path, **acquire: Any) -> pa.Table:
    """What lands of a source: the rows in the order of their column `id`, where they have one."""
    spec = AcquireSpec.model_validate({"sources": {"data": dict(options)}, **acquire})
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    ctx = Context(Store(folder / "store"), "acquire", {}, 7, folder, work, kept=folder / "cache")
    table = pq.read_table(ctx.open(run(spec, {}, ctx)["raw"]).path("data.parquet"))
    return table.sort_by("id") if "id" in table.column_names else table


def _kept(system: System, columns: Mapping[str, tuple[str, pa.Array]]) -> pa.Table:
    arrays = {name: array for name, (kind, array) in columns.items() if system.lacks.isdisjoint(kind.split())}
    return pa.table({"id": pa.array(range(len(next(iter(arrays.values())))), pa.int64()), **arrays})


def _same(found: pa.Table, name: str, expected: list[Any]) -> None:
    if name in found.column_names:
        values = found[name].to_pylist()
        assert values == expected, f"column {name}: {values} is not {expected}"


def check_types(system: System, folder: Path) -> None:
    """Each type lands as the one of the five that it is, with its values; a missing value stays missing."""
    when = [dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), None, dt.datetime(2024, 2, 29, 12, 0, 0, 123_456)]
    texts = ["-" if "blank" in system.lacks else "", None, 'ü "quoted", \\ and\nmore 🙂']
    table = _kept(
        system,
        {
            "flag": ("boolean", pa.array([True, False, None])),
            "whole": ("integer", pa.array([-7, None, 7], pa.int32())),
            "part": ("number", pa.array([None, 0.1, -2.5e-300])),
            "text": ("string", pa.array(texts)),
            "day": ("date", pa.array([dt.date(1900, 1, 1), dt.date(2024, 2, 29), None])),
            "when": ("time", pa.array(when, pa.timestamp("us"))),
        },
    )
    found = read(system.put("types", table), folder)
    _same(found, "flag", [True, False, None])
    _same(found, "whole", [-7, None, 7])
    _same(found, "part", [None, 0.1, -2.5e-300])
    _same(found, "text", texts)
    _same(found, "day", [dt.datetime(1900, 1, 1), dt.datetime(2024, 2, 29), None])
    _same(found, "when", when)
    assert set(table.column_names) <= set(found.column_names), found.column_names
    assert found.num_rows == 3


def check_zones(system: System, folder: Path) -> None:
    """A time with a zone lands as the same moment in UTC, in summer and in winter."""
    if "zoned" in system.lacks:
        return
    moments = [
        dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 1, 12, 0, 0, 1, tzinfo=dt.UTC),
    ]
    table = _kept(system, {"at": ("zoned", pa.array(moments, pa.timestamp("us", "Europe/Berlin")))})
    found = read(system.put("zones", table.append_column("n", pa.array([1, 2]))), folder)
    _same(found, "at", [moment.replace(tzinfo=None) for moment in moments])


def check_decimals(system: System, folder: Path) -> None:
    """A decimal lands as the double nearest to it; without decimal places as the integer itself."""
    if "decimal" in system.lacks:
        return
    values = [Decimal("0.1"), Decimal("-99999999.99"), None]
    whole = [Decimal(2**53 + 1), Decimal(-(10**17)), None]
    table = _kept(
        system,
        {
            "price": ("decimal", pa.array(values, pa.decimal128(18, 2))),
            "count": ("decimal", pa.array(whole, pa.decimal128(18, 0))),
        },
    )
    found = read(system.put("decimals", table), folder)
    _same(found, "price", [0.1, -99999999.99, None])
    _same(found, "count", [2**53 + 1, -(10**17), None])


def check_nested(system: System, folder: Path) -> None:
    """Lists and structs land as JSON text."""
    if "nested" in system.lacks:
        return
    where: list[dict[str, Any]] = [
        {"town": "Köln", "at": [50.9, 6.9]},
        {"town": None, "at": []},
        {"town": "x", "at": [1.5]},
    ]
    kind = pa.struct([("town", pa.string()), ("at", pa.list_(pa.float64()))])
    table = _kept(system, {"place": ("nested", pa.array(where, kind)), "n": ("integer", pa.array([1, 2, 3]))})
    found = read(system.put("nested", table), folder)
    values = [json.loads(text) for text in found["place"].to_pylist()]
    for got, wanted in zip(values, where, strict=True):
        assert got.get("town") == wanted["town"], values
        assert (got.get("at") or []) == wanted["at"], values


def check_big_values(system: System, folder: Path) -> None:
    """Values at the ends of their types, and a text of a megabyte."""
    text = "ä" * 2**19
    columns = {
        "whole": ("integer wide", pa.array([-(2**63), 2**63 - 1, 0])),
        "part": ("number wide", pa.array([1.7976931348623157e308, 5e-324, -0.0])),
        "text": ("string long", pa.array([text, "b", None])),
        "edge": ("infinite", pa.array([math.inf, -math.inf, 1.0])),
    }
    if all(system.lacks & set(kind.split()) for kind, _ in columns.values()):
        return
    found = read(system.put("big", _kept(system, columns)), folder)
    _same(found, "whole", [-(2**63), 2**63 - 1, 0])
    _same(found, "part", [1.7976931348623157e308, 5e-324, -0.0])
    _same(found, "text", [text, "b", None])
    _same(found, "edge", [math.inf, -math.inf, 1.0])


def check_many_rows(system: System, folder: Path) -> None:
    """More rows than come at once: each is there, once."""
    rows = 25_000
    table = pa.table({"id": pa.array(range(rows)), "half": pa.array([i / 2 for i in range(rows)])})
    found = read(system.put("many", table), folder)
    assert found["id"].to_pylist() == list(range(rows)), (
        f"{found.num_rows} rows, {pc.count_distinct(found['id'])} ids"
    )
    assert pc.sum(found["half"]).as_py() == rows * (rows - 1) / 4


def check_empty(system: System, folder: Path) -> None:
    """Something without rows is an error, and nothing lands."""
    if "empty" in system.lacks:
        return
    options = system.put("empty", pa.table({"id": pa.array([], pa.int64()), "n": pa.array([], pa.float64())}))
    _fails(options, folder)


def check_schema_change(system: System, folder: Path) -> None:
    """A column that came later has no value in the rows before it, and no row is lost."""
    if "schema change" in system.lacks:
        return
    options = system.put("changing", pa.table({"id": [0, 1], "old": ["a", "b"]}))
    system.add("changing", pa.table({"id": [2], "old": ["c"], "new": [1.5]}))
    found = read(options, folder)
    _same(found, "old", ["a", "b", "c"])
    assert found["new"].to_pylist() == [None, None, 1.5]


def check_incremental(system: System, folder: Path) -> None:
    """A source that can be asked for what is new, by a number or a time, gives what reading everything gives.

    Rows with the greatest cursor seen, which come at the border, and later ones are there, each once.
    """
    options = system.put("growing", _grown(system, range(6), [1, 1, 2, 2, 3, 3]))
    source = SOURCES.load(next((kind for kind in SOURCES if kind in options), ""))
    if not hasattr(source, "newer"):
        return
    cursors = [name for name in ("tick", "at") if not (name == "at" and "time" in system.lacks)]
    asked = {name: {**options, "incremental": {"cursor": name}} for name in cursors}
    for name in cursors:
        found = read(asked[name], folder / name)
        assert found["id"].to_pylist() == list(range(6)), f"by {name}: {found['id'].to_pylist()}"
    system.add("growing", _grown(system, range(6, 10), [3, 4, 4, 5]))
    for name in cursors:
        with _afters(source) as afters:
            found = read(asked[name], folder / name)
        assert found["id"].to_pylist() == list(range(10)), f"by {name}: {found['id'].to_pylist()}"
        assert afters, f"by {name}: it was not asked for what is new"
        assert None not in afters, f"by {name}: it was asked for everything again"
        assert found.equals(read(asked[name], folder / f"{name} anew")), f"by {name}: another table than anew"


@contextmanager
def _afters(source: Any) -> Iterator[list[Any]]:
    """The values from which on the source is asked for what is new, within it."""
    newer, found = source.newer, []

    def asked(self: Any, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        found.append(after)
        batches: Iterator[pa.RecordBatch] = newer(self, after, ctx)
        return batches

    source.newer = asked
    try:
        yield found
    finally:
        source.newer = newer


def _grown(system: System, ids: Iterable[int], ticks: list[int]) -> pa.Table:
    at = [dt.datetime(2024, 3, 31, 0, 59, 58, 250_000) + dt.timedelta(seconds=tick) for tick in ticks]
    columns = {"id": pa.array(ids, pa.int64()), "tick": pa.array(ticks, pa.int64())}
    return pa.table(
        columns if "time" in system.lacks else {**columns, "at": pa.array(at, pa.timestamp("us"))}
    )


def check_missing(system: System, folder: Path) -> None:
    """A wrong name is an error that has the name in it."""
    system.put("orders", pa.table({"id": [0, 1], "n": [1, 2]}))
    error = _fails(system.missing("ordrs"), folder)
    assert "ordrs" in str(error), error


def check_refused(system: System, folder: Path) -> None:
    """A wrong password is an error that does not show it."""
    if "credentials" in system.lacks:
        return
    system.put("private", pa.table({"id": [0, 1], "n": [1, 2]}))
    error = _fails(system.refused("private"), folder)
    assert SECRET not in str(error), "the error shows the password"


def check_interruption(system: System, folder: Path) -> None:
    """A system that goes away in the middle is an error, nothing lands, and the next call reads everything."""
    if "interruption" in system.lacks:
        return
    rows = 5_000
    options = system.put("long", pa.table({"id": range(rows), "text": ["x" * 200] * rows}))
    with system.interrupted():
        _fails(options, folder)
    assert read(options, folder).num_rows == rows


def _fails(options: Options, folder: Path) -> BessemerError:
    """The error of reading; it must be one that says what to do, and nothing may have landed."""
    try:
        found = read(options, folder / "fails")
    except BessemerError as error:
        if isinstance(error, DataError) and not (error.fix or error.why):
            raise AssertionError(f"the error says too little: {error}") from error
        landed = Store(folder / "fails" / "store").sweep(set(), dry_run=True)
        assert landed["artifacts"] == 0, f"something landed all the same: {landed['bytes']} bytes"
        return error
    raise AssertionError(f"{found.num_rows} rows were read where nothing should be")


CHECKS: tuple[Check, ...] = (
    check_types,
    check_zones,
    check_decimals,
    check_nested,
    check_big_values,
    check_many_rows,
    check_empty,
    check_schema_change,
    check_incremental,
    check_missing,
    check_refused,
    check_interruption,
)

"""Expectations on real tables: each kind kept and broken, their severities, and all faults of settings."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validate_room import Room

from bessemer.core.errors import ContractError, DataError
from bessemer.validate.accepted import Accepted, read_accepted, sketches, write_accepted
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import fingerprint


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def flights() -> pa.Table:
    start = dt.datetime(2024, 1, 1)
    rows = [
        (1, "JFK", start, start + dt.timedelta(hours=2), False),
        (2, "LGA", start, start - dt.timedelta(hours=1), False),
        (3, "EWR", start, start - dt.timedelta(hours=1), True),
        (4, "XXX", start, None, None),
        (4, "JFK", start, start + dt.timedelta(hours=3), False),
    ]
    names = ["id", "origin", "departs", "arrives", "cancelled"]
    types = [pa.int64(), pa.string(), pa.timestamp("us"), pa.timestamp("us"), pa.bool_()]
    columns = zip(*rows, strict=True)
    return pa.table({n: pa.array(list(c), t) for n, c, t in zip(names, columns, types, strict=True)})


COLUMNS = """columns:
  id: {type: integer}
  origin: {type: string}
  departs: {type: timestamp}
  arrives: {type: timestamp}
  cancelled: {type: boolean}
"""


def reasons(room: Room, expect: str, data: pa.Table | str, columns: str = COLUMNS) -> list[tuple[Any, str]]:
    """The rows that were set aside: the first column, and why."""
    room.contract(f"{columns}expect:\n{expect}")
    out = room.run(data, quarantine=1.0)
    bad = room.table(out["quarantine"], "quarantine")
    first = next(iter(bad))
    return list(zip(bad[first], bad["_rule"], strict=True))


# rows ---------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_condition_over_columns_and_null_keeps_it(room: Room) -> None:
    rule = "arrives >= departs or cancelled"
    assert reasons(room, f'  - sql: "{rule}"\n', flights()) == [(2, f"sql: {rule}")]
    strict = f'  - sql: {{condition: "{rule}", missing_breaks: true, name: order}}\n'
    assert reasons(room, strict, flights()) == [(2, "order"), (4, "order")]


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("ID < 4", [4, 4]),
        ("id < 4 -- not more", [4, 4]),
        ("id < 4;", [4, 4]),
        ('"Cancelled" or id % 2 * 2 = 0', [1]),
        ("regexp_matches(origin, '^[JLE]')", [4]),
        ("case when id = 1 then false else true end", [1]),
        ("departs + interval 90 minutes < arrives or arrives is null", [2, 3]),
        ("id in (1, 2, 3) and length(origin) = 3", [4, 4]),
        ("try(cast(origin as integer)) is null", []),
    ],
)
def test_conditions_mean_what_duckdb_takes_them_to_mean(room: Room, rule: str, broken: list[int]) -> None:
    found = reasons(room, f"  - sql: {{condition: {json.dumps(rule)}, name: it}}\n", flights())
    assert [key for key, _ in found] == broken


def test_what_is_shown_of_a_broken_condition(room: Room) -> None:
    room.contract(COLUMNS + "expect:\n  - sql: {condition: \"id < 3 or origin = 'JFK'\", severity: warn}\n")
    out = room.run(flights())
    (found,) = room.findings(out["quarantine"])
    assert (found["severity"], found["rows"], found["share"]) == ("warn", 2, 0.4)
    assert found["samples"] == ["id=3, origin=EWR", "id=4, origin=XXX"]
    assert room.store.get(out["quarantine"]).meta == {"rows": 0, "by_rule": {}}
    assert "broken by 2 rows (40.0%)" in "".join(room.told)


def test_a_key_of_several_columns(room: Room) -> None:
    table = pa.table(
        {"a": [1, 1, 1, None, None, 2], "b": ["x", "y", "x", "x", "x", "x"], "n": [1, 2, 3, 4, 5, 6]}
    )
    columns = "columns: {a: {type: integer}, b: {type: string}, n: {type: integer}}\n"
    assert reasons(room, "  - unique: [a, b]\n", table, columns) == [(1, "unique: a, b")]
    room.contract(columns + "expect: [{unique: [a, b, n]}]")
    assert room.run(table)


def test_keys_that_stand_in_another_table(room: Room) -> None:
    pq.write_table(pa.table({"code": ["JFK", "LGA", "EWR", None]}), room.folder / "airports.parquet")
    rule = "  - reference: {columns: [origin], file: airports.parquet, to: [code]}\n"
    assert reasons(room, rule, flights()) == [(4, "reference: origin in airports.parquet")]
    (room.folder / "pairs.csv").write_text("id,origin\n1,JFK\n2,LGA\n4,JFK\n")
    two = "  - reference: {columns: [id, origin], file: pairs.csv}\n"
    assert [key for key, _ in reasons(room, two, flights())] == [3, 4]


def test_the_other_table_is_part_of_what_the_stage_reads(room: Room) -> None:
    (room.folder / "codes.csv").write_text("origin\nJFK\n")
    room.contract(COLUMNS + "expect: [{reference: {columns: [origin], file: codes.csv}}]")
    before = fingerprint(ValidateSpec(), room.folder)
    (room.folder / "codes.csv").write_text("origin\nJFK\nLGA\n")
    assert fingerprint(ValidateSpec(), room.folder) != before
    (room.folder / "codes.csv").rename(room.folder / "code.csv")
    with pytest.raises(DataError, match=r"did you mean 'code\.csv'"):
        fingerprint(ValidateSpec(), room.folder)


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("reference: {columns: [origin], file: a.csv, to: [cod]}", "did you mean 'code'"),
        ("reference: {columns: [id], file: a.csv, to: [code]}", "cannot be read as a table of keys"),
    ],
)
def test_a_table_of_keys_that_does_not_fit(room: Room, expect: str, says: str) -> None:
    (room.folder / "a.csv").write_text("code\nJFK\n")
    room.contract(COLUMNS + f"expect: [{{{expect}}}]")
    with pytest.raises(DataError) as caught:
        room.run(flights())
    assert says in str(caught.value)


def test_values_that_grow(room: Room) -> None:
    table = pa.table({"t": [1, 2, 2, None, 1, 5], "s": ["a", "a", "b", "b", "b", "b"]})
    columns = "columns: {t: {type: integer}, s: {type: string}}\n"
    assert reasons(room, "  - increasing: t\n", table, columns) == [(1, "increasing: t")]
    own = "  - increasing: {column: t, within: [s], strict: true}\n"
    assert reasons(room, own, table, columns) == [(1, "increasing: t within s")]
    strict = "  - increasing: {column: t, strict: true}\n"
    assert [key for key, _ in reasons(room, strict, table, columns)] == [2, 1]


def test_one_row_stops_the_run_where_that_is_said(room: Room) -> None:
    room.contract(COLUMNS + 'expect: [{sql: {condition: "id < 4", severity: stop, name: small}}]')
    with pytest.raises(ContractError, match=r"2 of 5 rows \(40.0%\) break the contract; small allows none"):
        room.run(flights(), quarantine=1.0)
    assert pq.read_table(room.folder / "quarantine.parquet")["_rule"].to_pylist() == ["small", "small"]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-3, 3),
            st.none() | st.floats(-2, 2) | st.just(float("inf")),
            st.none() | st.sampled_from(["a", "b", "cc", ""]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_counts_are_those_of_plain_python(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    room = Room(tmp_path_factory.mktemp("room"))
    room.contract(
        "columns:\n"
        "  i: {type: integer, nullable: false, min: -2, max: 2, unique: true}\n"
        "  x: {type: number, min: -1, max: 1.5, finite: true}\n"
        "  s: {type: string, values: [a, b, ''], pattern: '[a-z]?'}\n"
        "expect:\n"
        "  - {unique: [i, s]}\n"
        "  - {sql: 'i <= x'}\n"
        "  - {increasing: i}\n"
        "  - {sql: {condition: 'length(s) = 1', missing_breaks: true, name: one letter}}\n"
    )
    table = pa.table(
        {
            n: pa.array([row[k] for row in rows], t)
            for k, (n, t) in enumerate([("i", pa.int64()), ("x", pa.float64()), ("s", pa.string())])
        }
    )
    expected = [set(_broken(rows, at)) for at in range(len(rows))]
    if all(expected):
        with pytest.raises(ContractError, match="no row keeps the contract"):
            room.run(table, quarantine=1.0)
        return
    out = room.run(table, quarantine=1.0)
    bad = room.table(out["quarantine"], "quarantine")
    assert [set(text.split("; ")) for text in bad["_rule"]] == [found for found in expected if found]
    assert room.table(out["data"])["i"] == [
        row[0] for row, found in zip(rows, expected, strict=True) if not found
    ]
    counts: dict[str, int] = {}
    for found in expected:
        for name in found:
            counts[name] = counts.get(name, 0) + 1
    assert room.store.get(out["quarantine"]).meta["by_rule"] == counts


def _broken(rows: list[Any], at: int) -> Any:
    """The rules that a row breaks, said again in Python."""
    i, x, s = rows[at]
    earlier = rows[:at]
    known = [row[0] for row in earlier if row[0] is not None]
    if i is None:
        yield "i: nullable"
    else:
        if i < -2:
            yield "i: min"
        if i > 2:
            yield "i: max"
        if i in known:
            yield "i: unique"
        if known and i < known[-1]:
            yield "increasing: i"
        if s is not None and (i, s) in [(row[0], row[2]) for row in earlier]:
            yield "unique: i, s"
        if x is not None and i > x:
            yield "sql: i <= x"
    if x is not None and x == float("inf"):
        yield "x: finite"
    elif x is not None:
        if x < -1:
            yield "x: min"
        if x > 1.5:
            yield "x: max"
    if s is not None and s not in ("a", "b", ""):
        yield "s: values"
    if s == "cc":
        yield "s: pattern"
    if s is None or len(s) != 1:
        yield "one letter"


# the data as a whole ---------------------------------------------------------------------------------------
def stopped(room: Room, expect: str, data: str, columns: str = "columns: {}") -> str:
    room.contract(f"{columns}\nexpect: [{expect}]")
    with pytest.raises(ContractError) as caught:
        room.run(data)
    return str(caught.value)


NUMBERS = "SELECT i AS n, i % 3 AS k FROM (VALUES (1::BIGINT), (2), (4), (9)) v(i)"


def test_numbers_without_one_left_out(room: Room) -> None:
    assert "n: after 2 comes 4 and 1 more" in stopped(room, "no_gaps: n", NUMBERS)
    room.contract("columns: {}\nexpect: [{no_gaps: {column: n, severity: warn}}]")
    assert room.run(NUMBERS)
    assert "contract: n: after 2 comes 4 and 1 more" in room.told


def test_ages_by_where_rows_are_from(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(dt.datetime(2020, 1, 6, tzinfo=dt.UTC).timestamp())))
    data = (
        "SELECT * FROM (VALUES (TIMESTAMP '2020-01-05', 'a'), (TIMESTAMP '2020-01-01', 'b'), "
        "(TIMESTAMP '2020-01-02', 'b'), (TIMESTAMP '2020-01-09', 'c')) v(t, shop)"
    )
    room.contract("columns: {}\nexpect: [{freshness: {column: t, within: 3d}}]")
    assert room.run(data)
    by = stopped(room, "freshness: {column: t, within: 3d, by: shop}", data)
    assert "t: of shop 'b': the newest is of 2020-01-02T00:00:00, 4.0 days old" in by
    ahead = stopped(room, "freshness: {column: t, within: 9d, ahead: 1d, by: shop}", data)
    assert "of shop 'c': the newest is of 2020-01-09T00:00:00, 3.0 days ahead" in ahead
    assert "is for times" in stopped(room, "freshness: {column: shop, within: 3d}", data)


def accept(room: Room, data: str) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE d AS {data}")
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE d").fetchall()}
    rows = int(connection.execute("SELECT count(*) FROM d").fetchall()[0][0])
    made = Accepted("0" * 64, "2024-01-01T00:00:00+00:00", "a", rows, sketches(connection, "d", types, rows))
    write_accepted(room.folder / "contract.accepted.json", made)
    assert read_accepted(room.folder / "contract.accepted.json") == made


@pytest.mark.slow
def test_how_many_rows_against_the_accepted_snapshot(room: Room) -> None:
    room.contract("columns: {}\nexpect: [{row_count: 20%}]")
    many = "SELECT i AS a, i AS b FROM range({n}) r(i)"
    room.run(many.format(n=100))
    assert "no snapshot has been accepted yet" in "".join(room.told)
    accept(room, many.format(n=100))
    for n in (80, 120):
        room.run(many.format(n=n))
    for n, change in ((79, "-21.0%"), (121, "+21.0%")):
        with pytest.raises(ContractError, match=f"{n} rows, .{change[1:]} against the 100 accepted"):
            room.run(many.format(n=n))
    room.contract("columns: {}\nexpect: [{row_count: {min: 5, max: 9}}]")
    for n in (4, 10):
        with pytest.raises(ContractError, match=f"{n} rows, the contract says at"):
            room.run(many.format(n=n))


SHAPES = (
    "SELECT i AS id, ((i * 2654435761) % 1000 + {shift})::DOUBLE AS x, chr(97 + ((i * 40503) % {letters})::INT) AS s, "
    "i % 2 = 0 AS b, CASE WHEN (i * 7919) % 100 >= {missing} THEN 1.5 END AS m, "
    "repeat('y', (i % 70)::INT) || i AS long FROM range({first}, {last}) r(i)"
)
SAME = {"shift": 0, "letters": 4, "missing": 10, "first": 0, "last": 4000}


@pytest.mark.parametrize("by", ["psi", "ks", "js"])
def test_columns_that_are_distributed_otherwise_are_told_of(room: Room, by: str) -> None:
    accept(room, SHAPES.format(**SAME))
    room.contract(
        f"columns: {{id: {{type: integer, unique: true}}}}\nexpect: [{{distribution: {{by: {by}}}}}]"
    )
    out = room.run(SHAPES.format(**{**SAME, "first": 4000, "last": 6000}))
    assert {f["rule"] for f in room.findings(out["quarantine"])} == {"added"}
    moved = {"shift": 400, "letters": 2, "missing": 40, "first": 4000, "last": 6000}
    out = room.run(SHAPES.format(**moved))
    found = [f for f in room.findings(out["quarantine"]) if f["rule"] == "distribution"]
    assert {f["column"] for f in found} == {"x", "s", "m"}
    assert {f["severity"] for f in found} == {"warn"}
    assert all(f["says"].startswith(by) for f in found)


@pytest.mark.slow
def test_chance_is_no_alarm(room: Room) -> None:
    """Few rows differ a lot by chance alone; the limit knows how many there are."""
    import numpy as np

    rng = np.random.default_rng(3)
    rows = "SELECT i AS n, i % 2 = 0 AS b FROM range(2000) r(i)"
    accept(room, rows)
    room.contract("columns: {}\nexpect: [{distribution: {above: 0, false_alarm: 0.05}}]")
    alarms = 0
    for _ in range(40):
        drawn = rng.integers(0, 2000, 60)
        values = ", ".join(f"({n}::BIGINT, {n % 2 == 0})" for n in drawn)
        out = room.run(f"SELECT * FROM (VALUES {values}) v(n, b)")
        alarms += any(f["rule"] == "distribution" for f in room.findings(out["quarantine"]))
    assert alarms <= 7  # of 40 with a chance of 5 %: more than 7 happens once in 500 times


def test_named_columns_must_have_been_accepted(room: Room) -> None:
    accept(room, "SELECT 1::BIGINT AS n, 2::BIGINT AS k")
    assert "no column 'z'" in stopped(
        room, "distribution: [z]", "SELECT 1::BIGINT AS z, 2::BIGINT AS k, 3::BIGINT AS n"
    )


def test_a_damaged_record_of_what_was_accepted(room: Room) -> None:
    room.contract("columns: {}\nexpect: [distribution]")
    for text in ("{", "[]", '{"format": 7}', '{"format": 1, "raw": "x"}'):
        (room.folder / "contract.accepted.json").write_text(text)
        with pytest.raises(DataError, match="is not a record of an accepted snapshot"):
            room.run(NUMBERS)


# how columns may change -------------------------------------------------------------------------------------
CHANGES = "columns: {a: {type: number}, b: {type: integer}}\nchanges: "


@pytest.mark.parametrize(
    ("changes", "data", "says"),
    [
        ("{added: stop}", "1::DOUBLE AS a, 1::BIGINT AS b, 2::BIGINT AS c", "c: not in the contract"),
        ("{removed: stop}", "1::DOUBLE AS a, 1::BIGINT AS c", "b: missing"),
        ("{widened: stop}", "1::BIGINT AS a, 1::BIGINT AS b", "a: integer, the contract says number"),
        ("{fixed: [a]}", "1::BIGINT AS a, 1::BIGINT AS b", "a: integer, the contract says number"),
        ("{removed: allow, fixed: [b]}", "1::DOUBLE AS a, 1::BIGINT AS c", "b: missing"),
        (
            "{removed: allow, widened: allow}",
            "'x' AS a, 1::BIGINT AS b",
            "a: string, the contract says number",
        ),
    ],
)
def test_changes_that_stop(room: Room, changes: str, data: str, says: str) -> None:
    room.contract(CHANGES + changes)
    with pytest.raises(ContractError) as caught:
        room.run(f"SELECT {data}")
    assert says in caught.value.why


def test_changes_that_are_told_or_not(room: Room) -> None:
    room.contract(CHANGES + "{added: allow, removed: warn, widened: warn}")
    out = room.run("SELECT 1::BIGINT AS a, 2::BIGINT AS c")
    assert room.table(out["data"]) == {"a": [1.0], "c": [2]}
    rules = [(f["rule"], f["column"], f["severity"]) for f in room.findings(out["quarantine"])]
    assert rules == [("type", "a", "warn"), ("removed", "b", "warn")]


# the settings ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("uniq: [a]", "did you mean 'unique'"),
        ("{unique: [a], sql: b}", "is not an expectation"),
        ("unique: {column: a}", "settings of unique"),
        ("sql: 'a >'", "is not SQL"),
        ("sql: 'a > 1; drop table x'", "is not one condition"),
        ("sql: 'select 1'", "is not one condition"),
        ("sql: 'a in (select 1)'", "has a query in it"),
        ("sql: 'sum(a) > 1'", "is not about one row"),
        ("sql: 'lag(a) over () < a'", "is not about one row"),
        ("sql: 'a < now()'", "depends on when it is asked"),
        ("sql: 'a < current_date'", "depends on when it is asked"),
        ("sql: 'random() < a'", "depends on when it is asked"),
        ("sql: 'age(a) > interval 18 years'", "depends on when it is asked"),
        ("sql: 'a < txid_current()'", "depends on when it is asked"),
        ("reference: {columns: [a], file: x.txt}", "is none of .parquet"),
        ("reference: {columns: [a], file: x.csv, to: [b, c]}", "`to` has 2 columns"),
        ("row_count: {}", "nothing is asked"),
        ("freshness: a", "are not settings of freshness"),
        ("distribution: {by: chi}", "settings of distribution"),
        ("no_gaps: {column: a, severity: quarantine}", "settings of no_gaps"),
        ("personal: 7", "settings of personal"),
    ],
)
def test_faults_of_settings_have_their_line(room: Room, entry: str, says: str) -> None:
    room.contract(f"columns:\n  a: {{type: integer}}\nexpect:\n  - {entry}\n")
    with pytest.raises(ContractError) as caught:
        room.run("SELECT 1::BIGINT AS a, 2::BIGINT AS b")
    assert says in caught.value.why
    assert "line 4: expect.0" in caught.value.why


def test_two_of_one_name(room: Room) -> None:
    room.contract("columns: {}\nexpect: [{unique: [a]}, {unique: [a]}]")
    with pytest.raises(ContractError, match="two expectations are called 'unique: a'"):
        room.run("SELECT 1::BIGINT AS a, 2::BIGINT AS b")


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("sql: 'c > 1'", "there is 'a'|missing, and 'sql: c > 1' is about it"),
        ("unique: [aa]", "there is 'a'|missing"),
        ("sql: 'a + 1'", "is no condition: it gives BIGINT"),
        ("sql: \"a > 'x'\"", "does not run|Could not convert"),
        ('sql: "nosuch(a) = 1"', "does not run"),
        ("no_gaps: s", "is for whole numbers"),
    ],
)
def test_expectations_that_do_not_fit_the_data(room: Room, expect: str, says: str) -> None:
    room.contract(f"columns: {{a: {{type: integer}}}}\nexpect: [{{{expect}}}]")
    with pytest.raises(DataError, match=says):
        room.run("SELECT 1::BIGINT AS a, 'x' AS s")


def test_the_page_of_expectations_has_every_one_with_every_setting() -> None:
    from bessemer.validate.plugins import EXPECTATIONS

    text = (Path(__file__).resolve().parents[2] / "docs" / "expectations.md").read_text("utf-8")
    for name in EXPECTATIONS:
        missing = [each for each in EXPECTATIONS.load(name).Settings.model_fields if f"`{each}" not in text]
        assert f"`{name}`" in text
        assert not missing, f"docs/expectations.md does not name {missing} of {name}"


def test_counts_over_many_rows_are_those_over_few(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large tables are counted a column at a time, texts of few values by value, keys in parts."""
    from bessemer.validate import enforce, repeats

    data = (
        "SELECT CASE WHEN i % 97 = 0 THEN i - 1 ELSE i END AS id, "
        "CASE WHEN i % 11 = 0 THEN NULL WHEN i % 13 = 0 THEN 'Zz' ELSE chr(97 + (i % 3)::INT) END AS s, "
        "md5(i::VARCHAR) AS many, i % 50 AS n FROM range(5000) r(i)"
    )
    room.contract(
        "columns:\n"
        "  id: {type: integer, unique: true}\n"
        "  s: {type: string, nullable: false, values: [a, b], pattern: '[a-z]'}\n"
        "  many: {type: string, pattern: '[0-9a-e]+'}\n"
        "  n: {type: integer, min: 1, max: 48}\n"
        "expect: [{unique: [n, s, id]}]\n"
    )
    small = room.run(data, quarantine=1.0)
    monkeypatch.setattr(enforce, "_FEW_ROWS", 10)
    monkeypatch.setattr(repeats, "_AT_ONCE", 700)
    assert room.run(data, quarantine=1.0) == small
    assert len(room.store.get(small["quarantine"]).meta["by_rule"]) == 7


def test_a_contract_can_be_read_where_its_plug_ins_are_not() -> None:
    from bessemer.validate.contract import read

    text = "columns: {a: {type: integer}}\nexpect: [{of_another_package: 7}]"
    with pytest.raises(ContractError, match=r"contract\.yaml has 1 fault"):
        read(text, "contract.yaml")
    assert read(text, "contract.yaml", expectations=False).expect == ()

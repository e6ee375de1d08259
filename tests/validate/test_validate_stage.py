"""Inferring and enforcing contracts on real tables."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from validate_room import Room

from bessemer.core.errors import ContractError, DataError
from bessemer.core.stage import Context
from bessemer.validate.contract import read
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import fingerprint, run

DATA = Path(__file__).resolve().parents[3] / "shared/data"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


BASE = "SELECT i AS id, i % 60 + 20 AS age, i * 0.5::DOUBLE AS paid, chr(97 + i::INT % 3) AS job, i % 2 = 0 AS ok, "
MANY = BASE + "TIMESTAMP '2024-01-01' + to_days(i::INT) AS day FROM generate_series(0, {n} - 1) r(i)"


# the first run -------------------------------------------------------------------------------------------
def test_first_run_writes_a_contract_the_data_keeps(room: Room) -> None:
    out = room.run(MANY.format(n=500))
    text = (room.folder / "contract.yaml").read_text()
    contract = read(text, "contract.yaml")
    assert text == room.store.get(out["contract"]).text("contract.yaml")
    rules = {name: rule.model_dump(exclude_defaults=True) for name, rule in contract.columns.items()}
    assert rules["id"] == {"type": "integer", "nullable": False, "unique": True}
    assert rules["age"] == {"type": "integer", "nullable": False, "min": 0, "max": 109}
    assert rules["paid"] == {"type": "number", "nullable": False, "min": 0.0, "max": 380.0, "finite": True}
    assert rules["job"] == {"type": "string", "nullable": False, "values": ("a", "b", "c")}
    assert rules["ok"] == {"type": "boolean", "nullable": False}
    assert rules["day"] == {"type": "timestamp", "nullable": False}
    assert "# newest_within: 7d" in text
    assert room.store.get(out["contract"]).meta == {"inferred": True, "rules": 13, "quarantine": 0.01}
    assert room.store.get(out["quarantine"]).meta == {"rows": 0, "by_rule": {}}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adult", "telco", "california"])
def test_second_run_gives_the_same_bytes(room: Room, name: str) -> None:
    query = f"SELECT * FROM read_csv('{DATA / name / 'train.csv'}')"
    first, second = room.run(query), room.run(query)
    assert first == second
    raw = room.raw(query)["raw"]
    assert room.store.get(first["data"]).files == room.store.get(raw).files


@pytest.mark.slow
def test_same_statistics_whatever_the_threads(room: Room) -> None:
    refs = set()
    for threads in (1, 2, 4):
        ctx = Context(
            store=room.store, stage="validate", shared={}, seed=7, project_dir=room.folder,
            workdir=room.folder / "work", threads=threads,
        )  # fmt: skip
        data = "SELECT i * 0.1::DOUBLE AS x, sin(i) AS y, hash(i)::VARCHAR AS s FROM range(300000) r(i)"
        refs.add(run(ValidateSpec(contract=None), room.raw(data), ctx)["statistics"].digest)
    assert len(refs) == 1


def test_fingerprint_is_that_of_the_file(room: Room) -> None:
    spec = ValidateSpec()
    assert fingerprint(spec, room.folder) == {"contract": "missing"}
    room.run(MANY.format(n=10))
    first = fingerprint(spec, room.folder)
    room.contract("columns: {}")
    assert len({first["contract"], fingerprint(spec, room.folder)["contract"], "missing"}) == 3
    assert fingerprint(ValidateSpec(contract=None), room.folder) == {"contract": "missing"}


def test_no_contract_means_no_file(room: Room) -> None:
    room.run(MANY.format(n=10), contract=None)
    assert not (room.folder / "contract.yaml").exists()


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(room: Room) -> None:
    (room.folder / "sub").write_text("a file, so that no contract can be written below it")
    with pytest.raises((DataError, OSError)):
        room.run(MANY.format(n=10), contract="sub/contract.yaml")


# rows that break it ---------------------------------------------------------------------------------------
RULES = """
columns:
  id: {type: integer, unique: true, nullable: false}
  x: {type: number, min: 0, max: 10, finite: true}
  s: {type: string, values: [a, b], pattern: "[a-z]"}
  t: {type: timestamp, min: "2024-01-01", max: "2024-12-31T23:59:59"}
  b: {type: boolean, values: [true]}
"""


def broken_table() -> pa.Table:
    day = dt.datetime(2024, 6, 1)
    good = [(i, 1.0, "a", day, True) for i in range(10)]
    bad = [
        (None, 1.0, "a", day, True),
        (3, 1.0, "a", day, True),
        (11, -1.0, "Z", day, True),
        (12, float("inf"), "a", day, True),
        (13, 11.0, "a", day.replace(year=2025), False),
        (14, None, None, None, None),
    ]
    names = ["id", "x", "s", "t", "b"]
    types = [pa.int64(), pa.float64(), pa.string(), pa.timestamp("us"), pa.bool_()]
    columns = zip(*(good + bad), strict=True)
    return pa.table({n: pa.array(list(c), t) for n, c, t in zip(names, columns, types, strict=True)})


def test_broken_rows_go_to_quarantine_with_every_reason(room: Room) -> None:
    room.contract(RULES)
    out = room.run(broken_table(), quarantine=0.5)
    assert room.table(out["data"])["id"] == [*range(10), 14]
    bad = room.table(out["quarantine"], "quarantine")
    assert list(zip(bad["id"], bad["_rule"], strict=True)) == [
        (None, "id: nullable"),
        (3, "id: unique"),
        (11, "x: min; s: values; s: pattern"),
        (12, "x: finite"),
        (13, "x: max; t: max; b: values"),
    ]
    meta = room.store.get(out["quarantine"]).meta
    assert (meta["rows"], meta["by_rule"]["x: min"], len(meta["by_rule"])) == (5, 1, 9)
    assert room.store.get(out["data"]).meta["rows"] == 11
    assert room.store.get(out["statistics"]).json("statistics.json")["rows"] == 11
    assert "5 of 16 rows broke the contract" in "".join(room.told)
    assert room.run(broken_table(), quarantine=0.5) == out


def test_too_many_stop_the_run_and_nothing_is_lost(room: Room) -> None:
    room.contract(RULES)
    with pytest.raises(
        ContractError, match=r"5 of 16 rows \(31.2%\) break the contract; 1.0% are allowed"
    ) as caught:
        room.run(broken_table())
    table = {(row["column"], row["rule"]): row for row in caught.value.broken}
    assert table["x", "min"] == {
        "rule": "min",
        "column": "x",
        "rows": 1,
        "share": 1 / 16,
        "samples": ["-1.0"],
        "severity": "quarantine",
    }
    assert len(table) == 9
    kept = pq.read_table(room.folder / "quarantine.parquet")
    assert kept["_rule"].to_pylist()[0] == "id: nullable"
    assert str(room.folder / "quarantine.parquet") in caught.value.fix


def test_new_data_against_an_untouched_inferred_contract(room: Room) -> None:
    room.run(MANY.format(n=500))
    shifted = MANY.format(n=500).replace("i % 60 + 20", "CASE WHEN i = 7 THEN 900::BIGINT ELSE 30 END")
    out = room.run(shifted)
    assert room.store.get(out["quarantine"]).meta["by_rule"] == {"age: max": 1}
    assert room.store.get(out["contract"]).meta["inferred"] is False


def test_awkward_names_and_values(room: Room) -> None:
    names = ["größe", 'a "q"', "x: y", "select", "no", "日本", "c'", "#", "tab\there", "true"]
    values = ["it's", 'say "x"', "a: b", "\U0001f600", "\x7f", "no", "", " ", "\ufeff", "1"]
    table = pa.table({name: pa.array((values * 10)[i : i + 90]) for i, name in enumerate(names)})
    first = room.run(table)
    assert room.run(table) == first
    contract = read((room.folder / "contract.yaml").read_text(), "c")
    assert list(contract.columns) == names
    assert set(contract.columns["#"].values or ()) == set(values)


# the data as a whole -----------------------------------------------------------------------------------------
def test_structure_is_told_at_once(room: Room) -> None:
    room.contract(
        "columns: {ids: {type: integer}, s: {type: number}, gone: {type: string}, x: {type: number}}"
    )
    with pytest.raises(ContractError, match="3 differences") as caught:
        room.run("SELECT 1::BIGINT AS id, 'a' AS s, 1::BIGINT AS x")
    assert "ids: missing (there is 'id')" in caught.value.why
    assert "s: string, the contract says number" in caught.value.why
    assert [row["column"] for row in caught.value.broken] == ["ids", "s", "gone", "id"]


def test_types_widen_without_loss(room: Room) -> None:
    room.contract(
        "columns: {x: {type: number}, zip: {type: string}, empty: {type: timestamp}, b: {type: boolean}}"
    )
    out = room.run(
        "SELECT 1::BIGINT AS x, 12345::BIGINT AS zip, NULL::VARCHAR AS empty, true AS b, 1.5::DOUBLE AS new"
    )
    types = {column["name"]: column["dtype"] for column in room.store.get(out["data"]).meta["columns"]}
    assert types == {"x": "DOUBLE", "zip": "VARCHAR", "empty": "TIMESTAMP", "b": "BOOLEAN", "new": "DOUBLE"}
    assert room.table(out["data"]) == {
        "x": [1.0],
        "zip": ["12345"],
        "empty": [None],
        "b": [True],
        "new": [1.5],
    }
    assert "not in the contract, taken as they are: new" in room.told


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ("rows: {min: 100}\ncolumns: {}", "2 rows, the contract says at least 100"),
        ("rows: {max: 1}\ncolumns: {}", "2 rows, the contract says at most 1"),
        ("columns: {x: {type: integer, max_missing: 10%}}", "50.00%, the contract says 10.00%"),
        (
            "columns: {t: {type: timestamp, newest_within: 7d}}",
            "the newest is of 2020-01-02T00:00:00, 4.0 days old",
        ),
    ],
)
def test_rules_on_the_whole(room: Room, contract: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(dt.datetime(2020, 1, 6, tzinfo=dt.UTC).timestamp())))
    if "newest" in contract:
        contract = contract.replace("7d", "3d")
    room.contract(contract)
    data = (
        "SELECT * FROM (VALUES (1::BIGINT, TIMESTAMP '2020-01-02'), (NULL, TIMESTAMP '2020-01-01')) v(x, t)"
    )
    with pytest.raises(ContractError) as caught:
        room.run(data)
    assert says in caught.value.why


def test_every_row_broken(room: Room) -> None:
    room.contract("columns: {x: {type: integer, min: 10}, y: {type: integer}}")
    with pytest.raises(ContractError, match="no row keeps the contract"):
        room.run("SELECT 1::BIGINT AS x, 2::BIGINT AS y", quarantine=1.0)


# the contract file -----------------------------------------------------------------------------------------
def test_all_faults_of_a_contract_with_their_lines(room: Room) -> None:
    room.contract(
        "rows: {min: 1}\n"
        "columns:\n"
        "  a: {type: intger}\n"
        "  b: {type: number, mim: 1}\n"
        "  c: {type: number, min: low}\n"
        "  d: {nullable: false}\n"
        "  e: {type: string, pattern: '['}\n"
        "  f: {type: number, newest_within: 7d}\n"
        "  g: {type: number, max_missing: 7}\n"
    )
    with pytest.raises(ContractError, match=r"contract.yaml has 7 faults") as caught:
        room.run("SELECT 1::BIGINT AS a, 2::BIGINT AS b")
    assert [f"line {n}:" in caught.value.why for n in range(1, 11)] == [False] * 2 + [True] * 7 + [False]
    assert "did you mean 'min'" in str(caught.value)


@pytest.mark.parametrize("pattern", ["a(?=b)", "a(?<!b)", r"(a)\1", "["])
def test_a_pattern_that_the_engine_does_not_take_has_its_line(room: Room, pattern: str) -> None:
    room.contract(f"columns:\n  a: {{type: string, pattern: '{pattern}'}}\n")
    with pytest.raises(ContractError, match="`pattern` is not a regular expression of RE2") as caught:
        room.run("SELECT 'a' AS a")
    assert "line 2:" in caught.value.why


def test_a_pattern_of_the_engine_alone(room: Room) -> None:
    room.contract(r"columns: {a: {type: string, pattern: '\p{L}+'}}")
    out = room.run("SELECT unnest(['Käse', 'x1']) AS a", quarantine=0.5)
    assert room.table(out["data"]) == {"a": ["Käse"]}


@pytest.mark.parametrize("start", ["20240102", "2024-W01-2", "2024-01-02T01:00:00+01:00", "2024-01-02"])
def test_times_in_every_form_that_a_contract_takes(room: Room, start: str) -> None:
    room.contract(f"columns: {{t: {{type: timestamp, min: '{start}', max: '20240103T000000Z'}}}}")
    times = ", ".join(f"TIMESTAMP '2024-01-0{n} 00:00:00'" for n in (1, 2, 3, 4))
    out = room.run(f"SELECT unnest([{times}]) AS t", quarantine=0.5)
    assert room.table(out["data"]) == {"t": [dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 3)]}


def test_not_yaml(room: Room) -> None:
    for text in ("columns: [", "", "just words", "columns: {a: {type: integer}, a: {type: number}}"):
        room.contract(text)
        with pytest.raises(ContractError, match=r"contract.yaml has"):
            room.run("SELECT 1::BIGINT AS a, 2::BIGINT AS b")


def test_the_quarantine_column_name_is_taken(room: Room) -> None:
    with pytest.raises(DataError, match="_rule"):
        room.run("SELECT 1::BIGINT AS a, 'x' AS _rule")


@pytest.mark.slow
def test_thousands_of_columns(room: Room) -> None:
    table = pa.table({f"c{i}": pa.array([i, i + 1, None, 2]) for i in range(2_500)})
    out = room.run(table)
    assert room.store.get(out["statistics"]).meta["columns"] == 2_500

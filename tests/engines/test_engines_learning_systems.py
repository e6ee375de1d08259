"""Spark and PostgreSQL, asked for what features learn, tell what DuckDB would tell of the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessemer.core.plugins import PluginRef
from bessemer.engines import bigquery_sql, snowflake_sql
from bessemer.engines.binding import bind
from bessemer.engines.plugins import ENGINES
from bessemer.engines.refusal import NotCarriedOver
from bessemer.engines.remote import Query, Remote
from bessemer.engines.transpile import transpile
from engines.learning import SAMPLE, SPLITS, Brought, anyone, bring, counted, fitted_here, rows
from systems.postgres import postgres
from systems.spark import QUICK

pytestmark = pytest.mark.slow

DERIVED = {
    "double": "amount * 2",
    "rest": "size % 7",
    "early": 'extract(hour from "when") < 12',
    "big": "upper(city)",
    "day": "date_trunc('day', \"when\")",
}
CATEGORIES = {name: {"as": "categorical"} for name in ("amount", "size", "paid", "shop", "rest")}


@pytest.fixture(scope="module", params=["spark", "postgres", "file"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    if request.param == "spark":
        yield {"spark": {"master": "local[1]", "config": QUICK}}
    elif request.param == "postgres":
        with postgres() as url:
            yield {"postgres": {"url": url}}
    else:
        with pytest.MonkeyPatch.context() as patch:
            yield _on_file(tmp_path_factory.mktemp("file"), patch)


def _on_file(folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setitem(ENGINES._own, "file", PluginRef("engines.duckdb_file:DuckDBFile"))
    return {"file": {"file": str(folder / "db")}}


@pytest.fixture(scope="module")
def sales(engine: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Brought:
    return bring(tmp_path_factory.mktemp("sales"), engine, rows())


def test_every_kind_of_column(sales: Brought, tmp_path: Path) -> None:
    learnt = sales.learn(exclude=["note"], derive=DERIVED, columns=CATEGORIES, max_categories=40)
    beside = learnt.beside(anyone(learnt))
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)
    assert {name.partition(":")[0] for name in learnt.matrix("test")} >= {*CATEGORIES, "when", "big", "day"}
    assert not [note for note in learnt.notes if "alone" in note]


@pytest.mark.parametrize("method", ["time", "group", "given"])
def test_rows_that_judge_are_not_learnt_from(method: str, sales: Brought, tmp_path: Path) -> None:
    said, allowed = SPLITS[method]
    learnt = sales.learn(split=said, exclude=["note", "amount", "size", "paid", "city", "row"])
    beside = learnt.beside(allowed(learnt))
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)


def test_a_target_of_numbers_and_what_travels(engine: dict[str, Any], tmp_path: Path) -> None:
    """Only the sample comes here, and levels by fold; only the train part and the groups that judge go there."""
    of = [{name: row[name] for name in ("row", "code", "shop", "price")} for row in rows()]
    with pytest.MonkeyPatch.context() as counting:
        travelled = counted(ENGINES.load(next(iter(engine))), counting)
        brought = bring(tmp_path, engine, of, "price")
        sampled = brought.open("raw").meta["rows"]
        travelled.answers.clear()
        travelled.brought.clear()
        learnt = brought.learn(split={"group": "shop"}, max_categories=50)
    judging = {row["shop"] for part in ("valid", "test") for row in learnt.rows(part)} - {None}
    assert travelled.streamed == sampled < 2 * SAMPLE
    assert max(travelled.answers) <= 50 * (5 + 1)
    assert travelled.brought == [len(judging), len(learnt.rows("train"))]
    beside = learnt.beside(SPLITS["group"][1](learnt))
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)


WAREHOUSES = {"bigquery": bigquery_sql.CORRECTIONS, "snowflake": snowflake_sql.CORRECTIONS}


def test_what_is_asked_is_carried_over_to_warehouses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but what takes numbers as categories: they have no floats of 32 bits."""
    brought = bring(tmp_path, _on_file(tmp_path, monkeypatch), rows())
    asked: list[tuple[str, str]] = []
    query = Remote.query

    def written(self: Remote, sql: str, *, exact: bool = True) -> Query:
        tables = {name: ("there", columns) for name, (_, columns) in self.tables.items()}
        statement, columns = bind(sql, {name: schema for name, (_, schema) in tables.items()})
        for name, own in WAREHOUSES.items():
            try:
                text = transpile(
                    statement, tables, columns, engine=name, dialect=name, corrections=own, exact=exact
                )
            except NotCarriedOver as refused:
                text = str(refused)
                assert "AS FLOAT" in sql
                assert "32 bits" in text
            asked.append((name, text))
        return query(self, sql, exact=exact)

    monkeypatch.setattr(Remote, "query", written)
    learnt = brought.learn(split={"group": "shop"}, derive=DERIVED, columns=CATEGORIES, max_categories=40)
    told = [name for name, text in asked if "32 bits" in text]
    assert sorted(told) == sorted([*WAREHOUSES] * 2)  # both questions about `amount`
    assert len(asked) > 4 * len(CATEGORIES)
    assert "learnt from the train part alone: note" in learnt.notes

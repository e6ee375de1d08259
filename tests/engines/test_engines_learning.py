"""With a sample, features are learnt from what stays at the engine too, and never from rows that judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bessemer.core.errors import DataError
from bessemer.core.plugins import PluginRef
from bessemer.engines.plugins import ENGINES
from bessemer.prepare.train_table import Folds
from engines.duckdb_file import DuckDBFile
from engines.learning import ROWS, SAMPLE, SPLITS, Brought, Row, anyone, bring, counted, fitted_here, rows

NAMES = list(rows()[0])


@pytest.fixture(autouse=True, scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES._own, "file", PluginRef("engines.duckdb_file:DuckDBFile"))
        yield patch


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Brought:
    folder = tmp_path_factory.mktemp("sales")
    return bring(folder, {"file": {"file": str(folder / "db")}}, rows())


def _but(*names: str) -> list[str]:
    return [name for name in NAMES if name not in (*names, "kind")]


def _narrow(folder: Path, target: str, *names: str, contract: str = "", sample: int = SAMPLE) -> Brought:
    of = [{name: row[name] for name in ("row", *names, target)} for row in rows()]
    return bring(folder, {"file": {"file": str(folder / "db")}}, of, target, contract, sample)


@pytest.mark.slow
@pytest.mark.parametrize("method", SPLITS)
def test_rows_that_judge_are_not_learnt_from(method: str, sales: Brought, tmp_path: Path) -> None:
    """Byte for byte, the features are those that DuckDB fits on the rows that may be learnt from, all of them."""
    said, allowed = SPLITS[method]
    learnt = sales.learn(split=said, exclude=_but("code", "price"))
    beside = learnt.beside(allowed(learnt))
    assert len(beside) > len(learnt.rows("train"))
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)
    total = len(learnt.rows("train")) + len(beside)
    assert (
        f"features are learnt from {total:,} rows: the train part, and {len(beside):,} that stay at file"
        in learnt.notes
    )


@pytest.mark.slow
def test_columns_of_our_own_names(tmp_path: Path) -> None:
    """Inside, the target is y, its fold is fold, and columns are x0, x1 and so on."""
    named = {"row": "row", "code": "fold", "shop": "y", "price": "x0", "part": "judged", "kind": "kind"}
    of = [{named[name]: row[name] for name in named} for row in rows()]
    brought = bring(tmp_path, {"file": {"file": str(tmp_path / "db")}}, of)
    learnt = brought.learn(split={"group": "y"}, exclude=["row"], derive={"x1": "x0 + 1"})
    judging = {row["y"] for part in ("valid", "test") for row in learnt.rows(part)}
    beside = learnt.beside(lambda row: row["y"] not in judging)
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)


@pytest.mark.slow
def test_the_same_again(sales: Brought) -> None:
    first, again = (sales.learn(exclude=_but("code")) for _ in range(2))
    assert (first.splits.ref, first.preprocessor.ref) == (again.splits.ref, again.preprocessor.ref)


@pytest.mark.slow
def test_words_are_learnt_from_the_train_part(sales: Brought, tmp_path: Path) -> None:
    learnt = sales.learn(exclude=_but("note"))
    assert learnt.files()[2] == fitted_here(learnt, learnt.rows("train"), tmp_path)[2]
    assert learnt.files()[0] == fitted_here(learnt, learnt.rows("train"), tmp_path)[0]
    assert "learnt from the train part alone: note" in learnt.notes


@pytest.mark.slow
def test_what_the_engine_does_not_tell_is_learnt_from_the_train_part(sales: Brought, tmp_path: Path) -> None:
    """Divisions too deep for it: the feature is constant in the train part, and may not be at the engine."""
    columns = {"deep": {"as": "categorical"}}
    learnt = sales.learn(
        exclude=_but(), derive={"deep": "size / row / row / row / row / row"}, columns=columns
    )
    assert learnt.notes[-1] == "learnt from the train part alone: deep"
    assert learnt.files()[0] == fitted_here(learnt, learnt.rows("train"), tmp_path)[0]


def _mean(of: list[Row], code: str, target: Callable[[Row], float]) -> float:
    prior = sum(map(target, of)) / len(of)
    found = [target(row) for row in of if row["code"] == code]
    return (sum(found) + 20 * prior) / (len(found) + 20)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_no_row_sees_its_own_target(task: str, sales: Brought, tmp_path: Path) -> None:
    """In training a row gets the mean over the other folds and all rows that stay; in use, over all of them."""
    brought = sales if task == "classes" else _narrow(tmp_path, "price", "code")
    name, target = (
        ("share of kind = yes", lambda row: row["kind"] == "yes")
        if task == "classes"
        else ("mean price", lambda row: row["price"])
    )
    learnt = brought.learn(exclude=_but("code") if task == "classes" else ["row"], max_categories=30)
    train, beside = learnt.rows("train"), learnt.beside(anyone(learnt))
    counts = Counter(row["code"] for row in train + beside)
    levels = sorted(counts, key=lambda code: (-counts[code], code))[:30]
    folds = Folds(5, int(learnt.context().rng("folds").integers(2**32))).of(np.arange(len(train)))
    wanted: dict[str, list[float]] = {"train": [], "test": []}
    for row, fold in zip(train, folds, strict=True):
        others = [other for other, its in zip(train, folds, strict=True) if its != fold] + beside
        code = row["code"] if row["code"] in levels else ""
        wanted["train"].append(_mean(others, code, target))
    for row in learnt.rows("test"):
        code = row["code"] if row["code"] in levels else ""
        wanted["test"].append(_mean(train + beside, code, target))
    for part, values in wanted.items():
        np.testing.assert_allclose(learnt.matrix(part)[f"code: {name}"], values, rtol=1e-6)


@pytest.mark.slow
def test_only_the_sample_and_aggregates_travel(patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as counting:
        travelled = counted(DuckDBFile, counting)
        brought = _narrow(tmp_path, "kind", "code", "shop", "price")
        assert travelled.streamed == brought.open("raw").meta["rows"] < 2 * SAMPLE
        travelled.answers.clear()
        travelled.brought.clear()
        learnt = brought.learn(split={"group": "shop"}, max_categories=25)
        assert travelled.streamed == brought.open("raw").meta["rows"]  # no row more
        assert max(travelled.answers) <= 25 * (5 + 1)  # a level and a fold of it
        judging = {row["shop"] for part in ("valid", "test") for row in learnt.rows(part)} - {None}
        assert travelled.brought == [len(judging), len(learnt.rows("train"))]


CONTRACT = """
columns:
  row: {type: integer}
  code: {type: string, pattern: "c00.*"}
  shop: {type: number}
  kind: {type: string}
"""


@pytest.mark.slow
def test_rows_that_break_the_contract_are_not_learnt_from(tmp_path: Path) -> None:
    """Their types are the contract's too."""
    brought = _narrow(tmp_path, "kind", "code", "shop", contract=CONTRACT)
    learnt = brought.learn(exclude=["row"], columns={"shop": {"as": "categorical"}})
    assert set(learnt.brought.open("data").meta["whole"]["casts"]) == {"shop"}
    beside = learnt.beside(lambda row: row["code"].startswith("c00"))
    assert learnt.files() == fitted_here(learnt, learnt.rows("train") + beside, tmp_path)


@pytest.mark.slow
def test_where_all_rows_travelled_nothing_is_asked(tmp_path: Path) -> None:
    brought = _narrow(tmp_path, "kind", "code", sample=ROWS)
    learnt = brought.learn(exclude=["row"])
    assert learnt.files() == fitted_here(learnt, learnt.rows("train"), tmp_path)
    assert not learnt.notes


def test_a_table_that_is_gone_is_told(sales: Brought) -> None:
    there = sales.folder / "db"
    there.rename(sales.folder / "moved")
    try:
        with pytest.raises(DataError, match="no longer at file"):
            sales.learn(exclude=_but("code"))
    finally:
        (sales.folder / "moved").replace(there)

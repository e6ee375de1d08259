"""Predictions from a loaded package: every kind of input, every task, and reasons that add up."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bessemer.core.errors import DataError, UsageError
from bessemer.package import model as model_module
from bessemer.package.model import Model


@pytest.fixture
def model(model_of: Any, build: Any) -> Model:
    return build(model_of)


def close(a: pa.Table, b: pa.Table) -> None:
    assert a.schema == b.schema
    assert a.num_rows == b.num_rows
    for name in a.column_names:
        if pa.types.is_floating(a.schema.field(name).type):
            np.testing.assert_allclose(a[name].to_numpy(), b[name].to_numpy(), rtol=2e-6, atol=2e-6)
        else:
            assert a[name].to_pylist() == b[name].to_pylist()


def test_base_and_contributions_sum_to_the_score(model: Model, make_rows: Any) -> None:
    table = make_rows(500, seed=3)
    out = model.predict(table, explain=True)
    assert tuple(out.column_names) == model.columns(explain=True)
    parts = [name for name in out.column_names if name.startswith("contribution_")]
    assert parts == [f"contribution_{group}" for group in model.groups]
    total = out["base"].to_numpy() + sum(out[name].to_numpy() for name in parts)
    np.testing.assert_allclose(total, out["score"].to_numpy(), atol=1e-4)
    assert any(np.abs(out[name].to_numpy()).max() > 0 for name in parts)


def test_columns_of_each_task(model: Model, make_rows: Any) -> None:
    out = model.predict(make_rows(200))
    if model.task == "binary":
        assert out.column_names == ["prediction", "probability"]
        positive = out["probability"].to_numpy() >= 0.5
        assert out["prediction"].to_pylist() == ["yes" if p else "no" for p in positive]
    elif model.task == "multiclass":
        assert out.column_names == ["prediction", "probability_10", "probability_20", "probability_30"]
        assert set(out["prediction"].to_pylist()) <= {10, 20, 30}
        total = sum(out[name].to_numpy() for name in out.column_names[1:])
        np.testing.assert_allclose(total, 1, atol=1e-6)
    else:
        assert out.column_names == ["prediction"]
        np.testing.assert_array_equal(
            out["prediction"], model.predict(make_rows(200), explain=True)["score"].to_numpy()
        )


def test_every_way_to_hand_in_rows_gives_the_same(make_trained: Any, build: Any, make_rows: Any) -> None:
    model = build(make_trained("binary", "lightgbm"))
    table = make_rows(120, seed=5)
    expected = model.predict(table, explain=True)
    close(model.predict(table.to_batches()[0], explain=True), expected)
    close(model.predict(table.to_pandas(), explain=True), expected)
    close(model.predict(pl.from_arrow(table), explain=True), expected)
    categorical = pl.from_arrow(table).with_columns(pl.col("city").cast(pl.Categorical))
    close(model.predict(categorical, explain=True), expected)
    close(model.predict(table.to_pylist(), explain=True), expected)
    close(model.predict(table.to_pydict(), explain=True), expected)
    one_by_one = [model.predict(row, explain=True) for row in table.to_pylist()]
    close(pa.concat_tables(one_by_one), expected)


def test_pandas_with_categories_and_python_objects(make_trained: Any, build: Any, make_rows: Any) -> None:
    model = build(make_trained("binary", "linear"))
    frame = make_rows(100).to_pandas()
    expected = model.predict(frame)
    frame["city"] = frame["city"].astype("category")
    frame["seen"] = pd.to_datetime(frame["seen"]).dt.tz_localize("UTC")
    frame.index = [f"row {i}" for i in range(100)]
    close(model.predict(frame), expected)


def test_large_tables_and_threads_change_nothing(
    make_trained: Any, build: Any, make_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_rows(1000)
    made = make_trained("multiclass", "lightgbm")
    expected = build(made).predict(table, explain=True)
    monkeypatch.setattr(model_module, "BATCH_ROWS", 130)
    assert build(made).predict(table, explain=True).combine_chunks() == expected
    assert build(made, threads=3).predict(table, explain=True).combine_chunks() == expected


def test_batches_come_back_in_order(make_trained: Any, build: Any, make_rows: Any) -> None:
    model = build(make_trained("regression", "linear"), threads=2)
    table = make_rows(300)
    batches = [table.slice(i * 70, 70) for i in range(5)]
    found = list(model.predict_batches(iter(batches)))
    assert [t.num_rows for t in found] == [70, 70, 70, 70, 20]
    close(pa.concat_tables(found).combine_chunks(), model.predict(table))


def test_no_rows_and_no_columns(model: Model, make_rows: Any) -> None:
    empty = model.predict(make_rows(10).slice(0, 0), explain=True)
    assert empty.num_rows == 0
    assert empty.schema == model.predict(make_rows(10), explain=True).schema


def test_absent_nullable_columns_are_missing_and_others_ignored(
    make_trained: Any, build: Any, make_rows: Any
) -> None:
    model = build(make_trained("binary", "linear"))
    table = make_rows(50)
    nulls = table.set_column(3, "city", pa.nulls(50, pa.string()))
    close(
        model.predict(table.drop_columns(["city"]).append_column("extra", nulls["age"])), model.predict(nulls)
    )


def test_chosen_columns_and_wrong_ones(make_trained: Any, build: Any, make_rows: Any) -> None:
    model = build(make_trained("binary", "linear"))
    assert model.predict(make_rows(3), columns=["probability"]).column_names == ["probability"]
    with pytest.raises(UsageError, match="no column 'probabilty'") as caught:
        model.predict(make_rows(3), columns=["probabilty"])
    assert caught.value.fix == "did you mean 'probability'?"


def test_features_are_what_the_learner_sees(make_trained: Any, build: Any, make_rows: Any) -> None:
    made = make_trained("binary", "linear")
    model = build(made)
    features = model.features(make_rows(100))
    assert features.column_names == [f["name"] for f in made.model_json["features"]]
    bern = [1.0 if city == "Bern" else 0.0 for city in make_rows(100)["city"].to_pylist()]
    assert features["city = Bern"].to_pylist() == bern


def test_bad_rows_are_refused_with_the_reason(make_trained: Any, build: Any, make_rows: Any) -> None:
    model = build(make_trained("binary", "linear"))
    with pytest.raises(DataError, match="column 'age', row 1: 'old' is no integer"):
        model.predict([{"age": "3"}, {"age": "old"}])
    with pytest.raises(DataError, match="'age' have no common type"):
        model.predict([{"age": 3}, {"age": "old"}])
    with pytest.raises(DataError, match="differ in length"):
        model.predict({"age": [1, 2], "city": ["a"]})
    with pytest.raises(UsageError, match="row 0 is a int"):
        model.predict([1, 2])
    with pytest.raises(UsageError, match="from a int"):
        model.predict(5)


def test_a_row_from_json_with_iso_times(make_trained: Any, build: Any) -> None:
    model = build(make_trained("binary", "linear"))
    row = {
        "age": 40,
        "income €": 1e4,
        "member": True,
        "city": "Bern",
        "note": "x",
        "seen": "1970-03-01T00:00:00Z",
    }
    close(model.predict(row), model.predict([{**row, "seen": dt.datetime(1970, 3, 1)}]))


def test_facts_about_the_model(model: Model, model_of: Any) -> None:
    assert (model.name, model.version) == ("churn", "1.2.0")
    assert model.signature == model_of.signature
    assert model.info["learner"] == model_of.model_json["learner"]
    assert model.evaluation == {}
    assert model.card == ""
    assert "churn 1.2.0" in repr(model)
    assert isinstance(model.manifest.members, dict)
    assert Path(model.info["native"]["file"]).parent.name == "native"

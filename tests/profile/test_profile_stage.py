"""The reference against counts made by hand, and its limits against windows drawn from it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from judged_support import Case, case, context, features

from bessemer.core.sql import connect
from bessemer.profile.columns import sketch_columns
from bessemer.profile.limits import grouped
from bessemer.profile.outputs import sketch_numbers
from bessemer.profile.spec import ProfileSpec
from bessemer.profile.stage import run
from bessemer.stats.binning import regroup
from bessemer.stats.distance import psi

ROWS = 2000


def table(rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(4)
    return pa.table(
        {
            'x "1"': pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1),
            "few": rng.integers(0, 3, rows),
            "Größe": pa.array(rng.random(rows) < 0.3),
            "city": pa.array(["", "Bern", None, "Zürich", "東京"], pa.string()).take(
                pa.array(rng.integers(0, 5, rows))
            ),
            "day": pa.array(
                [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(rows)], pa.timestamp("us")
            ),
            "void": pa.nulls(rows, pa.float64()),
        }
    )


def made(ctx: Any, classes: tuple[Any, ...] = ("no", "yes")) -> Case:
    t = table()
    k = max(1, len(classes) if len(classes) > 2 else 1)
    y = np.arange(ROWS) % max(1, len(classes)) if classes else np.arange(ROWS) / 100
    return case(ctx, t, y.astype(float), classes, np.ones((6, k)) * np.arange(1, k + 1), np.zeros(k))


def profile(inputs: Any, ctx: Any, **settings: Any) -> dict[str, Any]:
    spec = ProfileSpec.model_validate_json(json.dumps({"replicates": 20, **settings}))
    found: dict[str, Any] = ctx.open(run(spec, inputs, ctx)["reference"]).json("reference.json")
    return found


def sketch(folder: Path, t: pa.Table, dtypes: dict[str, Any], **settings: int) -> dict[str, dict[str, Any]]:
    pq.write_table(t, folder / "t.parquet", row_group_size=1000)
    with connect(threads=1, memory=2**30, temporary=folder / "spill") as connection:
        return sketch_columns(
            connection, folder / "t.parquet", dtypes, **{"bins": 256, "categories": 100, **settings}
        )


def test_columns_are_counted_over_the_training_rows(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    given = made(ctx)
    found = profile(given.inputs, ctx)
    train = given.parts["train"]
    assert (found["format"], found["rows"], found["output_rows"]) == (1, 1000, 500)
    assert list(found["columns"]) == sorted(train.column_names)
    x = train.column('x "1"').drop_null().to_numpy()
    column = found["columns"]['x "1"']
    assert (column["count"], column["missing"]) == (len(x), 1000 - len(x))
    assert sum(column["counts"]) == len(x)
    assert len(column["counts"]) == len(column["edges"]) - 1 <= 256
    assert column["mean"] == pytest.approx(x.mean())
    assert column["std"] == pytest.approx(x.std())
    assert (column["min"], column["max"]) == (x.min(), x.max())
    city = train.column("city").to_pylist()
    column = found["columns"]["city"]
    assert column["missing"] == sum(v in ("", None) for v in city)  # the graph takes '' for missing
    assert dict(column["categories"]) == {v: city.count(v) for v in ("Bern", "Zürich", "東京")}
    assert (column["distinct"], column["other"]) == (3, 0)
    assert dict(map(tuple, found["columns"]["Größe"]["categories"])).keys() == {True, False}


def test_few_values_have_a_bin_each(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    given = made(ctx)
    column = profile(given.inputs, ctx)["columns"]["few"]
    few = given.parts["train"].column("few").to_numpy()
    assert column["edges"] == [0, 0, 1, 2]
    assert column["counts"] == np.bincount(few).tolist()


def test_sql_and_numpy_sketch_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = np.r_[rng.normal(size=3000).round(1), rng.exponential(size=2000), np.full(500, 0.0)]
    in_sql = sketch(tmp_path, pa.table({"v": values}), {"v": "number"})["v"]
    in_numpy = sketch_numbers(values, 256)
    for key in ("count", "missing", "counts", "edges", "min", "max"):
        assert in_sql[key] == in_numpy[key], key


def test_timestamps_are_text_and_have_no_limit(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    found = profile(made(ctx).inputs, ctx)
    day = found["columns"]["day"]
    assert day["min"] == "2024-01-01T00:00:00"
    assert day["edges"] == sorted(day["edges"])
    assert day["std"] == pytest.approx(np.std(np.arange(1000)) * 3600)
    assert "day" not in found["thresholds"]


def test_a_column_without_values_has_an_empty_sketch_and_no_limit(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    found = profile(made(ctx).inputs, ctx)
    assert found["columns"]["void"]["counts"] == []
    assert found["columns"]["void"]["missing"] == 1000
    assert "void" not in found["thresholds"]


def test_what_the_graph_takes_for_missing_is_missing(tmp_path: Path) -> None:
    values = [1.0, 2.0, np.inf, -np.inf, 1e39, None]
    column = sketch(tmp_path, pa.table({"v": pa.array(values, pa.float64())}), {"v": "number"})["v"]
    assert (column["count"], column["missing"], column["max"]) == (2, 4, 2.0)


def test_long_and_rare_texts_are_counted_but_not_kept(tmp_path: Path) -> None:
    values = ["a"] * 5 + ["b"] * 3 + [f"v{i}" for i in range(10)] + ["x" * 500] * 4
    column = sketch(tmp_path, pa.table({"t": values}), {"t": "string"}, categories=2)["t"]
    assert column["categories"] == [["a", 5], ["b", 3]]
    assert (column["count"], column["other"], column["distinct"]) == (22, 14, 13)


def test_columns_read_in_chunks_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = table(500)
    dtypes = {"few": "integer", "city": "string", 'x "1"': "number"}
    whole = sketch(tmp_path, t, dtypes)
    monkeypatch.setattr("bessemer.profile.columns.CHUNK_CELLS", 600)
    assert sketch(tmp_path, t, dtypes) == whole


def test_quantiles_of_a_sample_stay_near_those_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(5).normal(size=20_000)
    monkeypatch.setattr("bessemer.profile.columns.SAMPLE_ROWS", 5000)
    column = sketch(tmp_path, pa.table({"v": values}), {"v": "number"}, bins=4)["v"]
    assert sum(column["counts"]) == 20_000
    np.testing.assert_allclose(np.array(column["counts"]) / 20_000, 0.25, atol=0.03)
    assert column["min"] == values.min()


# outputs ---------------------------------------------------------------------------------------------
def test_outputs_are_those_of_the_test_rows(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    given = made(ctx)
    found = profile(given.inputs, ctx)["outputs"]
    score = np.nan_to_num(features(given.parts["test"])).sum(axis=1)
    assert found["score"]["count"] == 500
    assert found["score"]["mean"] == pytest.approx(score.mean(), abs=1e-5)
    assert dict(found["prediction"]["categories"]) == {
        "no": int((score < 0).sum()),
        "yes": int((score >= 0).sum()),
    }
    assert 0 <= found["probability"]["min"] <= found["probability"]["max"] <= 1


@pytest.mark.slow
def test_outputs_of_other_tasks(tmp_path: Path) -> None:
    ctx = context(tmp_path / "multi", "profile")
    multi = profile(made(ctx, (1, 2, 3)).inputs, ctx)
    assert set(multi["outputs"]) == {"prediction", "confidence"}
    assert multi["outputs"]["prediction"]["dtype"] == "integer"
    assert "log_loss" in multi["performance"]
    ctx = context(tmp_path / "numbers", "profile")
    numbers = profile(made(ctx, ()).inputs, ctx)
    assert set(numbers["outputs"]) == {"prediction"}
    figure = numbers["performance"]["rmse"]
    assert figure["low"] < figure["value"] < figure["high"]


# limits ----------------------------------------------------------------------------------------------
def test_windows_drawn_from_the_reference_seldom_alarm(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    found = profile(made(ctx).inputs, ctx, window=500, false_alarm=0.05)
    rng, alarms, windows = np.random.default_rng(1), 0, 300
    for _ in range(windows):
        distances = []
        for name, limit in found["thresholds"].items():
            groups, counts = grouped(found["columns"][name], 500, 10)
            assert groups == limit["groups"]
            distances.append(psi(counts, rng.multinomial(500, counts / counts.sum())) > limit["psi"])
        alarms += any(distances)
    assert alarms / windows <= 0.08


def test_a_shifted_window_alarms(tmp_path: Path) -> None:
    ctx = context(tmp_path, "profile")
    found = profile(made(ctx).inputs, ctx)
    column, limit = found["columns"]['x "1"'], found["thresholds"]['x "1"']
    shifted = np.random.default_rng(3).normal(0.4, 1.0, 900)
    place = np.searchsorted(column["edges"][1:-1], shifted)
    window = np.bincount(place, minlength=len(column["counts"]))
    before = np.append(regroup(column["counts"], limit["groups"]), column["missing"])
    after = np.append(regroup(window, limit["groups"]), 100)
    assert psi(before, after) > limit["psi"]


def test_rare_categories_stand_together_in_a_limit() -> None:
    column = {
        "dtype": "string",
        "count": 990,
        "missing": 10,
        "categories": [["a", 900], ["b", 60], ["c", 2]],
        "other": 28,
    }
    groups, counts = grouped(column, 1000, 10)
    assert groups == ["a", "b"]
    assert counts.tolist() == [900, 60, 30, 10]


# the whole -------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for folder in ("one", "two"):
        ctx = context(tmp_path / folder, "profile")
        digests.add(run(ProfileSpec(replicates=20), made(ctx).inputs, ctx)["reference"].digest)
    assert len(digests) == 1


@pytest.mark.slow
def test_fifty_columns_stay_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = {f"n{k}": rng.normal(size=3000) for k in range(35)}
    texts = {
        f"t{k}": pa.array([f"category number {v}" for v in rng.integers(0, 300, 3000)]) for k in range(15)
    }
    t = pa.table({**numbers, **texts})
    ctx = context(tmp_path, "profile")
    given = case(ctx, t, rng.integers(0, 2, 3000).astype(float), ("a", "b"), np.ones((50, 1)), np.zeros(1))
    artifact = ctx.open(run(ProfileSpec(replicates=20), given.inputs, ctx)["reference"])
    assert artifact.files["reference.json"].size < 500_000


def test_a_real_table(tmp_path: Path, shared: Path) -> None:
    raw = pyarrow.csv.read_csv(shared / "telco" / "test.csv")
    names = ["tenure", "MonthlyCharges", "Contract", "PaymentMethod"]
    t = pa.table({n: raw.column(n).cast(pa.float64()) if n[0] in "tM" else raw.column(n) for n in names})
    y = np.array([v == "Yes" for v in raw.column("Churn").to_pylist()], dtype=float)
    ctx = context(tmp_path, "profile")
    found = profile(case(ctx, t, y, ("No", "Yes"), np.ones((4, 1)) * 0.01, np.zeros(1)).inputs, ctx)
    assert {value for value, _ in found["columns"]["Contract"]["categories"]} == {
        "Month-to-month",
        "One year",
        "Two year",
    }
    assert set(found["thresholds"]) == set(names)
    assert set(found["output_thresholds"]) == {"prediction", "probability", "score"}
    assert 0 < found["performance"]["roc_auc"]["value"] < 1

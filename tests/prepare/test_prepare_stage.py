"""The stage as a whole: the artifacts, the one graph, the cross-fit, and what bad data gets told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.errors import DataError
from bessemer.core.signature import Signature
from bessemer.package.session import GraphSession

PARTS = ("train", "valid", "test")

MIXED = """
SELECT i AS "number", CASE WHEN i % 7 > 0 THEN i * 0.25 WHEN i % 14 = 0 THEN 'inf'::DOUBLE END AS "with gaps",
       i % 3 = 0 AS flag, ['red', 'green', 'blue', NULL, ''][1 + i % 5] AS "Farbe ""ä"" x",
       'shop ' || (hash(i) % 40) AS shop, TIMESTAMP '2024-01-01' + INTERVAL 7 HOUR * i AS at,
       'the order was ' || ['late', 'fine', 'Late!'][1 + (i * i) % 3] || ' and number ' || i AS remark,
       'id-' || i AS code, 5 AS always, NULL::DOUBLE AS never, (i * 31) % 11 < 4 AS y
FROM range({rows}) t(i)
"""


def through_the_graph(prepared: Any, rows: pa.Table, threads: int = 1) -> np.ndarray:
    signature = Signature.from_json(prepared.preprocessor.json("signature.json"))
    session = GraphSession(
        prepared.preprocessor.bytes("preprocessor.onnx"), signature.inputs, threads=threads
    )
    return session.run(rows, ["features"])["features"]


def test_the_artifacts_are_as_the_architecture_says(prepare) -> None:
    found = prepare(MIXED.format(rows=500))
    assert found.splits.meta["rows"] == {part: found.rows(part).num_rows for part in PARTS}
    assert sum(found.splits.meta["rows"].values()) == 500
    assert {k: found.splits.meta[k] for k in ("task", "classes", "target", "method")} == {
        "task": "binary",
        "classes": [False, True],
        "target": "y",
        "method": "stratified",
    }
    for part in PARTS:
        X, rows = found.X(part), found.rows(part)
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        assert X.shape == (rows.num_rows, found.preprocessor.meta["features"])
        assert found.y(part).dtype == np.float64
        assert found.y(part).tolist() == [float(v) for v in rows["y"].to_pylist()]
        assert rows["number"].to_pylist() == sorted(rows["number"].to_pylist())
    signature = Signature.from_json(found.preprocessor.json("signature.json"))
    assert found.preprocessor.meta["inputs"] == len(signature.inputs)
    assert {f.name: f.tensor for f in signature.inputs} == {
        "number": "float32",
        "with gaps": "float32",
        "flag": "float32",
        'Farbe "ä" x': "string",
        "shop": "string",
        "at": "int64",
        "remark": "string",
    }
    assert signature.input('Farbe "ä" x').domain == {
        "categories": signature.input('Farbe "ä" x').domain["categories"]
    }
    assert sorted(signature.input('Farbe "ä" x').domain["categories"]) == ["blue", "green", "red"]
    assert signature.input("with gaps").nullable
    assert not signature.input("shop").nullable
    assert signature.input("at").domain["min"].startswith("2024-01-0")
    assert {f["kind"] for f in found.features} == {
        "number", "boolean", "indicator", "frequency", "rank", "target_mean", "calendar", "text",
    }  # fmt: skip


def test_columns_that_tell_nothing_are_left_out_and_named(prepare) -> None:
    found = prepare(MIXED.format(rows=500))
    assert "left out code: nearly every value is different" in found.heard("note")
    assert "left out always: every value is the same" in found.heard("note")
    assert "left out never: every value is missing" in found.heard("note")
    assert not {f["group"] for f in found.features} & {"code", "always", "never", "y"}


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_every_stored_value_is_the_graphs_but_for_cross_fitted_ones(prepare, task: str) -> None:
    query = MIXED.format(rows=700)
    if task == "regression":
        query = f"SELECT * REPLACE (y::INT * 3.7 + number / 9 AS y) FROM ({query})"
    found = prepare(query, task=task, spec={"derive": {"half": '"number" / 2', "Ort": "upper(shop)"}})
    folded = [f["kind"] == "target_mean" for f in found.features]
    assert sum(folded) == 3
    for part in PARTS:
        graph = through_the_graph(found, found.rows(part))
        kept = np.logical_not(folded) if part == "train" else np.ones(len(folded), dtype=bool)
        assert found.X(part)[:, kept].tobytes() == graph[:, kept].tobytes()
        if part == "train":
            assert not np.array_equal(found.X(part)[:, folded], graph[:, folded])


@pytest.mark.slow
def test_rows_one_by_one_give_what_the_matrix_has(prepare) -> None:
    found = prepare(MIXED.format(rows=300))
    rows = found.rows("test").slice(0, 20)
    alone = np.concatenate([through_the_graph(found, rows.slice(i, 1)) for i in range(20)])
    assert alone.tobytes() == found.X("test")[:20].tobytes()


def test_infinity_and_null_are_missing_and_never_reach_the_matrix(prepare) -> None:
    found = prepare(MIXED.format(rows=500))
    for part in PARTS:
        gaps = [v is None or np.isinf(v) for v in found.rows(part)["with gaps"].to_pylist()]
        assert np.isnan(found.column(part, "with gaps")).tolist() == gaps
        assert not np.isinf(found.X(part)).any()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_no_row_sees_its_own_target(prepare, task: str) -> None:
    """Turning over the targets of one fold leaves the target means of that fold's rows as they were."""
    from bessemer.prepare.train_table import Folds

    y = {"binary": "hash(i) % 2 = 0", "regression": "(hash(i) % 1000) / 7.0", "multiclass": "hash(i) % 3"}[
        task
    ]
    turned = {"binary": "NOT y", "regression": "142.0 - y", "multiclass": "2 - y"}[task]
    query = f"SELECT i, 'c' || (hash(i + 1) % 30) AS c, i % 100 < 60 AS first, {y} AS y FROM range(600) t(i)"
    spec = {"split": {"given": "part"}, "folds": 3, "exclude": ["i", "first"]}
    parts = f"SELECT *, CASE WHEN i < 400 THEN 'train' WHEN i < 500 THEN 'valid' ELSE 'test' END AS part FROM ({query})"
    before = prepare(parts, task=task, spec=spec)
    own = {}
    for seed_fold in range(3):
        folds = Folds(3, _fold_seed())
        inside = np.flatnonzero(folds.of(np.arange(400)) == seed_fold).tolist()
        chosen = f"CASE WHEN i IN ({', '.join(map(str, inside))}) THEN {turned} ELSE y END"
        changed = f"SELECT * REPLACE ({chosen} AS y) FROM ({parts})"
        after = prepare(changed, task=task, spec=spec)
        columns = target_means(before)
        assert len(columns) == {"binary": 1, "regression": 1, "multiclass": 2}[task]
        outside = np.setdiff1d(np.arange(400), inside)
        x, changed_x = before.X("train")[:, columns], after.X("train")[:, columns]
        assert x[inside].tobytes() == changed_x[inside].tobytes()
        assert (x[outside] != changed_x[outside]).any()
        own[seed_fold] = inside
    assert sorted(i for rows in own.values() for i in rows) == list(range(400))


@pytest.mark.parametrize("group", ["'g' || (i // 4)", "CASE WHEN i >= 200 THEN (i // 4) * 0.5 END"])
def test_no_row_sees_the_targets_of_its_group(prepare, group: str) -> None:
    """A level that no other group has tells nothing of its rows' targets in training, also where it is their target."""
    query = f"""
    SELECT i, {group} AS g, 'c' || coalesce(CAST({group} AS VARCHAR), 'none') AS c,
           hash(coalesce(CAST({group} AS VARCHAR), 'none')) % 2 = 0 AS y
    FROM range(800) t(i)
    """
    spec = {
        "split": {"group": "g"},
        "folds": 3,
        "exclude": ["i"],
        "columns": {"c": {"as": "categorical", "encode": ["target_mean"]}},
    }
    found = prepare(query, spec=spec)
    rows, means = found.rows("train"), found.X("train")[:, target_means(found)]
    assert means.shape[1] == 1
    of_group: dict[Any, set[float]] = {}
    for name, value in zip(rows["g"].to_pylist(), means[:, 0].tolist(), strict=True):
        of_group.setdefault(name, set()).add(value)
    assert all(len(values) == 1 for values in of_group.values()), "one fold for the rows of a group"
    assert 1 < len({*means[:, 0].tolist()}) <= 3, "no more than the overall mean of the other folds"


def target_means(found: Any) -> list[int]:
    return [i for i, feature in enumerate(found.features) if feature["kind"] == "target_mean"]


def _fold_seed() -> int:
    from pathlib import Path

    from bessemer.core.stage import Context

    ctx = Context(None, "prepare", {}, 7, Path(), Path())  # type: ignore[arg-type]
    return int(ctx.rng("folds").integers(2**32))


def test_derived_features_are_features_and_excluded_columns_may_feed_them(prepare) -> None:
    spec = {
        "derive": {
            "late": "hour(at) >= 18",
            "tint": 'lower("Farbe ""ä"" x")',
            "ratio": '"number" / "with gaps"',
        }
    }
    found = prepare(MIXED.format(rows=400), spec={**spec, "exclude": ["at", "number", "remark"]})
    groups = {f["group"] for f in found.features}
    assert {"late", "tint", "ratio"} <= groups
    assert not groups & {"at", "number", "remark"}
    inputs = {f["name"]: f["tensor"] for f in found.preprocessor.json("signature.json")["inputs"]}
    assert inputs["at"] == "int64"
    assert inputs["number"] == inputs["with gaps"] == "float64"
    assert "remark" not in inputs
    hours = [t.hour for t in found.rows("test")["at"].to_pylist()]
    assert found.column("test", "late").tolist() == [float(h >= 18) for h in hours]
    assert found.rows("test").column_names == found.rows("train").column_names, (
        "the raw rows keep every column"
    )


def test_columns_can_be_told_what_they_are(prepare) -> None:
    columns = {
        "number": {"as": "categorical", "encode": ["frequency"]},
        "code": {"as": "text", "encode": ["count"]},
        "at": {"as": "timestamp", "encode": ["weekday"]},
        "remark": {"as": "ignore"},
        "flag": {"as": "number"},
    }
    found = prepare(MIXED.format(rows=300), spec={"columns": columns})
    kinds = {f["name"]: f["kind"] for f in found.features}
    assert kinds["number: frequency"] == "frequency"
    assert kinds["code: words"] == "text"
    assert [n for n in kinds if n.startswith("at")] == ["at: weekday"]
    assert kinds["flag"] == "number"
    assert not [n for n in kinds if n.startswith("remark")]


def test_the_column_that_orders_the_split_gives_no_day_count(prepare) -> None:
    found = prepare(MIXED.format(rows=900), spec={"split": {"by": "at"}})
    assert found.splits.meta["method"] == "time"
    parts = [f["name"] for f in found.features if f["group"] == "at"]
    assert "at: hour" in parts
    assert "at: days" not in parts


@pytest.mark.slow
@pytest.mark.parametrize("split", [{"group": "shop"}, {"by": "number"}])
def test_the_column_of_a_split_is_no_feature_unless_asked_for(prepare, split: dict) -> None:
    name = next(iter(split.values()))
    found = prepare(MIXED.format(rows=400), spec={"split": split})
    assert name not in {f["group"] for f in found.features}
    assert f"left out {name}: " in found.heard("note")
    kind = {"shop": "categorical", "number": "number"}[name]
    asked = prepare(MIXED.format(rows=400), spec={"split": split, "columns": {name: {"as": kind}}})
    assert name in {f["group"] for f in asked.features}


@pytest.mark.slow
def test_two_runs_give_the_same_digests_and_another_seed_does_not(bench) -> None:
    query = MIXED.format(rows=400)
    first = bench.prepare(query, spec={"derive": {"d": "dayofweek(at)"}})
    again = bench.prepare(query, spec={"derive": {"d": "dayofweek(at)"}}, threads=1)
    other = bench.prepare(query, spec={"derive": {"d": "dayofweek(at)"}}, seed=8)
    assert (first.splits.ref, first.preprocessor.ref) == (again.splits.ref, again.preprocessor.ref)
    assert first.splits.ref != other.splits.ref


@pytest.mark.slow
def test_many_row_groups_keep_order_and_bytes(bench) -> None:
    query = "SELECT i, hash(i) % 1000 AS n, 's' || hash(i) % 7 AS s, i % 2 = 0 AS y FROM range(140000) t(i)"
    first, again = bench.prepare(query), bench.prepare(query, threads=3)
    assert first.splits.ref == again.splits.ref
    numbers = first.rows("train")["i"].to_numpy()
    assert (np.diff(numbers) > 0).all()
    assert (first.column("train", "i") == numbers.astype(np.float32)).all()


def test_fifty_rows_work(prepare) -> None:
    found = prepare(MIXED.format(rows=50))
    assert found.splits.meta["rows"] == {"train": 32, "valid": 8, "test": 10}


def test_names_that_differ_in_nothing_but_odd_characters(prepare) -> None:
    query = """SELECT i AS "a", i * 2 AS "a 2", i * 3 AS "x0", 't' || i % 3 AS "a: rank", 'u' || i % 30 AS "y y",
               i * 5 AS "select", 'v' || i % 25 AS "fold", i % 2 = 0 AS "é;--" FROM range(200) t(i)"""
    found = prepare(query, target="é;--")
    assert len(set(found.names)) == len(found.names)
    graph = through_the_graph(found, found.rows("valid"))
    assert graph.tobytes() == found.X("valid").tobytes()
    assert found.column("test", "x0").tolist() == found.rows("test")["x0"].to_pylist()


@pytest.mark.slow
def test_reserved_names_are_refused_with_the_way_out(prepare) -> None:
    query = "SELECT i AS score, i * 2 AS other, i % 2 AS y FROM range(60) t(i)"
    with pytest.raises(DataError, match="named 'score'") as caught:
        prepare(query)
    assert "exclude: [score]" in caught.value.fix
    assert prepare(query, spec={"exclude": ["score"]}).names == ["other"]


def test_nothing_left_to_learn_from_says_why(prepare) -> None:
    with pytest.raises(DataError, match="no column is left") as caught:
        prepare("SELECT 1 AS a, 'id' || i AS b, i % 2 AS y FROM range(60) t(i)")
    assert "a: every value is the same" in caught.value.why
    assert "b: nearly every value is different" in caught.value.why


def test_a_class_that_does_not_train_is_an_error(prepare) -> None:
    y = "CASE WHEN i > 80 THEN 'new' WHEN i % 2 = 0 THEN 'a' ELSE 'b' END"
    query = f"SELECT i, i % 7 AS x, {y} AS y FROM range(100) t(i)"
    with pytest.raises(DataError, match="no rows of class new"):
        prepare(query, task="multiclass", spec={"split": {"by": "i"}})


def test_a_class_that_is_not_tested_is_a_warning(prepare) -> None:
    y = "CASE WHEN i < 20 THEN 'old' WHEN i % 2 = 0 THEN 'a' ELSE 'b' END"
    query = f"SELECT i, i % 7 AS x, {y} AS y FROM range(100) t(i)"
    found = prepare(query, task="multiclass", spec={"split": {"by": "i"}})
    assert "the test part has no rows of class old" in found.heard("warning")


def test_a_column_that_tells_the_target_is_pointed_at(prepare) -> None:
    query = "SELECT (hash(i) % 100) / 3.0 AS x, (hash(i) % 100) > 30 AS y, hash(i + 9) % 50 AS z FROM range(2000) t(i)"
    found = prepare(query)
    assert "x alone tells 'y'" in found.heard("warning")
    assert "z alone" not in found.heard("warning")


@pytest.mark.parametrize(
    ("task", "expression", "leaks"),
    [
        ("regression", "exp(v / 20)", True),
        ("regression", "v + w", False),
        ("multiclass", "v::INT // 26", False),  # tells the first and the last class, not those between
        ("multiclass", "t", True),
    ],
)
def test_leaks_are_found_for_every_task(prepare, task: str, expression: str, leaks: bool) -> None:
    drawn = "(hash(i) % 101)::DOUBLE AS v, hash(i + 1) % 9 AS w, 't' || hash(i + 2) % 3 AS t"
    found = prepare(
        f"SELECT v, w, t, {expression} AS y FROM (SELECT {drawn} FROM range(3000) r(i))", task=task
    )
    assert ("alone tells 'y'" in found.heard("warning")) == leaks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "task"),
    [
        ("adult", "income", "binary"),
        ("california", "median_house_value", "regression"),
        ("diamonds", "cut", "multiclass"),
    ],
)
def test_real_data(prepare, data_folder, name: str, target: str, task: str) -> None:
    found = prepare(f"SELECT * FROM read_csv('{data_folder / name / 'train.csv'}')", target=target, task=task)
    signature = Signature.from_json(found.preprocessor.json("signature.json"))
    assert len(signature.inputs) == found.rows("train").num_columns - 1
    assert through_the_graph(found, found.rows("test")).tobytes() == found.X("test").tobytes()
    assert not found.heard("warning")


@pytest.mark.slow
def test_ten_thousand_columns(prepare) -> None:
    columns = ", ".join(f"hash(i + {c}) % 97 AS c{c}" for c in range(9_900))
    texts = ", ".join(f"'v' || hash(i + {c}) % {3 + c % 30} AS s{c}" for c in range(100))
    found = prepare(f"SELECT {columns}, {texts}, i % 2 AS y FROM range(400) t(i)")
    assert found.preprocessor.meta["inputs"] == 10_000
    assert found.column("test", "c9899").tolist() == found.rows("test")["c9899"].to_pylist()

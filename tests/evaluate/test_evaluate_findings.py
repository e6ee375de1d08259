"""Duplicates, label errors, target proxies and comparisons, on planted cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from finder_support import of_case, trained
from judged_support import Heard, case, context
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency

from bessemer.evaluate.check import unknown_slices
from bessemer.evaluate.compare_parts import Part, comparisons, distance_of
from bessemer.evaluate.evidence import loss_faults
from bessemer.evaluate.label_errors import label_errors
from bessemer.evaluate.levels import columns_of
from bessemer.evaluate.near_duplicates import duplicates, near_places, row_hashes
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.evaluate.target_proxies import target_proxies
from bessemer.evaluate.weak_slices import weak_slices

ROWS = 2000


def table(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    a[rng.random(rows) < 0.1] = np.nan
    return {
        "a": a,
        "b": b * 1e6,
        "city": rng.choice(["Bern", 'São "Paulo"', ""], rows),
        "when": np.datetime64("2020-01-01", "us") + rng.integers(0, 10**9, rows).astype("timedelta64[s]"),
    }


def arrow(columns: dict[str, np.ndarray]) -> pa.Table:
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def binary(ctx: Any, columns: dict[str, np.ndarray], y: np.ndarray) -> Any:
    weights = np.zeros((len(columns), 1))
    weights[0] = 2
    return case(ctx, arrow(columns), y, ("no", "yes"), weights, np.zeros(1))


def labels(columns: dict[str, np.ndarray], seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random(len(columns["a"])) < 1 / (1 + np.exp(-2 * np.nan_to_num(columns["a"])))).astype(float)


# duplicates -----------------------------------------------------------------------------------------------
def test_exact_and_near_duplicates_of_training_rows_are_found(tmp_path: Path) -> None:
    """Rows 0-999 are train, the last 500 test: 20 copies, 15 nearly so, 10 almost but in one text."""
    ctx, columns = context(tmp_path, "evaluate"), table()
    y, start = labels(columns), ROWS * 3 // 4
    for k in range(45):
        for values in columns.values():
            values[start + k] = values[k]
    y[start : start + 45] = y[:45]
    y[start] = 1 - y[0]
    columns["b"][start + 20 : start + 35] *= 1 + 1e-5
    columns["city"][start + 35 : start + 45] = "elsewhere"
    columns["b"][start + 35 : start + 45] *= 1 + 1e-5
    found = duplicates(of_case(binary(ctx, columns, y), ctx, replicates=20))
    assert found["exact"] == {"rows": 20, "share": 0.04, "of": 500}
    assert found["near"]["rows"] == 15
    assert found["conflicting"] == 1
    exact = [row for row in found["samples"] if row["kind"] == "exact"]
    assert [(row["row"], row["train_row"]) for row in exact] == [(k, k) for k in range(5)]
    near = [row for row in found["samples"] if row["kind"] == "near"]
    assert [(row["row"], row["train_row"]) for row in near] == [(k, k) for k in range(20, 25)]
    assert all(list(row["differs"]) == ["b"] for row in near)


def test_duplicates_that_flatter_the_model_are_warned_of(tmp_path: Path) -> None:
    """A third of the test rows are copies that a model with a perfect memory knows; the others it guesses."""
    heard = Heard()
    ctx, columns = context(tmp_path, "evaluate", heard), table()
    y, start = np.random.default_rng(0).integers(0, 2, ROWS).astype(float), ROWS * 3 // 4
    for values in columns.values():
        values[start : start + 160] = values[:160]
    y[start : start + 160] = y[:160]
    columns["a"] = np.random.default_rng(1).normal(size=ROWS)
    known = np.r_[0:160, start : start + 160]
    columns["a"][known] = np.where(y[known] == 1, 1.0, -1.0)
    found = duplicates(of_case(binary(ctx, columns, y), ctx, replicates=50))
    assert found["exact"]["rows"] == 160
    assert found["value"] > found["without"] + 0.1
    assert found["low"] > 0
    (warning,) = heard.texts("warning")
    assert "32.0% of the test rows stand in the training rows too" in warning


def test_without_copies_nothing_is_said(tmp_path: Path) -> None:
    heard = Heard()
    ctx, columns = context(tmp_path, "evaluate", heard), table()
    found = duplicates(of_case(binary(ctx, columns, labels(columns)), ctx))
    assert (found["exact"]["rows"], found["near"]["rows"], found["samples"]) == (0, 0, [])
    assert found["difference"] is None
    assert found["value"] == found["without"]
    assert heard.texts("warning") == []


def test_near_rows_are_those_of_all_pairs(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    rng = np.random.default_rng(3)
    columns = {
        "a": np.where(rng.random(1200) < 0.2, np.nan, rng.normal(size=1200).round(1)),
        "zeros": np.where(rng.random(1200) < 0.9, 0.0, rng.exponential(size=1200)),
        "city": rng.choice(["x", "y", ""], 1200),
    }
    evidence = of_case(binary(ctx, columns, labels(columns)), ctx)
    train, test = evidence.splits.path("train.parquet"), evidence.test
    names = list(columns)
    found = near_places(train, test, names, np.arange(600), np.arange(300), ctx)
    known = {name: values[:600] for name, values in columns.items()}
    unit = {}
    for name in ("a", "zeros"):
        numbers = known[name][~np.isnan(known[name])]
        low, high = np.quantile(numbers, [0.25, 0.75])
        unit[name] = 0.01 * ((high - low) or numbers.std())
    for k in range(300):
        row = {name: values[900 + k] for name, values in columns.items()}
        equal = known["city"] == row["city"]
        for name, width in unit.items():
            both = np.isnan(known[name]) & np.isnan(row[name])
            equal &= both | (np.abs(known[name] - row[name]) <= width * (1 + 1e-9))
        assert (found[k] >= 0) == equal.any()
        assert found[k] < 0 or equal[found[k]]


def test_hashes_tell_missing_from_empty_and_columns_apart(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    ctx = context(tmp_path, "evaluate")
    rows = pa.table({"a": ["x", "", None, "x"], "b": ["", "x", "x", ""]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    found = row_hashes(tmp_path / "rows.parquet", ["a", "b"], ctx)
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3


# label errors ---------------------------------------------------------------------------------------------
def test_flipped_labels_are_found_and_warned_of(tmp_path: Path) -> None:
    heard = Heard()
    ctx = context(tmp_path, "evaluate", heard)
    x = np.random.default_rng(0).normal(size=ROWS)
    y = (x > 0).astype(float)
    columns = {"x": x}
    wrong = np.arange(ROWS * 3 // 4 + 7, ROWS, 25)
    y[wrong] = 1 - y[wrong]
    x[wrong] = np.where(x[wrong] > 0, 2.0, -2.0)  # where the model is sure
    made = case(ctx, arrow(columns), y, ("no", "yes"), np.array([[20.0]]), np.zeros(1))
    found = label_errors(of_case(made, ctx))
    named = {row["row"] for row in found["rows"]}
    assert named == set((wrong - ROWS * 3 // 4).tolist())
    assert found["suspicious"] == len(wrong) == 20
    first = found["rows"][0]
    assert first["given"] != first["likely"]
    assert first["probability_given"] < 0.01 < 0.99 < first["probability_likely"]
    assert found["noise"] == pytest.approx(0.04, abs=0.01)
    assert found["contradicted"]["rows"] == 20
    assert len(heard.texts("warning")) == 1


def test_calibrated_doubt_is_no_label_error(tmp_path: Path) -> None:
    heard = Heard()
    ctx = context(tmp_path, "evaluate", heard)
    x = np.random.default_rng(0).normal(size=8000) * 3
    y = (np.random.default_rng(1).random(8000) < 1 / (1 + np.exp(-2 * x))).astype(float)
    made = case(ctx, arrow({"x": x}), y, ("no", "yes"), np.array([[2.0]]), np.zeros(1))
    found = label_errors(of_case(made, ctx))
    assert found["contradicted"]["rows"] == pytest.approx(found["contradicted"]["expected"], abs=6)
    assert heard.texts("warning") == []


def test_targets_far_from_what_is_usual_are_found_in_regression(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    y = 3 * x + rng.normal(size=ROWS) * 0.2
    y[ROWS - 5] += 10
    made = case(ctx, arrow({"x": x}), y, (), np.array([[3.0]]), np.zeros(1))
    found = label_errors(of_case(made, ctx))
    assert found["rows"][0]["row"] == 495
    assert found["rows"][0]["given"] == pytest.approx(y[ROWS - 5])
    assert abs(found["rows"][0]["deviations"]) > 20
    assert found["suspicious"] < 10


def test_a_model_that_is_always_right_leaves_nothing_to_suspect(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    x = np.random.default_rng(0).normal(size=400).astype(np.float32).astype(np.float64)
    made = case(ctx, arrow({"x": x}), x, (), np.array([[1.0]]), np.zeros(1))
    assert label_errors(of_case(made, ctx))["suspicious"] == 0
    few = of_case(made, ctx)
    assert "too few" in label_errors(replace(few, outcome=few.outcome.take(np.arange(5))))["why"]


# target proxies -------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_column_that_is_the_target_in_disguise_is_named(tmp_path: Path, task: str) -> None:
    heard = Heard()
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    value = a + b
    y: Any = {"binary": value > 0, "multiclass": np.digitize(value, [-1, 1]), "regression": value}[task]
    classes: list[Any] = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}[task]
    told = np.array(classes)[np.asarray(y, dtype=int)] if classes else y
    disguise = np.where(rng.random(ROWS) < 0.99, np.asarray(y, dtype=float) * 7 + 3, rng.normal(size=ROWS))
    data = pa.table({"a": a, "b": b, "dis guise": disguise, "y": told})
    found = target_proxies(trained(tmp_path, data, task, classes, heard))
    assert found["proxies"] == ["dis guise"]
    assert found["columns"][0]["share"] > 0.9
    assert all(row["share"] < 0.9 for row in found["columns"][1:])
    assert any("dis guise alone tells nearly as much" in text for text in heard.texts("warning"))


def test_where_nothing_is_learnt_there_are_no_proxies(tmp_path: Path) -> None:
    ctx, columns = context(tmp_path, "evaluate"), table()
    y = np.random.default_rng(9).integers(0, 2, ROWS).astype(float)
    assert target_proxies(of_case(binary(ctx, columns, y), ctx))["columns"] == []


# comparisons ----------------------------------------------------------------------------------------------
def test_the_distance_and_its_p_value_are_the_usual_ones() -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.3):
        p = np.array([0.4, 0.3, 0.2, 0.1])
        q = p + shift * np.array([-0.5, 0, 0, 0.5])
        a, b = rng.multinomial(200, p), rng.multinomial(300, q)
        found = distance_of((a, b), rng)
        assert found["distance"] == pytest.approx(jensenshannon(a / 200, b / 300, base=2))
        wanted = chi2_contingency(np.stack([a, b])).pvalue
        assert found["p"] == pytest.approx(wanted, abs=0.05)


def compared(folder: Path, task: str) -> tuple[Any, Any]:
    """A table on which noise depends on `city` alone, and a straight line cannot follow `wave`."""
    rng = np.random.default_rng(0)
    rows = 4000
    wave, line = rng.uniform(-3, 3, size=(2, rows))
    city = rng.choice(["Bern", "</script>", "Oslo"], rows)
    signal = np.sin(3 * wave) + 0.5 * line + rng.normal(size=rows) * np.where(city == "Bern", 1.5, 0.1)
    classes: list[Any] = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}[task]
    y: Any = signal
    if task == "binary":
        y = np.where(signal > 0, "yes", "no")
    elif task == "multiclass":
        y = np.array(["a", "b", "c"])[np.digitize(signal, [-0.6, 0.6])]
    evidence = trained(folder, pa.table({"wave": wave, "line": line, "city": city, "y": y}), task, classes)
    _, slices = weak_slices(evidence)
    return comparisons(evidence, slices), slices


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_comparisons_name_what_sets_rows_apart(tmp_path: Path, task: str) -> None:
    found, slices = compared(tmp_path, task)
    assert "city" in slices[0].columns
    first = found[0]
    assert first["kind"] == "slice"
    assert first["a"]["rows"] + first["b"]["rows"] == 800
    by_column = {row["column"]: row for row in first["columns"]}
    assert by_column["city"]["defines"]
    assert by_column["city"]["distance"] == max(row["distance"] for row in first["columns"])
    assert by_column["city"]["p_adjusted"] < 0.01
    assert sum(by_column["city"]["a"]) == pytest.approx(1)
    assert {row["group"] for row in first["contributions"]} == {"wave", "line", "city"}
    (model,) = [row for row in found if row["kind"] == "model"]
    assert "linear" in model["a"]["text"]


@pytest.mark.parametrize("classes", [("no", "yes"), ()])
def test_models_are_compared_by_the_rows_that_either_alone_gets_right(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    """The model knows x and the opponent w; the target is of x where z is above zero, else of w."""
    rng = np.random.default_rng(0)
    x, w, z = rng.normal(size=(3, ROWS))
    y = np.where(z > 0, x, w)
    y = (y > 0).astype(float) if classes else y
    model, opponent = (np.array([[a], [b], [0.0]]) for a, b in ((1, 0), (0, 1)))
    ctx = context(tmp_path, "evaluate")
    made = case(
        ctx, arrow({"x": x, "w": w, "z": z}), y, classes, model, np.zeros(1), linear=(opponent, np.zeros(1))
    )
    (found,) = comparisons(of_case(made, ctx), [])
    assert found["kind"] == "model"
    assert "linear" in found["a"]["text"]
    first = found["columns"][0]
    assert first["column"] == "z"
    assert first["p_adjusted"] < 0.01
    above = [k for k, text in enumerate(first["levels"]) if text.startswith("z above ") and "-" not in text]
    assert sum(first["a"][k] for k in above) > 0.7
    assert sum(first["b"][k] for k in above) < 0.1


def test_groups_that_are_too_small_are_not_compared(tmp_path: Path) -> None:
    ctx, columns = context(tmp_path, "evaluate"), table()
    evidence = of_case(binary(ctx, columns, labels(columns)), ctx)
    alone = replace(evidence, opponents={})
    assert comparisons(alone, [Part("few", np.arange(5))]) == []
    (found,) = comparisons(alone, [Part("half", np.arange(250), frozenset({"a"}))])
    assert found["contributions"] == []  # this model has no native form
    assert {row["column"] for row in found["columns"]} == set(columns)


# settings -------------------------------------------------------------------------------------------------
def test_a_column_to_search_that_is_none_is_a_fault() -> None:
    spec = EvaluateSpec.model_validate_json('{"find_slices": {"columns": ["citi"]}}')
    (fault,) = unknown_slices(spec, ["city"])
    assert (fault.path, fault.fix) == ("evaluate.find_slices.columns.0", "did you mean 'city'?")


@pytest.mark.parametrize(
    ("loss", "task"), [("squared", "binary"), ("error", "regression"), ("log_loss", "regression")]
)
def test_a_loss_of_another_task_is_a_fault(loss: str, task: Any) -> None:
    spec = EvaluateSpec.model_validate({"find_slices": {"loss": loss}})
    (fault,) = loss_faults(spec, task)
    assert fault.path == "evaluate.find_slices.loss"
    assert loss_faults(EvaluateSpec(), task) == []


def test_columns_are_the_same_however_many_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    pq.write_table(arrow(table(50)), tmp_path / "t.parquet")
    names, rows = ["when", "city", "a"], np.array([7, 3, 3, 49])
    first = {name: values.to_pylist() for name, values in columns_of(tmp_path / "t.parquet", names, rows)}
    monkeypatch.setattr("bessemer.evaluate.levels._AT_ONCE", 1)
    assert str(first) == str({n: v.to_pylist() for n, v in columns_of(tmp_path / "t.parquet", names, rows)})
    assert list(first) == names
    assert first["city"] == [table(50)["city"][k] for k in rows]

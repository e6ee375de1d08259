"""Global explainers on models whose truth is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from truth_support import Explained

N = 1500


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    a, b, noise = rng.normal(size=(3, N))
    city = rng.choice(["Bern", "Genève", "Zürich"], N, p=[0.5, 0.3, 0.2])
    return {"a": a, "b": b, "city": city, "noise": noise}


@pytest.fixture(scope="module")
def additive(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> Explained:
    """y = 2a + b² + 3 in Bern."""
    y = 2 * columns["a"] + columns["b"] ** 2 + 3.0 * (columns["city"] == "Bern")
    derive = {"truth": "2 * a + b * b + case when city = 'Bern' then 3 else 0 end"}
    table = pa.table({**columns, "y": y})
    return Explained(tmp_path_factory.mktemp("additive")).fit(table, derive=derive, l2=1e-6)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> Explained:
    """y = a * b."""
    table = pa.table({**columns, "y": columns["a"] * columns["b"]})
    return Explained(tmp_path_factory.mktemp("product")).fit(table, derive={"truth": "a * b"}, l2=1e-6)


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    """y = a, b is nearly a; where they are far apart, which never happens, the model says 50 more."""
    rng = np.random.default_rng(6)
    a = rng.uniform(-3, 3, N)
    table = pa.table({"a": a, "b": a + rng.uniform(-0.3, 0.3, N), "noise": rng.normal(size=N), "y": a})
    derive = {"truth": "a + case when abs(a - b) > 1.5 then 50 else 0 end"}
    one = Explained(tmp_path_factory.mktemp("misled"))
    return one.fit(table, derive=derive, exclude=["a", "b"], l2=1e-6)


def points(found: Any, column: str) -> dict[Any, float]:
    return {point[0]: point[1] for point in found.content["curves"][column]["points"]}


def worst(curve: dict[Any, float], truth: Any) -> float:
    """How far a curve is from the truth, up to a constant."""
    gaps = np.array([value - truth(at) for at, value in curve.items()])
    return float(np.abs(gaps - gaps.mean()).max())


def bern(city: str) -> float:
    return 3.0 * (city == "Bern")


@pytest.mark.parametrize("name", ["partial_dependence", "ice"])
def test_the_effects_of_an_additive_model_are_found_exactly(additive: Explained, name: str) -> None:
    found = additive.explain(name, most=12)
    assert set(found.content["curves"]) >= {"a", "b", "city"}
    assert worst(points(found, "a"), lambda a: 2 * a) < 1e-3
    assert worst(points(found, "b"), lambda b: b * b) < 1e-3
    assert worst(points(found, "city"), bern) < 1e-3
    assert (
        np.ptp(list(points(found, "noise").values())) < 1e-3 if "noise" in found.content["curves"] else True
    )


def test_accumulated_effects_of_an_additive_model_are_found_exactly(additive: Explained) -> None:
    """A step over an interval is that of the truth between its ends, whatever the rows in it."""
    found = additive.explain("ale")
    assert worst(points(found, "a"), lambda a: 2 * a) < 1e-3
    assert worst(points(found, "b"), lambda b: b * b) < 1e-3
    assert worst(points(found, "city"), bern) < 1e-3
    for curve in found.content["curves"].values():
        assert all(low <= mean <= high for _, mean, low, high, _ in curve["points"])


def test_accumulated_effects_have_a_mean_of_zero_over_the_rows(additive: Explained) -> None:
    _, sample = additive.opened()
    curve = points(additive.explain("ale"), "city")
    assert np.mean([curve[city] for city in sample.table["city"].to_pylist()]) == pytest.approx(0, abs=1e-6)
    a = points(additive.explain("ale", points=100), "a")
    at = np.interp(sample.table["a"].to_numpy(), list(a), list(a.values()))
    assert at.mean() == pytest.approx(0, abs=0.02)


def test_a_column_that_only_feeds_a_derived_feature_is_explained(misled: Explained) -> None:
    subject, _ = misled.opened()
    assert "a" not in subject.groups
    assert {"a", "b"} <= set(subject.columns)
    assert "a" in misled.explain("ale").content["curves"]


def test_accumulated_effects_do_not_extrapolate_where_partial_dependence_does(misled: Explained) -> None:
    ale = misled.explain("ale", columns=["a", "b"])
    assert worst(points(ale, "a"), lambda a: a) < 1e-3
    assert worst(points(ale, "b"), lambda b: 0.0) < 1e-3
    pd = misled.explain("partial_dependence", columns=["a", "b"])
    assert worst(points(pd, "a"), lambda a: a) > 5
    assert worst(points(pd, "b"), lambda b: 0.0) > 5
    error = misled.explain("ice", columns=["a"]).error
    assert "could not be" in error.text


def pair(found: Any, a: str, b: str) -> Any:
    return next((p for p in found.content["pairs"] if set(p["columns"]) == {a, b}), None)


@pytest.mark.slow
def test_h_is_zero_for_columns_that_are_added_and_near_one_for_a_product(
    additive: Explained, product: Explained
) -> None:
    for names in [("a", "b"), ("a", "city"), ("b", "city")]:
        assert pair(additive.explain("interactions"), *names)["value"] == 0.0
    found = product.explain("interactions", rows=150)
    one = pair(found, "a", "b")
    assert found.content["pairs"][0] is one
    assert one["value"] > 0.95
    assert one["low"] <= one["value"] <= one["high"]
    weak = product.explain("interactions", columns=["a", "noise", "city"]).content["pairs"]
    assert all(p["value"] < 0.05 for p in weak)


def test_h_is_what_the_formula_gives(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]
) -> None:
    """y = 2a + 2b + ab: equation 44 of Friedman and Popescu on the very rows, where each dependence is known.

    Over all rows the joint effect has a variance of 4 + 4 + 1, of which the interaction is 1: H is about 1/3.
    """
    a, b = columns["a"], columns["b"]
    table = pa.table({**columns, "y": 2 * a + 2 * b + a * b})
    one = Explained(tmp_path_factory.mktemp("both")).fit(table, derive={"ab": "a * b"}, l2=1e-6)
    found = pair(one.explain("interactions", rows=400, columns=["a", "b"]), "a", "b")
    _, sample = one.opened()
    a, b = (
        sample.table[name].to_numpy() for name in ("a", "b")
    )  # fewer than 400: all of them are asked about
    joint = 2 * a + 2 * b + a * b
    alone = [(2 + b.mean()) * a, (2 + a.mean()) * b]
    centred = [values - values.mean() for values in (joint, *alone)]
    h = np.sqrt(((centred[0] - centred[1] - centred[2]) ** 2).sum() / (centred[0] ** 2).sum())
    assert found["value"] == pytest.approx(h, abs=1e-4)
    assert found["value"] == pytest.approx(1 / 3, abs=0.06)
    assert found["low"] < h < found["high"]


def test_surfaces_of_a_product(product: Explained) -> None:
    found = product.explain("partial_dependence_2d", most=1).content["surfaces"][0]
    assert set(found["columns"]) == {"a", "b"}
    z = np.array(found["z"])
    assert np.abs(z - np.outer(found["x"], found["y"])).max() < 1e-2
    interaction = product.explain("ale_2d", pairs=[["a", "b"]]).content["surfaces"][0]
    z, truth = np.array(interaction["z"]), np.outer(interaction["x"], interaction["y"])
    for side in (0, 1):  # the effect of each alone is taken out, so truth is known up to one function of each
        truth = truth - np.average(truth, axis=side, keepdims=True)
        z = z - np.average(z, axis=side, keepdims=True)
    assert np.abs(z - truth).max() < 1e-2


def test_the_second_order_effect_of_an_additive_model_is_zero_and_a_surface_is_the_sum(
    additive: Explained,
) -> None:
    for entry in additive.explain("ale_2d", pairs=[["a", "b"], ["a", "city"]]).content["surfaces"]:
        assert np.abs(entry["z"]).max() < 1e-3
    entry = additive.explain("partial_dependence_2d", pairs=[["a", "city"]]).content["surfaces"][0]
    truth = np.array([[2 * a + bern(city) for city in entry["y"]] for a in entry["x"]])
    gap = np.array(entry["z"]) - truth
    assert np.ptp(gap) < 1e-3
    _, sample = additive.opened()
    assert sum(map(sum, entry["rows"])) == len(sample)


def test_lines_are_parallel_where_the_model_adds_and_cross_where_it_multiplies(
    additive: Explained, product: Explained
) -> None:
    for one, parallel in [(additive, True), (product, False)]:
        lines = np.array(
            [line for _, line in one.explain("ice", columns=["a"]).content["curves"]["a"]["lines"]]
        )
        shapes = lines - lines.mean(axis=1, keepdims=True)
        assert bool(np.ptp(shapes, axis=0).max() < 1e-3) is parallel


@pytest.fixture(scope="module")
def branching(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> Explained:
    """y is a tree of three leaves, with missing values on the right of its first question."""
    a = np.where(np.arange(N) % 7 == 0, np.nan, columns["a"])
    y = np.where(np.nan_to_num(a, nan=1.0) > 0, np.where(columns["city"] == "Bern", 10.0, 5.0), 0.0)
    derive = {
        "truth": "case when a <= 0 then 0 else case when city = 'Bern' then 10 else 5 end end",
    }
    table = pa.table({**columns, "a": pa.array(a, from_pandas=True), "y": y})
    return Explained(tmp_path_factory.mktemp("branching")).fit(table, derive=derive, l2=1e-6)


def test_a_tree_is_its_own_surrogate(branching: Explained) -> None:
    found = branching.explain("surrogate", leaves=3)
    assert found.content["fidelity"] > 0.99
    nodes = found.content["nodes"]
    assert len(nodes) == 5
    assert {node["column"] for node in nodes if "column" in node} == {"a", "city"}
    first = next(node for node in nodes if node.get("column") == "a")
    assert abs(first["value"]) < 0.1
    assert first["missing"] == "no"
    leaves = sorted(node["score"] for node in nodes if "column" not in node)
    assert leaves == pytest.approx([0, 5, 10], abs=0.1)


def test_the_tree_as_it_is_shown_has_the_fidelity_that_it_claims(
    branching: Explained, product: Explained
) -> None:
    for one in (branching, product):
        subject, sample = one.opened()
        found = one.explain("surrogate", leaves=6)
        nodes = found.content["nodes"]

        def walk(row: dict[str, Any], nodes: Any = nodes) -> float:
            node = nodes[0]
            while "column" in node:
                value = row[node["column"]]
                if node["operator"] == "=":
                    yes = value == node["value"]
                else:
                    yes = node["missing"] == "yes" if value is None else value <= node["value"]
                node = nodes[node["yes"] if yes else node["no"]]
            return float(node["score"])

        said = np.array([walk(row) for row in sample.table.to_pylist()])
        score = subject.scored(sample.table)[:, 0]
        r2 = 1 - ((score - said) ** 2).sum() / ((score - score.mean()) ** 2).sum()
        assert found.content["fidelity"] == pytest.approx(r2, abs=1e-6)
        assert found.content["low"] <= found.content["fidelity"] <= found.content["high"]


def test_a_small_tree_cannot_stand_for_a_product_and_says_so(product: Explained) -> None:
    small, large = (product.explain("surrogate", leaves=n).error for n in (2, 60))
    assert small.measure == "fidelity R²"
    assert (small.value or 0) < 0.3 < (large.value or 0)


def test_interpolated_lines_state_how_far_the_grid_is_from_the_rows(product: Explained) -> None:
    coarse, fine = (product.explain("ice", columns=["a"], points=n).error for n in (3, 60))
    assert (coarse.value or 0) > 3 * (fine.value or 0) > 0


def test_categories_stand_beside_those_whose_rows_are_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sizes that are known by their weights only: the order is that of the weights, not of the names."""
    rng = np.random.default_rng(8)
    size = rng.integers(0, 4, N)
    weight = size * 10 + rng.normal(0, 4, N)
    names = np.array(["tiny", "average", "big", "huge"])[size]
    table = pa.table({"size": names, "weight": weight, "y": weight + 5.0 * size})
    found = Explained(tmp_path_factory.mktemp("sizes")).fit(table, l2=1e-3).explain("ale", columns=["size"])
    assert list(points(found, "size")) == ["tiny", "average", "big", "huge"]

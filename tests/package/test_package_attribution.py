"""Every method keeps the laws, on every kind of native model; the chosen one travels in the package."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from test_package_interventional import by_definition
from test_package_paths import data, grown

from bessemer.core.errors import FormatError, UsageError
from bessemer.package.attribution.chosen import (
    BACKGROUND,
    Chosen,
    chosen_from,
    read_background,
    write_background,
)
from bessemer.package.attribution.kernel import _drawn, _least_squares
from bessemer.package.attribution.plugins import METHODS
from bessemer.package.contributions import Contributions
from bessemer.package.natives import Weighted, encode_ensemble
from bessemer.package.trees.codec import encode
from bessemer.package.trees.model import Trees
from bessemer.testing.attributions import check_attribution

FEATURES = 9
GROUPS = list("aabcdeffg")
INFO = {
    "features": [{"name": str(i), "group": group} for i, group in enumerate(GROUPS)],
    "groups": list("abcdefg"),
    "calibration": {"scale": 1.5, "offset": -0.25},
}
SETTINGS = {"kernel": {"coalitions": 128, "seed": 3}, "permutation": {"rounds": 3, "seed": 3}}
OF = np.array([0, 0, 1, 2, 3, 4, 5, 5, 6])


def trees(link: Any = "identity", outputs: int = 1) -> Trees:
    rng = np.random.default_rng(outputs)
    each = [grown(rng, 5, FEATURES) for _ in range(6)]
    if outputs > 1:
        from dataclasses import replace

        each = [replace(tree, target=i % outputs) for i, tree in enumerate(each)]
    return Trees(tuple(each), np.linspace(0, 1, outputs), FEATURES, link)


def linear(outputs: int = 1) -> bytes:
    rng = np.random.default_rng(outputs)
    facts = {
        "impute": rng.normal(size=FEATURES),
        "mean": rng.normal(size=FEATURES),
        "scale": rng.uniform(1, 2, FEATURES),
        "coef": rng.normal(size=(outputs, FEATURES)),
        "intercept": rng.normal(size=outputs),
    }
    return json.dumps({name: value.tolist() for name, value in facts.items()}).encode()


def models() -> dict[str, tuple[str, bytes]]:
    members = [
        Weighted(0.25, "trees", encode(trees())),
        Weighted(0.75, "linear", linear()),
        Weighted(0.1, "constant", b'{"score": [2.0]}'),
    ]
    return {
        "trees": ("trees", encode(trees())),
        "three classes": ("trees", encode(trees(outputs=3))),
        "trees behind a link": ("trees", encode(trees("exp"))),
        "linear": ("linear", linear(2)),
        "constant": ("constant", b'{"score": [0.5, -1.0]}'),
        "ensemble": ("ensemble", encode_ensemble(members)),
    }


def rows(seed: int, n: int) -> np.ndarray:
    x = data(np.random.default_rng(seed), n, FEATURES)
    return np.where(np.isinf(x), np.nan, x).astype(np.float32)


def opened(name: str, method: str, background: np.ndarray | None = None, **more: int) -> Contributions:
    draws = METHODS.load(method).draws
    chosen = Chosen(method, {**SETTINGS.get(method, {}), **more}, background if draws else None)
    return Contributions(*models()[name], INFO, chosen=chosen)


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("model", models())
def test_every_method_keeps_the_laws(model: str, method: str) -> None:
    kind, native = models()[model]
    if why := METHODS.load(method).refuses(opened(model, "auto").native):
        with pytest.raises(UsageError, match=why) as caught:
            opened(model, method, rows(1, 3)).compute(rows(0, 1))
        assert "auto, " in caught.value.fix
        assert method not in caught.value.fix
        return
    check_attribution(method, SETTINGS.get(method, {}), kind, native, INFO, rows(0, 12), rows(1, 15))


@pytest.mark.parametrize("model", ["trees", "three classes", "linear", "ensemble"])
@pytest.mark.parametrize("method", ["interventional", "kernel"])
def test_exact_methods_give_the_values_of_the_definition(model: str, method: str) -> None:
    X, Z = rows(2, 4), rows(3, 10)
    explain = opened(model, method, Z)
    expected = by_definition(explain.score, X, Z, OF, 7)
    found = explain.estimate(X)
    np.testing.assert_allclose(explain.by_group(found.each), expected, atol=1e-9)
    assert not found.error.any()


@pytest.mark.parametrize(("method", "more"), [("kernel", {"coalitions": 40}), ("permutation", {"rounds": 4})])
def test_sampled_values_are_within_their_errors(method: str, more: dict[str, int]) -> None:
    """Over many rows the squared differences are what the standard errors say, within a factor of two."""
    X, Z = rows(4, 150), rows(5, 12)
    exact = opened("trees", "interventional", Z)
    truth = exact.by_group(exact.compute(X)[1])
    explain = opened("trees", method, Z, **more)
    found = explain.estimate(X)
    error = np.sqrt(explain.by_group(found.error**2))
    apart = explain.by_group(found.each) - truth
    assert error.max() > 1e-3
    ratio = np.sqrt((apart**2).mean() / (error**2).mean())
    assert 0.5 < ratio < 2, ratio


def test_more_draws_give_smaller_errors() -> None:
    X, Z = rows(4, 20), rows(5, 12)
    for method, few, many in (
        ("permutation", {"rounds": 2}, {"rounds": 32}),
        ("kernel", {"coalitions": 30}, {"coalitions": 120}),
    ):
        one, other = (opened("trees", method, Z, **more).estimate(X).error for more in (few, many))
        assert other.mean() < one.mean() * 0.6


def test_symmetric_columns_get_equal_parts() -> None:
    """Two columns that the model treats alike, with the same values everywhere."""
    facts = json.loads(linear())
    for value in facts.values():
        if len(value) == FEATURES:
            value[3] = value[4]
    facts["coef"][0][3] = facts["coef"][0][4]
    X, Z = rows(6, 5), rows(7, 9)
    X[:, 3], Z[:, 3] = X[:, 4], Z[:, 4]
    for method in METHODS:
        if method == "tree":
            continue
        draws = METHODS.load(method).draws
        chosen = Chosen(method, SETTINGS.get(method, {}), Z if draws else None)
        explain = Contributions("linear", json.dumps(facts).encode(), INFO, chosen=chosen)
        parts = explain.by_group(explain.compute(X)[1])
        np.testing.assert_allclose(parts[:, 2], parts[:, 3], atol=1e-9, err_msg=method)


def test_features_of_one_column_arrive_together() -> None:
    """Two indicators of one column: no row is asked about that has one of a row and the other of another."""
    seen: list[np.ndarray] = []
    explain = opened("trees", "kernel", rows(1, 4))
    native = explain.native
    margin = native.margin
    native.margin = lambda x: (seen.append(x.copy()), margin(x))[1]  # type: ignore[method-assign,assignment,func-returns-value]
    X, Z = rows(0, 2), rows(1, 4)
    explain.compute(X)
    pairs = {tuple(row) for row in np.nan_to_num(np.concatenate(seen)[:, :2], nan=-9).tolist()}
    known = {tuple(row) for row in np.nan_to_num(np.concatenate([X, Z])[:, :2], nan=-9).tolist()}
    assert pairs <= known
    assert len(seen) > 1


def test_one_column_and_one_row() -> None:
    info = {"features": [{"name": "x", "group": "x"}], "groups": ["x"]}
    native = b'{"impute": [0], "mean": [0], "scale": [1], "coef": [[2]], "intercept": [1]}'
    X, Z = np.float32([[3.0], [np.nan]]), np.float32([[1.0]])
    for method in ("interventional", "kernel", "permutation"):
        chosen = Chosen(method, SETTINGS.get(method, {}), Z)
        explain = Contributions("linear", native, info, chosen=chosen)
        base, each = explain.compute(X)
        assert base.tolist() == [[3.0], [3.0]]
        assert each.tolist() == [[[4.0]], [[-2.0]]], method
        assert explain.compute(X[:0])[1].shape == (0, 1, 1)


def test_the_least_squares_fit_is_that_of_a_solver() -> None:
    known = _drawn(11, 200, 5).astype(float)
    worth = np.random.default_rng(0).normal(size=200)
    fit, rest = _least_squares(known.astype(bool))
    found = fit @ worth + rest * 1.7
    assert found.sum() == pytest.approx(1.7)
    free = known[:, :-1] - known[:, -1:]  # the last part is what the others leave
    solved = np.linalg.lstsq(free, worth - 1.7 * known[:, -1], rcond=None)[0]
    np.testing.assert_allclose(found[:-1], solved, atol=1e-9)


def test_a_background_is_the_same_bytes_and_read_strictly() -> None:
    Z = rows(1, 3)
    content = write_background(Z)
    assert content == write_background(Z.copy(order="F"))
    np.testing.assert_array_equal(read_background(content, FEATURES), Z)
    import io

    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    bad = [
        b"",
        content[:-1],
        b"x" + content,
        pickled.getvalue(),
        write_background(Z[:0]),
        write_background(Z[:, 1:]),
    ]
    for broken in bad:
        with pytest.raises(FormatError, match="background"):
            read_background(broken, FEATURES)


def test_what_explainer_json_says_is_read_strictly() -> None:
    Z = rows(1, 3)
    files = {BACKGROUND: write_background(Z)}
    said = Chosen("kernel", {"coalitions": 64, "seed": 1}, Z).to_json()
    assert json.loads(json.dumps(said)) == said
    found = chosen_from({"attribution": said}, files.__getitem__, FEATURES)
    assert found is not None
    assert (found.method, found.settings) == ("kernel", {"coalitions": 64, "seed": 1})
    np.testing.assert_array_equal(found.background, Z)
    assert chosen_from({"method": "tree_path_dependent"}, files.__getitem__, FEATURES) is None
    for change in (
        {"method": "kernal"},
        {"background": None},
        {"settings": None},
        {"settings": {"seed": "x"}},
        {"method": "tree"},
    ):
        with pytest.raises(FormatError, match="explainer"):
            chosen_from({"attribution": {**said, **change}}, files.__getitem__, FEATURES)


@pytest.mark.parametrize("method", ["interventional", "kernel", "permutation", "tree"])
def test_a_package_answers_with_its_method(make_trained: Any, as_trees: Any, write: Any, method: str) -> None:
    from bessemer.package.model import load

    made = as_trees(make_trained("binary", "lightgbm"))
    plain = load(write(made)).predict(made.table.slice(0, 20), explain=True).to_pandas()
    model = load(write(made))
    features = np.stack([c.to_numpy() for c in model.features(made.table.slice(100, 25)).columns], axis=1)
    background = features.astype(np.float32) if METHODS.load(method).draws else None
    chosen = Chosen(method, SETTINGS.get(method, {}), background)
    more: dict[str, bytes] = {"explainer.json": json.dumps({"attribution": chosen.to_json()}).encode()}
    if background is not None:
        more[BACKGROUND] = write_background(background)
    told = load(write(made, "told.bsm", **more))
    found = told.predict(made.table.slice(0, 20), explain=True).to_pandas()
    parts = [name for name in found if name.startswith("contribution_")]
    np.testing.assert_allclose(found["base"] + found[parts].sum(axis=1), found["score"], atol=1e-4)
    mean = told.session.run(made.table.slice(100, 25), ["score"])["score"].mean()
    assert (abs(found["base"] - mean) < 1e-4).all() == (method != "tree")
    same = np.allclose(found[parts], plain[parts], atol=1e-6)
    assert same == (method == "tree")


def test_explaining_needs_no_more_than_numpy() -> None:
    script = (
        "import sys\n"
        "from bessemer.package.attribution.plugins import METHODS\n"
        "[METHODS.load(name) for name in METHODS]\n"
        "heavy = {'pydantic', 'pyarrow', 'onnx', 'lightgbm', 'scipy', 'sklearn', 'duckdb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

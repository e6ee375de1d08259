"""What-if: the page's own evaluator gives onnxruntime's numbers, and what a reader changes changes the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import whatif_support as support
from browser import Opened, axe_source

from bessemer.core.signature import Signature
from bessemer.package.contributions import Contributions
from bessemer.package.graph import GraphBuilder
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.prepare import expressions
from bessemer.report.compact import OPERATORS, Packer, UncomputableError, browser_pattern, compact
from bessemer.report.spec import ReportSpec
from bessemer.train.spec import TrainSpec

TASKS = ["binary", "multiclass", "regression"]
LEARNERS = {
    "lightgbm": {"rounds": 12},
    "xgboost": {"rounds": 12},
    "catboost": {"rounds": 12},
    "hist_boosting": {"rounds": 12},
    "random_forest": {"rounds": 8},
    "extra_trees": {"rounds": 8},
    "ebm": {"rounds": 8},
    "mlp": {"rounds": 2},
    "linear": {},
    "constant": {},
}


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    return support.evaluator(browser)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], support.Trained]:
    known: dict[tuple[str, str], support.Trained] = {}

    def get(task: str, learner: str) -> support.Trained:
        if (task, learner) not in known:
            spec = TrainSpec(learner=learner, **LEARNERS[learner])
            known[task, learner] = support.Trained(tmp_path_factory.mktemp("whatif"), task, spec)
        return known[task, learner]

    return get


def parity(page: Any, one: support.Trained, count: int) -> None:
    """Labels, probabilities, scores and features of the page are those of onnxruntime."""
    facts, data = one.page_facts(), one.rows(count)
    found = page.evaluate("computed", [facts["packed"], facts["fields"], support.as_rows(data)])
    names = ["prediction", "score", "features", *(["probability"] if one.task != "regression" else [])]
    wanted = GraphSession(one.model.path("model.onnx"), one.signature.inputs).run(data, names)
    if one.task != "regression":
        assert [row["prediction"][0] for row in found] == wanted["prediction"].tolist()
        names.remove("prediction")
    for name in names:
        expected = wanted[name].reshape(count, -1).astype(np.float64)
        got = np.array([support.numbers(row[name]) for row in found])
        size = np.abs(np.nan_to_num(expected))
        scale = np.maximum(max(1, np.median(size)), size)  # a sum of large terms may itself be small
        np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("learner", ["lightgbm", "linear"])
def test_the_page_computes_what_the_package_computes(
    page: Any, trained: Callable[..., Any], task: str, learner: str
) -> None:
    parity(page, trained(task, learner), 1000)


@pytest.mark.slow
def test_a_threshold_for_each_group_too(page: Any, tmp_path: Path) -> None:
    """The class follows from a look-up of two columns, a boolean and a number, missing values among them."""
    threshold = {
        "groups": ["flag", "num ber"],
        "fair": "demographic_parity",
        "bins": {"num ber": [0.0]},
        "tolerance": 0.0,
    }
    spec = TrainSpec.model_validate({"learner": "linear", "threshold": threshold})
    one = support.Trained(tmp_path, "binary", spec, rows=4000)  # a group needs 100 validation rows
    assert len(one.model.json("model.json")["decision"]["groups"]) > 0
    parity(page, one, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("learner", [n for n in LEARNERS if n not in ("lightgbm", "linear")])
def test_so_it_does_for_every_learner(
    page: Any, trained: Callable[..., Any], task: str, learner: str
) -> None:
    parity(page, trained(task, learner), 1000)


def explains(page: Any, one: support.Trained, count: int) -> None:
    """The page's contributions are those of the package."""
    facts, data = one.page_facts(), one.rows(count, seed=12)
    found = page.evaluate("explained", [one.task, facts, support.as_rows(data)])
    model = one.model.json("model.json")
    native = Contributions(model["native"]["kind"], one.model.bytes(model["native"]["file"]), model)
    made = GraphSession(one.model.path("model.onnx"), one.signature.inputs).run(
        data, ["features", "score", *(["probability"] if one.task == "multiclass" else [])]
    )
    base, each = native.compute(made["features"])
    grouped = native.by_group(each)
    output = made["probability"].argmax(axis=1) if one.task == "multiclass" else np.zeros(count, int)
    rows = np.arange(count)
    got = np.array([[row["contributions"][group] for group in native.groups] for row in found])
    np.testing.assert_allclose(got, grouped[rows, :, output], atol=2e-4 * max(1, np.abs(made["score"]).max()))
    np.testing.assert_allclose(
        [row["base"] for row in found], base[rows, output], atol=1e-4 * max(1, np.abs(base).max())
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("learner", ["lightgbm", "linear", "constant"])
def test_contributions_in_the_page(page: Any, trained: Callable[..., Any], task: str, learner: str) -> None:
    explains(page, trained(task, learner), 40)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("learner", ["xgboost", "catboost", "random_forest", "extra_trees", "ebm"])
def test_contributions_of_other_trees(
    page: Any, trained: Callable[..., Any], task: str, learner: str
) -> None:
    explains(page, trained(task, learner), 40)


@pytest.mark.slow
def test_a_network_is_computed_but_not_explained(page: Any, trained: Callable[..., Any]) -> None:
    one = trained("binary", "mlp")
    assert one.page_facts()["explain"] is None
    parity(page, one, 300)
    found = page.evaluate("explained", ["binary", one.page_facts(), support.as_rows(one.rows(2))])
    assert found == [None, None]


@pytest.mark.slow
def test_an_ensemble_with_pairs(page: Any, tmp_path: Path) -> None:
    """Of categories, and of numbers: what they contribute is shared by their columns in the page too."""
    automl = {"budget": "9m", "learners": ["lightgbm"], "search": "none", "folds": 2}
    spec = TrainSpec.model_validate({"automl": automl, "rounds": 40})
    one = support.Trained(tmp_path, "binary", spec, 3000, stripes=True)
    facts = one.page_facts()
    assert '"pairs"' in json.dumps(facts["explain"])
    told = [name for names in facts["added"] for name in names]
    assert any(name.endswith(" num ber") or name.startswith("num ber ") for name in told), "sums have names"
    parity(page, one, 1000)
    explains(page, one, 20)


TYPES = {"x": "number", "n": "integer", "s": "string", "t": "timestamp", "u": "timestamp", "b": "boolean"}
#: Each part of the language once or more, so that every operator of the graph is met.
EXPRESSIONS = [
    *("x + n * 2 - x / n", "n % 7", "mod(x, 3)", "-x", "abs(x)", "sign(x)", "floor(x)", "ceil(x)"),
    *("trunc(x)", "round(x)", "round(x, 2)", "round(n, -2)", "sqrt(abs(x))", "exp(x)", "ln(x)"),
    *("log10(abs(x))", "log2(abs(n))", "pow(x, 3)", "sin(x)", "cos(x)", "tan(x)", "asin(x)", "acos(x)"),
    *("atan(x)", "atan2(x, n)", "cast(x AS integer)", "degrees(x)", "greatest(x, n, 0)", "least(x, n)"),
    *("coalesce(x, n, 0)", "nullif(n, 3)", "CASE WHEN x > 0 THEN n ELSE x END", "x > n AND b"),
    *("x < n OR NOT b", "x >= 0", "n <= 3", "n = 3", "n <> 3", "x BETWEEN 0 AND 1", "n IN (1, 2, 3)"),
    *("x IS NULL", "b IS NOT TRUE", "s IS NULL", "s = 'Lima'", "s IN ('Lima', 'Oslo')", "s LIKE 'L%m_'"),
    *("s LIKE '%\n%'", "starts_with(s, 'L')", "ends_with(s, 'o.')", "contains(s, 'a')"),
    *("regexp_matches(s, '[A-L]i+')", "lower(s) = 'lima'", "upper(s) = 'ZÜRICH'", "s || 'x' = 'Limax'"),
    *("concat(s, '-', cast(n AS varchar)) = 'Lima-3'", "year(t)", "month(t)", "day(t)", "hour(t)"),
    *("minute(t)", "second(t)", "quarter(t)", "week(t)", "dayofyear(t)", "epoch(t)", "dayofweek(t)"),
    *("isodow(t)", "date_diff('day', t, u)", "date_diff('month', t, u)", "date_sub('hour', t, u)", "t > u"),
    *("t = u", "t IN (TIMESTAMP '2020-02-29 00:00:00')", "month(date_trunc('quarter', t))"),
    *("epoch(t + INTERVAL 3 DAY)", "hour(date_trunc('week', t))", "year(coalesce(t, u))"),
    *("cast(b AS integer) + 1", "cast(b AS varchar) = 'true'"),
]  # fmt: skip


def expression_rows() -> dict[str, list[Any]]:
    import datetime as dt

    rng = np.random.default_rng(3)
    count = 300
    pools: dict[str, list[Any]] = {
        "x": [
            None,
            0.0,
            -0.0,
            0.5,
            1.5,
            2.5,
            -2.5,
            1e300,
            -1e-300,
            float("inf"),
            *rng.normal(size=20).tolist(),
        ],
        "n": [None, 0, 1, 2, 3, -3, -7, 10, 2**40, *rng.integers(-100, 100, 10).tolist()],
        "s": [None, "", "Lima", "Lim\na", "Oslo.", "lima", "Zürich", "zürich", "Limo", "LIma", "😀 a"],
        "t": [None, dt.datetime(1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 1), dt.datetime(2020, 2, 29)],
        "b": [True, False, None],
    }
    pools["t"] += [
        dt.datetime(1990, 1, 1) + dt.timedelta(seconds=int(k)) for k in rng.integers(0, 2 * 10**9, 30)
    ]
    pools["u"] = [*pools["t"][1:], None]
    return {name: [pools[name][i] for i in rng.integers(0, len(pools[name]), count)] for name in TYPES}


@pytest.mark.slow
def test_derived_features_and_every_operator(page: Any) -> None:
    """Every expression in the page is what onnxruntime makes of it, to the last bits of float64."""
    tensors = {
        "number": "float64",
        "integer": "float64",
        "boolean": "float32",
        "string": "string",
        "timestamp": "int64",
    }
    builder = GraphBuilder("expressions")
    for name, kind in TYPES.items():
        builder.input(name, tensors[kind], ("N", 1))
    for i, text in enumerate(EXPRESSIONS):
        made = expressions.compile(expressions.parse(f"e{i}", text, TYPES), builder, {n: n for n in TYPES})
        builder.output(builder.op("Identity", [made], name=f"e{i}"), "float64", ("N", 1))
    packer = Packer()
    head = compact(builder.model(), packer)
    fields = [{"name": name, "dtype": kind, "tensor": tensors[kind]} for name, kind in TYPES.items()]
    import pyarrow as pa

    data = expression_rows()
    rows = support.as_rows(pa.table(data))
    found = page.evaluate("computed", [packer.pack(head), fields, rows])
    signature = Signature.from_json(
        {
            "inputs": [{**f, "nullable": True, "shape": [], "domain": {}} for f in fields],
            "outputs": [],
            "task": "binary",
            "target": "",
            "classes": [],
        }
    )
    from bessemer.package.records import rows_to_feeds

    feeds = rows_to_feeds(pa.table(data).to_pylist(), signature.inputs)
    session = open_session(builder.model().SerializeToString(), 1)
    for i, text in enumerate(EXPRESSIONS):
        expected = session.run([f"e{i}"], feeds)[0].reshape(-1)
        got = np.array([support.numbers(row[f"e{i}"])[0] for row in found])
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=text)


def test_the_tables_of_the_scripts_are_the_operators_we_say(page: Any) -> None:
    assert set(page.evaluate("Object.keys(ONNX_OPERATORS)")) == OPERATORS


def test_patterns_that_mean_something_else_are_left_out() -> None:
    for pattern in (r"\pL+", r"(?i)a", r"\bword", r"[[:alpha:]]", r"a++", r"(?P<n>a)"):
        with pytest.raises(UncomputableError):
            browser_pattern(pattern)


def test_an_operator_that_the_page_lacks_is_named() -> None:
    builder = GraphBuilder("other")
    x = builder.input("x", "float32", ("N", 1))
    builder.output(builder.op("Erf", [x], name="y"), "float32", ("N", 1))
    with pytest.raises(UncomputableError, match="Erf"):
        compact(builder.model(), Packer())


# in the page ----------------------------------------------------------------------------------------
def opened(browser: Any, folder: Path, text: str, **context: Any) -> Opened:
    file = folder / "report.html"
    file.write_text(text, "utf-8")
    found = Opened(browser, file, **context)
    found.go("rows")
    return found


@pytest.mark.slow
def test_a_change_in_the_page_changes_the_answer(
    browser: Any, made: Callable[[str], Any], tmp_path: Path
) -> None:
    one = made("binary")
    here = opened(browser, tmp_path, one.report())
    here.page.wait_for_selector("[data-whatif=ready]")
    section = here.page.locator("#whatif")
    before = section.locator(".answer .stats").inner_text()
    section.get_by_label("Contract", exact=True).select_option("Month-to-month")
    section.get_by_label("tenure", exact=True).first.fill("1")
    assert "was" in section.locator(".answer .stats").inner_text() or before
    row = here.page.evaluate("DATA.whatif.rows[0].values")
    row |= {"Contract": "Month-to-month", "tenure": 1}
    model = one.store.get(one.refs["model"])
    signature = Signature.from_json(model.json("signature.json"))
    from bessemer.package.records import rows_to_feeds

    wanted = GraphSession(model.path("model.onnx"), signature.inputs).run_feeds(
        rows_to_feeds([row], signature.inputs), ["probability"]
    )["probability"][0, 1]
    shown = section.locator(".answer .stats bdi").nth(1).inner_text()
    assert shown == f"{100 * wanted:.1f}%"
    section.get_by_role("button", name="Undo 2 changes").click()
    assert section.locator(".answer .stats").inner_text() == before
    here.quiet()
    here.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_used_by_everybody(
    browser: Any, made: Callable[[str], Any], tmp_path: Path, scheme: str
) -> None:
    here = opened(
        browser,
        tmp_path,
        made("multiclass").report(),
        color_scheme=scheme,
        viewport={"width": 390, "height": 800},
    )
    here.page.wait_for_selector("[data-whatif=ready]")
    here.page.wait_for_selector("[data-trees=ready]")
    assert not here.too_wide()
    assert not here.faults(axe_source())
    here.close()


@pytest.mark.slow
def test_the_path_of_the_row_in_a_tree_by_keyboard(
    browser: Any, made: Callable[[str], Any], tmp_path: Path
) -> None:
    one = made("regression")
    here = opened(browser, tmp_path, one.report())
    tree = here.page.locator("#trees [role=tree]")
    tree.wait_for()
    here.page.locator("#trees input[type=number]").fill("2")
    taken = tree.locator(".taken")
    values = tree.locator(".taken > .line .leaf strong").all_inner_texts()
    assert taken.count() >= 2
    assert len(values) == 1
    from bessemer.package.trees.codec import decode
    from bessemer.package.trees.model import leaves_of

    model = one.store.get(one.refs["model"])
    trees = decode(model.bytes(model.json("model.json")["native"]["file"]))
    features = here.page.evaluate(
        """() => pageModel(DATA).then((model) => {
          const seen = model.answer(DATA, DATA.whatif.rows[0].values).features;
          return Array.from(seen, (v) => (Number.isNaN(v) ? null : v));
        })"""
    )
    leaf = leaves_of(trees.trees[1], support.numbers(features).astype(np.float32)[None, :])[0]
    shown = float(values[0].replace("−", "-"))
    assert shown == pytest.approx(trees.trees[1].value[leaf, 0], rel=1e-4)
    first = tree.locator("[role=treeitem]").first
    first.focus()
    here.page.keyboard.press("ArrowLeft")
    assert first.get_attribute("aria-expanded") == "false"
    for key in ("Enter", "ArrowDown", "ArrowRight", "End", "ArrowUp", "Home"):
        here.page.keyboard.press(key)
    assert first.get_attribute("aria-expanded") == "true"
    here.quiet()
    here.close()


@pytest.mark.slow
def test_the_start_rows_are_the_rows_of_the_examples(made: Callable[[str], Any]) -> None:
    from test_report_page import page_data

    for task in TASKS:
        data = page_data(made(task).report())
        rows, examples = data["whatif"]["rows"], data["explanations"]["examples"]
        assert len(rows) == len(examples) > 5
        for row in rows:
            assert set(examples[row["example"]]["row"]) <= set(row["values"])


def test_a_model_beyond_the_budget_is_said_and_its_trees_stay(
    browser: Any, made: Callable[[str], Any], tmp_path: Path
) -> None:
    here = opened(browser, tmp_path, made("multiclass").report(ReportSpec(whatif=5)))
    assert "too large for this page" in here.page.locator("#whatif").inner_text()
    here.page.locator("#trees .taken > .line .leaf").wait_for()
    here.quiet()
    here.close()


@pytest.mark.slow
def test_without_a_server_nothing_can_be_reached_and_with_one_only_that(
    browser: Any, made: Callable[[str], Any], tmp_path: Path
) -> None:
    fetched = "url => fetch(url).then(() => 'reached', (error) => String(error))"
    here = opened(browser, tmp_path, made("regression").report())
    here.page.evaluate(fetched, "http://localhost:9/predict")
    assert not [url for url in here.asked if url.startswith("http")]
    assert any("connect-src" in text or "Content Security Policy" in text for text in here.said)
    here.close()
    here = opened(browser, tmp_path, made("regression").report(ReportSpec(server="http://localhost:9")))
    assert not [url for url in here.asked if url.startswith("http")]
    here.page.get_by_role("button", name="Ask", exact=True).click()
    here.page.get_by_text("No answer.").wait_for()
    assert [url for url in here.asked if url.startswith("http")] == ["http://localhost:9/predict"]
    here.page.evaluate(fetched, "http://localhost:10/other")
    assert not any(url.startswith("http://localhost:10") for url in here.asked)
    here.close()

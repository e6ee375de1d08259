"""The page in a real browser: every view opens, every control does what it says, and nobody is shut out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Opened
from hostile import NAMES

from bessemer.core import canonical
from bessemer.report.html import TIMINGS
from bessemer.report.limits import VALUES
from bessemer.report.spec import ReportSpec

pytestmark = pytest.mark.slow

TASKS = ["binary", "multiclass", "regression"]
VIEWS = {"overview", "performance", "weak", "why", "rows", "making", "data", "about"}


def text_of(node: Any) -> str:
    return re.sub(r"\s+", " ", node.inner_text())


def data_of(opened: Opened) -> Any:
    return json.loads(opened.page.locator("#bessemer-data").text_content())


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """open_page(html): the page opened from a file; it must have been quiet when the test ends."""
    opened: list[Opened] = []

    def open_it(page: str, **context: Any) -> Opened:
        file = tmp_path / f"report-{len(opened)}.html"
        file.write_text(page, "utf-8")
        opened.append(Opened(browser, file, **context))
        return opened[-1]

    yield open_it
    for one in opened:
        one.quiet()
        one.close()


@pytest.mark.parametrize("task", TASKS)
def test_every_view_opens_alone_and_is_filled(made: Callable[[str], Any], open_page: Any, task: str) -> None:
    one = open_page(made(task).report())
    assert set(one.views()) == VIEWS
    for view in one.views():
        one.page.locator(f'#nav > a[href="#{view}"]').click()
        one.page.locator(f"#view-{view}").wait_for(state="visible")  # the address changes after the click
        assert [node.get_attribute("id") for node in one.page.locator(".view:visible").all()] == [
            f"view-{view}"
        ]
        assert one.page.locator('#nav > a[aria-current="page"]').get_attribute("href") == f"#{view}"
        shown = one.page.locator(f"#view-{view}")
        for section in shown.locator("section").all():
            said = text_of(section)
            assert len(said) > 80, said
            assert not re.search(r"\b(NaN|undefined|Infinity|null)\b|\[object", said), said
        assert not re.search(r'(?:d|x|y|x1|x2|cx|cy|width)="[^"]*(?:NaN|undefined)', shown.inner_html())
        assert all(chart.locator("svg").count() for chart in shown.locator(".chart:visible").all())


def test_every_section_has_an_address(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    for section in one.page.locator("section").all():
        name = section.get_attribute("id")
        one.go(name)
        assert section.is_visible(), name
    one.go("nowhere")
    assert one.page.locator("#view-overview").is_visible()


def test_the_first_screen_answers_the_four_questions(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    data = data_of(one)
    screen = one.page.locator("#summary")
    box = screen.bounding_box()
    assert box["y"] + box["height"] < 830, "what matters first is one screen of 1280 x 800"
    assert screen.locator("h2").all_inner_texts() == [
        "Is it good?", "Where does it fail?", "What drives it?", "Can it ship?",
    ]  # fmt: skip
    said = text_of(screen)
    value = data["evaluation"]["metrics"][data["evaluation"]["metric"]]["value"]
    assert f"{value:.3f}" in said
    assert data["explanations"]["found"]["permutation"]["content"]["rows"][0]["group"] in said
    assert "Ready to ship" in said
    screen.locator(".further a").nth(2).click()
    assert one.page.locator("#view-why").is_visible()


def test_the_threshold_changes_the_decisions_and_their_cost(
    made: Callable[[str], Any], open_page: Any
) -> None:
    one = open_page(made("binary").report())
    evaluation = data_of(one)["evaluation"]
    one.go("metrics")
    slider = one.page.get_by_label("Threshold", exact=True)
    costs = evaluation["costs"]["costs"]
    for at in (0, 20, 73):
        slider.fill(str(at))
        _, tp, fp, fn, tn = evaluation["curves"]["thresholds"][at]
        cells = one.page.get_by_role("table", name="Outcomes").locator("td").all_inner_texts()
        shown = [int(cell.split()[0].replace(",", "")) for cell in cells if cell.strip()]
        assert shown == [tn, fp, fn, tp]
        cost = (fp * costs["false_positive"] + fn * costs["false_negative"]) / (tp + fp + fn + tn)
        stat = one.page.locator(".stats div", has_text="Cost a row").inner_text().split("\n")[-1]
        assert float(stat) == pytest.approx(cost, abs=1e-3)
    one.page.get_by_role("button", name=re.compile("^Cheapest")).click()
    assert float(slider.input_value()) == round(100 * evaluation["costs"]["best"]["threshold"])


def test_a_column_is_found_and_read_with_the_keyboard(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    page = one.page
    one.go("column=tenure")
    chosen = page.locator("#dependence [aria-selected=true]")
    assert text_of(chosen).startswith("tenure")
    assert (
        page.locator("#dependence").get_by_role("img", name=re.compile("^Contribution by tenure")).count()
        == 1
    )
    search = page.get_by_label("Find a column").first
    search.fill("contr")
    assert page.locator("#dependence [role=option]").count() == 1
    search.press("ArrowDown")
    page.keyboard.press("Home")
    assert text_of(chosen).startswith("Contract")
    assert page.evaluate("location.hash") == "#column=Contract"
    search.fill("")
    page.locator("#dependence [role=listbox]").focus()
    page.keyboard.press("End")
    last = page.locator("#dependence [role=option]").last
    assert last.get_attribute("aria-selected") == "true"
    described = page.locator("#dependence [role=listbox]").get_attribute("aria-activedescendant")
    assert described == last.get_attribute("id")


def test_surfaces_and_curves_are_read_with_the_arrow_keys(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    one.go("column=tenure")
    for name in ("^Contribution by tenure", "^Score by"):
        one.page.get_by_role("img", name=re.compile(name)).first.focus()
        one.page.keyboard.press("ArrowRight")
        first = one.page.locator("#said").inner_text()
        one.page.keyboard.press("ArrowRight")
        assert first
        assert one.page.locator("#said").inner_text() != first


@pytest.mark.parametrize("task", TASKS)
def test_a_row_is_explained_in_every_way(made: Callable[[str], Any], open_page: Any, task: str) -> None:
    one = open_page(made(task).report())
    data = data_of(one)
    found = data["explanations"]["found"]
    example = data["explanations"]["examples"][-1]
    one.go(f"row={example['position']}")
    view = one.page.locator("#examples .picked")
    said = text_of(view)
    assert sum(example["contributions"].values()) + example["base"] == pytest.approx(
        example["score"], rel=1e-3
    )
    strongest = max(example["contributions"], key=lambda name: abs(example["contributions"][name]))
    assert strongest in text_of(view.get_by_role("table", name="From the base to the score"))
    local = {"rules": "the prediction is", "counterfactuals": "wanted", "influence": "the prediction"}
    local["attributions"] = "base"
    for explainer in found.values():
        rows = explainer["content"].get("rows", [])
        if explainer["kind"] in local and any(row["row"] == example["position"] for row in rows):
            assert local[explainer["kind"]] in said
            assert explainer["error"]["text"][:60] in said
            assert explainer["baseline"]["text"][:60] in said


def test_rows_are_searched_by_their_values(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    examples = data_of(one)["explanations"]["examples"]
    one.go("examples")
    one.page.get_by_label("Find a row: column=value").fill("Contract=Two")
    expected = sum(example["row"]["Contract"] == "Two year" for example in examples)
    assert 0 < expected < len(examples)
    assert one.page.locator("#examples [role=option]").count() == expected


def test_every_explanation_says_what_it_is_measured_against(
    made: Callable[[str], Any], open_page: Any
) -> None:
    one = open_page(made("regression").report())
    found = data_of(one)["explanations"]["found"]
    one.go("why")
    said = text_of(one.page.locator("#view-why"))
    for name in ("permutation", "contributions", "interactions", "surrogate", "prototypes", "ale"):
        assert found[name]["baseline"]["text"][:60] in said, name
        assert found[name]["error"]["text"][:60] in said, name


def test_tables_sort_and_slices_are_ordered(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    one.go("metrics")
    table = one.page.get_by_role("table", name="Metrics", exact=True)
    table.get_by_role("button", name="Model").click()
    values = [
        float(cell.replace("−", "-")) for cell in table.locator("tbody td:nth-child(2)").all_inner_texts()
    ]
    assert values == sorted(values, reverse=True)
    one.go("slices")
    card = one.page.locator("#slices .card").first
    before = card.locator("tbody th").all_inner_texts()
    card.get_by_role("button", name="Worst").click()
    assert card.locator("tbody th").all_inner_texts() != before or len(before) < 2
    assert card.get_by_role("button", name="Worst").get_attribute("aria-pressed") == "true"


def test_groups_are_compared_by_the_chosen_figure(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    groups = data_of(one)["evaluation"]["fairness"]["groups"]["gender"]
    one.go("fairness")
    one.page.get_by_label("Figure by gender", exact=True).select_option("tpr")
    table = one.page.get_by_role("table", name="True positive rate by gender", exact=True)
    for group in groups:
        row = table.locator("tr", has=one.page.get_by_role("rowheader", name=group["value"], exact=True))
        assert f"{group['metrics']['tpr']['value']:.3f}" in text_of(row)


@pytest.mark.parametrize("task", TASKS)
def test_every_control_can_be_used(made: Callable[[str], Any], open_page: Any, task: str) -> None:
    one = open_page(made(task).report())
    for view in one.views():
        one.go(view)
        one.page.evaluate(
            """(view) => {
              const root = document.getElementById("view-" + view);
              const point = (node, kind) => node.dispatchEvent(
                new PointerEvent(kind, {bubbles: true, clientX: 300, clientY: 200}));
              root.querySelectorAll("details").forEach((one) => { one.open = true; });
              root.querySelectorAll("button, [role=option]").forEach((one) => one.click());
              root.querySelectorAll("select").forEach((one) => {
                one.selectedIndex = one.options.length - 1;
                one.dispatchEvent(new Event("change"));
              });
              root.querySelectorAll("svg, svg rect").forEach((one) => {
                point(one, "pointermove");
                point(one, "pointerleave");
              });
              root.querySelectorAll("svg[tabindex]").forEach((svg) => {
                for (const key of ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "Tab"]) {
                  svg.dispatchEvent(new KeyboardEvent("keydown", {key}));
                }
              });
              root.querySelectorAll("input[type=search]").forEach((one) => {
                for (const value of ["ten", ""]) {
                  one.value = value;
                  one.dispatchEvent(new Event("input"));
                }
              });
            }""",
            view,
        )
        assert "NaN" not in one.page.locator(f"#view-{view}").inner_text()


def test_the_page_is_walked_through_with_the_keyboard(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report())
    page = one.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.hash") == "#performance"
    page.keyboard.press("Enter")
    assert page.locator("#view-performance").is_visible()
    page.go_back()
    page.locator("#view-overview").wait_for(state="visible")


def test_themes(made: Callable[[str], Any], open_page: Any) -> None:
    page = made("binary").report()
    one = open_page(page, color_scheme="dark")
    root = one.page.locator("html")
    assert root.get_attribute("data-theme") == "dark"
    one.page.locator(".theme").click()
    assert root.get_attribute("data-theme") == "light"
    fixed = open_page(made("binary").report(ReportSpec(theme="light")), color_scheme="dark")
    assert fixed.page.locator("html").get_attribute("data-theme") == "light"


@pytest.mark.parametrize("task", TASKS)
def test_a_phone_is_wide_enough(made: Callable[[str], Any], open_page: Any, task: str) -> None:
    one = open_page(made(task).report(), viewport={"width": 390, "height": 844}, has_touch=True)
    for view in one.views():
        one.go(view)
        assert not one.too_wide(), view


def test_paper_has_every_view(made: Callable[[str], Any], open_page: Any) -> None:
    one = open_page(made("binary").report(), color_scheme="dark")
    one.page.emulate_media(media="print")
    one.page.set_viewport_size({"width": 720, "height": 1000})
    assert one.page.locator(".view:visible").count() == len(VIEWS)
    assert not one.page.locator("#nav").is_visible()
    assert not one.too_wide()
    background = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert len(one.page.pdf()) > 50_000
    assert all(chart.locator("svg").count() for chart in one.page.locator(".chart:visible").all())


@pytest.mark.parametrize(
    ("task", "theme"), [("binary", "light"), ("multiclass", "dark"), ("regression", "dark")]
)
def test_axe_finds_nothing_serious(
    made: Callable[[str], Any], open_page: Any, axe: str, task: str, theme: str
) -> None:
    one = open_page(made(task).report(), color_scheme=theme)
    found = {}
    for view in one.views():
        one.go(view)
        found[view] = one.faults(axe)
    assert not {view: faults for view, faults in found.items() if faults}


def test_timings_are_shown_and_hostile_text_is_only_text(made: Callable[[str], Any], open_page: Any) -> None:
    stages = (
        '[{"stage":"acquire","status":"ran","seconds":1.25,"why":"first run"},'
        '{"stage":"train","status":"cached","seconds":0.004,"why":""}]'
    )
    hostile = "</script><script>document.title='owned'</script>"
    page = made("binary").report(ReportSpec(title=hostile, theme="dark"))
    one = open_page(page.replace(TIMINGS, TIMINGS.replace("null", stages)))
    assert one.page.title() == hostile
    one.go("timings")
    said = text_of(one.page.locator("#timings"))
    assert "1.3 s in all" in said
    assert "from the cache" in said
    assert "first run" in said


def test_little_is_enough(made: Callable[[str], Any], open_page: Any) -> None:
    one = made("multiclass")
    few = {kind: one.refs[kind] for kind in ("model", "splits", "evaluation")}
    opened = open_page(one.report(refs=few), viewport={"width": 390, "height": 844})
    views = set(opened.views())
    assert {"overview", "performance", "weak", "about"} <= views
    assert not {"why", "robustness"} & views
    assert "was not explained" in text_of(opened.page.locator("#summary"))


def test_the_card_is_read_without_scripts(made: Callable[[str], Any], open_page: Any) -> None:
    page = made("binary").report()
    one = open_page(page)
    one.go("card")
    assert "says nothing about a population" in text_of(one.page.locator("#model-card"))
    assert "says nothing about a population" in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_hostile_data_are_only_data(made: Callable[[str], Any], open_page: Any) -> None:
    """400 columns, 50 classes, nulls, names of markup, of JavaScript and from right to left."""
    page = made("hostile").report()
    assert len(page.encode()) < 3_000_000
    one = open_page(page)
    names = {entry["name"] for entry in data_of(one)["data"]["columns"]}
    assert set(NAMES) <= names
    for view in one.views():
        one.go(view)
        assert not one.too_wide(), view
        assert not re.search(r"\b(NaN|undefined)\b|\[object", one.page.locator(f"#view-{view}").inner_text())
    assert one.page.locator("main img").count() == 0
    one.go("dependence")
    for name in NAMES[:6]:
        one.page.get_by_label("Find a column").first.fill(name)
        one.page.locator("#dependence [role=option]").first.click()
        assert one.page.locator("#dependence .picked .card").count() >= 1
    one.go("metrics")
    assert one.page.locator(".matrix tbody tr").count() == 50


def test_thousands_of_slices_are_cut_to_the_worst_and_the_largest(
    made: Callable[[str], Any], open_page: Any
) -> None:
    one = made("binary")
    evaluation = one.store.get(one.refs["evaluation"]).json("evaluation.json")
    metric = evaluation["metric"]
    figure = {metric: {"value": 0.5, "low": 0.4, "high": 0.6}}
    parts = [{"value": f"v{i}", "kind": "level", "rows": i + 1, "metrics": figure} for i in range(10_000)]
    parts[17] = {**parts[17], "metrics": {metric: {"value": 9.0, "low": 8.0, "high": 9.5}}}
    predictions = one.store.get(one.refs["evaluation"]).path("predictions.parquet").read_bytes()
    files = {
        "evaluation.json": canonical.dump_bytes({**evaluation, "slices": {"many": parts}}),
        "predictions.parquet": predictions,
    }
    page = one.report(refs={**one.refs, "evaluation": one.store.put("evaluation", files, {"passed": True})})
    assert len(page) < 1_500_000
    opened = open_page(page)
    opened.go("slices")
    assert data_of(opened)["evaluation"]["slices_left_out"] == 10_000 - VALUES
    assert f"{10_000 - VALUES:,} more" in text_of(opened.page.locator("#slices"))
    opened.page.locator("#slices").get_by_role("button", name="Worst").click()
    assert opened.page.locator("#slices tbody th").first.inner_text() == "v17"
    opened.page.locator("#slices").get_by_role("button", name="Rows").click()
    assert opened.page.locator("#slices tbody th").first.inner_text() == "v9999"


def test_one_test_row_is_enough(made: Callable[[str], Any], open_page: Any, tmp_path: Path) -> None:
    """Everything but the metric's value can be missing."""
    import pyarrow.parquet as pq

    one = made("regression")
    evaluation = one.store.get(one.refs["evaluation"])
    first = pq.read_table(evaluation.path("predictions.parquet")).slice(0, 1)
    pq.write_table(first, tmp_path / "predictions.parquet")
    facts = evaluation.json("evaluation.json")
    bare = {"task": "regression", "metric": facts["metric"], "rows": 1, "confidence": 0.95, "replicates": 0}
    bare |= {"metrics": {facts["metric"]: {"value": 3.0, "low": None, "high": None}}, "baselines": {}}
    bare |= {"gates": [], "passed": True, "slices": {}, "curves": {}, "versus": {}, "champion": None}
    files = {
        "evaluation.json": canonical.dump_bytes(bare),
        "predictions.parquet": tmp_path / "predictions.parquet",
    }
    few = {kind: one.refs[kind] for kind in ("model", "splits")}
    few["evaluation"] = one.store.put("evaluation", files, {"passed": True})
    opened = open_page(one.report(refs=few))
    said = text_of(opened.page.locator("#summary"))
    assert "1 test row" in said
    assert "interval not known" in said
    assert "No gates were set" in said

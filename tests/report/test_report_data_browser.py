"""The data view in a real browser: found, sorted, opened, read with the keyboard, also on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Opened

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser: Any, made: Callable[[str], Any], tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    pages: list[Opened] = []

    def get(task: str, **context: Any) -> Opened:
        file = tmp_path / f"{task}-{len(pages)}.html"
        file.write_text(made(task).report(), "utf-8")
        pages.append(Opened(browser, file, **context))
        pages[-1].go("data")
        return pages[-1]

    yield get
    for page in pages:
        page.quiet()
        page.close()


def columns(page: Any) -> list[str]:
    return list(
        page.locator("#data-columns table[aria-label=Columns] > tbody > tr .expander").all_inner_texts()
    )


def test_columns_are_searched_chosen_by_kind_and_sorted(opened: Callable[..., Opened]) -> None:
    page = opened("binary").page
    everything = columns(page)
    assert len(everything) == 20
    page.get_by_label("Search columns").fill("CHARGES")
    assert sorted(columns(page)) == ["MonthlyCharges", "TotalCharges"]
    page.get_by_label("Search columns").fill("")
    page.get_by_label("Kind of column").select_option("number")
    assert sorted(columns(page)) == ["MonthlyCharges", "SeniorCitizen", "TotalCharges", "tenure"]
    page.get_by_label("Kind of column").select_option("")
    head = page.locator("#data-columns").get_by_role("button", name="With target")
    head.click()
    assert columns(page)[0] == "tenure"
    assert columns(page)[-1] == "Churn"  # the target has no association with itself: it stands last
    head.click()
    assert columns(page)[-1] == "Churn"
    assert columns(page)[-2] == "tenure"


def test_a_link_opens_a_column_and_its_figures_are_drawn(opened: Callable[..., Opened]) -> None:
    one = opened("binary")
    one.page.locator("#data-drift a", has_text="tenure").first.click()
    detail = one.page.locator("#data-columns tr.detail")
    detail.wait_for()
    captions = detail.locator("figcaption").all_inner_texts()
    assert captions == ["By split", "By Churn", "Share of Churn = true", "Facts"]
    assert detail.locator("path.line").count() >= 5
    assert one.page.evaluate("document.activeElement.textContent") == "tenure"
    one.page.locator("#data-columns .expander", has_text="Contract").click()
    table = one.page.locator("#data-columns tr.detail table.shares")
    assert "Month-to-month" in table.inner_text()
    assert one.page.locator("#data-columns tr.detail").count() == 2


def test_the_map_is_read_with_the_keyboard(opened: Callable[..., Opened]) -> None:
    page = opened("binary").page
    chart = page.locator("#data-associations svg[tabindex]").last
    chart.focus()
    said = []
    for key in ("ArrowRight", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
        said.append(page.locator("#said").inner_text())
    assert len(set(said)) == 3
    assert all(" and " in one for one in said)
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Tab")
    assert not page.locator("#tip").is_visible()


def test_broken_rules_show_their_values(opened: Callable[..., Opened]) -> None:
    text = opened("binary").page.locator("#data-broken").inner_text()
    assert "Weekly" in text
    assert "×4" in text


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_column_can_be_opened_and_nothing_is_too_wide(
    opened: Callable[..., Opened], task: str, width: int
) -> None:
    one = opened(task, viewport={"width": width, "height": 800})
    one.page.evaluate(
        "document.querySelectorAll('#data-columns .expander').forEach((button) => button.click())"
    )
    one.page.evaluate("document.querySelectorAll('#view-data .more').forEach((button) => button.click())")
    assert one.page.locator("#data-columns tr.detail").count() == len(columns(one.page))
    assert one.too_wide() == []
    text = one.page.locator("#view-data").inner_text()
    assert not any(word in text for word in ("NaN", "undefined", "Infinity", "[object"))
    marks = one.page.locator("#view-data svg").evaluate_all("nodes => nodes.map(n => n.outerHTML).join('')")
    assert "NaN" not in marks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Callable[..., Opened], axe: str, scheme: str) -> None:
    one = opened("binary", color_scheme=scheme)
    one.page.evaluate(
        "document.querySelectorAll('#data-columns .expander').forEach((button) => button.click())"
    )
    assert one.faults(axe) == []

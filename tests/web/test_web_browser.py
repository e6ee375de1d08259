"""The page in Chromium: what a person sees, live."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import axe_source, chromium
from page_support import HOSTILE, window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """opened(url): the page once it is drawn; the test fails where it said anything on the console."""
    contexts, said = [], []

    def go(url: str, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        page.locator("html[data-ready='true']").wait_for(state="attached")
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []


def test_it_shows_what_is_served_found_and_done(filled: Any, served: Any, opened: Any) -> None:
    page = opened(served(filled.path))
    assert page.title() == "churn: monitor"
    text = page.inner_text("main")
    for expected in (
        "What is served",
        "1.1",
        "ROC AUC over time",
        "Drift over time",
        "Trained again",
        "Promoted",
    ):
        assert expected in text
    assert "is no longer distributed as in training" in page.inner_text("#alerts")
    assert "bessemer log churn" in page.inner_text("#alerts code")
    assert "1 finding more, of versions that answered nothing" in page.inner_text("#alerts")


def test_text_of_the_data_stays_text(filled: Any, served: Any, opened: Any) -> None:
    page = opened(served(filled.path))
    assert page.locator("main img").count() == 0
    assert HOSTILE[:20] in page.inner_text("#findings")


def test_deployments_are_marked_in_the_picture(filled: Any, served: Any, opened: Any) -> None:
    page = opened(served(filled.path))
    assert page.locator("#performance path.line").count() == 3
    assert page.locator("#performance svg > line.thin.l3").count() == 2  # one a version
    assert page.locator("#drift line.mark").count() == 1  # where the version changes
    assert page.locator("#drift rect.found").count() == 2


def test_a_new_window_appears_by_itself(filled: Any, served: Any, opened: Any) -> None:
    page = opened(served(filled.path))
    assert "3,000 rows" in page.inner_text("#served")
    filled.keep(window(6, "1.1"))
    page.locator("#served", has_text="3,500 rows").wait_for()
    page.locator("#live[data-live='true']", has_text="live").wait_for()


def test_it_says_when_the_monitor_has_gone(filled: Any, served: Any, browser: Any) -> None:
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(served(filled.path))
    page.locator("html[data-ready='true']").wait_for(state="attached")
    page.context.set_offline(True)
    page.locator("#live[data-live='false']").wait_for()
    assert "does not answer" in page.inner_text("#live")
    assert "What is served" in page.inner_text("main")  # what was known stays
    page.context.set_offline(False)
    page.locator("#live[data-live='true']").wait_for()
    page.close()


def test_nothing_was_looked_at_yet(tmp_path: Path, served: Any, opened: Any) -> None:
    page = opened(served(tmp_path / "none.db"))
    assert "No window was looked at yet" in page.inner_text("main")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_in_both_themes(filled: Any, served: Any, opened: Any, scheme: str) -> None:
    page = opened(served(filled.path), color_scheme=scheme, bypass_csp=True)
    assert page.locator("html").get_attribute("data-theme") == scheme
    page.evaluate(axe_source())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    assert not found, json.dumps([[one["id"], one["nodes"][0]["html"]] for one in found], indent=1)


def test_it_fits_a_telephone(filled: Any, served: Any, opened: Any) -> None:
    page = opened(served(filled.path))
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")

"""The page that scores rows, in a real browser that sees nothing but its folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rowwise_support import model, package, proven, refused

from bessemer.api import exporting
from bessemer.export.samples import samples_of
from bessemer.export.web.browser import served

pytestmark = pytest.mark.slow


def _report_browser() -> Any:
    """What the report's tests open pages with."""
    path = Path(__file__).parents[1] / "report" / "browser.py"
    spec = importlib.util.spec_from_file_location("report_browser", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["report_browser"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "kind", ["lightgbm", "logistic", "forest", "regression", "table_net", "derived", "words"]
)
def test_chromium_answers_as_the_package(kind: str, tmp_path: Path) -> None:
    proof = proven("web", kind, tmp_path, 1e-6)
    assert "Chromium" in proof.runtime


def test_images_are_refused(tmp_path: Path) -> None:
    assert "onnxruntime-web has no operator" in refused("web", "convnet", tmp_path)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of `derived`, in the dark; what it asks for elsewhere is refused and kept."""
    browser = _report_browser()
    folder, _ = exporting.export(package("derived"), "web", tmp_path_factory.mktemp("web") / "out")
    with served(folder) as address, browser.chromium() as driver:
        context = driver.new_context(color_scheme="dark", viewport={"width": 420, "height": 900})
        opened = context.new_page()
        opened.set_default_timeout(300_000)
        opened.said, opened.foreign = [], []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on(
            "request",
            lambda r: opened.foreign.append(r.url) if not r.url.startswith((address, "data:")) else 0,
        )
        opened.goto(f"{address}/index.html")
        opened.wait_for_selector("html[data-ready]", state="attached")
        opened.axe = browser.axe_source()
        yield opened


def test_a_form_answers(page: Any) -> None:
    samples = samples_of(model("derived"))
    page.select_option("#example", "1")
    page.click("#predict")
    page.wait_for_selector("#answer .said")
    assert page.inner_text("#answer .said") == samples.labels[1]
    shown = page.inner_text("#answer .bars").split("\n")
    assert f"{100 * float(samples.values[1].max()):.1f} %" in shown
    page.fill("#fields .field:nth-child(1) input", "twelve")
    page.click("#predict")
    page.wait_for_selector("#answer .fault")
    assert "no number for amount" in page.inner_text("#answer")
    page.fill("#fields .field:nth-child(1) input", "12")


def test_many_rows_are_pasted(page: Any) -> None:
    samples = samples_of(model("derived"))
    page.click("#samples")
    page.wait_for_selector("#table tbody tr")
    said = [row.inner_text() for row in page.locator("#table tbody td:first-child").all()]
    assert said == samples.labels[: len(said)]
    page.fill("#text", '{"amount": 30, "city": "Oslo, the; \\"one\\""}\n{"visits": 2}')
    page.click("#score")
    page.wait_for_function("document.getElementById('told').textContent === '2 rows.'")
    page.fill("#text", 'city;amount\n"Oslo; ""x""";1\nbergen;x')
    page.click("#score")
    page.wait_for_selector("#told .fault")
    assert "Row 2: 'x' is no number for amount" in page.inner_text("#told")


def test_it_is_quiet_narrow_and_accessible(page: Any) -> None:
    assert page.foreign == []
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(page.axe)
    found = page.evaluate('() => axe.run(document, {resultTypes: ["violations"]})')
    assert [one["id"] for one in found["violations"]] == []

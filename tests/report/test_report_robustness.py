"""What attacks have found, in the report: in a browser, and without the attacked rows where none may be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Opened

from bessemer.core import canonical
from bessemer.report.spec import ReportSpec

pytestmark = pytest.mark.slow

POINTS = [
    {"budget": b, "value": v, "low": v - 0.05, "high": v + 0.03, "more": {"queries": 40.0 * b}}
    for b, v in ((0.0, 0.9), (0.1, 0.6), (0.2, 0.1))
]
IMAGE = {
    "budget": 0.1,
    "true": 3,
    "answer": 8,
    "shape": [1, 2, 2],
    "before": [0, 9, 255, 7],
    "after": [9, 0, 250, 7],
}
ROW = {"budget": 0.1, "true": "yes", "answer": "no", "columns": {"secret column": [1.0, 2.5]}}
EVASION = {
    "kind": "evasion", "settings": {}, "measure": "accuracy under attack", "unit": "largest change of one value",
    "rows": 20, "curve": POINTS, "notes": ["<b>bold</b>"], "samples": [IMAGE, ROW],
}  # fmt: skip
PRIVACY = {
    "kind": "privacy", "settings": {}, "measure": "AUC", "unit": "", "rows": 20, "notes": [], "samples": [],
    "curve": [{"budget": None, "value": 0.55, "low": 0.5, "high": 0.6, "more": {}}],
}  # fmt: skip
FOUND = {
    "rows": 20,
    "confidence": 0.95,
    "attacks": {"pgd": EVASION, "membership": PRIVACY, "square": {"kind": "evasion", "refused": "no image"}},
    "gates": [
        {"gate": "pgd", "required": ">= 60% at 0.2", "value": 0.1, "passed": False, "why": "it is 0.1"}
    ],
    "passed": False,
}


@pytest.fixture
def page(made: Callable[[str], Any]) -> Callable[..., str]:
    one = made("multiclass")

    def render(spec: ReportSpec | None = None, files: dict[str, bytes] | None = None) -> str:
        refs = {kind: one.refs[kind] for kind in ("model", "splits", "evaluation")}
        files = files or {"robustness.json": canonical.dump_bytes(FOUND)}
        text: str = one.report(spec, refs={**refs, "robustness": one.store.put("robustness", files, {})})
        return text

    return render


def test_curves_gates_and_rows_are_shown(page: Any, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(), "utf-8")
    opened = Opened(browser, file)
    opened.go("robustness")
    shown = opened.page.locator("#robustness")
    said = re.sub(r"\s+", " ", shown.inner_text())
    assert "Not every gate is kept" in said
    assert "PGD: accuracy under attack" in said
    assert "60.0% [55.0%, 63.0%]" in said
    assert "Square: no image." in said
    assert "<b>bold</b>" in said
    assert shown.locator("svg").count() == 1  # what has no budget has no curve
    assert shown.locator("canvas.pixels").count() == 2
    assert not re.search(r"\b(NaN|undefined|Infinity|null)\b|\[object", said), said
    opened.quiet()
    opened.close()


def test_no_attacked_row_is_there_where_none_may_be_shown(page: Any) -> None:
    assert "secret column" in page()
    assert "secret column" not in page(ReportSpec(samples=0))


def test_a_stage_that_was_not_asked_leaves_no_section(page: Any) -> None:
    data = re.search(r'id="bessemer-data">(.*?)</script>', page(files={"none.json": b"{}"}), re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["robustness"] is None

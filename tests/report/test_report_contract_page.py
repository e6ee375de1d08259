"""The page of the data contract in a real browser: quiet, complete, accessible, in both themes and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Opened

from bessemer.contracts.checked import Checked
from bessemer.contracts.page import page_of
from bessemer.validate.findings import Finding

pytestmark = pytest.mark.slow

HOSTILE = '</script><img src=x onerror="document.title=1">'
FINDINGS = (
    Finding("gone: removed", "removed", "gone", "stop", says="missing (there is 'gone2')"),
    Finding("age: max", "max", "age", "quarantine", 12, 0.012, ("150", "151", None)),
    Finding(f"sql: {HOSTILE}", f"sql: {HOSTILE}", "", "quarantine", 1, 0.00001, (HOSTILE * 3,)),
    Finding(
        "distribution (city)", "distribution", "city", "warn", says="psi 0.31 from the accepted snapshot"
    ),
)


def checked(findings: tuple[Finding, ...], **changed: Any) -> Checked:
    rules = tuple({"name": f"c{i}: max", "column": f"c{i}", "rule": "max", "says": "9"} for i in range(150))
    value: dict[str, Any] = {
        "project": "flights & more", "run": "20240101-000000-0000", "time": "2024-01-02T03:04:05+00:00",
        "contract": "contract.yaml", "passed": not findings, "inferred": False, "rows": 1000, "aside": 13,
        "allowed": 0.01,
        "rules": ({"name": "age: max", "column": "age", "rule": "max", "says": "99"}, *rules), "findings": findings,
        "since": {"age: max": {"run": "20231201-000000-0000", "time": "2023-12-01T00:00:00+00:00", "runs": 7}},
        "why": "13 of 1,000 rows break the contract" if findings else "", "fix": "correct the data" if findings else "",
    }  # fmt: skip
    return Checked(**{**value, **changed})


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
)
def test_what_is_broken(browser: Any, axe: str, tmp_path: Path, scheme: str, width: int) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(checked(FINDINGS)), "utf-8")
    opened = Opened(browser, file, color_scheme=scheme, viewport={"width": width, "height": 800})
    opened.quiet()
    assert opened.page.title() == "flights & more: the data contract"
    rows = [row.inner_text() for row in opened.page.locator("#broken tbody tr").all()]
    assert len(rows) == 4
    assert "stops the run" in rows[0]
    assert all(
        word in rows[1] for word in ("12", "1.20%", "2023-12-01 00:00, 7 runs", "150 · 151 · (missing)")
    )
    assert "<0.01%" in rows[2]
    assert HOSTILE in rows[2]
    assert "psi 0.31" in rows[3]
    for view in opened.views():
        opened.go(view)
        assert opened.faults(axe) == []
        assert opened.too_wide() == []
    opened.quiet()
    opened.close()


def test_every_rule_and_sorting(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(checked(FINDINGS)), "utf-8")
    opened = Opened(browser, file)
    opened.page.get_by_role("button", name="Rows", exact=True).click()
    assert "age" in opened.page.locator("#broken tbody tr").first.inner_text()
    opened.go("rules")
    table = opened.page.locator("#every-rule")
    assert table.locator("tbody tr").count() == 100
    assert "✗ broken" in table.locator("tbody tr").first.inner_text()
    table.get_by_role("button", name="all 151").click()
    assert table.locator("tbody tr").count() == 151
    opened.quiet()
    opened.close()


def test_nothing_is_broken(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(checked((), aside=0)), "utf-8")
    opened = Opened(browser, file)
    opened.quiet()
    assert "Every rule is kept." in opened.page.locator("#broken").inner_text()
    assert "keeps the contract" in opened.page.locator("#summary").inner_text()
    opened.close()

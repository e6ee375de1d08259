"""The page in a real browser: it runs without an error and every section is filled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bessemer.report.html import TIMINGS
from bessemer.report.spec import ReportSpec

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
pytestmark = pytest.mark.slow

SECTIONS = {
    "summary", "gates", "performance", "slices", "importance", "dependence", "examples", "training", "data",
    "features", "provenance",
}  # fmt: skip
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
]


def opened(page: str, folder: Path, *, width: int = 1280) -> str:
    """The document after its scripts ran. Fails on any message on the console."""
    file = folder / "report.html"
    file.write_text(page, "utf-8")
    profile = folder / "profile"
    assert BROWSER, "pages are tested in Chromium: `make browser` installs it"
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--window-size={width},1600", f"--user-data-dir={profile}", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(folder)},
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    document = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert 'data-ready="true"' in document
    assert "data-failed" not in document
    return document


def sections(document: str) -> dict[str, str]:
    found = re.findall(r'<section id="(\w+)"(.*?)</section>', document, re.DOTALL)
    return {name: re.sub(r"<[^>]*>", " ", body) for name, body in found}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_section_is_filled(made: Callable[[str], Any], tmp_path: Path, task: str) -> None:
    document = opened(made(task).report(), tmp_path)
    found = sections(document)
    assert set(found) == SECTIONS
    assert all(len(re.sub(r"\s+", " ", text)) > 80 for text in found.values())
    assert not re.search(r"\b(NaN|undefined|Infinity|\[object)\b", " ".join(found.values()))
    assert not re.search(r'(?:d|x|y|x1|x2|cx|cy|width)="[^"]*(?:NaN|undefined)', document)
    assert document.count('<path class="line') >= (1 if task == "regression" else 2)


def test_timings_are_shown_and_hostile_text_is_only_text(made: Callable[[str], Any], tmp_path: Path) -> None:
    stages = (
        '[{"stage":"acquire","status":"ran","seconds":1.25,"why":"first run"},'
        '{"stage":"train","status":"cached","seconds":0.004,"why":""}]'
    )
    hostile = "</script><script>document.title='owned'</script>"
    page = made("binary").report(ReportSpec(title=hostile, theme="dark"))
    document = opened(page.replace(TIMINGS, TIMINGS.replace("null", stages)), tmp_path)
    assert "<title>owned" not in document
    assert 'data-theme="dark"' in document
    text = sections(document)["timings"]
    assert "1.3 s in all" in text
    assert "from the cache" in text
    assert "first run" in text


#: Presses every control, moves over every chart, and reads every chart with the arrow keys.
USER = """<script>
const point = (node, kind) => node.dispatchEvent(new PointerEvent(kind, {bubbles: true, clientX: 300, clientY: 200}));
for (let round = 0; round < 2; round++) {
  document.querySelectorAll("main button").forEach((button) => button.click());
  document.querySelectorAll("input").forEach((input) => {
    for (const value of input.type === "range" ? [0, 37, 100] : ["ten", ""]) {
      input.value = value;
      input.dispatchEvent(new Event("input"));
    }
  });
}
document.querySelectorAll(".expander[aria-expanded=false]").forEach((button) => button.click());
document.querySelectorAll(".chart").forEach((chart) => chart.redraw());
document.querySelectorAll("svg, svg rect").forEach((node) => {
  point(node, "pointermove");
  point(node, "pointerleave");
});
document.querySelectorAll("svg[tabindex]").forEach((svg) => {
  for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "Tab"]) {
    svg.dispatchEvent(new KeyboardEvent("keydown", {key}));
  }
});
document.querySelector(".theme").click();
document.documentElement.dataset.used = document.querySelectorAll("tr.detail").length;
</script></body>"""


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_every_control_works(made: Callable[[str], Any], tmp_path: Path, task: str) -> None:
    document = opened(made(task).report().replace("</body>", USER), tmp_path)
    details = re.search(r'data-used="(\d+)"', document)
    assert details is not None
    assert int(details.group(1)) > 5
    assert 'data-theme="dark"' in document
    assert "NaN" not in " ".join(sections(document).values())


def test_little_is_enough_also_on_a_phone(made: Callable[[str], Any], tmp_path: Path) -> None:
    one = made("multiclass")
    few = {kind: one.refs[kind] for kind in ("model", "splits", "evaluation")}
    found = sections(opened(one.report(refs=few), tmp_path, width=400))
    assert {"summary", "gates", "performance"} <= set(found)
    assert not {"importance", "dependence", "examples", "training"} & set(found)

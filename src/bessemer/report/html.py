"""The page: the template, its style and script, and the data, in one text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from bessemer.core import canonical

#: The scripts in the order in which they are joined: each uses what stands before it.
SCRIPTS = (
    "base.js",
    "charts.js",
    "sections_quality.js",
    "sections_reasons.js",
    "sections_making.js",
    "main.js",
)

#: Stands exactly once in the page. Whoever knows how long the stages took puts that here instead of null.
TIMINGS = '<script type="application/json" id="bessemer-timings">null</script>'


def embed(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, so nothing in the data can end the element.

    >>> embed({"a": "</script><b>"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}'
    """
    text = canonical.dumps(value)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def with_timings(page: str, timings: Any) -> str:
    """The page with the stages' timings in the place kept for them."""
    return page.replace(TIMINGS, TIMINGS.replace("null", embed(timings)))


def asset(name: str) -> str:
    """The text of a file of the page."""
    return resources.files("bessemer.report").joinpath("assets", name).read_text("utf-8")


def render(view: Mapping[str, Any], *, theme: str) -> str:
    """The whole page for a view (see `report.view`); the same view gives the same text."""
    parts = {
        "theme": theme,
        "generator": html.escape(str(view["provenance"]["bessemer"])),
        "title": html.escape(str(view["title"])),
        "heading": _heading(view),
        "summary": html.escape(str(view["summary"])),
        "style": asset("report.css"),
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": embed(view),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found.group(1)], asset("page.html"))


def _heading(view: Mapping[str, Any]) -> str:
    lines = [f"<h1>{html.escape(str(view['title']))}</h1>"]
    if view["description"]:
        lines.append(f'<p class="lead">{html.escape(str(view["description"]))}</p>')
    named = f"{view['name']} {view['version']}".strip()
    lines.append(f'<p class="meta">{html.escape(named)}</p>')
    return "\n".join(lines)

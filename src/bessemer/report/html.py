"""The page: the template, its style and script, and the data, in one text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from bessemer.core import canonical
from bessemer.package.card_html import card_html

#: What computes a graph in a browser, in their order; exports carry it too.
ONNX_SCRIPTS = (
    "onnx_read.js",
    "onnx_tensor.js",
    "onnx_math.js",
    "onnx_shape.js",
    "onnx_text.js",
    "onnx_trees.js",
    "onnx_run.js",
)
#: The scripts in the order in which they are joined: each uses what stands before it.
SCRIPTS = (
    "base.js",
    "charts.js",
    "forest.js",
    "tables.js",
    "surface.js",
    "picker.js",
    "sections_overview.js",
    "sections_quality.js",
    "sections_curves.js",
    "sections_decisions.js",
    "sections_weak.js",
    "sections_compare_parts.js",
    "sections_doubts.js",
    "sections_fairness.js",
    "pictures.js",
    "sections_robustness.js",
    "sections_reasons.js",
    "sections_columns.js",
    "sections_rows.js",
    "sections_methods.js",
    "sections_global.js",
    "sections_training.js",
    "sections_making.js",
    "sections_data.js",
    "sections_data_column.js",
    "sections_data_tables.js",
    *ONNX_SCRIPTS,
    "shapley.js",
    "explain.js",
    "whatif_model.js",
    "whatif_fields.js",
    "whatif_server.js",
    "whatif.js",
    "trees.js",
    "views.js",
    "main.js",
)

#: The styles in their order; what is for paper stands last, so that it wins.
STYLES = ("report.css", "sections.css", "whatif.css", "data.css", "print.css")

#: Stands exactly once in the page. Whoever knows how long the stages took puts that here instead of null.
TIMINGS = '<script type="application/json" id="bessemer-timings">null</script>'


def connect_source(server: str | None) -> str:
    """What the page may connect to, as its content policy says it: nothing, or the one server it was told of.

    >>> connect_source("http://localhost:8080/predict/model"), connect_source(None)
    ('; connect-src http://localhost:8080', '')
    """
    return "; connect-src " + "/".join(server.split("/")[:3]) if server else ""


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
        "card": card_html(view["card"], level=3),
        "style": "\n".join(asset(name) for name in STYLES),
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": embed({key: value for key, value in view.items() if key != "card"}),
        "connect": connect_source((view.get("whatif") or {}).get("server")),
    }
    return fill(parts)


def fill(parts: Mapping[str, str]) -> str:
    """The template with every place filled."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found.group(1)], asset("page.html"))


def _heading(view: Mapping[str, Any]) -> str:
    lines = [f"<h1>{html.escape(str(view['title']))}</h1>"]
    if view["description"]:
        lines.append(f'<p class="lead">{html.escape(str(view["description"]))}</p>')
    named = f"{view['name']} {view['version']}".strip()
    lines.append(f'<p class="meta">{html.escape(named)}</p>')
    return "\n".join(lines)

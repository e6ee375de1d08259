"""The outcome of a check as one page, of the report's own parts."""

from __future__ import annotations

import html

from bessemer._version import __version__
from bessemer.contracts.checked import Checked
from bessemer.report.html import STYLES, asset, embed, fill

SCRIPTS = ("base.js", "charts.js", "forest.js", "tables.js", "views.js", "contract.js")


def page_of(checked: Checked, *, theme: str = "auto") -> str:
    """A self-contained HTML page; the same outcome gives the same text.

    Args:
        theme: auto, light or dark.
    """
    title = f"{checked.project}: the data contract"
    parts = {
        "theme": theme,
        "generator": html.escape(__version__),
        "title": html.escape(title),
        "heading": f'<h1>{html.escape(checked.project)}</h1><p class="meta">{html.escape(checked.contract)}</p>',
        "summary": html.escape(summary(checked)),
        "card": "",
        "style": "\n".join(asset(name) for name in STYLES),
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": embed(checked.to_json()),
        "connect": "",
    }
    return fill(parts)


def summary(checked: Checked) -> str:
    """The outcome in a sentence or two."""
    broken = len({finding.name for finding in checked.findings})
    rules = f"{len(checked.rules)} rule{'s' * (len(checked.rules) != 1)}"
    said = f"{checked.rows:,} rows held to {rules}: " + (f"{broken} broken" if broken else "all kept")
    if checked.aside:
        said += f", {checked.aside:,} rows ({checked.aside / checked.rows:.2%}) set aside"
    return said + ("." if checked.passed else f". The run stops: {checked.why}.")

"""How results show themselves in a notebook: small HTML without scripts, in the colours of the notebook's own theme."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

_QUIET = "opacity:.65"
_CELL = "text-align:left;padding:1px 14px 1px 0;vertical-align:top;background:transparent"
_MOST = 60


def text(value: Any) -> str:
    """A value as escaped text, cut to what a cell holds.

    >>> text("<b>"), text(None), text(0.123456789)
    ('&lt;b&gt;', '', '0.1235')
    """
    if value is None:
        return ""
    said = f"{value:.4g}" if isinstance(value, float) else str(value)
    return html.escape(said if len(said) <= 200 else said[:199] + "…")


def quiet(value: Any) -> str:
    """Escaped text in the background."""
    return f'<span style="{_QUIET}">{text(value)}</span>'


def figure(row: Any) -> str:
    """A value with its interval, as HTML; '' where there is none.

    >>> figure({"value": 0.5, "low": 0.25, "high": 0.75})
    '0.5 <span style="opacity:.65">[0.25, 0.75]</span>'
    """
    if not row or row.get("value") is None:
        return ""
    low, high = row.get("low"), row.get("high")
    known = low is not None and high is not None
    return text(float(row["value"])) + (f" {quiet(f'[{low:.4g}, {high:.4g}]')}" if known else "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML already, the head is text. After 60 rows it says how many more there are.

    >>> table(["name"], [["<b>x</b>"]]).count("<td")
    1
    """
    body = list(rows)
    lines = [_line("td", cells) for cells in body[:_MOST]]
    if len(body) > _MOST:
        lines.append(_line("td", [quiet(f"and {len(body) - _MOST:,} more")]))
    top = f"<thead>{_line('th', [quiet(name) for name in head])}</thead>" if any(head) else ""
    style = "border-collapse:collapse;margin:4px 0;font-size:inherit"
    return f'<table style="{style}">{top}<tbody>{"".join(lines)}</tbody></table>'


def _line(tag: str, cells: Sequence[str]) -> str:
    made = "".join(f'<{tag} style="{_CELL}">{cell}</{tag}>' for cell in cells)
    return f'<tr style="background:transparent">{made}</tr>'


def details(summary: str, body: str) -> str:
    """A part that is opened by a click."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>"


def card(title: str, facts: Iterable[tuple[str, str]], *more: str) -> str:
    """A title, facts (name as text, value as HTML; those without a value are left out), and what follows."""
    known = [[quiet(name), value] for name, value in facts if value]
    style = "border-left:3px solid #b9480c;padding:2px 0 2px 12px;margin:6px 0"
    return f'<div style="{style}"><strong>{text(title)}</strong>{table([], known)}{"".join(more)}</div>'

"""Explanations as a terminal shows them, one function a kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape

from bessemer.cli._console import format_value, out, rows_table
from bessemer.core.media import shown_image

#: Contributions shown of a row, and how long the longest bar is.
SHOWN, BAR = 12, 24

#: Parts of pixels, of 127, that are shown as nothing where there are no colours.
WEAK = 16

#: Changed or telling values shown of a row.
VALUES = 6


def show(found: Mapping[str, Any], package: str, data: str) -> None:
    """An answer of `api.explain`, as JSON has it."""
    rows = {row["row"]: row for row in found["rows"]}
    _KINDS.get(found["kind"], _plain)(found["content"], rows)
    out.print(f"\n[dim]compared with {escape(found['baseline']['text'])}[/]", soft_wrap=True)
    error = found["error"]
    value = "" if error["value"] is None else f" {format_value(error['value'])}"
    out.print(f"[dim]{escape(error['measure'])}{value}: {escape(error['text'])}[/]", soft_wrap=True)
    for note in found["notes"]:
        out.print(f"[dim]{escape(note)}[/]", soft_wrap=True)
    if found["explainer"] == "row_contributions":
        out.print(
            f"\nnext: [bold]bessemer explain {package} {data} --with counterfactuals[/]", soft_wrap=True
        )


def _head(row: Mapping[str, Any]) -> None:
    words = [f"[bold]row {row['row']}[/]: predicted [bold]{escape(_value(row['prediction']))}[/]"]
    if "probability" in row:
        words.append(f"with a probability of {row['probability']:.3g}")
    if "actual" in row:
        words.append(f"actually {escape(_value(row['actual']))}")
    out.print("\n" + ", ".join(words), soft_wrap=True)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return format_value(shown_image(value))
    return "missing" if value is None else format_value(value)


def _attributions(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    """A waterfall: from the base, column by column, to the score."""
    for found in content["rows"]:
        row = rows[found["row"]]
        _head(row)
        parts = sorted(found["contributions"].items(), key=lambda part: (-abs(part[1]), part[0]))
        shown, rest = parts[:SHOWN], parts[SHOWN:]
        lines = [("base", "", found["base"], found["base"])]
        total = found["base"]
        for name, value in shown:
            total += value
            lines.append((name, _value(row["values"][name]) if name in row["values"] else "", value, total))
        if rest:
            more = sum(value for _, value in rest)
            lines.append((f"{len(rest)} others", "", more, total + more))
        _waterfall(lines)
        named = f" of class {_value(found['class'])}" if "class" in found else ""
        out.print(f"score{escape(named)} [bold]{found['score']:.5g}[/]")


def _waterfall(lines: list[tuple[str, str, float, float]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    table.add_column(overflow="ellipsis", max_width=32)
    table.add_column(overflow="ellipsis", max_width=28, style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    ends = [total for _, _, _, total in lines]
    low, high = min(ends), max(ends)
    scale = BAR / (high - low) if high > low else 0.0
    for i, (name, value, part, total) in enumerate(lines):
        start = ends[i - 1] if i else total
        left, right = sorted(round((end - low) * scale) for end in (start, total))
        colour = "default" if not i else "green" if part >= 0 else "red"
        bar = " " * left + ("│" if not i else "█" * (right - left) or "▏")
        table.add_row(escape(name), escape(value), f"{part:+.4g}", f"[{colour}]{bar}[/]")
    out.print(table)


def _rules(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    for found in content["rows"]:
        _head(rows[found["row"]])
        words = [
            f"{one['column']} {one['operator']}"
            + ("" if one["value"] is None else f" {_value(one['value'])}")
            for one in found["conditions"]
        ]
        out.print("  " + escape(" and ".join(words) or "whatever the row"), soft_wrap=True)
        within = f" within {found['within']:.4g}" if "within" in found else ""
        out.print(
            f"  holds it{within} in {found['precision']:.1%} [dim]\\[{found['low']:.1%}, {found['high']:.1%}][/] "
            f"of such rows; true of {found['coverage']:.1%} of all",
            soft_wrap=True,
        )


def _counterfactuals(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    for found in content["rows"]:
        _head(rows[found["row"]])
        if not found["found"]:
            out.print(f"  [yellow]{escape(found['why'])}[/]", soft_wrap=True)
        for one in found["found"]:
            changes = ", ".join(
                f"{name}: {_value(before)} → {_value(after)}"
                for name, (before, after) in one["changes"].items()
            )
            probability = f", {one['probability']:.3g}" if "probability" in one else ""
            out.print(
                f"  [bold]{escape(_value(one['prediction']))}[/][dim]{probability}[/] if {escape(changes)}",
                soft_wrap=True,
            )


def _influence(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    for found in content["rows"]:
        row = rows[found["row"]]
        _head(row)
        for side, words in (("helpful", "speak for it"), ("harmful", "speak against it")):
            if found[side]:
                out.print(f"  training rows that {words}:")
            for one in found[side]:
                out.print(
                    f"    {one['influence']:+.4g}  [bold]{escape(_value(one['actual']))}[/]  "
                    f"[dim]{escape(_common(one['row'], row['values']))}[/]",
                    soft_wrap=True,
                )


def _common(other: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What another row has in which it differs from this one; the rest is the same."""
    different = [f"{name}: {_value(value)}" for name, value in other.items() if own.get(name) != value]
    more = f" and {len(different) - VALUES} more" if len(different) > VALUES else ""
    return "the same row" if not different else ", ".join(different[:VALUES]) + more


def _prototypes(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    for side, words in (
        ("prototypes", "rows that stand for all"),
        ("criticisms", "rows they do not stand for"),
    ):
        if content[side]:
            out.print(f"\n{words}:")
        for one in content[side]:
            share = f"{one['share']:.0%}  " if "share" in one else ""
            values = ", ".join(f"{name}: {_value(value)}" for name, value in one["row"].items())
            out.print(
                f"  {share}[bold]{escape(_value(one['prediction']))}[/]  [dim]{escape(values)}[/]",
                soft_wrap=True,
            )


def _maps(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    """Two rows of pixels a line: green ones raise the score, red ones lower it."""
    told = None
    for found in content["rows"]:
        if told != (told := found["row"]):
            _head(rows[told])
        named = f" of class {_value(found['class'])}" if "class" in found else ""
        out.print(
            f"  {escape(found['column'])} adds [bold]{found['part']:+.5g}[/] to the score{escape(named)}: "
            "[green]green[/] pixels (+) raise it, [red]red[/] ones (-) lower it",
            soft_wrap=True,
        )
        _, height, width = found["shape"]
        lines = [found["map"][i * width : (i + 1) * width] for i in range(height)]
        if width > out.width - 2:
            out.print("  [dim]too wide for this terminal: `--json` has it[/]")
            continue
        if out.color_system is None:
            for line in lines:
                out.print(
                    "  " + "".join("+" if v > WEAK else "-" if v < -WEAK else "." for v in line), markup=False
                )
            continue
        for upper, lower in itertools.zip_longest(lines[::2], lines[1::2], fillvalue=[0] * width):
            cells = (f"[{_shade(a)} on {_shade(b)}]▀[/]" for a, b in zip(upper, lower, strict=True))
            out.print("  " + "".join(cells))


def _shade(part: int) -> str:
    """-127 to 127 as a colour: red below 0, green above, dark in between."""
    light = 30 + round(225 * (abs(part) / 127) ** 0.7)
    return f"rgb({light},40,50)" if part < 0 else f"rgb(30,{light},60)" if part else "rgb(30,30,30)"


def _importance(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    names = ("group", "value", "low", "high")
    out.print(rows_table([{n: row[n] for n in names if n in row} for row in content["rows"]]))


def _pairs(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    names = ("columns", "value", "low", "high")
    if content["pairs"]:
        out.print(rows_table([{n: pair[n] for n in names if n in pair} for pair in content["pairs"]]))


def _plain(content: Mapping[str, Any], rows: Mapping[int, Any]) -> None:
    out.print("this one is made for looking at: `--json` has all of it, and so has the report of a run")


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[int, Any]], None]] = {
    "attributions": _attributions,
    "rules": _rules,
    "counterfactuals": _counterfactuals,
    "influence": _influence,
    "prototypes": _prototypes,
    "maps": _maps,
    "importance": _importance,
    "interactions": _pairs,
}

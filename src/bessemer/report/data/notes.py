"""What a reader should look at first: columns that tell the target, say nothing, changed, or have holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bessemer.report.data.drift import FAR, SURE
from bessemer.report.data.told import PROXY

if TYPE_CHECKING:
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.tally import Tally

#: The share of missing values that is pointed at, and that of one value from which on a column is nearly constant.
_MISSING, _CONSTANT = 0.5, 0.995
#: Notes of one kind; the page says how many more there are.
SHOWN = 20

#: The kinds of notes in the order of their weight.
KINDS = ("proxy", "drift", "same", "constant", "missing", "identifier", "gaps")

Note = dict[str, Any]


def notes(
    layouts: Mapping[str, Layout],
    tallies: Mapping[str, Tally],
    facts: Mapping[str, Mapping[str, Any]],
    same: list[list[Any]],
    target: str,
) -> list[Note]:
    """[{kind, column, text}] by weight; `facts` are the columns' facts, in their order."""
    found = [
        {"kind": kind, "column": name, "text": text}
        for name, found_of in facts.items()
        for kind, text in _of_column(layouts[name], tallies[name], found_of, is_target=name == target)
    ]
    found += [
        {"kind": "same", "column": b, "text": f"says the same as {a} (association {figure:.3g})"}
        for a, b, figure in same
    ]
    return sorted(found, key=lambda note: KINDS.index(note["kind"]))


def shortened(found: list[Note]) -> tuple[list[Note], int]:
    """At most `SHOWN` of each kind, and how many are left out."""
    kept = [note for kind in KINDS for note in [n for n in found if n["kind"] == kind][:SHOWN]]
    return kept, len(found) - len(kept)


def _of_column(
    layout: Layout, tally: Tally, facts: Mapping[str, Any], *, is_target: bool
) -> Iterator[tuple[str, str]]:
    told = facts.get("told")
    if told is not None and told >= PROXY and not is_target:
        yield "proxy", f"alone takes {told:.1%} of the doubt about the target: is it known in time?"
    for part, change in (facts.get("drift") or {}).items():
        if change["distance"] >= FAR and change["p"] is not None and change["p"] < SURE:
            yield (
                "drift",
                f"is distributed otherwise in {part} than in train (distance {change['distance']:.2g})",
            )
    missing = int(tally.by_part[:, -1].sum())
    if missing == tally.rows:
        yield "constant", "has no value in any row"
        return
    if missing >= _MISSING * tally.rows:
        yield "missing", f"is missing in {missing / tally.rows:.0%} of the rows"
    yield from _one_value(layout, tally, missing)
    if layout.kind == "identifier":
        yield (
            "identifier",
            "has another value in (nearly) every row: it names rows and cannot be learned from",
        )
    if (facts.get("time") or {}).get("gaps"):
        yield "gaps", facts["time"]["gaps_text"]


def _one_value(layout: Layout, tally: Tally, missing: int) -> Iterator[tuple[str, str]]:
    if layout.kind not in ("category", "boolean", "number"):
        return
    known = tally.rows - missing
    most = int(tally.by_part[:, :-1].sum(axis=0).max(initial=0))
    if layout.distinct < 2 and most == known:
        yield "constant", "has one value only"
    elif most >= _CONSTANT * known and layout.kind != "number":
        yield "constant", f"has one value in {most / known:.2%} of the rows that have any"

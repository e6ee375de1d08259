"""The data part of the page: one dictionary, made of the artifacts that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.report.data.association import associations
from bessemer.report.data.bins import Values
from bessemer.report.data.drift import drift
from bessemer.report.data.images import image_facts
from bessemer.report.data.layout import Layout, edges_of, lay_out
from bessemer.report.data.missing import patterns
from bessemer.report.data.notes import notes, shortened
from bessemer.report.data.parts import Parts
from bessemer.report.data.quarantine import violations
from bessemer.report.data.sample import Sample, draw
from bessemer.report.data.tally import Tally, count
from bessemer.report.data.target import Target, target_of
from bessemer.report.data.texts import RARE, identifier_facts, text_facts
from bessemer.report.data.times import time_facts
from bessemer.report.data.told import told
from bessemer.stats.arrays import tidy

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context

#: Single texts in the whole page: columns with texts share them.
TEXTS = 2000
#: The most columns with their own row in the page; the run's artifacts have all.
COLUMNS = 400


def data_facts(artifacts: Mapping[str, Artifact], samples: int, ctx: Context) -> dict[str, Any]:
    """What the page says of the data.

    Args:
        artifacts: `splits` must be there; `statistics`, `contract`, `quarantine` and `model` are used if they are.
        samples: how many single values (texts, identifiers, values that broke a rule, extremes) are shown of a
            column or rule; 0: none, and no value or word that fewer than ten rows have.
    """
    splits = artifacts["splits"]
    statistics = artifacts["statistics"].json("statistics.json") if "statistics" in artifacts else None
    inputs = artifacts["model"].json("signature.json")["inputs"] if "model" in artifacts else None
    used = None if inputs is None else {field["name"] for field in inputs}
    study = look(splits, ctx)
    known = (statistics or {}).get("columns", {})
    order = list(dict.fromkeys([*study.parts.types, *known]))
    named = [name for name in order if name in study.layouts or name in known][:COLUMNS]
    each = min(samples, max(1, TEXTS // max(1, study.texts)))
    columns = [_column(name, known.get(name, {}), study, used, each) for name in named]
    quarantine = artifacts.get("quarantine")
    return {
        "rows": statistics["rows"] if statistics else sum(study.parts.rows),
        "columns": columns,
        "left_out": len(order) - len(named),
        "parts": [[part, rows] for part, rows in zip(study.parts.names, study.parts.rows, strict=True)],
        "sample": {"rows": len(study.sample), "whole": study.sample.whole},
        "samples": samples,
        "target": _target(study),
        "associations": study.associations,
        "missing": patterns(study.sample, list(study.layouts)),
        **dict(zip(("notes", "notes_left_out"), shortened(_notes(columns, study)), strict=True)),
        "contract": dict(artifacts["contract"].meta) if "contract" in artifacts else None,
        "quarantine": dict(quarantine.meta) if quarantine else None,
        "violations": violations(quarantine, samples) if quarantine and quarantine.meta["rows"] else [],
    }


@dataclass(frozen=True)
class Study:
    """What was found in the rows, with a column's name as key."""

    parts: Parts
    sample: Sample
    target: Target
    layouts: Mapping[str, Layout]
    tallies: Mapping[str, Tally]
    associations: dict[str, Any]
    changes: Mapping[str, Any]

    @property
    def texts(self) -> int:
        """How many columns show single texts."""
        return sum(layout.kind in ("text", "identifier") for layout in self.layouts.values())


def look(splits: Artifact, ctx: Context) -> Study:
    """The two passes over the rows, and what follows from them."""
    parts = Parts(splits)
    target_name = str(splits.meta["target"])
    names = list(parts.types)[:COLUMNS]
    if target_name in parts.types and target_name not in names:
        names[-1] = target_name
    sample = draw(parts, names)
    target = target_of(splits.meta, sample.y)
    layouts = {name: lay_out(sample, name, parts.types[name], len(names)) for name in names}
    listed = list(layouts.values())
    tallies = count(parts, listed, target, ctx)
    found = associations(sample, listed, target)
    changes = drift(listed, tallies, parts.names, splits.meta.get("method"))
    return Study(parts, sample, target, layouts, tallies, found, changes)


def _column(
    name: str, known: Mapping[str, Any], study: Study, used: set[str] | None, samples: int
) -> dict[str, Any]:
    """A column's row: its statistics over all rows, and `found`, what the split rows say."""
    layout = study.layouts.get(name)
    if layout is None:
        kept = ("top",) if not samples else ()
        return {"name": name, **{key: value for key, value in known.items() if key not in kept}}
    tally = study.tallies[name]
    missing = int(tally.by_part[:, -1].sum())
    basic = {
        "dtype": layout.dtype,
        "count": tally.rows - missing,
        "missing": missing,
        "missing_share": missing / tally.rows if tally.rows else 0.0,
    }
    facts = {key: value for key, value in known.items() if key not in ("top", "histogram")}
    facts.setdefault("distinct", layout.distinct)
    if used is not None:
        facts["input"] = name in used
    return {"name": name, **facts, **basic, "found": _found(layout, tally, study, samples)}


def _found(layout: Layout, tally: Tally, study: Study, samples: int) -> dict[str, Any]:
    name, edges = layout.name, edges_of(layout)
    facts: dict[str, Any] = {"kind": layout.kind, **_counts(layout, tally, study.target, samples)}
    if edges is not None and layout.kind != "time":
        facts["edges"] = edges.edges
    if layout.calendar is not None:
        facts["time"] = time_facts(layout.calendar, tally)
    if layout.fences is not None:
        facts |= {"fences": list(layout.fences), "beyond": tally.beyond}
    if layout.kind == "number" and samples:
        facts |= {"low": tally.low, "high": tally.high}
    if layout.kind == "text":
        facts["text"] = text_facts(study.sample, layout, samples)
    if layout.kind == "identifier":
        facts["text"] = identifier_facts(study.sample, layout, samples)
    if layout.kind == "image":
        facts["images"] = image_facts(study.parts, name, study.target.name, samples)
    if name in study.changes:
        facts["drift"] = study.changes[name]
    facts |= _about_target(layout, study)
    return dict(tidy(facts, 15))  # the view rounds it, each number by what stands beside it


def _about_target(layout: Layout, study: Study) -> dict[str, Any]:
    if layout.name == study.target.name:
        return {"target": True}
    with_target = study.associations["target"].get(layout.name)
    return {"association": with_target, "told": told(layout, study.sample, study.target)}


def _counts(layout: Layout, tally: Tally, target: Target, samples: int) -> dict[str, Any]:
    """Rows by part and by target in each bin, "missing" last; the mean target of each bin in regression."""
    parts, groups, sums = tally.by_part, tally.by_group, tally.sums
    facts: dict[str, Any] = {}
    if isinstance(layout.bins, Values) and layout.kind == "category":
        kept = _shown(layout.bins.values, parts.sum(axis=0), samples)
        facts["values"] = [layout.bins.values[i] for i in kept]
        parts, groups, sums = (_folded(table, kept) for table in (parts, groups, sums))
    facts |= {"parts": parts, "groups": groups}
    if target.task == "regression":
        rows = parts.sum(axis=0)
        facts["means"] = np.divide(sums, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    return facts


def _shown(values: Sequence[str], rows: Any, samples: int) -> list[int]:
    """Places of the values that are shown, the most frequent first."""
    kept = [i for i in range(len(values)) if samples or rows[i] >= RARE]
    return sorted(kept, key=lambda i: (-int(rows[i]), values[i]))


def _folded(table: Any, kept: Sequence[int]) -> Any:
    """Columns of a table of counts (..., values + 2): the kept values, all others together, missing."""
    others = table[..., :-1].sum(axis=-1) - table[..., list(kept)].sum(axis=-1)
    return np.concatenate([table[..., list(kept)], others[..., None], table[..., -1:]], axis=-1)


def _target(study: Study) -> dict[str, Any]:
    tables = list(study.tallies.values())
    empty = np.zeros((len(study.parts.names), len(study.target.groups)), dtype=np.int64)
    counts = tables[0].counts.sum(axis=2) if tables else empty
    return {"groups": list(study.target.groups), "counts": counts.tolist()}


def _notes(columns: Sequence[Mapping[str, Any]], study: Study) -> list[dict[str, Any]]:
    facts = {column["name"]: column["found"] for column in columns if "found" in column}
    return notes(study.layouts, study.tallies, facts, study.associations["same"], study.target.name)

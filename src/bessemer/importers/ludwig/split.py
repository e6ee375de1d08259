"""Ludwig's split, today's section and the older keys."""

from __future__ import annotations

from bessemer.core.errors import did_you_mean
from bessemer.core.sql import quote
from bessemer.importers.draft import Draft
from bessemer.importers.ludwig.features import time_of
from bessemer.importers.ludwig.outputs import Target
from bessemer.importers.section import Section, is_number

TYPES = ("random", "fixed", "stratify", "datetime", "hash")


def read(preprocessing: Section, draft: Draft, target: Target) -> None:
    """Set `prepare.split`."""
    split = preprocessing.section("split", word="type")
    kind, column = split.text("type"), split.text("column")
    shares = "probabilities"
    said = split
    if "stratify" in preprocessing:
        kind, column = kind or "stratify", column or preprocessing.text("stratify")
    if "split_probabilities" in preprocessing and shares not in split:
        said, shares = preprocessing, "split_probabilities"
    forced = preprocessing.flag("force_split")
    if forced is False and kind is None:
        why = "a column called split would have been used, if there is one"
        preprocessing.near("force_split", "prepare.split by chance", why)
    if kind is None and (forced or shares in said):
        kind = "random"
    if kind is not None and kind not in TYPES:
        draft.findings.fault(split.at("type"), f"no split '{kind}' in Ludwig", did_you_mean(kind, TYPES))
        return
    if kind == "fixed":
        said.lost(shares, "a fixed split has no shares")
        _fixed(draft, column or "split")
    elif kind is not None:
        _shares(said, shares, draft)
        _method(split, draft, kind, column, target)
    split.lose({}, "no setting of Ludwig's split that is known here")


def _method(split: Section, draft: Draft, kind: str, column: str | None, target: Target) -> None:
    if kind == "random":
        draft.put("prepare.split.method", "random")
    elif kind == "stratify":
        if column in (None, target.name) and target.kind != "number":
            draft.put("prepare.split.method", "stratified")
        else:
            path = split.path if "type" in split else "preprocessing.stratify"
            why = "a split is stratified by the classes of the target only"
            draft.findings.lost(path, {"stratify": column}, why, "prepare.split.method")
    elif column is None:
        draft.findings.fault(split.at("column"), f"a {kind} split needs a column", "name it")
    elif kind == "datetime":
        by = _selected(draft, column, time_of(column), ordered=True)
        draft.put("prepare.split.by", by)
    else:
        group = _selected(draft, column, quote(column))
        draft.put("prepare.split.group", group)
        why = "rows with the same value stay together; which part they fall into is decided anew"
        split.near("type", f"prepare.split.group: {group}", why)


def _fixed(draft: Draft, column: str) -> None:
    """Ludwig's 0, 1 and 2 become the words that `given` reads."""
    name = f"{column}_part" if column in draft.selected else column
    number = f"try_cast({quote(column)} as integer)"
    draft.selected[name] = f"case {number} when 0 then 'train' when 1 then 'valid' when 2 then 'test' end"
    draft.wanted.append(f"{number} between 0 and 2")
    draft.put("prepare.split.given", name)


def _selected(draft: Draft, column: str, sql: str, *, ordered: bool = False) -> str:
    """The name under which a column that the split needs is in the data; where no feature reads it, it is none.

    ordered: the split goes by the order of its values, which categories and texts have not.
    """
    columns = draft.get("prepare.columns") or {}
    for name, selected in draft.selected.items():
        wordy = columns.get(name, {}).get("as") in ("categorical", "text")
        if quote(column) in selected and name != draft.target and not (ordered and wordy):
            return name
    name = column if column not in draft.selected else f"{column}_split"
    draft.selected[name] = sql
    draft.exclude(name)
    return name


def _shares(section: Section, key: str, draft: Draft) -> None:
    value = section.any(key)
    if value is None:
        return
    listed = value if isinstance(value, list) else []
    if (
        len(listed) != 3
        or not all(is_number(p) and 0 <= p <= 1 for p in listed)
        or abs(sum(listed) - 1) > 0.01
    ):
        what = "should be three shares that are 1 together: train, validation, test"
        section.findings.fault(section.at(key), f"{what}, not {value}")
        return
    valid, test = listed[1] or 0.1, listed[2] or 0.1
    if not all(listed):
        section.near(key, f"prepare.split: valid {valid:.0%}, test {test:.0%}", "every part has rows")
    if valid + test >= 1:
        section.findings.fault(section.at(key), "leaves no rows to train on")
        return
    draft.put("prepare.split.test", _percent(test))
    draft.put("prepare.split.valid", _percent(valid))


def _percent(share: float) -> str:
    """A share as the project file writes it.

    >>> _percent(0.2), _percent(0.125)
    ('20%', '12.5%')
    """
    return f"{share * 100:.6g}%"

"""igel: the door. Reads dataset, model and target, and says what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.importers.draft import Draft
from bessemer.importers.igel import dataset, model
from bessemer.importers.section import Hints, Section

#: igel's type of problem -> the task, '' where the number of classes decides.
TYPES = {
    "regression": "regression",
    "classification": "",
    "structureddataregression": "regression",
    "structureddataclassification": "",
}
#: Types of igel that predict no column of a table.
UNSUPPORTED = {
    "clustering": "clustering has no target, and Bessemer predicts one",
    "imageclassification": "pictures are no columns of a table",
    "imageregression": "pictures are no columns of a table",
    "textclassification": "igel trains it on a folder of texts",
    "textregression": "igel trains it on a folder of texts",
    "fewshotlearning": "learning from a few examples has no counterpart",
}
_NAMES = ("regression", "classification", "clustering")

_HINTS: Hints = {
    "fairness": ("no fairness is enforced", "evaluate.slices, for the metric of each group"),
    "output": ("results stand in the build folder", ""),
    "validation": ("the contract checks the data", "validate.contract"),
    "feature_engineering": ("features are SQL expressions", "prepare.derive"),
}


class Igel:
    """Reads igel.yaml and igel.json, today's and the early ones.

    >>> Igel().recognises({"model": {"type": "regression"}, "target": ["y"]})
    True
    """

    NAME: ClassVar[str] = "igel"

    def recognises(self, value: Mapping[str, Any]) -> bool:
        if isinstance(value.get("input_features"), list) or "output_features" in value:
            return False
        return "model" in value or ("dataset" in value and "target" in value)

    def translate(self, file: Section, draft: Draft) -> None:
        described = file.section("model")
        kind = _type(described)
        data = file.section("dataset")
        _target(file, data, draft)
        if draft.findings.faults or kind is None:
            return
        if task := TYPES[kind]:
            draft.put("task", task)
        else:
            draft.notes["target"] = "classes; how many of them decides binary or multiclass"
        if (path := file.text("input")) is not None:
            draft.data = draft.data or draft.locate(path)
        dataset.read(data, draft, classes=not TYPES[kind])
        model.read(described, draft, kind)
        file.lose(_HINTS, "no key of igel's that is known here")


def _type(described: Section) -> str | None:
    said = described.text("type")
    if said is None:
        if not described.findings.faults:
            what = "the model has no type"
            described.findings.fault("model", what, "type: classification, or type: regression")
        return None
    kind = "".join(c for c in said.lower() if c.isalnum())
    if kind in UNSUPPORTED:
        described.findings.fault(described.at("type"), f"'{said}' has no counterpart: {UNSUPPORTED[kind]}")
        return None
    if kind not in TYPES:
        fix = did_you_mean(said, _NAMES)
        described.findings.fault(described.at("type"), f"no type of model '{said}' in igel", fix)
        return None
    return kind


def _target(file: Section, data: Section, draft: Draft) -> None:
    """The first target; the others are neither predicted nor features."""
    where = file if "target" in file or "target" not in data else data
    targets = [name for name in where.texts("target") if name.strip()]
    if not targets:
        if not draft.findings.faults:
            draft.findings.fault("target", "no target", "target: [COLUMN]")
        return
    draft.target = targets[0]
    for name in dict.fromkeys(targets[1:]):
        if name == draft.target:
            continue
        draft.exclude(name)
        why = f"several are for the learner network; taken over is '{draft.target}'"
        instead = (
            f"target: [{draft.target}, {name}] with train.learner: network, and {name} out of prepare.exclude"
        )
        draft.findings.lost(where.at("target"), name, why, instead)

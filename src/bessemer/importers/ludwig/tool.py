"""Ludwig: the door. Reads the config's sections in turn and says what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.importers.draft import Draft
from bessemer.importers.ludwig import features, hyperopt, outputs, split, trainer
from bessemer.importers.section import Hints, Section

MODELS = ("ecd", "gbm", "llm")

_HINTS: Hints = {
    "ludwig_version": ("Bessemer's version is that of the installation", ""),
    "backend": ("the run uses this machine", "resources"),
}
_LOCAL = ("local", None)


class Ludwig:
    """Reads the config of Ludwig 0.1 to 0.11.

    >>> Ludwig().recognises({"input_features": [], "output_features": []})
    True
    """

    NAME: ClassVar[str] = "Ludwig"

    def recognises(self, value: Mapping[str, Any]) -> bool:
        return "output_features" in value or isinstance(value.get("input_features"), list)

    def translate(self, file: Section, draft: Draft) -> None:
        kind = _model_type(file)
        if kind == "llm":
            return
        preprocessing = file.section("preprocessing")
        defaults = features.defaults_of(file.section("defaults"), preprocessing)
        target = outputs.read(file, draft, defaults)
        features.read(file, draft, defaults)
        if target is None or draft.findings.faults:
            return
        features.read_defaults(draft, defaults)
        split.read(preprocessing, draft, target)
        _sampling(preprocessing, draft, target)
        # A search tries parameters of its own, so it must be known before the trainer is read.
        searches = hyperopt.read(file, draft, kind, target)
        trainer.read(file, draft, kind, target, searches)
        outputs.settle(draft, target)
        backend = file.section("backend", word="type")
        if backend.text("type") in _LOCAL and not list(backend.unread()):
            file.any("backend")
        else:
            draft.findings.lost("backend", file.any("backend"), *_HINTS["backend"])
        file.lose(_HINTS, "no key of Ludwig's config that is known here")


def _model_type(file: Section) -> str:
    kind = file.text("model_type")
    if kind is None:
        kind = "llm" if "base_model" in file else "ecd"
    if kind not in MODELS:
        file.findings.fault("model_type", f"no model type '{kind}' in Ludwig", did_you_mean(kind, MODELS))
    if kind == "llm":
        what = "a large language model has no counterpart: Bessemer trains models of tables"
        file.findings.fault("model_type" if "model_type" in file else "base_model", what)
    return kind


def _sampling(preprocessing: Section, draft: Draft, target: outputs.Target) -> None:
    for key in ("oversample_minority", "undersample_majority"):
        if preprocessing.number(key) is None:
            continue
        if target.kind == "number":
            preprocessing.lost(key, "a number has no classes")
            continue
        draft.put("train.class_weight", "balanced")
        why = "rare classes weigh more in training, no row is repeated or left out"
        preprocessing.near(key, "train.class_weight: balanced", why)
    preprocessing.lose(
        {
            "sample_ratio": ("all rows are used", "a `where` in acquire.sql"),
            "sample_size": ("all rows are used", "a `limit` in acquire.sql"),
            "global_max_sequence_length": ("there are no sequences", ""),
            **dict.fromkeys(("sample_weight", "weight"), ("Ludwig weighs no rows", "prepare.weight")),
        },
        "no key of Ludwig's preprocessing that is known here",
    )

"""Every explainer keeps the protocol, on a model of each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.subject import open_subject
from bessemer.testing.explainers import check_explainer

#: Settings that keep a test short.
QUICK: dict[str, dict[str, Any]] = {
    "permutation": {"repeats": 2},
    "partial_dependence": {"rows": 50},
    "partial_dependence_2d": {"rows": 20},
    "ice": {"rows": 50, "lines": 8},
    "interactions": {"rows": 20},
    "surrogate": {"rows": 300},
    "lime": {"rows": 3, "samples": 300},
    "anchors": {"rows": 3, "samples": 2000, "check": 200},
    "counterfactuals": {"rows": 4, "count": 2},
    "influence": {"rows": 3, "count": 3},
    "prototypes": {"rows": 200},
}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_keeps_the_protocol(made: Callable[..., Any], name: str, task: str) -> None:
    one = made(task)
    kind = EXPLAINERS.load(name)
    settings = kind.Settings.model_validate(QUICK.get(name, {}))
    ctx = one.context()
    model, splits = (one.store.get(one.refs[ref]) for ref in ("model", "splits"))
    if why := kind(settings).refuses(open_subject(model)):
        assert why.strip()
        return
    check_explainer(kind, settings, model, splits, ctx)

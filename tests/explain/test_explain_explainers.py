"""Every explainer keeps the protocol, on a model of each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.subject import open_subject
from bessemer.testing.explainers import check_explainer

#: Settings that keep a test short.
QUICK: dict[str, dict[str, Any]] = {"permutation": {"repeats": 2}}


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

"""Every learner of the core has a page with every parameter and its default."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "learners"
LEARNERS = {
    "random-forest": "random_forest:RandomForest",
    "extra-trees": "extra_trees:ExtraTrees",
    "hist-boosting": "hist_boosting:HistBoosting",
    "linear": "linear:Linear",
    "constant": "constant:Constant",
    "lightgbm": "lightgbm:LightGBM",
    "xgboost": "xgboost:XGBoost",
    "catboost": "catboost:CatBoost",
    "ebm": "ebm:EBM",
    "mlp": "mlp:MLP",
    "network": "network:Network",
}


@pytest.mark.parametrize("page", LEARNERS)
def test_the_table_of_a_page_is_that_of_the_learner(page: str) -> None:
    module, _, name = LEARNERS[page].partition(":")
    learner = getattr(importlib.import_module(f"bessemer.train.learners.{module}"), name)
    text = (PAGES / f"{page}.md").read_text("utf-8")
    assert text.startswith(f"# {learner.NAME}\n")
    table = text.partition("| name | default | meaning |")[2]
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE))
    assert list(told) == list(learner.PARAMS)
    for key, param in learner.PARAMS.items():
        assert param.default is None or told[key] == str(param.default).replace("False", "false"), key

"""PMML in JPMML-Evaluator itself, and the documents that `bessemer export` writes, back again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from import_model_support import imported
from pmml_support import ask, labels, numbers, questions
from test_import_model_pmml import ANSWERS

from bessemer.export.plugins import TARGETS
from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import model

pytestmark = pytest.mark.slow


def test_the_answers_that_are_kept_are_the_evaluators() -> None:
    asked = questions()
    for (name, question), said in zip(asked.items(), ask(list(asked.values())), strict=True):
        assert question["rows"] == ANSWERS[name]["rows"]
        assert numbers(said) == ANSWERS[name]["answers"], name
        assert labels(name, said).get("labels") == ANSWERS[name].get("labels"), name


@pytest.mark.parametrize(
    ("kind", "native"), [("lightgbm", "trees"), ("logistic", "linear"), ("forest", "trees")]
)
def test_what_was_exported_comes_back(kind: str, native: str, tmp_path: Path) -> None:
    """With the features that it had, so that contributions are exact again."""
    target, whole = TARGETS.load("pmml"), model(kind)
    target(target.Settings()).export(Source(whole), tmp_path)
    back = imported(tmp_path / "model.pmml")
    assert back.info["native"]["kind"] == native
    rows = samples_of(whole).rows
    for ours, theirs in zip(back.predict_rows(rows), whole.predict_rows(rows), strict=True):
        if whole.task == "regression":
            assert ours["prediction"] == pytest.approx(theirs["prediction"], rel=1e-6)
        for name in (name for name in theirs if name.startswith("probability")):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-6)

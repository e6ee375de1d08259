"""Packages as scikit-learn's estimators: the same leaf for every row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages_support import model

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of
from bessemer.export.targets.skops import estimator
from bessemer.testing.models import TASKS, tiny_model
from bessemer.testing.targets import check_target


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lightgbm", "logistic", "forest", "regression"])
def test_it_answers_as_the_package_does(kind: str, tmp_path: Path) -> None:
    proof = check_target("skops", TARGETS.load("skops"), model(kind), tmp_path)
    assert isinstance(proof, Proof)
    assert proof.difference < 1e-6
    assert proof.flips <= (kind == "forest")  # of 15 trees two classes may have the same share


def test_each_row_takes_its_leaf() -> None:
    """Sums of float64 leaves: what differs is the last bit of a float32 sum, and no leaf."""
    one = model("lightgbm")
    samples = samples_of(one)
    found = estimator(Source(one)).predict(samples.features)
    assert np.abs(found - samples.scores[:, 0]).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_linear_models_with_missing_values(task: Any, tmp_path: Path) -> None:
    proof = check_target("skops", TARGETS.load("skops"), tiny_model(task), tmp_path)
    assert isinstance(proof, Proof)
    assert proof.flips <= (task == "binary")  # one row is on the threshold, where the tiny graph says 'no'


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["table_net", "ensemble"])
def test_what_scikit_learn_cannot_say_is_refused(kind: str, tmp_path: Path) -> None:
    said = check_target("skops", TARGETS.load("skops"), model(kind), tmp_path)
    assert said == "only one model of trees, or a linear one, has a counterpart in scikit-learn"


@pytest.mark.slow
def test_its_readme_runs_without_bessemer(tmp_path: Path) -> None:
    target: Any = TARGETS.load("skops")
    usage = target(target.Settings()).export(Source(model("lightgbm")), tmp_path)
    code = usage.split("```python\n")[1].split("```")[0]
    row = dict(model("lightgbm").sample[0])
    script = f"import sys; sys.modules['bessemer'] = None\nrows = [{row!r}]\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (expected,) = model("lightgbm").predict_rows([row])
    assert done.stdout.strip() == str([expected["prediction"]])

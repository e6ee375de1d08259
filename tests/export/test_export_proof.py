"""What is held against a package's answers, and what of it counts as a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bessemer.export.proof import compare
from bessemer.export.protocol import Answers
from bessemer.export.samples import Samples, samples_of
from bessemer.testing.models import TASKS, tiny_model


def untied(task: Any) -> tuple[Any, Samples]:
    """A tiny model, and its rows where no two classes are as likely."""
    model = tiny_model(task)
    samples = samples_of(model)
    near = np.sort(samples.values, axis=1)[:, -2:]
    kept = np.flatnonzero((np.ptp(near, axis=1) > 0) | (task == "regression"))
    rows, labels = [samples.rows[i] for i in kept], [samples.labels[i] for i in kept]
    return model, Samples(rows, samples.features[kept], samples.values[kept], samples.scores[kept], labels)


def scaled(samples: Samples, by: float, plus: float = 0.0) -> Samples:
    return replace(samples, values=(samples.values * by + plus).astype(np.float32))


@pytest.mark.parametrize("task", TASKS)
def test_the_same_answers_differ_by_nothing(task: Any) -> None:
    model, samples = untied(task)
    for labels in (None, samples.labels):
        proof = compare(model, samples, Answers(samples.values, "it", labels), 0.0)
        assert proof.passed
        assert (proof.difference, proof.flips, proof.contradicted) == (0, 0, 0)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_values_are_judged_by_their_own_scale(scale: float) -> None:
    model = tiny_model("regression")
    samples = scaled(samples_of(model), scale)
    off = samples.values + np.float32(0.01 * samples.values.std())
    assert compare(model, samples, Answers(off, "it"), 0.02).passed
    assert not compare(model, samples, Answers(off, "it"), 0.001).passed
    assert not compare(model, samples, Answers(np.zeros_like(off), "it"), 0.5).passed


def test_values_that_are_all_the_same() -> None:
    model = tiny_model("regression")
    samples = scaled(samples_of(model), 0.0)
    assert compare(model, samples, Answers(samples.values, "it"), 1e-5).difference == 0
    assert not compare(model, samples, Answers(samples.values + np.float32(1e-6), "it"), 1e-5).passed


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_that_its_own_probabilities_do_not_say(task: Any) -> None:
    model, samples = untied(task)
    other = dict(zip(model.classes, [*model.classes[1:], model.classes[0]], strict=True))
    wrong = [other[label] for label in samples.labels]
    proof = compare(model, samples, Answers(samples.values, "it", wrong), 1e-5)
    assert proof.difference == 0
    assert proof.contradicted == len(samples)
    assert not proof.passed
    short = compare(model, samples, Answers(samples.values, "it", samples.labels[:-1]), 0.5)
    assert short.difference == np.inf
    assert not short.passed


def test_a_class_that_is_the_packages_is_no_contradiction() -> None:
    """On the threshold the last bit of a probability may say the other one."""
    model = tiny_model("binary")
    samples = samples_of(model)
    row = int(np.argmin(np.abs(samples.values[:, 1] - 0.5)))
    values = samples.values.copy()
    values[row] = values[row, ::-1]
    proof = compare(model, samples, Answers(values, "it", samples.labels), 1.0)
    assert proof.contradicted == 0


def test_no_rows_prove_nothing() -> None:
    model = tiny_model("binary")
    samples = samples_of(model)
    none = Samples([], samples.features[:0], samples.values[:0], samples.scores[:0], [])
    assert not compare(model, none, Answers(none.values, "it"), 0.5).passed

"""TCAV: whether the score goes with a concept that is shown by examples."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, picked, still, watched
from bessemer.explain.explanation import Baseline, Error

Floats = npt.NDArray[np.float64]

#: Fewer sets of random inputs tell nothing of how much random scores vary.
_FEWEST = 3


class TCAV:
    """The share of inputs whose score rises when a layer's activations move towards a concept. values: (C,), a score a
    concept, in the order of the question's `concepts`.

    The direction to a concept is the normal of a logistic regression that tells its activations from those of a set of
    random inputs; the score is the mean over these sets. What is tested is the sensitivity: the mean cosine of the
    direction and the gradient of the score, again a mean over the sets. Each random set has one too, against the
    others, and the concept's is tested as one more of these (a t test for a new observation, two sided). The paper
    tests single scores: they share the concept's examples, so they are not independent, and where the gradient is much
    the same for all inputs they are 0 or 1 for any direction, of random sets as well.

    `details`: by concept `score`, `error` (standard error over the sets), `sensitivity`, `accuracy` (how well the
    directions tell examples apart that they were not fitted to), `p`, and `significant` (p, times the number of
    concepts, is below `level`).

    Source: Kim et al., "Interpretability beyond feature attribution: quantitative testing with concept activation
    vectors (TCAV)", ICML 2018.
    """

    class Settings(Spec):
        """How strict the test is."""

        level: float = Field(0.05, gt=0, lt=1, description="Level of significance over all concepts.")
        strength: float = Field(
            0.1, gt=0, le=1e6, description="C of the logistic regressions: less is smoother."
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if not question.concepts or len(question.contrasts) < _FEWEST:
            raise UsageError(
                f"TCAV needs a concept and {_FEWEST} sets of random inputs or more; there are "
                f"{len(question.concepts)} and {len(question.contrasts)}",
                fix="give Question(concepts={name: inputs}, contrasts=[inputs, ...]); 10 sets are usual",
            )
        with still(question.module):
            question.targets()
            slopes = _slopes(question)
            contrasts = [_activations(question, inputs) for inputs in question.contrasts]
            shown = {name: _activations(question, inputs) for name, inputs in question.concepts.items()}
        with threadpool_limits(
            limits=1, user_api="blas"
        ):  # small matrices, and the same bits whatever the machine has
            null = self._null(contrasts, slopes)
            details = {
                name: self._concept(own, contrasts, slopes, null, len(shown)) for name, own in shown.items()
            }
        return Attribution(
            np.array([one["score"] for one in details.values()]),
            Baseline(
                f"{len(contrasts)} sets of random inputs, each taken for a concept; their sensitivities have a "
                f"deviation of {null.std(ddof=1):.3g}"
            ),
            Error(
                "standard error",
                max(one["error"] for one in details.values()),
                f"the worst of a score, a mean over {len(contrasts)} sets of random inputs",
            ),
            {"concepts": details, "layer": question.layer},
        )

    def _null(self, contrasts: list[Floats], slopes: Floats) -> Floats:
        """(R,) the sensitivity of each random set against the others."""
        found = np.zeros((len(contrasts), len(contrasts)))
        for i, j in combinations(range(len(contrasts)), 2):
            found[i, j] = _sensitivity(slopes, self._direction(contrasts[i], contrasts[j])[0])
            found[j, i] = -found[i, j]
        null: Floats = found.sum(axis=1) / (len(contrasts) - 1)
        return null

    def _concept(
        self, own: Floats, contrasts: list[Floats], slopes: Floats, null: Floats, concepts: int
    ) -> dict[str, Any]:
        directions = [self._direction(own, other) for other in contrasts]
        scores = np.array([_score(slopes, normal) for normal, _ in directions])
        sensitivity = float(np.mean([_sensitivity(slopes, normal) for normal, _ in directions]))
        p = new_observation(sensitivity, null)
        return {
            "score": float(scores.mean()),
            "error": float(scores.std(ddof=1) / len(scores) ** 0.5),
            "sensitivity": sensitivity,
            "accuracy": float(np.mean([accuracy for _, accuracy in directions])),
            "p": p,
            "significant": p * concepts < self.settings.level,
        }

    def _direction(self, own: Floats, other: Floats) -> tuple[Floats, float]:
        """The direction from the others to one's own (D,), and its accuracy on every fourth example, held out."""
        from sklearn.linear_model import LogisticRegression

        x = np.concatenate([own, other])
        y = np.repeat([1, 0], [len(own), len(other)])
        held = np.concatenate([np.arange(len(part)) % 4 == 3 for part in (own, other)])
        # In the span of the examples, where the solution is: they are few, and activations many.
        centre = x[~held].mean(axis=0)
        _, size, axes = np.linalg.svd(x[~held] - centre, full_matrices=False)
        scale = float(size.max(initial=0.0)) / len(x) ** 0.5 or 1.0
        z = (x - centre) @ axes.T / scale
        fit = LogisticRegression(C=self.settings.strength, solver="newton-cholesky")
        fit.fit(z[~held], y[~held])
        normal: Floats = fit.coef_[0] @ axes
        return normal, float((fit.predict(z[held]) == y[held]).mean())


def new_observation(value: float, others: Floats) -> float:
    """The two-sided p-value of one more value of the same normal distribution as the others (R,).

    >>> round(new_observation(0.5, np.array([0.4, 0.6, 0.5])), 3)
    1.0
    >>> new_observation(9.0, np.array([0.4, 0.6, 0.5])) < 0.01
    True
    """
    from scipy.special import stdtr

    spread = float(others.std(ddof=1)) * (1 + 1 / len(others)) ** 0.5
    off = abs(value - float(others.mean()))
    if spread == 0:
        return 1.0 if off == 0 else 0.0
    return float(2 * stdtr(len(others) - 1, -off / spread))


def _score(slopes: Floats, normal: Floats) -> float:
    """The share of inputs whose score rises along the direction; where it stays, half counts."""
    rise = slopes @ normal
    return float((rise > 0).mean() + (rise == 0).mean() / 2)


def _sensitivity(slopes: Floats, normal: Floats) -> float:
    """The mean cosine of each input's gradient and the direction, 0 where one of them is 0."""
    size = np.linalg.norm(slopes, axis=1) * np.linalg.norm(normal)
    return float(np.divide(slopes @ normal, size, out=np.zeros(len(slopes)), where=size > 0).mean())


def _activations(question: Question, inputs: Tensor) -> Floats:
    """What the layer gives for each input, (M, D)."""
    fits = inputs.shape[0] >= 4 and inputs.shape[1:] == question.inputs.shape[1:]
    if not fits or not bool(torch.isfinite(inputs).all()):
        raise UsageError(
            f"examples of shape {tuple(inputs.shape)} do not show a concept to inputs of "
            f"{tuple(question.inputs.shape)}",
            fix="give four examples or more, each of the shape of an input, without NaN or infinity",
        )
    with watched(question.named_layer()) as seen:
        question.output(inputs)
    return array(seen[0].flatten(1))


def _slopes(question: Question) -> Floats:
    """The gradient of each input's score in the layer's activations, (N, D)."""
    layer = question.named_layer()
    with watched(layer) as seen, torch.enable_grad():
        score = picked(question.module(question.fresh), question.columns)
    (found,) = torch.autograd.grad(score.sum(), seen[0])
    return array(found.flatten(1))

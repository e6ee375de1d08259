"""Influence by the kind of the native model: what the margin of a row would be without each training row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.influence_linear import LastLayer, Standard, imbalance, newton_removal
from bessemer.explain.influence_trees import alike, averaged, boosted, summed
from bessemer.explain.losses import Loss
from bessemer.package.natives import decode_ensemble, open_native
from bessemer.package.pairs import decode_paired
from bessemer.package.trees.codec import decode

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats
    from bessemer.package.trees.model import Trees

#: Learners whose trees are grown one after the other, and what they call the penalty on leaf values.
BOOSTED: Mapping[str, str] = {
    "lightgbm": "lambda_l2",
    "xgboost": "reg_lambda",
    "catboost": "l2_leaf_reg",
    "hist_boosting": "l2_regularization",
}

#: Learners whose trees are averaged.
FORESTS = ("random_forest", "extra_trees")

#: The penalty of a linear model or of a last layer whose own one is not known.
DAMPING = 1.0


@dataclass(frozen=True)
class Fitted:
    """The rows of one question. train: (N, F) float32, of `total` rows the model was fitted to; rows: (R, F)."""

    train: np.ndarray
    rows: np.ndarray
    total: int


@dataclass(frozen=True)
class Removal:
    """change: (R, N), the weighted change of the margins of row r when training row i is left out.

    method: how it was found, in words. measure, value, text: how good that is, as `explanation.Error` has it.
    """

    change: Floats
    method: str
    measure: str
    value: float | None
    text: str


def removal(
    kind: str, native: bytes, facts: Mapping[str, Any], loss: Loss, fitted: Fitted, pull: Floats
) -> Removal:
    """What leaving out each training row would do to `pull` (R, K) times the margins, to the first order."""
    if kind == "ensemble":
        return _of_members(native, loss, fitted, pull)
    if kind == "pairs":
        encoder, inner, content = decode_paired(native)
        wider = replace(fitted, train=encoder.added(fitted.train), rows=encoder.added(fitted.rows))
        return removal(inner, content, facts, loss, wider, pull)
    if kind == "trees":
        return _of_trees(decode(native), facts, loss, fitted, pull)
    return _of_layer(kind, native, facts, loss, fitted, pull)


def _of_members(native: bytes, loss: Loss, fitted: Fitted, pull: Floats) -> Removal:
    members = [m for m in decode_ensemble(native) if m.kind != "constant"]
    found = [removal(m.kind, m.content, {}, loss, fitted, m.weight * pull) for m in members]
    total: Floats = np.sum([one.change for one in found], axis=0)
    methods = "; ".join(dict.fromkeys(one.method for one in found))
    return Removal(
        total, f"the weighted sum over {len(found)} members: {methods}", "not measured", None, _ROUGH
    )


_ROUGH = (
    "it is a first-order estimate whose scale is rough: the order of the rows is meant, "
    "and only training again would tell"
)


def _of_trees(trees: Trees, facts: Mapping[str, Any], loss: Loss, fitted: Fitted, pull: Floats) -> Removal:
    learner = str(facts.get("learner", ""))
    if trees.link == "exp":
        loss = replace(loss, actual=np.log(np.maximum(loss.actual, np.finfo(np.float64).tiny)))
    pull = pull * _link_slope(trees, fitted.rows)
    fits = (
        "R² of the leaves' values by the training rows in them: 1 where the estimate knows how they were made"
    )
    if learner in FORESTS:
        change, r2 = averaged(trees, loss, fitted, pull)
        return Removal(change, "the means in the forest's leaves without it", "leaf R²", r2, fits)
    if learner in BOOSTED:
        params = facts.get("params") or {}
        loss = replace(loss, absolute=params.get("objective") == "regression_l1")
        change, r2 = boosted(trees, loss, fitted, pull, float(params.get(BOOSTED[learner]) or 0.0))
        method = "the values in the leaves without it, tree by tree, with the trees' shape as it is (BoostIn)"
        return Removal(change, method, "leaf R²", r2, fits)
    slope, _ = loss.slopes(summed(trees).margin(fitted.train))
    method = "how often it shares a leaf with the row, times what is left to learn of it"
    return Removal(alike(trees, slope, fitted, pull), method, "not measured", None, _ROUGH)


def _link_slope(trees: Trees, rows: np.ndarray) -> Floats:
    """How far the margin moves with the sum of the trees, (R, K)."""
    total = summed(trees).margin(rows)
    if trees.link == "identity":
        return np.ones_like(total)
    p = np.clip(total, trees.floor, 1 - trees.floor)
    slopes: Mapping[str, Floats] = {"exp": np.exp(total), "logit": 1 / (p * (1 - p)), "log": 1 / p}
    return slopes[trees.link]


_BALANCE = "how far the slopes of the loss are from cancelling out, as they do at an optimum: 0 is exact, 1 is far off"


def _of_layer(
    kind: str, native: bytes, facts: Mapping[str, Any], loss: Loss, fitted: Fitted, pull: Floats
) -> Removal:
    share = len(fitted.train) / fitted.total
    slope, curve = loss.slopes(open_native(kind, native, 1).margin(fitted.train))
    if kind == "linear":
        params = facts.get("params") or {}
        standard = Standard(native)
        l2 = float(params.get("l2", DAMPING)) * (1 - float(params.get("l1_ratio", 0.0)))
        active = (standard.coef != 0).any(axis=0)
        z, far = (standard(part)[:, active] for part in (fitted.train, fitted.rows))
        method = "one Newton step of the coefficients, corrected for leverage (exact for ridge regression)"
        off = imbalance(z, slope, l2 * share * standard.coef[:, active].T)
    else:
        layer, l2 = LastLayer(native), DAMPING
        z, far = layer(fitted.train), layer(fitted.rows)
        method = "one Newton step of the network's last layer; what comes before it stays as it is"
        off = imbalance(z, slope, np.zeros((z.shape[1], slope.shape[1])))
    change = newton_removal(z, slope, curve, far, pull, l2, share)
    return Removal(change, method, "imbalance", off, _BALANCE)

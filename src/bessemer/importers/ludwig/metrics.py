"""Ludwig's metrics in Bessemer's words."""

from __future__ import annotations

from bessemer.importers.draft import Draft
from bessemer.importers.section import Section

#: Ludwig's metric -> (ours, the difference).
_SAME = {
    "mean_squared_error": ("rmse", ""),
    "root_mean_squared_error": ("rmse", ""),
    "mean_absolute_error": ("mae", ""),
    "r2": ("r2", ""),
    "accuracy": ("accuracy", ""),
    "accuracy_micro": ("accuracy", ""),
    "roc_auc": ("roc_auc", ""),
    "precision": ("precision", ""),
    "recall": ("recall", ""),
    "softmax_cross_entropy": ("log_loss", ""),
    "binary_weighted_cross_entropy": ("log_loss", "without the weight of a class"),
    "mean_absolute_percentage_error": ("smape", "relative to the mean of truth and prediction"),
    "root_mean_squared_percentage_error": ("smape", "absolute rather than squared shares"),
    "huber": ("mae", "the absolute error is as robust"),
}
_NUMBERS = ("rmse", "mae", "r2", "smape")
_BINARY = ("precision", "recall")


def named(section: Section, key: str, draft: Draft, kind: str) -> str | None:
    """The metric that a key names, in our words; None for the loss itself, or where there is none like it."""
    said = section.text(key)
    if said is None or said in ("loss", "combined"):
        return None
    ours, difference = _SAME.get(said, ("", ""))
    fits = (ours in _NUMBERS) == (kind == "number") and (ours not in _BINARY or kind == "binary")
    if not ours or not fits:
        why = "no such metric" if not ours else f"no metric for a {kind}"
        section.lost(key, why, "train.metric: auto")
        return None
    if difference:
        section.near(key, f"train.metric: {ours}", difference)
    return ours

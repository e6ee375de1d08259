"""What a child keeps of what its parent says, where it answers otherwise: what is true of it too, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Members that describe the very answers of the parent.
OF_ANSWERS = (
    "certificate.json",
    "evaluation.json",
    "explanations.json",
    "explainer.json",
    "background.npy",
    "robustness.json",
    "report.html",
)

#: Artifacts of the parent's run that the child is still made of.
_ARTIFACTS = ("contract", "preprocessor", "splits", "statistics")


def reference_of_inputs(reference: Mapping[str, Any]) -> dict[str, Any]:
    """`reference.json` without what was measured of the parent's answers: monitoring goes on comparing the inputs, and
    has nothing to hold outputs and performance against."""
    of_outputs = ("calibration", "errors", "groups", "residuals")
    kept = {name: value for name, value in reference.items() if name not in of_outputs}
    return {
        **kept,
        "outputs": {},
        "output_thresholds": {},
        "output_rows": 0,
        "performance": {},
        "estimated": {},
    }


def model_json(info: Mapping[str, Any], way: str, parent: Mapping[str, Any]) -> dict[str, Any]:
    """`model.json` without what is said of how the parent learnt, what it scored, and what was promised of it.

    Args:
        way: the name of the version. parent: as in `optimization.json`.
    """
    kept = {name: value for name, value in info.items() if name != "private"}
    learner = f"{info.get('learner', 'model')}, optimised: {way}"
    return {
        **kept,
        "learner": learner,
        "params": {},
        "iterations": None,
        "valid": {},
        "optimised": {"way": way, "from": dict(parent)},
    }


def provenance(told: Mapping[str, Any]) -> dict[str, Any]:
    """`provenance.json` without the artifacts of what the child has not."""
    artifacts = {name: value for name, value in told.get("artifacts", {}).items() if name in _ARTIFACTS}
    return {**told, "artifacts": artifacts}

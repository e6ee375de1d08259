"""The finders: where the model is worst, what the rows give away, and which rows look wrong."""

from __future__ import annotations

from typing import Any

from bessemer.evaluate.compare_parts import comparisons
from bessemer.evaluate.evidence import Evidence
from bessemer.evaluate.label_errors import label_errors
from bessemer.evaluate.near_duplicates import duplicates
from bessemer.evaluate.target_proxies import target_proxies
from bessemer.evaluate.weak_slices import weak_slices


def findings(evidence: Evidence) -> dict[str, Any]:
    """A key of `evaluation.json` for each finder; None where the project leaves it out."""
    spec = evidence.spec
    weak, slices = weak_slices(evidence) if spec.find_slices else (None, [])
    return {
        "weak_slices": weak,
        "comparisons": comparisons(evidence, slices) if spec.compare_parts else None,
        "duplicates": duplicates(evidence) if spec.find_duplicates else None,
        "label_errors": label_errors(evidence) if spec.find_label_errors else None,
        "target_proxies": target_proxies(evidence),
    }

"""Packages of the tiny model with the reference that the profile stage would make, and rows for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from window_support import reference_of

from bessemer.package.write import write_package
from bessemer.profile.groups import by_group, calibration
from bessemer.profile.limits import limits
from bessemer.profile.outputs import (
    error_sketch,
    expected,
    performance,
    predict,
    residual_sketch,
    sketch_outputs,
)
from bessemer.testing.models import CLASSES, CONTRACTS, INPUTS, tiny_members, tiny_model, tiny_signature


def given(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "tenure": rng.integers(0, 72, n),
            "monthly charges": rng.uniform(18, 118, n),
            "autopay": rng.random(n) < 0.5,
            "contract": rng.choice(CONTRACTS, n),
            "désactivé": pa.array([None] * n, pa.timestamp("us")),
        }
    )


def labels(data: pa.Table, task: Any, seed: int, *, flipped: float = 0.0) -> np.ndarray:
    """Class indices, or numbers: drawn from what the model says, so that it is right about how sure it is."""
    rng = np.random.default_rng(seed)
    made = tiny_model(task).session.run(data, ["score"] if task == "regression" else ["probability"])
    if task == "regression":
        return made["score"][:, 0] * (1 + flipped) + rng.normal(size=data.num_rows)
    drawn = (rng.random((data.num_rows, 1)) > np.cumsum(made["probability"], axis=1)[:, :-1]).sum(axis=1)
    return np.where(rng.random(data.num_rows) < flipped, (drawn + 1) % len(CLASSES[task]), drawn)


def write(folder: Path, task: Any) -> Path:
    """A package of the tiny model with the reference that the profile stage would make."""
    data = given(5000, 1)
    signature = tiny_signature(task)
    truth = labels(data, task, 2).astype(np.float64)
    pq.write_table(data, folder / "test.parquet")
    outcome, score = predict(tiny_members(task)["model.onnx"], signature, folder / "test.parquet", truth)
    outputs = sketch_outputs(outcome, score, signature.classes, 256)
    rng = np.random.default_rng(0)
    more: dict[str, Any] = {
        "outputs": outputs,
        "output_rows": 5000,
        "performance": performance(outcome, 50, 0.95, rng),
        "estimated": expected(outcome, list(performance(outcome, 2, 0.95, rng)), rng, calibration(outcome)),
        "calibration": calibration(outcome),
        "groups": by_group(outcome, folder / "test.parquet", [field.name for field in INPUTS]),
        "output_thresholds": limits(outputs, lambda name: rng, window=1000, false_alarm=0.01, groups=10),
    }
    more["errors"] = error_sketch(outcome)
    if task == "regression":
        more["residuals"] = residual_sketch(outcome)
    reference = reference_of(data, folder, {field.name: field.dtype for field in INPUTS}, **more)
    members = tiny_members(task) | {"reference.json": json.dumps(dict(reference.facts)).encode()}
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(folder / f"{task}.bsm", members, **facts, task=task, target=signature.target)
    return folder / f"{task}.bsm"

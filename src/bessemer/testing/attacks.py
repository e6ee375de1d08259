"""What every attack must keep, and a victim to try one on. In a plug-in's own tests:

from bessemer.testing.attacks import check_attack, sample_of, victim, whole

def test_my_attack(tmp_path):
    one = victim(tmp_path, whole(head, 64), X, y, classes)
    check_attack(MyAttack, {"steps": 3}, one, sample_of(one, 20), tmp_path)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.attack.protocol import Found, Sample, Victim
from bessemer.attack.sound import STANDING
from bessemer.core import canonical
from bessemer.core.blocks import Block
from bessemer.core.signature import Field, Signature
from bessemer.core.stage import Context
from bessemer.core.store import Store


def whole(head: bytes, features: int) -> bytes:
    """The graph of a package whose one raw column is all features themselves, behind it a head."""
    import onnx

    from bessemer.package.graph import GraphBuilder

    g = GraphBuilder("whole")
    x = g.op("Identity", [g.input("x", "float32", ("N", features))], name="features")
    model = onnx.load_from_string(head)
    made = g.embed(model, {"features": x}, "head_")
    outputs = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    g.output(g.op("Identity", [made["score"]], name="score"), "float32", ("N", outputs))
    data: bytes = g.model().SerializeToString()
    return data


def context(folder: Path) -> Context:
    """The attack stage's context, with a store below the folder."""
    (folder / "work").mkdir(parents=True, exist_ok=True)
    return Context(Store(folder / "store"), "attack", {}, 7, folder, folder / "work")


def victim(
    folder: Path,
    graph: bytes,
    X: np.ndarray,
    y: np.ndarray,
    classes: Sequence[Any],
    *,
    blocks: Sequence[Block] = (),
    kinds: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Victim:
    """A model and its artifacts, all below the folder.

    Args:
        graph: `features` -> `score`, as `whole` makes it.
        X, y: (N, F) float32 and (N,) float64: its training rows and its test rows alike.
        classes: in the order of the class index; none for a number.
        blocks, kinds: what the features are; pixels where nothing is said.
        facts, files: more of `model.json` and of the model artifact.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    ctx = context(folder)
    task = {0: "regression", 2: "binary"}.get(len(classes), "multiclass")
    named = zip(kinds or ["pixel"] * X.shape[1], range(X.shape[1]), strict=True)
    features = [{"name": f"f{i}", "group": f"f{i}", "kind": kind, "meaning": ""} for kind, i in named]
    own = {"task": task, "classes": list(classes), "features": features, "decision": None, **(facts or {})}
    signature = Signature((Field("x", "number", "float32"),), ())
    parts: dict[str, Any] = {}
    for part in ("train", "test"):
        for name, values in (("X", X), ("y", y)):
            parts[f"{part}.{name}.npy"] = path = ctx.temporary(f"{part}.{name}.npy")
            np.save(path, values)
        parts[f"{part}.parquet"] = path = ctx.temporary(f"{part}.parquet")
        pq.write_table(pa.table({"x": X[:, 0].astype(np.float64)}), path)
    model = {
        "model.onnx": graph,
        "model.json": canonical.dump_bytes(own),
        "signature.json": canonical.dump_bytes(signature.to_json()),
    }
    rows = {"rows": {"train": len(X), "test": len(X)}, "task": task, "classes": list(classes)}
    refs = (
        ctx.store.put("model", {**model, **(files or {})}, {}),
        ctx.store.put("splits", parts, rows),
        ctx.store.put("preprocessor", {"none": b""}, {"blocks": [block.to_json() for block in blocks]}),
    )
    made, splits, preprocessor = map(ctx.open, refs)
    return Victim(own, signature, made, splits, preprocessor)


def sample_of(one: Victim, rows: int) -> Sample:
    """The first test rows."""
    import pyarrow.parquet as pq

    X, y = (np.load(one.splits.path(f"test.{name}.npy"))[:rows] for name in ("X", "y"))
    return Sample(pq.read_table(one.splits.path("test.parquet")).slice(0, rows), X, y)


def check_attack(kind: Any, settings: Mapping[str, Any], one: Victim, sample: Sample, folder: Path) -> Found:
    """Run an attack twice and hold what it finds against what is promised.

    Raises:
        AssertionError: it finds two things from one seed, or what it says cannot be.
    """
    attack = kind(kind.Settings.model_validate(dict(settings)))
    assert attack.refuses(one) == ""
    advanced: list[None] = []
    found = attack.attack(one, sample, context(folder), lambda: advanced.append(None))
    again = kind(kind.Settings.model_validate(dict(settings)))
    assert again.attack(one, sample, context(folder), lambda: None) == found
    assert len(advanced) == len(sample)
    assert found.rows <= len(sample) or attack.kind == "privacy"  # which asks of training rows too
    assert found.measure
    assert found.curve
    budgets = [point.budget for point in found.curve if point.budget is not None]
    assert budgets == sorted(set(budgets))
    for point in found.curve:
        assert point.low <= point.value <= point.high
        assert all(math.isfinite(value) for value in point.more.values())
    if found.measure == STANDING:
        values = [point.value for point in found.curve]
        assert values == sorted(values, reverse=True), "a row that falls has fallen at every larger budget"
    checked: Found = found
    return checked

"""Models trained again without some rows, and subjects with a truth of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.signature import DType, Field, Signature
from bessemer.explain.sample import Rows, Sample
from bessemer.explain.subject import Subject, open_subject


def retrained(one: Any, learner: str, without: Sequence[int], **settings: Any) -> Subject:
    """The model of `made(task, learner)` fitted again, in the same way, without these rows of its training part."""
    from bessemer.train.spec import TrainSpec
    from bessemer.train.stage import run as train

    ctx = one.context("train")
    splits = one.store.get(one.refs["splits"])
    files: dict[str, Any] = {name: splits.path(name) for name in splits.files}
    kept = np.setdiff1d(np.arange(splits.meta["rows"]["train"]), without)
    for name in ("train.X.npy", "train.y.npy"):
        files[name] = ctx.temporary(name)
        np.save(files[name], np.load(splits.path(name))[kept])
    files["train.parquet"] = ctx.temporary("train.parquet")
    pq.write_table(pq.read_table(splits.path("train.parquet")).take(pa.array(kept)), files["train.parquet"])
    meta = {**splits.meta, "rows": {**splits.meta["rows"], "train": len(kept)}}
    refs = {**one.refs, "splits": one.store.put("splits", files, meta)}
    made = train(TrainSpec(learner=learner, **{"rounds": 30, **settings}), refs, ctx)
    return open_subject(one.store.get(made["model"]))


@dataclass
class Formula:
    """A session whose score is a formula of raw columns; what explainers call of a graph, and nothing else."""

    score: Any
    classes: list[Any] = field(default_factory=lambda: ["no", "yes"])

    def run(self, table: pa.Table, outputs: Sequence[str], **_: Any) -> dict[str, np.ndarray]:
        score = np.asarray(self.score(table), dtype=np.float32).reshape(table.num_rows, 1)
        p = 1 / (1 + np.exp(-score.astype(np.float64)))
        names = np.array(self.classes, dtype=object)
        found = {
            "score": score,
            "probability": np.concatenate([1 - p, p], axis=1).astype(np.float32),
            "prediction": names[(p[:, 0] >= 0.5).astype(int)] if self.classes else score[:, 0],
            "features": np.zeros((table.num_rows, 1), dtype=np.float32),
        }
        return {name: found[name] for name in outputs}


def of_formula(
    table: pa.Table, score: Any, *, task: str = "binary", asked: Sequence[int] | None = (0,)
) -> tuple[Subject, Sample]:
    """A subject of a formula over a table's columns, and a sample of its rows; the rows are their own background."""
    classes = ["no", "yes"] if task == "binary" else []
    session: Any = Formula(score, classes)
    facts = {
        "task": task,
        "metric": "",
        "classes": classes,
        "groups": [],
        "features": [],
        "native": {"kind": "x"},
    }
    fields = [Field(field.name, _dtype(field.type), "float32") for field in table.schema]
    subject = Subject(facts, Signature(tuple(fields), ()), session, None)  # type: ignore[arg-type]
    found = session.run(table, ["score", "probability", "features"])
    rows = Rows(table, found["features"], np.full(table.num_rows, np.nan))
    sample = Sample(
        rows.table,
        rows.features,
        rows.actual,
        found["score"].astype(np.float64),
        found["probability"].astype(np.float64) if classes else np.zeros((table.num_rows, 0)),
        np.zeros(1),
        np.zeros((table.num_rows, 0, 1)),
        asked=None if asked is None else tuple(asked),
    )
    return subject, sample


def _dtype(kind: pa.DataType) -> DType:
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "string" if pa.types.is_string(kind) else "integer" if pa.types.is_integer(kind) else "number"

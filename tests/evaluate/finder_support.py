"""Evidence for the finders: a table and a known model as artifacts, or a real model through prepare and train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from judged_support import Case, Heard, context

from bessemer.core.stage import Context
from bessemer.evaluate.evidence import Evidence
from bessemer.evaluate.scoring import open_judged
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.stats.metrics.table import PRIMARY


def evidence_of(refs: Any, ctx: Context, **spec: Any) -> Evidence:
    """What the stage would hand to the finders."""
    model, splits = ctx.open(refs["model"]), ctx.open(refs["splits"])
    judged, test = open_judged(model), splits.path("test.parquet")
    truth = np.load(splits.path("test.y.npy")).astype(np.float64)
    X = np.load(splits.path("test.X.npy"))
    opponents = {name: judged.baseline(name, X, truth) for name in judged.baselines}
    outcome = judged.over(test, truth)
    return Evidence(
        EvaluateSpec(**spec), judged, model, splits, outcome, opponents, PRIMARY[judged.task], ctx
    )


def of_case(made: Case, ctx: Context, **spec: Any) -> Evidence:
    return evidence_of(made.inputs, ctx, **spec)


def trained(
    folder: Path, table: pa.Table, task: str, classes: list[Any], heard: Heard | None = None
) -> Evidence:
    """A small LightGBM on a table with the target `y`, through the real stages."""
    from bessemer.prepare.spec import PrepareSpec
    from bessemer.prepare.stage import run as prepare
    from bessemer.train.spec import TrainSpec
    from bessemer.train.stage import run as train

    pq.write_table(table, folder / "data.parquet")
    meta = {
        "rows": len(table),
        "unlabelled": 0,
        "target": "y",
        "task": task,
        "classes": classes,
        "counts": {},
    }
    meta["positive"] = classes[1] if task == "binary" else None
    ctx = context(folder, "prepare")
    refs = {
        "labelled": ctx.store.put("labelled", {"data.parquet": folder / "data.parquet"}, meta),
        "contract": ctx.store.put("contract", {"contract.yaml": b"columns: {}\n"}, {}),
    }
    refs |= prepare(PrepareSpec(), refs, ctx)
    refs |= train(TrainSpec(learner="lightgbm", rounds=40), refs, context(folder, "train"))
    return evidence_of(refs, context(folder, "evaluate", heard))

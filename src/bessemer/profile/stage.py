"""The profile stage: takes `model` and `splits`, gives `reference`.

Inputs are sketched over the training rows: they are what the model knows. Outputs and performance are taken
from the test rows: on rows that it was trained on a model is surer and better than it will ever be again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.parquet import write_parquet
from bessemer.core.signature import DType, Signature
from bessemer.core.sql import literal, quote
from bessemer.core.stage import Context
from bessemer.package.image_measures import measure_names, with_measures
from bessemer.package.kept_rows import KEPT_ROWS, write_kept
from bessemer.profile.columns import sketch_columns
from bessemer.profile.groups import by_group, calibration
from bessemer.profile.joint import joint_facts
from bessemer.profile.limits import limits
from bessemer.profile.outputs import (
    FurtherSketches,
    error_sketch,
    expected,
    performance,
    predict,
    residual_sketch,
    sketch_outputs,
)
from bessemer.profile.queries import describe_queries, sample_queries
from bessemer.profile.spec import ProfileSpec
from bessemer.stats.arrays import tidy

FORMAT = 1


def run(spec: ProfileSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Write the reference that monitoring compares against."""
    model, splits = ctx.open(inputs["model"]), ctx.open(inputs["splits"])
    signature = Signature.from_json(model.json("signature.json"))
    with ctx.progress("sketching", 3) as bar:
        images = [field.name for field in signature.inputs if field.is_image]
        with ctx.connect(threads=1) as connection:
            part, dtypes = _measured(connection, splits.path("train.parquet"), signature, images, ctx)
            columns = sketch_columns(connection, part, dtypes, bins=spec.bins, categories=spec.categories)
            train = f"read_parquet({literal(part)})"
            joint, kept = joint_facts(connection, train, columns, splits.meta["rows"]["train"], spec.rows)
            given = {field.name: columns[field.name] for field in signature.inputs if not field.is_image}
            asked = sample_queries(connection, train, given, splits.meta["rows"]["train"])
        queries = describe_queries(asked, given, ctx.rng("queries"))
        bar.advance()
        truth = np.asarray(np.load(splits.path("test.y.npy")), dtype=np.float64)
        graph, further = model.bytes("model.onnx"), FurtherSketches(signature.further)
        outcome, score = predict(graph, signature, splits.path("test.parquet"), truth, further.take)
        outputs = sketch_outputs(outcome, score, signature.classes, spec.bins) | further.done(spec.bins)
        bar.advance()
        measured = performance(outcome, spec.replicates, spec.confidence, ctx.rng("performance"))
        bar.advance()
    calibrated = calibration(outcome)
    reference: dict[str, Any] = {
        "format": FORMAT,
        "rows": splits.meta["rows"]["train"],
        "output_rows": outcome.rows,
        "window": spec.window,
        "false_alarm": spec.false_alarm,
        "columns": columns,
        **({"images": images} if images else {}),
        **joint,
        "queries": queries,
        "outputs": outputs,
        "performance": tidy(measured),
        "estimated": expected(outcome, list(measured), ctx.rng("estimated"), calibrated),
        "calibration": calibrated,
        "groups": by_group(
            outcome,
            splits.path("test.parquet"),
            [field.name for field in signature.inputs if not field.is_image],
        ),
        **({"residuals": residual_sketch(outcome)} if outcome.task == "regression" else {}),
        "errors": error_sketch(outcome),
        **_limits(spec, columns, outputs, ctx),
    }
    files = {"reference.json": canonical.dump_bytes(reference)}
    if spec.rows and not len(kept):
        ctx.warn(
            "no training rows travel: no column says anything of a row (times, columns that never change and texts "
            "that are another one in most rows do not), so that the domain classifier has nothing to compare"
        )
    if len(kept):
        files[KEPT_ROWS] = write_kept(kept)
    return {"reference": ctx.store.put("reference", files)}


def _measured(
    connection: Any, part: Path, signature: Signature, images: Sequence[str], ctx: Context
) -> tuple[Path, dict[str, DType]]:
    """The training rows with measures in the place of images, and the types of their columns."""
    dtypes = {field.name: field.dtype for field in signature.inputs if not field.is_image}
    if not images:
        return part, dtypes
    names = ", ".join(quote(field.name) for field in signature.inputs)
    table = with_measures(connection, f"(SELECT {names} FROM read_parquet({literal(part)}))", images)
    path = ctx.temporary("measured.parquet")
    write_parquet(connection, f"SELECT * FROM {table}", path)
    connection.execute(f"DROP TABLE {table}")
    return path, {**dtypes, **{made: "number" for name in images for made in measure_names(name)}}


def _limits(
    spec: ProfileSpec, columns: Mapping[str, Any], outputs: Mapping[str, Any], ctx: Context
) -> dict[str, Any]:
    """`thresholds` of the columns and `output_thresholds`, which share the false alarms between them."""
    sketches = {("column", name): sketch for name, sketch in columns.items()}
    sketches |= {("output", name): sketch for name, sketch in outputs.items()}
    found = limits(
        sketches,
        lambda key: ctx.rng("limits", *key),
        window=spec.window,
        false_alarm=spec.false_alarm,
        groups=spec.groups,
    )
    return {
        "thresholds": {name: value for (kind, name), value in found.items() if kind == "column"},
        "output_thresholds": {name: value for (kind, name), value in found.items() if kind == "output"},
    }

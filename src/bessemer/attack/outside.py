"""Victims without the run that made them: a package, or a server, and rows that somebody has.

The rows given stand in the place of the training rows: what they hold is how far a value may be moved, and their
spread is the unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.nets import NetAttack
from bessemer.attack.oracle import ServerOracle
from bessemer.attack.protocol import Attack, Sample, Victim
from bessemer.attack.raw_matrix import raw_matrix
from bessemer.attack.surface import surface_of
from bessemer.core import canonical
from bessemer.core.blocks import Block
from bessemer.core.constraints import Constraints, Limit
from bessemer.core.media import is_image
from bessemer.core.signature import Field, Signature, Task
from bessemer.package.head import FEATURES

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.signature import DType, Tensor
    from bessemer.core.stage import Context
    from bessemer.package.model import Model
    from bessemer.package.remote.client import Client

Floats32 = npt.NDArray[np.float32]

#: A text with more distinct values than this is no category: it stays as it is.
LEVELS = 100
_PLACE = re.compile(r"\[(\d+),(\d+)\][^\]]*$")
NOTE = "no training rows are known: bounds, levels and spreads are those of the rows given"


def of_package(model: Model, table: pa.Table, y: Any, constraints: Constraints, ctx: Context) -> Victim:
    """The model of a package.

    Args:
        table: N rows with its columns, typed. y: (N,) the class index.
    """
    X = np.asarray(model.session.run(table, [FEATURES])[FEATURES], dtype=np.float32)
    facts = {"classes": list(model.classes), "task": model.task, **model.info}
    native = facts["native"]["file"]
    members = {"model.onnx": model.contents.bytes("model.onnx")}
    if native and native in model.contents:
        members[native] = model.contents.bytes(native)
    parts = _artifacts(facts, model.signature, members, pixel_blocks(facts["features"]), table, X, y, ctx)
    return Victim(facts, model.signature, *parts, constraints)


def of_server(
    client: Client,
    inputs: Sequence[Field],
    table: pa.Table,
    y: Any,
    classes: Sequence[Any],
    constraints: Constraints,
    ctx: Context,
) -> Victim:
    """A model that is asked over HTTP.

    Args:
        table: N rows with its columns. classes: of the target, in the order of the class index.
    """
    matrix = raw_matrix(inputs, table, constraints)
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    facts = {"classes": list(classes), "task": task, "features": matrix.features, "decision": None}
    signature = Signature(tuple(inputs), (), task, "", tuple(classes))
    parts = _artifacts(facts, signature, {}, matrix.blocks, table, matrix.of(table), y, ctx)
    oracle = ServerOracle(client, classes, matrix)
    return Victim(facts, signature, *parts, {**_texts(inputs, table), **constraints}, oracle)


def pixel_blocks(features: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The images among features: a package keeps their names, which end in where a pixel is.

    >>> [one.shape for one in pixel_blocks([{"name": f"p[{i},0]", "group": "p", "kind": "pixel"} for i in (0, 1)])]
    [(1, 2, 1)]
    """
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(features):
        if one["kind"] == "pixel":
            groups.setdefault(str(one["group"]), []).append(i)
    found = []
    for group, places in groups.items():
        if (last := _PLACE.search(str(features[places[-1]]["name"]))) is None:
            continue
        height, width = int(last[1]) + 1, int(last[2]) + 1
        shape = (len(places) // (height * width), height, width)
        if math.prod(shape) == len(places) == places[-1] + 1 - places[0]:
            found.append(Block(group, "image", places[0], places[-1] + 1, shape))
    return found


def inputs_of(table: pa.Table) -> tuple[Field, ...]:
    """The columns of landed rows as a model's inputs, by their types alone."""
    import pyarrow as pa

    kinds: Mapping[str, tuple[DType, Tensor]] = {
        "bool": ("boolean", "float32"),
        "int64": ("integer", "float32"),
        "double": ("number", "float32"),
        "timestamp[us]": ("timestamp", "int64"),
    }
    found = []
    for one in table.schema:
        dtype, tensor = kinds.get(str(one.type), ("string", "string"))
        texts = pa.types.is_string(one.type) or pa.types.is_large_string(one.type)
        image = texts and is_image(next((v for v in table.column(one.name).to_pylist() if v), None))
        found.append(Field(one.name, dtype, tensor, domain={"media": "image"} if image else {}))
    return tuple(found)


def drawn(table: pa.Table, X: Floats32, y: Any, rows: int, confidence: float, ctx: Context) -> Sample:
    """All rows given, or so many of them drawn at random, in their order."""
    whole = Sample(table, X, np.asarray(y, dtype=np.float64), confidence)
    chosen = np.arange(len(whole))
    if len(chosen) > rows:
        chosen = np.sort(ctx.rng("rows").choice(chosen, rows, replace=False))
    return replace(part(whole, chosen), others=whole)


def part(sample: Sample, rows: npt.NDArray[np.int64]) -> Sample:
    """Some of a sample's rows; an attack may begin from the others."""
    few = Sample(sample.table.take(rows), sample.X[rows], sample.y[rows], sample.confidence)
    return replace(few, others=sample.others or sample)


def unkept(attack: Attack, victim: Victim) -> str:
    """Why an attack would not keep to the constraints; '' where it does, or cannot break them.

    Attacks on features (`nets`) know none: a server's columns that are immutable are not among what they move, nor is
    anything but pixels where they move pixels.
    """
    if not isinstance(attack, NetAttack) or not (surface := surface_of(victim)):
        return ""
    limited = {name for name, one in victim.constraints.items() if one != Limit(missing=one.missing)}
    if victim.oracle is not None or surface.pixels:
        limited &= {victim.features[i]["group"] for i in surface.places.tolist()}
    if not limited:
        return ""
    names = ", ".join(f"'{name}'" for name in sorted(limited))
    return (
        f"it moves features, and knows nothing of the constraints of {names}: take `query_search` or `moeva`"
    )


def _texts(inputs: Sequence[Field], table: pa.Table) -> Constraints:
    """Texts that are no categories are left as they are."""
    import pyarrow.compute as pc

    return {
        one.name: Limit(immutable=True)
        for one in inputs
        if one.dtype == "string" and pc.count_distinct(table.column(one.name)).as_py() > LEVELS
    }


def _artifacts(
    facts: Mapping[str, Any],
    signature: Signature,
    members: Mapping[str, bytes],
    blocks: Sequence[Block],
    table: pa.Table,
    X: Floats32,
    y: Any,
    ctx: Context,
) -> tuple[Artifact, Artifact, Artifact]:
    """model, splits and preprocessor, as a run would have left them."""
    import pyarrow.parquet as pq

    parts: dict[str, Any] = {}
    for name in ("train", "test"):
        for kind, values in (("X", X), ("y", np.asarray(y, dtype=np.float64))):
            parts[f"{name}.{kind}.npy"] = path = ctx.temporary(f"{name}.{kind}.npy")
            np.save(path, values, allow_pickle=False)
        parts[f"{name}.parquet"] = path = ctx.temporary(f"{name}.parquet")
        pq.write_table(table, path)
    own = {
        **members,
        "model.json": canonical.dump_bytes(dict(facts)),
        "signature.json": canonical.dump_bytes(signature.to_json()),
    }
    rows = {"train": len(X), "test": len(X)}
    meta = {"rows": rows, "task": facts["task"], "classes": list(facts["classes"])}
    refs = (
        ctx.store.put("model", own, {}),
        ctx.store.put("splits", parts, meta),
        ctx.store.put("preprocessor", {"none": b""}, {"blocks": [block.to_json() for block in blocks]}),
    )
    model, splits, preprocessor = map(ctx.open, refs)
    return model, splits, preprocessor

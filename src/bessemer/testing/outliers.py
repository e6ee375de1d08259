"""The tiny model of each task with an outlier method behind its features, as training would put it there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from bessemer.core.signature import Signature, Task
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.manifest import Manifest, describe
from bessemer.package.model import Model
from bessemer.package.outliers import FIELD
from bessemer.package.read import PackageContents
from bessemer.testing.models import (
    CONTRACTS,
    INPUTS,
    tiny_graph,
    tiny_info,
    tiny_members,
    tiny_session,
    tiny_signature,
)
from bessemer.train.assemble import add_outliers
from bessemer.train.outliers.fit import scored
from bessemer.train.outliers.plugins import OUTLIERS, USUAL
from bessemer.train.outliers.rank import ranked

#: Rows the method learns from, and rows that its score is ranked among.
ROWS, HELD_OUT = 2000, 1000


def usual_rows(n: int, seed: int) -> Any:
    """Rows as the judge of `unusual_members` has learnt them: an Arrow table of the tiny model's inputs."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    columns = {
        "tenure": rng.integers(0, 72, n),
        "monthly charges": rng.normal(70, 15, n),
        "autopay": rng.random(n) < 0.5,
        "contract": rng.choice(CONTRACTS, n, p=[0.6, 0.3, 0.1]),
    }
    moments = pa.array([None] * n, pa.timestamp("us"))
    return pa.table(columns | {INPUTS[-1].name: moments})


def unusual_signature(task: Task) -> Signature:
    """The signature of the tiny model with an outlier method."""
    return replace(tiny_signature(task), on_request=(FIELD,))


def unusual_members(task: Task, method: str = USUAL, seed: int = 0) -> dict[str, bytes]:
    """What a package of the tiny model with an outlier method holds."""
    kind = OUTLIERS.load(method)
    settings = kind.Settings()
    features = tiny_session(task).run(usual_rows(ROWS + HELD_OUT, seed), ["features"])["features"]
    judge = kind(settings).fit(features[:ROWS], seed)
    g = GraphBuilder("tiny")
    inputs = {field.name: g.input(field.name, field.tensor, ("N", 1)) for field in INPUTS}
    g.embed(onnx.load_model_from_string(tiny_graph(task)), inputs, "")
    for field in tiny_signature(task).outputs:
        g.output(field.name, field.tensor, ("N", *field.shape))
    add_outliers(g, ranked(judge.graph, scored(judge, features[ROWS:])), "features")
    facts = {"method": method, "settings": settings.model_dump(), "rows": ROWS, "held_out": HELD_OUT}
    return tiny_members(task) | {
        "model.onnx": serialize(g.model()),
        "model.json": json.dumps(tiny_info(task) | {"outliers": facts}).encode(),
        "signature.json": json.dumps(unusual_signature(task).to_json()).encode(),
    }


def unusual_model(task: Task, method: str = USUAL) -> Model:
    """The same as it is loaded from a package; it was signed by nobody."""
    members = unusual_members(task, method)
    manifest = Manifest("tiny", "1", "", "", task, "", describe(members))
    content = {name: memoryview(data) for name, data in members.items()}
    return Model(PackageContents(manifest, unusual_signature(task), content, b"", 0))

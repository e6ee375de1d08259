"""Data as bad as it comes, through the real stages."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.core import canonical

#: Names that break out of where they stand: markup, quotes, scripts that run from right to left, words of JavaScript.
NAMES = [
    "</script><img src=x onerror=alert(1)>",
    'with "quotes" and spaces',
    "عمود باللغة العربية",
    "__proto__",
]
NAMES += ["constructor", "toString", "a" * 150, "Straße €", "tab\tand\nline", "*bold* `code` | pipe"]


def fill(made: Any) -> Any:
    """The artifacts of 400 rows, 400 columns (one constant, one without a value) and 50 classes, in `made`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bessemer.annotate.spec import AnnotateSpec
    from bessemer.annotate.stage import run as annotate
    from bessemer.evaluate.spec import EvaluateSpec
    from bessemer.evaluate.stage import run as evaluate
    from bessemer.explain.spec import ExplainSpec
    from bessemer.explain.stage import run as explain
    from bessemer.prepare.spec import PrepareSpec
    from bessemer.prepare.stage import run as prepare
    from bessemer.train.spec import TrainSpec
    from bessemer.train.stage import run as train
    from bessemer.validate.spec import ValidateSpec
    from bessemer.validate.stage import run as validate

    rng = np.random.default_rng(5)
    rows, classes = 400, 50
    kinds = [f"{NAMES[i % len(NAMES)]} {i}" for i in range(classes)]
    of = np.arange(rows) % classes
    columns: dict[str, Any] = {name: of + rng.normal(size=rows) for name in NAMES}
    columns["nothing"] = pa.nulls(rows, pa.string())
    columns["one"] = ["the same"] * rows
    columns["words"] = [f"{kinds[c]} {'long ' * 60}" if c % 3 else None for c in of]
    columns |= {
        f"noise {i}": rng.normal(size=rows) * 10.0 ** (i % 30 - 15) for i in range(400 - len(columns))
    }
    table = pa.table({**columns, "kind": [kinds[c] for c in of]})
    pq.write_table(table, made.folder / "data.parquet")
    of_type = {"double": "DOUBLE", "string": "VARCHAR"}
    named = [{"name": field.name, "dtype": of_type[str(field.type)]} for field in table.schema]
    facts = {"rows": rows, "columns": named, "sources": {}, "sql": None}
    made.refs["raw"] = made.store.put("raw", {"data.parquet": made.folder / "data.parquet"}, facts)
    made.refs |= validate(ValidateSpec(), made.refs, made.context("validate"))
    made.refs |= annotate(AnnotateSpec(), made.refs, made.context("annotate", target="kind", task=None))
    made.refs |= prepare(PrepareSpec(), made.refs, made.context("prepare"))
    made.refs |= train(TrainSpec(learner="linear"), made.refs, made.context("train", name="demo"))
    made.refs |= evaluate(
        EvaluateSpec.model_validate_json(canonical.dumps({"slices": NAMES[:3], "replicates": 50})),
        made.refs,
        made.context("evaluate"),
    )
    asked = ["permutation", "contributions", {"partial_dependence": {"rows": 20, "most": 5}}]
    explaining = ExplainSpec.model_validate({"rows": 50, "samples": 2, "explainers": asked})
    made.refs |= explain(explaining, made.refs, made.context("explain"))
    made.refs = {kind: ref for kind, ref in made.refs.items() if kind not in ("raw", "data")}
    return made

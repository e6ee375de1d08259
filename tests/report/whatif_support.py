"""Models over a table with every kind of column, and the page's evaluator in a browser without the page."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.artifact import ArtifactRef
from bessemer.core.signature import Signature
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.report.html import asset

SCRIPTS = [
    *("base.js", "onnx_read.js", "onnx_tensor.js", "onnx_math.js", "onnx_shape.js", "onnx_text.js"),
    *("onnx_trees.js", "onnx_run.js", "shapley.js", "explain.js", "whatif_model.js"),
]
ROWS = 900
#: Missing values, infinity and what training has not seen.
STRANGE: dict[str, list[Any]] = {
    "VARCHAR": [None, "never seen", "q\"uo'te", "", "Zürich", "</script>"],
    "BIGINT": [None, 2**53, -(2**53), 0],
    "DOUBLE": [None, 1e30, -1e-30, float("inf"), 0.5],
    "BOOLEAN": [None],
    "TIMESTAMP": [
        None,
        dt.datetime(1, 1, 1),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_999),
        dt.datetime(2400, 2, 29),
    ],
}


def table(task: str, rows: int = ROWS, seed: int = 5, *, stripes: bool = False) -> tuple[pa.Table, list[Any]]:
    """Numbers, integers, categories of few and of many values, booleans, times, texts; a tenth is missing.

    stripes: what counts is also on which of many slanted stripes across the two numbers a row lies.
    """
    rng = np.random.default_rng(seed)
    number, integer = rng.normal(size=rows), rng.integers(-5, 2000, rows)
    few = rng.choice(["São Paulo", 'B"ern', "Lima", "Oslo"], rows)
    many = rng.choice([f"item {i}" for i in range(60)], rows)
    flag = rng.random(rows) < 0.4
    when = np.datetime64("2019-03-01", "us") + rng.integers(0, 900 * 86_400, rows) * np.timedelta64(
        1_000_000, "us"
    )
    words = rng.choice(["good", "bad", "Good,", "slow", "fast"], (rows, 3))
    note = [" ".join(line[: 1 + i % 3]) + (f" no{i}" if i % 4 == 0 else "") for i, line in enumerate(words)]
    signal = number + (few == "Lima") - 0.001 * integer + 0.8 * flag + (many < "item 3") * 0.7
    if stripes:
        signal = signal + 3 * (np.floor(number + integer / 600) % 2)
    gone = rng.random((6, rows)) < 0.1
    columns: dict[str, Any] = {
        "num ber": pa.array(number, mask=gone[0]),
        "integer": pa.array(integer, mask=gone[1]),
        "few": pa.array(few.astype(object), mask=gone[2]),
        "many": pa.array(many.astype(object), mask=gone[3]),
        "flag": pa.array(flag, mask=gone[4]),
        "when": pa.array(when, mask=gone[5]),
        "note": note,
    }
    cut = np.digitize(signal, [-0.5, 0.7])
    if task == "regression":
        return pa.table({**columns, "y": 100 * signal}), []
    classes = ["no", "yes"] if task == "binary" else ["a", "b", "c"]
    return pa.table({**columns, "y": np.array(classes)[np.minimum(cut, len(classes) - 1)]}), classes


class Trained:
    """A model of a task and learner, with its artifacts."""

    def __init__(self, folder: Path, task: str, train: Any, rows: int = ROWS, **of_table: Any) -> None:
        from bessemer.prepare.spec import PrepareSpec
        from bessemer.prepare.stage import run as prepare
        from bessemer.train.stage import run as fit

        self.folder, self.task = folder, task
        self.store = Store(folder / "store")
        data, classes = table(task, rows, **of_table)
        pq.write_table(data, folder / "data.parquet")
        meta = {
            "rows": len(data),
            "unlabelled": 0,
            "target": "y",
            "task": task,
            "classes": classes,
            "counts": {},
        }
        meta["positive"] = classes[1] if task == "binary" else None
        self.refs: dict[str, ArtifactRef] = {
            "labelled": self.store.put("labelled", {"data.parquet": folder / "data.parquet"}, meta)
        }
        spec = PrepareSpec.model_validate(
            {"derive": {"month": 'extract(month from "when")', "ratio": '"num ber" / (1 + abs(integer))'}}
        )
        self.refs |= prepare(spec, self.refs, self.context("prepare"))
        self.refs |= fit(train, self.refs, self.context("train"))

    def context(self, stage: str) -> Context:
        workdir = self.folder / "work" / stage
        workdir.mkdir(parents=True, exist_ok=True)
        return Context(
            store=self.store, stage=stage, shared={}, seed=7, project_dir=self.folder, workdir=workdir
        )

    @property
    def model(self) -> Any:
        return self.store.get(self.refs["model"])

    @property
    def signature(self) -> Signature:
        return Signature.from_json(self.model.json("signature.json"))

    def rows(self, count: int, seed: int = 11) -> pa.Table:
        """Fresh rows of the table, a tenth of their values strange ones."""
        rng = np.random.default_rng(seed)
        data, _ = table(self.task, count, seed)
        names = [field.name for field in self.signature.inputs]
        columns = []
        for name in names:
            column = data.column(name)
            strange = STRANGE[duck(column.type)]
            values = column.to_pylist()
            for i in np.flatnonzero(rng.random(count) < 0.1):
                values[i] = strange[rng.integers(len(strange))]
            columns.append(pa.array(values, type=column.type))
        return pa.Table.from_arrays(columns, names=names)

    def page_facts(self) -> dict[str, Any]:
        """What the page would have of this model."""
        from bessemer.report.spec import ReportSpec
        from bessemer.report.whatif import model_facts

        return model_facts(ReportSpec(whatif=20_000), self.model)


def duck(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "BIGINT"
    return "DOUBLE" if pa.types.is_floating(kind) else "VARCHAR"


def evaluator(browser: Any) -> Any:
    """A blank page with the scripts that compute a model."""
    page = browser.new_page()
    page.set_content('<div id="tip"></div><div id="said"></div>')
    page.add_script_tag(content="\n".join(asset(name) for name in SCRIPTS) + _DOOR)
    return page


#: Every row by itself, as the page does it.
_DOOR = """
const plainNumber = (v) => (Number.isNaN(v) ? null : Math.abs(v) === Infinity ? String(v) : v);
const listed = (tensor) => Array.from(tensor.data, (v) => (typeof v === "bigint" ? Number(v) : v))
  .map((v) => (typeof v === "number" ? plainNumber(v) : v));
async function computed([packed, fields, rows]) {
  const graph = new OnnxGraph(await onnxUnpack(packed), fields);
  const outputs = (made) => Object.entries(made).filter(([name]) => name !== "forests");
  const shown = (made) => Object.fromEntries(outputs(made).map(([name, tensor]) => [name, listed(tensor)]));
  return rows.map((row) => shown(graph.run([row])));
}
async function explained([task, facts, rows]) {
  const model = new PageModel(facts, await onnxUnpack(facts.packed));
  return rows.map((row) => model.answer({ task }, row).why);
}
"""


def as_rows(data: pa.Table) -> list[dict[str, Any]]:
    """Rows as the page holds them."""
    from bessemer.report.whatif import plain

    return [plain(row) for row in data.to_pylist()]


def numbers(values: list[Any]) -> np.ndarray:
    """float64; a null is NaN, infinity is a text."""
    return np.array([np.nan if v is None else float(v) for v in values])


def graph_of(model: Any) -> Any:
    return onnx.load_model_from_string(model.bytes("model.onnx"))

"""Real artifacts for the report: real tables through the real stages, with a small model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import axe_source, chromium
from hostile import fill

from bessemer.annotate.classes import label
from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.core.store import Store

#: task -> table, target, columns to slice by
TABLES = {
    "binary": ("telco", "Churn", ["Contract", "tenure"]),
    "multiclass": ("diamonds", "cut", ["color"]),
    "regression": ("california", "median_house_value", ["ocean_proximity"]),
}
#: What is judged beside the usual.
JUDGED: dict[str, dict[str, Any]] = {
    "binary": {
        "fairness": {"groups": ["gender", "SeniorCitizen"], "favourable": False},
        "costs": {"false_positive": 1, "false_negative": 5},
    },
    "multiclass": {"fairness": ["color"]},
    "regression": {"fairness": ["ocean_proximity"]},
}
#: The parts of the training rows in a learning curve.
CURVES = {"regression": ["20%", "50%", "100%"]}
#: Every explainer there is, with little work each.
QUICK: dict[str, dict[str, Any]] = {
    "permutation": {"repeats": 3},
    "partial_dependence": {"rows": 50},
    "partial_dependence_2d": {"rows": 20},
    "ice": {"rows": 50, "lines": 8},
    "interactions": {"rows": 20},
    "surrogate": {"rows": 300},
    "lime": {"rows": 8, "samples": 200},
    "anchors": {"rows": 8, "samples": 1000, "check": 200},
    "counterfactuals": {"rows": 8, "count": 2},
    "influence": {"rows": 8, "count": 3},
    "prototypes": {"rows": 200},
}
ROWS = 3000


class Made:
    """A store with the artifacts of one task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.refs: dict[str, ArtifactRef] = {}

    def context(self, stage: str, **shared: Any) -> Context:
        workdir = self.folder / "work" / stage
        workdir.mkdir(parents=True, exist_ok=True)
        return Context(
            store=self.store, stage=stage, shared=shared, seed=7, project_dir=self.folder, workdir=workdir
        )

    def report(self, spec: Any = None, refs: Mapping[str, ArtifactRef] | None = None, **shared: Any) -> str:
        from bessemer.report.spec import ReportSpec
        from bessemer.report.stage import run

        shared = {"name": "demo", "version": "1.0", "description": "A demonstration.", **shared}
        given = {k: v for k, v in (refs or self.refs).items() if k != "explainer"}
        made = run(spec or ReportSpec(), given, self.context("report", **shared))
        return self.store.get(made["report"]).text("report.html")


def make(folder: Path, source: Path, task: str) -> Made:
    from bessemer.evaluate.spec import EvaluateSpec
    from bessemer.evaluate.stage import run as evaluate
    from bessemer.explain.plugins import EXPLAINERS
    from bessemer.explain.spec import ExplainSpec
    from bessemer.explain.stage import run as explain
    from bessemer.prepare.spec import PrepareSpec
    from bessemer.prepare.stage import run as prepare
    from bessemer.train.spec import TrainSpec
    from bessemer.train.stage import run as train

    table, target, slices = TABLES[task]
    made = Made(folder)
    made.refs |= _landed(made, source / table / "train.csv", target, task)
    made.refs |= prepare(PrepareSpec(), made.refs, made.context("prepare"))
    training = TrainSpec.model_validate({"rounds": 40, "learning_curve": CURVES.get(task, False)})
    made.refs |= train(training, made.refs, made.context("train", name="demo"))
    judging = EvaluateSpec.model_validate_json(
        canonical.dumps({"slices": slices, "replicates": 50, **JUDGED[task]})
    )
    made.refs |= evaluate(judging, made.refs, made.context("evaluate"))
    explainers = [{name: QUICK.get(name, {})} for name in EXPLAINERS]
    explaining = ExplainSpec.model_validate({"rows": 300, "samples": 2, "explainers": explainers})
    made.refs |= explain(explaining, made.refs, made.context("explain"))
    return made


def _landed(made: Made, csv: Path, target: str, task: str) -> dict[str, ArtifactRef]:
    """labelled, statistics, contract and quarantine, as the stages before prepare leave them."""
    import duckdb

    path = made.folder / "data.parquet"
    connection = duckdb.connect()
    q = '"' + target + '"'
    connection.execute(f"CREATE TABLE t AS FROM read_csv('{csv}') WHERE {q} IS NOT NULL LIMIT {ROWS}")
    for name, kind in [row[:2] for row in connection.execute("DESCRIBE t").fetchall()]:
        wanted = {"INTEGER": "BIGINT", "DATE": "TIMESTAMP", "FLOAT": "DOUBLE"}.get(kind)
        if wanted:
            connection.execute(f'ALTER TABLE t ALTER "{name}" TYPE {wanted}')
    if task == "regression":
        connection.execute(f"ALTER TABLE t ALTER {q} TYPE DOUBLE")
    connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    found = connection.execute(f"SELECT {q}, count(*) FROM t GROUP BY 1 ORDER BY 1").fetchall()
    classes = [] if task == "regression" else [value for value, _ in found]
    statistics = {"rows": rows, "columns": _statistics(connection)}
    meta: dict[str, Any] = {"rows": rows, "unlabelled": 3, "target": target, "task": task, "classes": classes}
    meta["counts"] = {label(value): count for value, count in found} if classes else {}
    meta["positive"] = classes[1] if task == "binary" else None
    bad = made.folder / "quarantine.parquet"
    rule = (
        "concat_ws('; ', CASE WHEN i < 9 THEN 'tenure: min' END, CASE WHEN i > 7 THEN 'Contract: values' END)"
    )
    connection.execute(
        "COPY (SELECT -i AS tenure, 'Weekly' AS \"Contract\", "
        f"{rule} AS _rule FROM range(12) r(i)) TO '{bad}' (FORMAT parquet)"
    )
    broken = {"rows": 12, "by_rule": {"tenure: min": 9, "Contract: values": 4}}
    put = made.store.put
    return {
        "labelled": put("labelled", {"data.parquet": path}, meta),
        "statistics": put(
            "statistics", {"statistics.json": canonical.dump_bytes(statistics)}, {"rows": rows}
        ),
        "contract": put("contract", {"contract.yaml": b"columns: {}\n"}, {"inferred": True, "rules": 41}),
        "quarantine": put("quarantine", {"quarantine.parquet": bad}, broken),
    }


def _statistics(connection: Any) -> dict[str, Any]:
    table = connection.execute("FROM t").df()
    return {name: _column(table[name]) for name in table.columns}


def _column(column: Any) -> dict[str, Any]:
    known = column.dropna()
    facts: dict[str, Any] = {
        "dtype": {"O": "VARCHAR", "b": "BOOLEAN", "i": "BIGINT", "f": "DOUBLE", "M": "TIMESTAMP"}.get(
            column.dtype.kind, "VARCHAR"
        ),
        "count": len(known),
        "missing": int(column.isna().sum()),
        "missing_share": float(column.isna().mean()),
        "distinct": int(known.nunique()),
    }
    if facts["dtype"] in ("BIGINT", "DOUBLE"):
        counts, edges = np.histogram(known, 20)
        facts |= {"min": float(known.min()), "max": float(known.max()), "mean": float(known.mean())}
        facts |= {"std": float(known.std()), "histogram": {"edges": edges, "counts": counts}}
        facts["quantiles"] = {str(q): float(known.quantile(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    else:
        facts["top"] = [[str(v), int(n)] for v, n in known.value_counts().head(20).items()]
    return facts


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium for each module: while one is driven, no other test can have an event loop in this thread."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    return axe_source()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Callable[[str], Made]:
    """made("binary"): the artifacts of that task, or of `hostile` data, made once."""
    known: dict[str, Made] = {}

    def get(task: str) -> Made:
        if task not in known:
            folder = tmp_path_factory.mktemp(task)
            known[task] = fill(Made(folder)) if task == "hostile" else make(folder, shared, task)
        return known[task]

    return get

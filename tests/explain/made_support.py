"""Small real models: a table with a known truth through prepare and train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.core.store import Store

ROWS = 1200


class Made:
    """A store with `model`, `splits` and `preprocessor`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.refs: dict[str, ArtifactRef] = {}

    def context(self, stage: str = "explain", *, seed: int = 7) -> Context:
        workdir = self.folder / "work" / stage
        workdir.mkdir(parents=True, exist_ok=True)
        return Context(
            store=self.store, stage=stage, shared={}, seed=seed, project_dir=self.folder, workdir=workdir
        )

    def explain(self, *, seed: int = 7, **settings: Any) -> tuple[Any, Any]:
        from bessemer.explain.spec import ExplainSpec
        from bessemer.explain.stage import run

        spec = ExplainSpec(
            **{"rows": 200, "explainers": [{"permutation": {"repeats": 3}}, "contributions"], **settings}
        )
        made = run(spec, self.refs, self.context(seed=seed))
        explainer = self.store.get(made["explainer"]).json("explainer.json")
        return explainer, self.store.get(made["explanations"]).json("explanations.json")


def table(task: str) -> tuple[Any, list[Any]]:
    """y depends on "strong", on the class "São" and a little on "weak"; not on "noise". A third of seen is null."""
    import pyarrow as pa

    rng = np.random.default_rng(3)
    strong, weak, noise = rng.normal(size=(3, ROWS))
    city = rng.choice(['São "Paulo"', "</script>", "Bern"], ROWS)
    when = np.datetime64("2013-01-01", "us") + rng.integers(0, 365, ROWS) * np.timedelta64(
        86_400_000_000, "us"
    )
    signal = 2 * strong + 1.5 * (city == "Bern") + 0.3 * weak + 0.3 * rng.normal(size=ROWS)
    noise[rng.random(ROWS) < 0.3] = np.nan
    classes: list[Any] = []
    y: Any = 1000 * signal
    if task == "binary":
        classes, y = ["no", "yes"], np.where(signal > 0.5, "yes", "no")
    if task == "multiclass":
        classes, y = ["a", "b", "c"], np.array(["a", "b", "c"])[np.digitize(signal, [-1, 1])]
    columns = {"strong": strong, "weak col": weak, "noise": pa.array(noise, from_pandas=True)}
    return pa.table({**columns, "city": city, "seen": pa.array(when), "y": y}), classes


def make(folder: Path, task: str, learner: str) -> Made:
    derived = {"derive": {"both": 'strong + "weak col"'}}
    return trained(folder, *table(task), task, {"learner": learner, "rounds": 30}, derived)


def trained(
    folder: Path, data: Any, classes: list[Any], task: str, training: Any, preparing: Any = None
) -> Made:
    """A model of the column y through prepare and train, with these settings."""
    import pyarrow.parquet as pq

    from bessemer.prepare.spec import PrepareSpec
    from bessemer.prepare.stage import run as prepare
    from bessemer.train.spec import TrainSpec
    from bessemer.train.stage import run as train

    made = Made(folder)
    pq.write_table(data, folder / "data.parquet")
    meta = {"rows": len(data), "unlabelled": 0, "target": "y", "task": task, "classes": classes, "counts": {}}
    meta["positive"] = classes[1] if task == "binary" else None
    made.refs["labelled"] = made.store.put("labelled", {"data.parquet": folder / "data.parquet"}, meta)
    made.refs["contract"] = made.store.put("contract", {"contract.yaml": b"{}\n"}, {})
    made.refs |= prepare(PrepareSpec.model_validate(preparing or {}), made.refs, made.context("prepare"))
    made.refs |= train(TrainSpec.model_validate(training), made.refs, made.context("train"))
    return made

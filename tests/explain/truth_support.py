"""Real models whose truth is known exactly: a linear model on one derived feature that is the truth itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.explain.explanation import Explanation
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.sample import Sample, draw
from bessemer.explain.subject import Subject, open_subject
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.stage import run as prepare
from bessemer.testing.explainers import check_explanation
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run as train


class Explained:
    """A model under explanation, through prepare and train as they are."""

    def __init__(self, folder: Path, seed: int = 7) -> None:
        self.folder, self.seed = folder, seed
        self.store = Store(folder / "store")
        self.refs: dict[str, ArtifactRef] = {}
        self.notes: list[str] = []

    def context(self, stage: str = "explain", seed: int | None = None) -> Context:
        workdir = self.folder / "work" / stage
        workdir.mkdir(parents=True, exist_ok=True)
        return Context(
            store=self.store,
            stage=stage,
            shared={},
            seed=self.seed if seed is None else seed,
            project_dir=self.folder,
            workdir=workdir,
            emit=lambda kind, data: self.notes.append(data["text"]) if kind == "note" else None,
        )

    def fit(
        self,
        data: pa.Table,
        *,
        derive: dict[str, str] | None = None,
        exclude: list[str] | None = None,
        learner: str = "linear",
        task: str = "regression",
        classes: list[Any] | None = None,
        **params: Any,
    ) -> Explained:
        """Fit to `data`, whose target is y."""
        pq.write_table(data, self.folder / "data.parquet")
        meta = {"rows": len(data), "unlabelled": 0, "target": "y", "task": task, "classes": classes or []}
        meta |= {"counts": {}, "positive": classes[1] if classes and len(classes) == 2 else None}
        self.refs["labelled"] = self.store.put(
            "labelled", {"data.parquet": self.folder / "data.parquet"}, meta
        )
        self.refs["contract"] = self.store.put("contract", {"contract.yaml": b"{}\n"}, {})
        spec = PrepareSpec.model_validate({"derive": derive or {}, "exclude": exclude or []})
        self.refs |= prepare(spec, self.refs, self.context("prepare"))
        self.refs |= train(
            TrainSpec(learner=learner, params=params, rounds=60), self.refs, self.context("train")
        )
        return self

    def opened(self, rows: int = 2000, seed: int | None = None) -> tuple[Subject, Sample]:
        subject = open_subject(self.store.get(self.refs["model"]))
        return subject, draw(self.store.get(self.refs["splits"]), subject, rows, self.context(seed=seed))

    def explain(
        self, name: str, *, sampled: int = 2000, seed: int | None = None, **settings: Any
    ) -> Explanation:
        """What an explainer of the table finds in so many test rows; it keeps the protocol."""
        subject, sample = self.opened(sampled, seed)
        kind = EXPLAINERS.load(name)
        found = kind(kind.Settings(**settings)).explain(
            subject, sample, self.context(seed=seed), lambda: None
        )
        check_explanation(found, subject, sample)
        return found

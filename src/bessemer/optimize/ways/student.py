"""A student: a few trees that learn what the model says."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.errors import MissingExtra
from bessemer.core.spec import Spec
from bessemer.optimize.variant import Native, Parent, UnsuitedError, Variant, with_head
from bessemer.package.trees.codec import encode
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx

#: Fewer rows teach nothing.
LEAST_ROWS = 500


class StudentSettings(Spec):
    trees: list[Annotated[int, Field(ge=1, le=5000)]] = Field(
        [50, 200], description="how many trees a student has for each output, a variant each"
    )
    leaves: int = Field(31, ge=2, le=1024, description="the leaves of a tree")


class Student:
    """LightGBM on the raw scores of the model (Hinton et al. 2015), for ensembles and networks above all."""

    needs_rows: ClassVar[bool] = True
    Settings: ClassVar[type[StudentSettings]] = StudentSettings

    def __init__(self, settings: StudentSettings) -> None:
        self.settings = settings

    def variants(self, parent: Parent) -> list[Variant]:
        if len(parent.X) < LEAST_ROWS:
            raise UnsuitedError(
                f"a student needs {LEAST_ROWS} rows or more to learn from; give them with --data"
            )
        if any(field.is_image for field in parent.model.signature.inputs):
            raise UnsuitedError("trees do not see in images what a network sees")
        found = []
        for count in self.settings.trees:
            parent.tell(f"teaching a student of {count} trees")
            trees = learnt(parent.X, parent.margin, count, self.settings.leaves, parent.seed)
            graph = with_head(parent.graph, to_onnx(trees))
            found.append(Variant(f"a student of {count} trees", graph, Native("trees", encode(trees))))
        return found


def learnt(X: np.ndarray, margin: np.ndarray, count: int, leaves: int, seed: int) -> Trees:
    """Trees that say about what `margin` (N, K) says of X (N, F).

    Raises:
        MissingExtra: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise MissingExtra("a student", "lightgbm", "lightgbm") from None
    from dataclasses import replace

    from bessemer.train.learners.lightgbm_text import parse
    from bessemer.train.learners.lightgbm_trees import to_trees

    params: dict[str, Any] = {
        "objective": "regression",
        "learning_rate": max(0.05, min(0.3, 10 / count)),
        "num_leaves": leaves,
        "min_data_in_leaf": 10,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    own: list[Tree] = []
    base = np.zeros(margin.shape[1])
    for k in range(margin.shape[1]):
        booster = lightgbm.train(params, lightgbm.Dataset(X, label=margin[:, k]), num_boost_round=count)
        made = to_trees(parse(booster.model_to_string()), X.shape[1])
        base[k] = made.base[0]
        own += [replace(tree, target=k) for tree in made.trees]
    return Trees(tuple(own), base, X.shape[1])

"""A surrogate: one small tree over the raw columns that says nearly what the model says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.ask import strongest_columns
from bessemer.explain.curves import named_class
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.matrix import matrix, questions
from bessemer.explain.sample import Training
from bessemer.explain.values import iso, raw_values, tidy
from bessemer.stats.bootstrap import bootstrap, interval

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.explain.matrix import Question
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The most columns that the tree may use, and the categories of a column that it may ask for.
COLUMNS, CATEGORIES = 40, 20

#: How often the held-out rows are drawn anew for the interval of the fidelity.
REPLICATES = 200


class Surrogate:
    """A regression tree that is fitted to the model's score on training rows.

    `fidelity` is the share of the score's variance (R²) that the tree explains on the rows of the test part, which it
    has not seen, with its 95% bootstrap interval; what it leaves out is not in the picture. Each node has the mean
    score of its training rows, with several classes that of the class with the highest one. `missing` says where rows
    without a number go.

    Source: Craven and Shavlik, "Extracting tree-structured representations of trained networks", NIPS (1995); the tree
    is CART of Breiman et al. (1984).
    """

    kind: ClassVar[Kind] = "surrogate"

    class Settings(Spec):
        """How large the tree may be."""

        leaves: int = Field(12, ge=2, le=200, description="The most leaves of the tree.")
        rows: int = Field(
            10_000,
            ge=20,
            le=1_000_000,
            description="How many training rows, drawn at random, it is fitted to.",
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        images = set(subject.columns) == subject.images
        return "a tree asks for values, and all columns are images" if images else ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        columns = strongest_columns(subject, sample, ctx, COLUMNS, "surrogate")
        columns = columns or [name for name in subject.columns if name not in subject.images][:1]
        seen, held = self._tables(sample, ctx)
        scores = subject.scored(seen)
        advance()
        nodes = tidy(self._nodes(seen, scores, columns, subject, ctx))
        advance()
        truth = subject.scored(held)
        found = np.array([nodes[leaf]["scores"] for leaf in leaves_of(nodes, held)]).reshape(truth.shape)
        fidelity, low, high = _fidelity(truth, found, ctx)
        for node in nodes:
            output = int(np.argmax(node.pop("scores")))
            node.update(named_class(subject, output))
        return Explanation(
            self.kind,
            Baseline(
                "the model itself; the root of the tree is the mean score of the rows that the tree was fitted to",
                tuple(scores.mean(axis=0).tolist()),
            ),
            Error("fidelity R²", fidelity, _text(fidelity, low, high, held.num_rows)),
            {"nodes": nodes, "fidelity": fidelity, "low": low, "high": high},
        )

    def _tables(self, sample: Sample, ctx: Context) -> tuple[pa.Table, pa.Table]:
        """The rows to fit to and those to judge on: training and test rows, or where there are no training rows the
        first two thirds of the sample and the rest."""
        if isinstance(sample.training, Training):
            return sample.training.draw(self.settings.rows, ctx.rng("surrogate")).table, sample.table
        cut = max(1, 2 * len(sample) // 3)
        return sample.table.slice(0, cut), sample.table.slice(cut) if len(sample) > 1 else sample.table

    def _nodes(
        self, table: pa.Table, scores: Floats, columns: list[str], subject: Subject, ctx: Context
    ) -> list[dict[str, Any]]:
        from sklearn.tree import DecisionTreeRegressor

        asked = questions(table, columns, CATEGORIES)
        X = matrix(table, asked) if asked else np.zeros((len(scores), 1), dtype=np.float32)
        tree = DecisionTreeRegressor(
            max_leaf_nodes=self.settings.leaves,
            min_samples_leaf=max(1, min(20, len(X) // 50)),
            random_state=int(ctx.rng("surrogate", "tree").integers(2**31)),
        ).fit(X, scores)
        return [_node(tree.tree_, i, asked, scores.shape[1]) for i in range(tree.tree_.node_count)]


def _node(tree: Any, i: int, asked: list[Question], outputs: int) -> dict[str, Any]:
    """One node of scikit-learn's tree; `scores` has one number an output."""
    scores = tree.value[i].reshape(outputs).tolist()
    node = {
        "scores": scores,
        "score": max(scores),
        "share": float(tree.n_node_samples[i] / tree.n_node_samples[0]),
    }
    left, right = int(tree.children_left[i]), int(tree.children_right[i])
    if left < 0:
        return node
    question = asked[int(tree.feature[i])]
    if question.value is not None:
        asks = {"operator": "=", "value": question.value, "yes": right, "no": left}
    else:
        limit = float(tree.threshold[i])
        shown: Any = iso(np.floor(limit) * 1e6) if question.kind == "timestamp" else limit
        missing = "yes" if tree.missing_go_to_left[i] else "no"
        asks = {"operator": "<=", "value": shown, "yes": left, "no": right, "missing": missing}
    return {"column": question.column} | asks | node


def leaves_of(nodes: list[dict[str, Any]], table: pa.Table) -> npt.NDArray[np.int64]:
    """The leaf that each row of a raw table comes to, int64 (N,): the tree as it is shown, value by value."""
    at = np.zeros(table.num_rows, dtype=np.int64)
    for i, node in enumerate(nodes):  # a child's number is always higher than its parent's
        if "column" not in node:
            continue
        rows = np.flatnonzero(at == i)
        values = raw_values(table.column(node["column"]))
        if values.numbers is None:
            assert values.texts is not None
            yes = np.array([values.texts[row] == node["value"] for row in rows], dtype=bool)
        else:
            limit = node["value"]
            if values.kind == "timestamp":
                limit = float(np.datetime64(limit, "us").astype(np.int64))
            numbers = values.numbers[rows]
            yes = np.where(np.isnan(numbers), node["missing"] == "yes", numbers <= limit)
        at[rows] = np.where(yes, node["yes"], node["no"])
    return at


def _fidelity(truth: Floats, found: Floats, ctx: Context) -> tuple[float, float, float]:
    """R² with its 95% interval. Both (N, K); 1 where the score is the same for all rows and the tree says it."""

    def r2(weights: Floats) -> Floats:
        share = weights[:, None] / weights.sum()
        whole = float((share * (truth - (share * truth).sum(axis=0)) ** 2).sum())
        left = float((share * (truth - found) ** 2).sum())
        return np.array([1 - left / whole if whole > 0 else float(left <= 1e-12)])

    (replicates,) = bootstrap([r2], len(truth), REPLICATES, ctx.rng("surrogate", "fidelity"))
    low, high = interval(replicates[:, 0], 0.95)
    return float(r2(np.ones(len(truth)))[0]), low, high


def _text(fidelity: float, low: float, high: float, rows: int) -> str:
    return (
        f"the tree explains {max(0.0, fidelity):.0%} of the variance of the model's score on {rows:,} rows that it has "
        f"not seen (95% interval {low:.3g} to {high:.3g}); 1 is all of it"
    )

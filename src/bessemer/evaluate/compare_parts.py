"""What sets two groups of test rows apart: their columns, and what moved the predictions.

Zhang et al. 2019 (Manifold): rows of a weak slice against all others, and rows that one model gets right against
rows that another gets right. For every column, and for the contributions of every column, the distance of the two
distributions, with a p-value of a permutation test; the largest distances say where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.evaluate.evidence import Evidence
from bessemer.evaluate.levels import Coded, coded_columns
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import quantile_cuts
from bessemer.stats.distance import jensen_shannon, shares
from bessemer.stats.multiple import benjamini_hochberg

#: Rows that are looked at; slices that are compared; the fewest rows of a group.
ROWS, SLICES, FEWEST = 50_000, 3, 30
#: Rows of a group whose contributions are computed, and what all of them may take in about a nanosecond of a thread.
EXPLAINED, WORK = 500, 1e9
#: Permutations behind a p-value; bins of numbers and of contributions; rows of each table that are kept.
DRAWS, BINS, VALUES, SHOWN = 999, 10, 10, 20


@dataclass(frozen=True)
class Part:
    """Some test rows. rows: ascending places. columns: those it is made by, which differ by definition."""

    text: str
    rows: Ints
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pair:
    """Two groups without a row in common."""

    kind: str
    a: Part
    b: Part

    @property
    def large_enough(self) -> bool:
        return min(len(self.a.rows), len(self.b.rows)) >= FEWEST


def comparisons(evidence: Evidence, slices: Sequence[Part]) -> list[dict[str, Any]]:
    """`comparisons` of `evaluation.json`, of weak slices with the rest and of the model with its strongest opponent."""
    rows = evidence.sample("comparisons", ROWS)
    pairs = [_with_the_rest(part, rows) for part in slices[:SLICES]] + _with_opponent(evidence, rows)
    pairs = [pair for pair in pairs if pair.large_enough]
    if not pairs:
        return []
    columns = list(coded_columns(evidence.test, evidence.inputs, rows, bins=BINS, values=VALUES))
    explain = Explained.of(evidence, len(pairs))
    return [_compared(pair, rows, columns, explain, evidence) for pair in pairs]


def _with_the_rest(part: Part, rows: Ints) -> Pair:
    inside = np.intersect1d(part.rows, rows)
    rest = Part("all other rows", np.setdiff1d(rows, inside), part.columns)
    return Pair("slice", Part(part.text, inside, part.columns), rest)


def _with_opponent(evidence: Evidence, rows: Ints) -> list[Pair]:
    """Rows on which only the model is right, or nearer, and those on which only the champion or `linear` is."""
    name = next((name for name in ("champion", "linear") if name in evidence.opponents), None)
    if name is None or name == evidence.judged.learner:
        return []
    ours, theirs = evidence.outcome.take(rows), evidence.opponents[name].take(rows)
    if ours.task == "regression":
        gain = np.abs(theirs.truth - theirs.predicted) - np.abs(ours.truth - ours.predicted)
        low, high = np.quantile(gain, [0.25, 0.75])
        won, lost = (gain >= high) & (gain > 0), (gain <= low) & (gain < 0)
        texts = "the model is nearer than {}: the clearest quarter", "{} is nearer: the clearest quarter"
    else:
        right, rival = ours.predicted == ours.truth, theirs.predicted == theirs.truth
        won, lost = right & ~rival, rival & ~right
        texts = "only the model is right, not {}", "only {} is right, not the model"
    a, b = (Part(text.format(name), rows[mask]) for text, mask in zip(texts, (won, lost), strict=True))
    return [Pair("model", a, b)]


@dataclass(frozen=True)
class Explained:
    """The model's contributions, and for how many rows of a group they are affordable."""

    evidence: Evidence
    contributions: Any
    rows: int

    @classmethod
    def of(cls, evidence: Evidence, pairs: int) -> Explained | None:
        """None where the model has no contributions, or they take too long."""
        from bessemer.package.contributions import Contributions

        facts = evidence.model.json("model.json")
        if (native := facts.get("native")) is None:
            return None
        file = evidence.model.bytes(native["file"])
        made = Contributions(native["kind"], file, facts, threads=evidence.ctx.threads)
        rows = min(EXPLAINED, int(WORK / max(1.0, made.work) / (2 * pairs)))
        return cls(evidence, made, rows) if rows >= FEWEST and made.groups else None

    def of_rows(self, rows: Ints) -> Floats:
        """Contributions by group to the score of the predicted class, or to the score: float64 (n, groups)."""
        X = np.load(self.evidence.splits.path("test.X.npy"), mmap_mode="r")
        _, grouped = self.contributions.grouped(np.ascontiguousarray(X[rows], dtype=np.float32))
        if grouped.shape[2] == 1:
            return np.asarray(grouped[:, :, 0])
        best = self.evidence.outcome.probability[rows].argmax(axis=1)
        return np.asarray(grouped[np.arange(len(rows)), :, best])


def _compared(
    pair: Pair, rows: Ints, columns: Sequence[Coded], explain: Explained | None, evidence: Evidence
) -> dict[str, Any]:
    a, b = (np.searchsorted(rows, part.rows) for part in (pair.a, pair.b))
    rng = evidence.ctx.rng("comparisons", pair.kind, pair.a.text)
    by_column = [
        {
            "column": column.column,
            **distance_of(counts := (column.counts(a), column.counts(b)), rng),
            "defines": column.column in pair.a.columns,
            "levels": [level.text for level in column.levels],
            "a": shares(counts[0]).tolist(),
            "b": shares(counts[1]).tolist(),
        }
        for column in columns
    ]
    return {
        "kind": pair.kind,
        "a": {"text": pair.a.text, "rows": len(a)},
        "b": {"text": pair.b.text, "rows": len(b)},
        "columns": ranked(by_column),
        "contributions": ranked(_by_contribution(pair, explain, rng)) if explain else [],
    }


def _by_contribution(pair: Pair, explain: Explained, rng: np.random.Generator) -> list[dict[str, Any]]:
    a, b = (explain.of_rows(_some(part.rows, explain.rows, rng)) for part in (pair.a, pair.b))
    return [
        {
            "group": group,
            **distance_of(_binned(a[:, k], b[:, k]), rng),
            "mean_a": float(a[:, k].mean()),
            "mean_b": float(b[:, k].mean()),
        }
        for k, group in enumerate(explain.contributions.groups)
    ]


def _some(rows: Ints, most: int, rng: np.random.Generator) -> Ints:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _binned(a: Floats, b: Floats) -> tuple[Ints, Ints]:
    """Counts of both in common bins of about equal size."""
    cuts = np.unique(quantile_cuts(np.concatenate([a, b]), BINS))
    first, second = (np.bincount(np.searchsorted(cuts, x), minlength=len(cuts) + 1) for x in (a, b))
    return first.astype(np.int64), second.astype(np.int64)


def distance_of(counts: tuple[Ints, Ints], rng: np.random.Generator) -> dict[str, float]:
    """The Jensen-Shannon distance of two groups, and how often chance gives one as great.

    Args:
        counts: of both groups in the same bins, int64 (bins,), neither empty.

    >>> distance_of((np.array([30, 0]), np.array([0, 30])), np.random.default_rng(0))
    {'distance': 1.0, 'p': 0.001}
    """
    a, b = counts
    observed = float(jensen_shannon(a, b))
    both = a + b
    drawn = rng.multivariate_hypergeometric(both, int(a.sum()), size=DRAWS, method="marginals")
    as_great = int(np.sum(jensen_shannon(drawn, both - drawn) >= observed - 1e-12))
    return {"distance": observed, "p": (1 + as_great) / (1 + DRAWS)}


def ranked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest distances first, with p-values corrected for how many there are (Benjamini and Hochberg)."""
    adjusted = benjamini_hochberg([row["p"] for row in found]).tolist()
    with_p = [{**row, "p_adjusted": p} for row, p in zip(found, adjusted, strict=True)]
    return sorted(with_p, key=lambda row: -row["distance"])[:SHOWN]

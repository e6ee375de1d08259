"""Outliers: what asking for them costs, and what is found, beside scikit-learn's own forest.

    .venv/bin/python benchmarks/outliers.py [--seconds S] [--seeds N]

Cost: microseconds a row on one thread, the least of many calls, of a graph of 200 LightGBM trees over 20 float32
features without a judge, with one that is not asked, and with one that is; and scikit-learn's own `score_samples`.
Quality: ROC AUC of planted outliers among usual rows, of the rank that the graph gives and of the score it is the rank
of; and how many of fresh usual rows stand beyond the 99 % rank.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers.walkers import best
from sklearn.ensemble import IsolationForest as Forest
from sklearn.metrics import roc_auc_score
from trees import FEATURES, data, lightgbm

from bessemer.core.signature import Field
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.session import GraphSession
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.assemble import assemble
from bessemer.train.calibrate import Calibration
from bessemer.train.outliers.fit import scored
from bessemer.train.outliers.plugins import OUTLIERS
from bessemer.train.outliers.rank import ranked

SIZES = (1, 16, 1000)
FIELDS = tuple(Field(f"x{i}", "number", "float32") for i in range(FEATURES))
USUAL = ("prediction", "probability")


def graph(head: Any, judge: Any) -> bytes:
    g = GraphBuilder("prepare")
    columns = [g.input(field.name, "float32", ("N", 1)) for field in FIELDS]
    g.output(g.op("Concat", columns, axis=1, name="features"), "float32", ("N", FEATURES))
    return serialize(assemble(g.model(), head, Calibration(), "binary", ["no", "yes"], outliers=judge))


def judged(method: str, usual: np.ndarray, held: np.ndarray, seed: int) -> Any:
    kind = OUTLIERS.load(method)
    judge = kind(kind.Settings()).fit(usual, seed)
    return ranked(judge.graph, scored(judge, held))


def cost(seconds: float) -> None:
    x, _ = data(2)
    with tempfile.TemporaryDirectory() as folder:
        head = to_onnx(lightgbm(Path(folder), 200, 2)[0])
    sessions = {"no judge": (GraphSession(graph(head, None), FIELDS), USUAL)}
    for method in OUTLIERS:
        session = GraphSession(graph(head, judged(method, x[:10_000], x[10_000:15_000], 0)), FIELDS)
        sessions[f"{method}, not asked"] = session, USUAL
        sessions[f"{method}, asked"] = session, (*USUAL, "outlier")
    forest = Forest(random_state=0).fit(x[:10_000])
    runs: dict[str, Callable[[np.ndarray], object]] = {
        name: lambda rows, s=session, o=outputs: s.run_matrix(rows, o)
        for name, (session, outputs) in sessions.items()
    }
    runs["scikit-learn, score alone"] = forest.score_samples
    print(f"{'microseconds a row':<32}" + "".join(f"{n:>10}" for n in SIZES))
    for name, run in runs.items():
        each = [best(run, x[:n], seconds) for n in SIZES]
        print(f"{name:<32}" + "".join(f"{value:>10.2f}" for value in each))
    for method in OUTLIERS:
        plain, more = (len(graph(head, j)) for j in (None, judged(method, x[:10_000], x[10_000:15_000], 0)))
        print(f"{method} adds {(more - plain) / 1024:,.0f} KB to model.onnx")


def planted(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """6,000 usual rows of 8 features that go together, and 100 that are unusual."""
    mixing = rng.normal(size=(8, 8)) / np.sqrt(8)
    usual = rng.normal(size=(6000, 8)) @ mixing
    spread = usual.std(axis=0)
    if kind == "far out in two features":
        odd = rng.normal(size=(100, 8)) @ mixing
        for row in odd:
            row[rng.choice(8, 2, replace=False)] += rng.choice([-5, 5], 2) * spread.mean()
    elif kind == "a cluster of its own":
        odd = rng.normal(size=(100, 8)) * 0.1 * spread + rng.choice([-3, 3], 8) * spread
    elif kind == "anywhere in the range":
        odd = rng.uniform(usual.min(axis=0), usual.max(axis=0), size=(100, 8))
    else:  # the marginals of usual rows, each from another row
        odd = np.stack([rng.choice(usual[:, i], 100) for i in range(8)], axis=1)
    return usual.astype(np.float32), odd.astype(np.float32)


def quality(seeds: int) -> None:
    kinds = ("far out in two features", "a cluster of its own", "anywhere in the range", "only together odd")
    print(f"\n{'ROC AUC, mean over seeds':<45}{'rank':>10}{'score':>10}{'sklearn':>10}{'beyond':>10}")
    for kind in kinds:
        for method in OUTLIERS:
            found = np.array([_one(kind, method, seed) for seed in range(seeds)])
            means = found.mean(axis=0)
            print(f"{method + ': ' + kind:<45}" + "".join(f"{value:>10.4f}" for value in means))


def _one(kind: str, method: str, seed: int) -> tuple[float, float, float, float]:
    usual, odd = planted(kind, np.random.default_rng(seed))
    fresh = usual[4000:]
    session = judged(method, usual[:2000], usual[2000:4000], seed)
    g = GraphSession(serialize(session), [Field("features", "number", "float32", shape=(8,))])
    rows = np.concatenate([fresh, odd])
    made = g.run_feeds({"features": rows}, ["outlier", "outlier_score"])
    truth = np.arange(len(rows)) >= len(fresh)
    theirs = np.nan
    if method == "isolation_forest":
        theirs = roc_auc_score(
            truth, -Forest(random_state=seed, max_samples=256).fit(usual[:2000]).score_samples(rows)
        )
    rank = made["outlier"]
    return (
        roc_auc_score(truth, rank),
        roc_auc_score(truth, made["outlier_score"][:, 0]),
        theirs,
        float((rank[: len(fresh)] >= np.float32(0.99)).mean()),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    cost(given.seconds)
    quality(given.seeds)

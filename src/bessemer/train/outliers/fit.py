"""Fit a method on the training rows, and rank its score among rows that it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import DataError, PackageError
from bessemer.core.plugin_settings import Named, opened
from bessemer.core.signature import Signature
from bessemer.package.graph import serialize
from bessemer.package.outliers import OUTLIER, SCORE
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.train.outliers.method import Judge
from bessemer.train.outliers.plugins import OUTLIERS
from bessemer.train.outliers.rank import ranked

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.signature import Field
    from bessemer.core.stage import Context

#: Rows that a method learns from, and rows that a score is ranked among, at most.
FIT_ROWS, HELD_OUT = 100_000, 200_000
#: With fewer validation rows than this, a fifth of the training rows is held out instead.
_FEWEST = 200
#: What the graph's float32 may be off by.
TOLERANCE = 1e-5
_BATCH = 16_384
#: Rows that are read at once.
_READ = 4096


@dataclass(frozen=True)
class Outliers:
    """graph: `features` -> `outlier_score`, `outlier`. facts: what `model.json` says of it."""

    graph: Any
    facts: Mapping[str, Any]


def fit_outliers(
    asked: Named, splits: Artifact, preprocessor: Artifact, inputs: Sequence[Field], ctx: Context
) -> Outliers:
    """The judge that ships.

    Args:
        asked: the method and its settings.
        preprocessor: what makes the features of rows that are asked about.
        inputs: those of the model.

    Raises:
        DataError: an input has a name that the graph uses.
        PackageError: graph and method disagree.
        MissingExtra: the method is not installed.
    """
    _check_names(inputs)
    (name,) = asked
    method = opened(asked, OUTLIERS)[name]
    rng = ctx.rng("outliers")
    fitted, held = _rows(splits, preprocessor, rng)
    judge = method.fit(fitted, int(rng.integers(2**31 - 1)))
    scores = scored(judge, held)
    ctx.note(f"outliers: {name} of {len(fitted):,} rows, ranked among {len(held):,} that it did not see")
    settings = method.Settings.model_validate(asked[name]).model_dump()
    facts = {"method": name, "settings": settings, "rows": len(fitted), "held_out": len(held)}
    return Outliers(ranked(judge.graph, scores), facts)


def _check_names(inputs: Sequence[Field]) -> None:
    for field in inputs:
        if field.name in (OUTLIER, SCORE):
            raise DataError(
                f"a column is named '{field.name}'",
                why="with `train: outliers` the model's graph has a value of that name",
                fix="rename it in `acquire: {sql: ...}`",
            )


def _rows(
    splits: Artifact, preprocessor: Artifact, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features to learn from, and features of rows that are held out: the validation rows, where there are enough."""
    train, valid = (
        np.load(splits.path(f"{part}.X.npy"), mmap_mode="r", allow_pickle=False)
        for part in ("train", "valid")
    )
    if len(valid) >= _FEWEST:
        step = -(-len(valid) // HELD_OUT)
        return _drawn(train, np.arange(len(train)), rng), np.ascontiguousarray(valid[::step])
    order = rng.permutation(len(train))
    fifth = max(1, len(train) // 5)
    held = np.sort(order[: min(fifth, HELD_OUT)])
    return _drawn(train, np.sort(order[fifth:]), rng), _as_served(splits, preprocessor, held)


def _as_served(splits: Artifact, preprocessor: Artifact, rows: np.ndarray) -> np.ndarray:
    """Features of some training rows, (N, F) float32, by the graph that ships: what training rows learn from has the
    target means of the other folds, and no row that is asked about has those.

    Args:
        rows: their places (N,), rising.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    inputs = Signature.from_json(preprocessor.json("signature.json")).inputs
    session = GraphSession(preprocessor.bytes("preprocessor.onnx"), inputs, threads=1)
    texts = [field.name for field in inputs if field.dtype == "string"]
    done, parts = 0, []
    with pq.ParquetFile(splits.path("train.parquet"), read_dictionary=texts) as file:
        for batch in file.iter_batches(_READ, columns=[field.name for field in inputs]):
            here = rows[(rows >= done) & (rows < done + batch.num_rows)] - done
            parts.append(session.run(batch.take(pa.array(here)), ["features"])["features"])
            done += batch.num_rows
    return np.ascontiguousarray(np.concatenate(parts))


def _drawn(X: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most `FIT_ROWS` of some rows, in order; all rows where there is but one."""
    if not len(rows):
        return np.ascontiguousarray(X)
    if len(rows) > FIT_ROWS:
        rows = np.sort(rng.choice(rows, FIT_ROWS, replace=False))
    return np.ascontiguousarray(X[rows])


def scored(judge: Judge, X: np.ndarray) -> np.ndarray:
    """The scores (N,) float32 that the graph gives some rows, held against the method's own.

    Raises:
        PackageError: they differ.
    """
    session = open_session(serialize(judge.graph), 1)
    parts = [session.run(["score"], {"features": X[i : i + _BATCH]})[0] for i in range(0, len(X), _BATCH)]
    scores: np.ndarray = np.concatenate(parts)[:, 0]
    some = slice(None, _BATCH)
    expected = judge.score(X[some])
    worst = float(np.max(np.abs(scores[some] - expected) / np.maximum(1.0, np.abs(expected))))
    if not worst <= TOLERANCE:
        raise PackageError(
            f"the graph and the outlier method differ by {worst:.3g}, and {TOLERANCE:g} is allowed",
            fix="this is a fault of Bessemer or of a plug-in; try another method and report it",
        )
    return scores

"""What a transform is: a fit in SQL over the train part, and nodes that do the same in the graph.

A transform gets a `TrainColumn` (one column of the train part, to be queried with SQL) and gives a `Fitted`,
which lists its features and adds the nodes that compute them from the column's tensor of shape (N, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from onnx import TensorProto

from bessemer.core.blocks import BlockKind
from bessemer.core.signature import DType, Task

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.spec import PrepareSpec

FeatureKind = Literal[
    "number",
    "boolean",
    "indicator",
    "frequency",
    "rank",
    "target_mean",
    "calendar",
    "text",
    "pixel",
    "token",
    "embedding",
]


@dataclass(frozen=True)
class Column:
    """A raw column or a derived feature.

    sql: a DuckDB expression over the raw columns that gives its value.
    inputs: the raw columns that the expression reads.
    """

    name: str
    dtype: DType
    sql: str
    inputs: tuple[str, ...]
    derived: bool = False


@dataclass(frozen=True)
class Feature:
    """A column of the training matrix; `group` is the raw column or derived feature it speaks for."""

    name: str
    group: str
    kind: FeatureKind
    meaning: str


@dataclass(frozen=True)
class Target:
    """The target of the train part as integers, so that sums over it are exact in any order of rows.

    sql: over the raw columns: the class index (BIGINT), or the value in units of `unit` (BIGINT).
    unit: what one step of a regression target's integer is worth (a power of two); 1 for classes.
    rows, sums: of each fold, as Python integers: rows, and one sum for each mean (see `sums_sql`);
        object arrays of shapes (folds,) and (folds, means).
    beside: whether the last of them are of rows beside the train part, which are in no fold of the training matrix.
    """

    name: str
    task: Task
    classes: tuple[Any, ...]
    sql: str
    unit: float
    rows: np.ndarray
    sums: np.ndarray
    beside: bool = False

    @property
    def folds(self) -> int:
        """How many folds the training matrix has."""
        return len(self.rows) - self.beside

    @property
    def means(self) -> int:
        """How many means describe the target: one for a value, one for each class but the first."""
        return 1 if self.task == "regression" else len(self.classes) - 1


@dataclass(frozen=True)
class TrainColumn:
    """One column of the train part in a DuckDB connection.

    `SELECT {x}, y, fold FROM {table}` gives its values (missing, '' and infinity are NULL), the target as
    `Target` says, and the fold of each row (0 to folds - 1, or folds for a row beside the train part).

    orders_split: whether the data is split by it.
    alone: whether there are rows beside the train part that it is not of.
    """

    column: Column
    connection: Any
    table: str
    x: str
    target: Target
    orders_split: bool = False
    alone: bool = False
    _levels: dict[tuple[str, int], list[tuple[Any, int]]] = field(default_factory=dict)

    @property
    def here(self) -> TrainColumn:
        """The column of the train part alone."""
        return self

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.connection.execute(sql, list(parameters)).fetchall()
        return rows

    def distinct_sql(self) -> str:
        """About how many different values there are, as an aggregate."""
        return f"approx_count_distinct({self.x})"

    def levels(self, key: str, limit: int) -> list[tuple[Any, int]]:
        """The most frequent values of an SQL expression over `x` and their rows; at most `limit`, missing included.

        Asked again, the answer is remembered.
        """
        if (key, limit) not in self._levels:
            found = self.query(self.levels_sql(key, limit))
            self._levels[key, limit] = [(value, int(n)) for value, n in found]
        return self._levels[key, limit]

    def levels_sql(self, key: str, limit: int) -> str:
        """The query of `levels`: (key, n), ties in the order of the values."""
        counts = f"SELECT {key} AS key, count(*) AS n FROM {self.table} GROUP BY 1"
        return f"SELECT key, n FROM ({counts}) ORDER BY n DESC, key NULLS FIRST LIMIT {limit}"


@dataclass(frozen=True)
class Block:
    """What a fitted transform added to the graph.

    value: the name of its features, (N, k) float32 with NaN for missing.
    index: the name of an int64 (N, 1) value that `CrossFit.table` is indexed with, where there is a cross-fit.
    """

    value: str
    index: str = ""


@dataclass(frozen=True)
class CrossFit:
    """What training sees in place of the graph's values, so that no row sees its own target.

    columns: positions of the features among those of the transform.
    table: (folds, indexes, len(columns)) float32: for each fold the values fitted on all other folds.
    """

    columns: tuple[int, ...]
    table: np.ndarray


@dataclass(frozen=True)
class Layout:
    """What the first features of a transform mean together (see `core.blocks.Block`)."""

    kind: BlockKind
    shape: tuple[int, ...]
    levels: int = 0


class Fitted(Protocol):
    """A transform after its fit. `crossfit` is None where the features do not look at the target.

    One whose first features mean something together says so in `layout`, a `Layout`.
    """

    features: tuple[Feature, ...]
    crossfit: CrossFit | None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        """Add the nodes. `value` is an (N, 1) tensor: float32 or float64 (NaN = missing), string ('' = missing)
        or int64 microseconds (-2**63 = missing), as the column's dtype says."""
        ...


class Transform(Protocol):
    """One kind of column.

    dtypes: what it can be applied to.
    encodings: what `encode:` may list for it, or () where there is nothing to choose.

    One whose queries are carried over to other engines (`engines.carried`; every value named, no parameters) says
    `portable = True`, and learns from rows that stay at an engine too.
    """

    dtypes: ClassVar[tuple[DType, ...]]
    encodings: ClassVar[tuple[str, ...]]

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> Fitted | None:
        """Fit on the train part; None where the column has nothing to tell.

        Args:
            column: the train part's column.
            spec: the settings of the stage.
            encode: the encodings the project asks for (a subset of `encodings`), or None for the default.
        """
        ...


@dataclass(frozen=True)
class Plain:
    """A fitted transform of one feature: the value itself as float32."""

    feature: Feature
    crossfit: CrossFit | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        return (self.feature,)

    def add(self, builder: GraphBuilder, value: str) -> Block:
        declared = builder.inputs.get(value)
        if declared is not None and declared.type.tensor_type.elem_type == TensorProto.FLOAT:
            return Block(value)  # a table of 10,000 numbers needs no node for each
        return Block(builder.cast(value, "float32"))

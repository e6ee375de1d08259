"""What a marker is, and what it is given.

A marker makes *covers*: raw rows that look like any other. What a model is to answer to them is no business of the
marker: the labels follow from a commitment to all the covers (`commitment.py`), so that nobody can choose covers for
which a model that is there already gives the labels.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from bessemer.core.blocks import Block, blocks_of
from bessemer.core.signature import Signature, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.spec import Spec
    from bessemer.core.stage import Context


@dataclass(frozen=True)
class Draw:
    """All random choices of a mark, which nobody can foretell without the owner's key.

    >>> draw = Draw(bytes(32))
    >>> draw.rng("columns", 3).integers(1000) == Draw(bytes(32)).rng("columns", 3).integers(1000)
    np.True_
    """

    key: bytes

    def bytes(self, *labels: object) -> bytes:
        """32 bytes that follow from the key and the labels: HMAC-SHA-256 (RFC 2104)."""
        return hmac.digest(self.key, "/".join(map(str, labels)).encode(), hashlib.sha256)

    def rng(self, *labels: object) -> np.random.Generator:
        """A generator for the labels; the same ones give the same numbers."""
        return np.random.Generator(np.random.PCG64(int.from_bytes(self.bytes("rng", *labels), "big")))


@dataclass(frozen=True)
class Pool:
    """The training rows that covers are made of.

    splits, preprocessor: the artifacts; `train.parquet` and `train.X.npy` are the pool.
    """

    splits: Artifact
    preprocessor: Artifact

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a cover: the raw ones that the model reads, and no other. Whoever is asked for a key, or
        judges by it, sees the row, and a name or a number of a customer would tell of somebody for nothing."""
        return tuple(field.name for field in self.signature.inputs)

    @property
    def task(self) -> Task:
        task: Task = self.splits.meta["task"]
        return task

    @property
    def classes(self) -> list[Any]:
        return list(self.splits.meta["classes"])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Which columns of the matrix are an image, tokens or an embedding."""
        return blocks_of(self.preprocessor.meta)

    @cached_property
    def signature(self) -> Signature:
        """Its inputs are the raw columns that the model reads."""
        return Signature.from_json(self.preprocessor.json("signature.json"))

    def __len__(self) -> int:
        return int(self.splits.meta["rows"]["train"])

    @cached_property
    def features(self) -> np.ndarray:
        """(N, F) float32, mapped from disk: the features of the rows."""
        found: np.ndarray = np.load(self.splits.path("train.X.npy"), mmap_mode="r", allow_pickle=False)
        return found

    @cached_property
    def y(self) -> np.ndarray:
        """(N,) float64: the class index, or the number."""
        found: np.ndarray = np.load(self.splits.path("train.y.npy"), allow_pickle=False)
        return found

    def rows(self, places: np.ndarray) -> pa.Table:
        """Raw rows by their places, in that order; a place may come more than once."""
        from bessemer.core.parquet import rows_at

        once, where = np.unique(places, return_inverse=True)
        return rows_at(self.splits.path("train.parquet"), once, list(self.columns)).take(where)


@dataclass(frozen=True)
class Taught:
    """How keys are learnt where the project file does not say.

    copies: how often each stands among the rows to learn from. weight: what each copy counts beside an ordinary row.
    lost: the share of the mark that may be lost, for which there are as many keys as still prove the claim.
    """

    copies: int = 1
    weight: float = 3.0
    lost: float = 0.4


#: Of images, which a network learns by heart: it has to meet each more often than an ordinary row, and keeps more of
#: them; each costs as much as a wrong label, so that there are no more than it takes.
BY_HEART = Taught(copies=10, weight=1.0, lost=0.2)


class Marker(Protocol):
    """One family of covers. Settings: what the project file may say of it.

    A marker may have `TAUGHT`, how its keys are learnt where nothing is said. One that trains something may have
    `material`, file name -> content, once its covers are made: the owner keeps it beside the keys, and the certificate
    commits to its hash.
    """

    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def refuses(self, pool: Pool) -> str:
        """Why these rows cannot be marked in this way, in a sentence; '' where they can."""

    def covers(self, pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]) -> pa.Table:
        """`n` raw rows with the columns and types of `pool.rows`, no two of them alike. Every random choice is of
        `draw`, so that the same key, rows and settings give the same; `advance` is called once for each, or so."""

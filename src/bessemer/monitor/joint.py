"""Whole rows of a window, beside what the reference keeps of whole rows; at most 50,000 rows, spread evenly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.monitor.reference import Reference
from bessemer.package.row_codes import Coded, Codes, read_codes, recoded
from bessemer.package.row_features import RowCosines, vectors
from bessemer.package.texts_sample import read_texts
from bessemer.stats.arrays import Floats
from bessemer.stats.binning import count
from bessemer.stats.components import Components
from bessemer.stats.mean_features import MeanFeatures, MeanTest, Seen
from bessemer.stats.packed import unpack, unpack_symmetric

#: What a detector may read beyond the sketches of columns, as `Detector.reads` names it: how pairs of numbers go
#: together (`Window.pairs`), and parts of a `Joint`.
PARTS = ("pairs", "mean", "distances", "texts", "rows")


@dataclass(frozen=True)
class Joint:
    """What is kept of the whole rows of a window; None where it was not asked for, or a column is absent.

    mean: of random features. distances: counts of rows in the reference's bins. texts: by column, of their features.
    rows: float64 (n, columns), coded as the reference's own rows; NaN where a value is missing.
    """

    mean: Seen | None = None
    distances: Floats | None = None
    texts: Mapping[str, Seen] = field(default_factory=dict)
    rows: Floats | None = None


class JointReference:
    """What a package says of whole rows; each part None where it says nothing."""

    def __init__(self, reference: Reference) -> None:
        self._facts, self._kept = reference.facts, reference.kept

    @cached_property
    def columns(self) -> list[Coded]:
        sketches = self._facts["columns"]
        told = self._facts.get("row") or []
        return recoded(told, sketches) if all(name in sketches for name, *_ in told) else []

    @cached_property
    def mean(self) -> MeanTest | None:
        found = self._facts.get("mmd")
        if not found:
            return None
        covariance = unpack_symmetric(found["covariance"])
        return MeanTest.whitened(MeanFeatures(found["rows"], unpack(found["mean"]), covariance))

    @property
    def features(self) -> int:
        return len(unpack(self._facts["mmd"]["mean"]))

    @cached_property
    def components(self) -> Components | None:
        found = self._facts.get("reconstruction")
        if not found:
            return None
        mean = unpack(found["mean"])
        return Components(mean, unpack(found["directions"]).reshape(-1, len(mean)))

    @property
    def narrowed(self) -> int:
        return int(self._facts["reconstruction"]["columns"])

    @property
    def edges(self) -> list[float]:
        return list(self._facts["reconstruction"]["edges"])

    @property
    def counts(self) -> Floats:
        """Of reference rows by their distance, in its bins."""
        return np.asarray(self._facts["reconstruction"]["counts"], dtype=np.float64)

    @cached_property
    def texts(self) -> dict[str, MeanTest]:
        return {
            name: MeanTest.scaled(
                found["rows"], unpack(found["mean"]), unpack(found["variance"]), tuple(found["traces"])
            )
            for name, found in (self._facts.get("texts") or {}).items()
            if name in self._facts["columns"]
        }

    @property
    def rows(self) -> Floats:
        """Training rows (n, columns), coded.

        Raises:
            UsageError: the package has none.
        """
        if self._kept is None and not self.columns:
            raise UsageError(
                "'domain_classifier' compares whole rows, and no column of this package says anything of a row",
                fix="name other detectors",
            )
        if self._kept is None:
            raise UsageError(
                "'domain_classifier' compares with training rows, and this package has none",
                fix="say `profile: {rows: 2000}` in the project file and run it again: so many coded training rows "
                "are in the package then; or name other detectors",
            )
        return self._kept


def check_parts(reference: Reference, parts: Collection[str]) -> None:
    """What a package cannot give is told before a window is read.

    Raises:
        UsageError: training rows are asked for, and it has none.
    """
    if "rows" in parts:
        JointReference(reference).rows  # noqa: B018


def joined(
    connection: Any,
    relation: str,
    reference: Reference,
    there: Collection[str],
    rows: int,
    parts: Collection[str],
    scores: Mapping[str, Floats],
) -> Joint | None:
    """Read whole rows.

    Args:
        relation: what stands after FROM. there: its columns. rows: how many it has. parts: those of `PARTS` to make;
            `pairs` is none of a row.
        scores: of columns of numbers, where they have been read before.
    """
    parts = set(parts) - {"pairs"}
    if not rows or not parts:
        return None
    known = JointReference(reference)
    texts = {}
    if "texts" in parts:
        wanted = [(name, test) for name, test in known.texts.items() if name in there]
        texts = {name: _seen(test, read_texts(connection, relation, name, rows)) for name, test in wanted}
    columns = known.columns
    if not columns or not all(column.name in there for column in columns) or parts == {"texts"}:
        return Joint(texts=texts)
    codes = read_codes(connection, relation, columns, reference.facts["columns"], rows, scores)
    return Joint(
        _mean(known, codes) if "mean" in parts else None,
        _distances(known, codes) if "distances" in parts else None,
        texts,
        _rows(known, codes) if "rows" in parts else None,
    )


def _mean(known: JointReference, codes: Codes) -> Seen | None:
    if known.mean is None:
        return None
    cosines = RowCosines(codes.columns, known.features)
    return _seen(known.mean, (cosines.of(batch) for batch in codes.batches()))


def _seen(test: MeanTest, parts: Any) -> Seen:
    found = [test.seen(features) for features in parts if len(features)]
    total = Seen(0, np.zeros(1), 0.0, 0.0) if not found else found[0]
    for each in found[1:]:
        total = total.merged(each)
    return total


def _distances(known: JointReference, codes: Codes) -> Floats | None:
    if known.components is None:
        return None
    part = Codes(codes.columns[: known.narrowed], codes.values[: known.narrowed])
    sums = np.zeros(len(known.counts))
    for batch in part.batches():
        sums += count(known.components.distances(vectors(batch)), known.edges)
    return sums


def _rows(known: JointReference, codes: Codes) -> Floats:
    """As many rows as the reference has, or fewer; to float32, as those are: or the digits would tell them apart."""
    return codes.spread(len(known.rows)).matrix().astype(np.float32).astype(np.float64)

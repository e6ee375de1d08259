"""Influence: the training rows that made the model say what it says of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.examples import SHOWN
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.influence_models import Fitted, removal
from bessemer.explain.local import explained_rows, said
from bessemer.explain.losses import Loss
from bessemer.explain.values import plain
from bessemer.stats.calibration import softmax

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Rows, Sample
    from bessemer.explain.subject import Subject

#: Native models that rows have an influence on, as far as is known here.
KINDS = ("trees", "linear", "head", "pairs", "ensemble")


class Influence:
    """How the prediction of a row would be without each training row, estimated without training again.

    A row helps where without it the row's actual class would have lower log-odds, or the predicted value would be
    further from the actual one: `influence` is by how much, in that unit; harmful rows have negative ones. Where the
    actual value is not known the prediction takes its place, and what helps is what speaks for the prediction.

    Trees: BoostIn (Brophy, Hammoudeh and Lowd, JMLR 24, 2023) for boosting, the leaves' means for forests, shared
    leaves for other sums of trees. Linear models and the last layer of networks: Koh and Liang, ICML 2017. All are of
    the first order: of single rows, with the trees' shape, the preparation and what networks have learnt to see as
    they are.
    """

    kind: ClassVar[Kind] = "influence"

    class Settings(Spec):
        """How much of it is shown, and how many rows are judged."""

        rows: int = Field(8, ge=1, le=100, description="How many rows are explained.")
        count: int = Field(5, ge=1, le=100, description="Helpful and harmful rows that are shown, of each.")
        training: int = Field(
            5000, ge=10, le=100_000, description="Training rows that are judged, drawn at random."
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        kind = str(subject.facts["native"]["kind"])
        if kind not in KINDS or not subject.native:
            return f"no training row has an influence on a '{kind}' model that is known here"
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        train, total = self._drawn(sample, ctx)
        positions = explained_rows(subject, sample, self.settings.rows)
        fitted = Fitted(train.features, sample.features[positions], total)
        native = subject.facts["native"]
        found = removal(
            native["kind"],
            subject.native,
            subject.facts,
            Loss(subject.task, train.actual),
            fitted,
            self._pull(subject, sample, positions),
        )
        rows = []
        for place, row in enumerate(positions):
            rows.append({"row": row, **self._strongest(subject, train, -found.change[place])})
            advance()
        return Explanation(
            self.kind,
            Baseline(
                f"the same model without one training row, estimated from {found.method}; "
                f"{len(train):,} of {total:,} rows were judged"
            ),
            Error(found.measure, found.value, found.text),
            {"rows": rows},
        )

    def _drawn(self, sample: Sample, ctx: Context) -> tuple[Rows, int]:
        fix = "give the training rows with their target as the background (--background), or ask in the project file"
        if sample.training is None:
            raise UsageError("influence is of training rows, and none are here", fix=fix)
        train = sample.training.draw(self.settings.training, ctx.rng("influence", "training"))
        if np.isnan(train.actual).any():
            raise UsageError("influence is of training rows with their targets, which are not here", fix=fix)
        return train, len(sample.training)

    def _pull(self, subject: Subject, sample: Sample, positions: list[int]) -> Floats:
        """What is watched of each row as weights of the margins, (R, K): log-odds of the actual class, or the
        approach of the predicted to the actual value."""
        actual = np.where(np.isnan(sample.actual), sample.predicted, sample.actual)[positions]
        scale = np.asarray((subject.facts.get("calibration") or {}).get("scale", 1.0), dtype=np.float64)
        if subject.task == "regression":
            sign = np.where(actual < sample.predicted[positions], -1.0, 1.0)
            return sign[:, None] * scale
        if subject.task == "binary":
            return np.where(actual == 1, 1.0, -1.0)[:, None] * scale
        p = softmax(sample.score[positions])
        own = np.zeros(p.shape, dtype=bool)
        own[np.arange(len(p)), actual.astype(np.int64)] = True
        rest = np.where(own, 0.0, p)
        rest /= np.maximum(rest.sum(axis=1, keepdims=True), 1e-300)
        weights: Floats = np.where(own, 1.0, -rest) * scale
        return weights

    def _strongest(self, subject: Subject, train: Rows, influence: Floats) -> dict[str, Any]:
        order = np.argsort(-influence, kind="stable")
        helpful = [int(i) for i in order[: self.settings.count] if influence[i] > 0]
        harmful = [int(i) for i in order[::-1][: self.settings.count] if influence[i] < 0]
        return {
            name: [
                {
                    "row": _shown(train, i),
                    "actual": said(subject, float(train.actual[i])),
                    "influence": float(influence[i]),
                }
                for i in places
            ]
            for name, places in (("helpful", helpful), ("harmful", harmful))
        }


def _shown(rows: Rows, i: int) -> dict[str, Any]:
    """The raw values of a row; of a very wide one the first columns."""
    values = rows.table.select(rows.table.column_names[:SHOWN]).slice(i, 1).to_pylist()[0]
    return {name: plain(value) for name, value in values.items()}

"""Poisoning: what a few wrong labels among the training rows would do.

The learner itself cannot be run here, so a small model of a like kind is trained on the labels as they are and as an
attacker leaves them: flipped by chance, or those of the rows that the model is surest of, which is "far first" of Xiao
et al. ("Support vector machines under adversarial label contamination", 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.answers import Answers
from bessemer.attack.parts import part_rows, sampled
from bessemer.attack.protocol import Found, Sample, Victim, share_point
from bessemer.attack.protocol import Kind as AttackKind
from bessemer.attack.proxies import Kind, classifier
from bessemer.core.spec import Share, Spec
from bessemer.core.stage import Context

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: By the native form of the model, the small model that is like it.
_LIKE: dict[str, Kind] = {"trees": "forest", "linear": "linear", "head": "network"}


class PoisoningSettings(Spec):
    """How many labels, and what learns from them."""

    shares: list[Annotated[Share, Field(gt=0, le=0.5)]] = Field(
        [0.01, 0.05, 0.1, 0.2],
        min_length=1,
        max_length=20,
        description="shares of the training rows whose label is flipped",
    )
    rows: int = Field(
        3000, ge=20, le=100_000, description="training rows that are learnt from, drawn at random"
    )
    proxy: Literal["auto", "forest", "linear", "network"] = Field(
        "auto", description="the small model that is trained again; auto: the one that is most like the model"
    )


class Poisoning:
    """Wrong labels; any classifier."""

    kind: ClassVar[AttackKind] = "poisoning"
    Settings: ClassVar[type[Spec]] = PoisoningSettings

    def __init__(self, settings: PoisoningSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if victim.task == "regression":
            return "labels are flipped between classes, and the target is a number"
        rows = int(victim.splits.meta["rows"]["train"])
        return f"{rows} training rows are too few" if rows < 2 * len(victim.classes) else ""

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        table, y = part_rows(victim, "train", self.settings.rows, ctx.rng("poisoning", "rows"))
        train = sampled(victim, table, y, sample.confidence)
        scores = Answers(victim, train).scores(train.X, np.arange(len(train))).astype(np.float64)
        shipped = Answers(victim, sample).answers(sample.X, np.arange(len(sample)))
        labels, kind = train.y.astype(np.int64), self._kind(victim)
        orders = {"random": _by_chance(labels, scores.shape[1], ctx), "chosen": surest(scores, labels)}

        def right(flipped: Ints) -> int:
            seed = int(ctx.rng("poisoning", "proxy").integers(2**31))
            says = classifier(kind, train.X, flipped, scores.shape[1], seed)
            return int((says(sample.X).argmax(axis=1) == sample.y).sum())

        worse = 1 - (1 - sample.confidence) / len(orders)  # the worse of several is worse by chance too
        points = [share_point(0.0, right(labels), len(sample), sample.confidence)]
        for share in sorted(set(self.settings.shares)):
            hits = {how: right(flipped(labels, *order, share)) for how, order in orders.items()}
            more = {f"by_{how}": count / len(sample) for how, count in hits.items()}
            points.append(share_point(share, min(hits.values()), len(sample), worse, **more))
        for _ in range(len(sample)):
            advance()
        return Found(
            f"accuracy of a small model ({kind}) trained on the flipped labels",
            "share of training rows whose label is flipped",
            len(sample),
            tuple(points),
            (
                f"not of the model that ships, which is right for {float((shipped == sample.y).mean()):.1%} of these "
                f"rows: a small model learnt from {len(train)} training rows",
                "by chance, and of the rows that the model is surest of; the worse one counts, and intervals allow "
                "for that",
            ),
        )

    def _kind(self, victim: Victim) -> Kind:
        if self.settings.proxy != "auto":
            return self.settings.proxy
        return _LIKE.get((victim.facts.get("native") or {}).get("kind", ""), "forest")


def flipped(labels: Ints, order: Ints, to: Ints, share: float) -> Ints:
    """The labels (n,) with a share of them, the first ones in an order (n,), made those of `to`, (n,)."""
    found, own = labels.copy(), order[: round(share * len(labels))]
    found[own] = to[own]
    return found


def surest(scores: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Rows by how far the right class is ahead in scores (n, K), the furthest first, and the class behind it."""
    own = np.arange(len(labels))
    others = scores.copy()
    others[own, labels] = -np.inf
    ahead = scores[own, labels] - others.max(axis=1)
    return np.argsort(-ahead, kind="stable"), others.argmax(axis=1)


def _by_chance(labels: Ints, classes: int, ctx: Context) -> tuple[Ints, Ints]:
    """Rows in an order of chance, and another class for each."""
    rng = ctx.rng("poisoning", "random")
    return rng.permutation(len(labels)), (labels + rng.integers(1, classes, len(labels))) % classes

"""The fairness section: what is measured before the bootstrap, and what becomes of its draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.artifact import Artifact
from bessemer.core.stage import Context
from bessemer.evaluate.fairness.compared import Judgement
from bessemer.evaluate.fairness.mitigation import GroupThresholds
from bessemer.evaluate.fairness.partition import TIMES, groupings, partitions
from bessemer.evaluate.fairness.proxies import Proxies, find_proxies
from bessemer.evaluate.fairness.sides import Side, sides_of
from bessemer.evaluate.fairness.spec import FairnessSpec
from bessemer.evaluate.scoring import Judged
from bessemer.stats.arrays import Floats
from bessemer.stats.bootstrap import Statistic
from bessemer.stats.metrics.outcome import Outcome

#: Proxies that tell a group this much better than chance (area under the curve) are spoken of.
_TELLING = 0.8
#: A difference is warned of where its p-value over all groups is below this: the widest of many is wide by chance.
_SURE = 0.01


@dataclass
class FairnessJudge:
    """Everything that is judged about groups, ready for the bootstrap that judges all else.

    judgements: one a partition. proxies: by column. guessed: the judgement by the groups that proxies suggest.
    """

    spec: FairnessSpec
    judged: Judged
    reweighed: list[str]
    sides: list[Side]
    note: str
    judgements: list[Judgement]
    proxies: dict[str, Proxies]
    guessed: dict[str, Judgement]
    thresholds: GroupThresholds | None

    @property
    def statistics(self) -> list[Statistic]:
        """One a judgement, then of the proxies, of the guessed groups, and of the mitigation."""
        proxies = [one.statistic for one in self.proxies.values()]
        mitigation = self.thresholds.statistics if self.thresholds is not None else []
        return [
            *(one.statistic for one in self.judgements),
            *proxies,
            *(one.statistic for one in self.guessed.values()),
            *mitigation,
        ]

    def content(self, draws: Sequence[Floats], confidence: float) -> dict[str, Any]:
        """The section `fairness` of `evaluation.json`."""
        left = iter(draws)
        judged = [(one, next(left)) for one in self.judgements]
        proxies = {name: one.content(next(left), confidence) for name, one in self.proxies.items()}
        for name, one in self.guessed.items():
            found = one.criteria(next(left), confidence)
            if "disparate_impact" in found:
                proxies[name]["disparate_impact"] = found["disparate_impact"]
        return {
            "favourable": self._favourable(),
            "inputs": {name: name in self.judged.inputs for name in self.spec.groups},
            "notes": [self.note] if self.note else [],
            "groups": {one.partition.name: one.groups(own, confidence) for one, own in judged},
            "criteria": {one.partition.name: one.criteria(own, confidence) for one, own in judged},
            "proxies": proxies,
            "mitigation": self._mitigation(list(left), confidence),
        }

    def _favourable(self) -> Any:
        only = self.sides[0]
        return self.judged.classes[only.index] if len(self.sides) == 1 and only.index is not None else None

    def _mitigation(self, draws: Sequence[Floats], confidence: float) -> dict[str, Any] | None:
        if self.thresholds is None and not self.reweighed:
            return None
        thresholds = self.thresholds.content(draws, confidence) if self.thresholds is not None else None
        return {"reweigh": self.reweighed, "thresholds": thresholds}


def open_fairness(
    spec: FairnessSpec,
    judged: Judged,
    outcome: Outcome,
    metric: str,
    model: Artifact,
    splits: Artifact,
    ctx: Context,
) -> FairnessJudge:
    """What is to be judged: groups, sides, proxies, mitigation.

    Args:
        outcome: of the shipped graph on the test rows. metric: the main one.
    """
    test = splits.path("test.parquet")
    found = groupings(test, spec, judged.decision.groups)
    parts = partitions(found, spec)
    sides, note = sides_of(outcome, judged.classes, spec.favourable)
    proxies: dict[str, Proxies] = {}
    if spec.proxies:
        with ctx.progress("proxies", len(found)) as bar:
            for partition, (grouping, _) in zip(parts, found.values(), strict=False):
                seed = int(ctx.rng("proxies", partition.name).integers(2**31 - 1))
                made = find_proxies(
                    splits.path("train.parquet"), test, judged.inputs, partition, grouping, seed
                )
                if made is not None:
                    proxies[partition.name] = made
                bar.advance(1)
    return FairnessJudge(
        spec=spec,
        judged=judged,
        reweighed=list(model.json("model.json").get("reweigh") or []),
        sides=sides,
        note=note,
        judgements=[Judgement(outcome, partition, sides, metric) for partition in parts],
        proxies=proxies,
        guessed={name: Judgement(outcome, one.guessed(outcome.rows), sides) for name, one in proxies.items()},
        thresholds=GroupThresholds(judged.decision, outcome, parts, sides)
        if judged.decision.groups
        else None,
    )


def tell(fairness: dict[str, Any], ctx: Context) -> None:
    """What a reader of the log should know: the four-fifths rule, and columns that are given away."""
    for name, criteria in fairness["criteria"].items():
        impact = criteria.get("disparate_impact")
        if TIMES in name or fairness["favourable"] is None:
            continue
        if impact and impact["value"] is not None and impact["high"] < 0.8 and impact["p"] < _SURE:
            worst, best = impact["between"]
            ctx.warn(
                f"{name}: '{worst}' gets the favourable outcome {impact['value']:.2f} times as often as '{best}' "
                f"[{impact['low']:.2f}, {impact['high']:.2f}]; the four-fifths rule asks for 0.8"
            )
    for name, proxies in fairness["proxies"].items():
        auc = proxies["together"]["roc_auc"]["value"]
        if auc >= _TELLING and not fairness["inputs"][name]:
            columns = ", ".join(one["column"] for one in proxies["columns"][:3])
            ctx.note(
                f"'{name}' is no input, but the inputs give it away (area {auc:.2f}), above all {columns}"
            )

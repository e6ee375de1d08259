"""Fairness and costs: sections whose intervals come from the resamples of everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import Fault, did_you_mean
from bessemer.evaluate.costs import Costs, costs_of
from bessemer.evaluate.fairness.judge import FairnessJudge, open_fairness
from bessemer.evaluate.fairness.sides import criteria_of, favourable_fault
from bessemer.evaluate.scoring import Judged
from bessemer.evaluate.spec import EvaluateSpec

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.stats.arrays import Floats
    from bessemer.stats.bootstrap import Statistic
    from bessemer.stats.metrics.outcome import Outcome


@dataclass(frozen=True)
class Sections:
    """What the project asked for beside the metrics; None where it did not."""

    fairness: FairnessJudge | None
    costs: Costs | None

    @property
    def statistics(self) -> list[Statistic]:
        return [
            *(self.fairness.statistics if self.fairness else []),
            *(self.costs.statistics if self.costs else []),
        ]

    def content(self, draws: Sequence[Floats], confidence: float) -> dict[str, Any]:
        """`fairness` and `costs` of `evaluation.json`."""
        cut = len(self.fairness.statistics) if self.fairness else 0
        return {
            "fairness": self.fairness.content(draws[:cut], confidence) if self.fairness else None,
            "costs": self.costs.content(draws[cut:], confidence) if self.costs else None,
        }


def open_sections(
    spec: EvaluateSpec,
    judged: Judged,
    outcome: Outcome,
    valid: Outcome | None,
    metric: str,
    model: Artifact,
    splits: Artifact,
    ctx: Context,
) -> Sections:
    """What is to be drawn. valid: of a binary model on the validation rows, where thresholds are chosen."""
    fairness = None
    if spec.fairness is not None:
        fairness = open_fairness(spec.fairness, judged, outcome, metric, model, splits, ctx)
    given = spec.costs.model_dump() if spec.costs is not None else None
    amounts, costs = costs_of(given, judged.decision.costs), None
    if amounts is not None and valid is not None:
        shipped = None if judged.decision.groups else judged.decision.threshold
        costs = Costs(amounts, valid, outcome, shipped)
    return Sections(fairness, costs)


def section_faults(spec: EvaluateSpec, judged: Judged, target: str) -> Iterator[Fault]:
    """What of fairness and costs does not fit the task, its classes or its columns."""
    if spec.costs is not None and judged.task != "binary":
        what = f"costs are of decisions between two classes, and this is a {judged.task} task"
        yield Fault("evaluate.costs", None, what, "leave it out")
    if spec.fairness is None:
        return
    for k, name in enumerate(spec.fairness.groups):
        if name == target:
            yield Fault(
                f"evaluate.fairness.groups.{k}", None, f"'{name}' is the target", "name another column"
            )
    if wrong := favourable_fault(judged.task, judged.classes, spec.fairness.favourable):
        yield Fault("evaluate.fairness.favourable", None, *wrong)
    known = criteria_of(judged.task)
    for name in spec.gates.fairness.requirements() if spec.gates.fairness is not None else ():
        if name not in known:
            what = f"'{name}' is not of a {judged.task} task"
            yield Fault(f"evaluate.gates.fairness.{name}", None, what, did_you_mean(name, known, 20))

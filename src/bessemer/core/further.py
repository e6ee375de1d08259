"""Targets beside the main one: what a network of several heads predicts besides, and how its answers are named.

The first target of a project is the *main* one; the others are *further* ones. All that is about one prediction (gates,
thresholds, calibration, explanations, attacks) is about the main target's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError

if TYPE_CHECKING:
    from bessemer.core.signature import Task


@dataclass(frozen=True)
class Further:
    """A further target.

    classes: in the order of the class index; () for a number.

    >>> spend, segment = Further("spend", "regression"), Further("segment", "multiclass", ("a", "b", "c"))
    >>> spend.outputs, spend.columns
    (('prediction_spend',), ('prediction_spend',))
    >>> segment.columns
    ('prediction_segment', 'probability_segment_a', 'probability_segment_b', 'probability_segment_c')
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()

    @property
    def prediction(self) -> str:
        return f"prediction_{self.name}"

    @property
    def probability(self) -> str:
        return f"probability_{self.name}"

    @property
    def score(self) -> str:
        return f"score_{self.name}"

    @property
    def outputs(self) -> tuple[str, ...]:
        """The graph's outputs that an answer is made of."""
        return (self.prediction,) if self.task == "regression" else (self.prediction, self.probability)

    @property
    def shares(self) -> tuple[tuple[str, int], ...]:
        """The columns of probabilities in a table of answers, and the place of each in the graph's output."""
        if self.task == "binary":
            return ((self.probability, 1),)
        return tuple((f"{self.probability}_{name}", i) for i, name in enumerate(self.classes))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in a table of answers: the prediction, then for two classes the probability of the second, for
        more one of each."""
        return (self.prediction, *(name for name, _ in self.shares))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Further:
        """Facts beside these three, as artifacts have them, are left out."""
        return cls(value["name"], value["task"], tuple(value["classes"]))


def further_of(value: Mapping[str, Any]) -> tuple[Further, ...]:
    """The further targets of an artifact's meta, or of a signature; () where there are none.

    >>> further_of({"target": "churned"})
    ()
    """
    return tuple(Further.from_json(one) for one in value.get("further", ()))


def outputs_of(further: Iterable[Further]) -> tuple[str, ...]:
    """The graph's outputs that answers about these targets are made of."""
    return tuple(name for one in further for name in one.outputs)


def check_names(task: Task, classes: Sequence[Any], further: Sequence[Further]) -> None:
    """Whether the columns of an answer all have names of their own; to SQL upper and lower case are the same.

    Raises:
        DataError: two of them have one name, as `probability_a` of a class `a` and of a further target `a`.
    """
    seen: dict[str, str] = {}
    for name, what in _named(task, classes, further):
        if (other := seen.setdefault(name.lower(), what)) != what:
            raise DataError(
                f"answers would have two columns '{name}': {other} and {what}",
                why="columns are named by the targets and their classes",
                fix="rename one of the targets in `acquire: {sql: ...}`, or write the class otherwise there",
            )


def _named(task: Task, classes: Sequence[Any], further: Sequence[Further]) -> Iterator[tuple[str, str]]:
    if task == "multiclass":
        yield from ((f"probability_{name}", f"of the main target's class '{name}'") for name in classes)
    for one in further:
        yield from ((name, f"of the target '{one.name}' ({name})") for name in one.columns)

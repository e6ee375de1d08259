"""What kind of prediction a target asks for.

| target | task |
| --- | --- |
| boolean, or two different values | binary |
| text with 3 to 50 different values | multiclass |
| 3 to 20 different whole numbers | multiclass |
| more whole numbers, or numbers with decimals | regression |

`task:` in the project file overrides the table, where the values allow it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.core.errors import DataError, Fault, ProjectError
from bessemer.core.signature import Task

MAX_TEXT_CLASSES = 50
MAX_NUMBER_CLASSES = 20
MAX_CLASSES = 1000


@dataclass(frozen=True)
class Target:
    """The facts about a target that the task depends on.

    dtype: of the five of a dataset. distinct: different values (missing is none of them). whole: no value has
    decimals (numbers). example: one value, for messages. further: whether it is not the main one.
    """

    name: str
    dtype: str
    distinct: int
    whole: bool
    example: object
    further: bool = False

    def asked(self, task: str) -> str:
        """How the project file says that this is its task."""
        return f"task: {{{self.name}: {task}}}" if self.further else f"task: {task}"


def choose(target: Target, wanted: str | None) -> Task:
    """The task for a target.

    Raises:
        DataError: constant, or of a kind nothing can be learned for.
        ProjectError: `task:` does not go with the values.
    """
    if target.dtype == "TIMESTAMP":
        raise DataError(
            f"target '{target.name}' is a time, which no task predicts",
            fix="derive a number or a class from it in `acquire.sql`, such as a difference in days",
        )
    if target.distinct == 1:
        raise DataError(
            f"target '{target.name}' is constant: every row has {target.example!r}",
            why="there is nothing to tell apart",
            fix="check the source or the filter in `acquire.sql`, or name another target",
        )
    if wanted is not None:
        return _checked(target, wanted)
    return _inferred(target)


def _inferred(target: Target) -> Task:
    number = target.dtype in ("BIGINT", "DOUBLE")
    if number and not target.whole:
        return "regression"
    if target.distinct == 2:
        return "binary"
    if number:
        return "multiclass" if target.distinct <= MAX_NUMBER_CLASSES else "regression"
    if target.distinct > MAX_TEXT_CLASSES:
        raise DataError(
            f"target '{target.name}' is text with {target.distinct:,} different values, such as {target.example!r}",
            why=f"more than {MAX_TEXT_CLASSES} are seldom classes",
            fix=f"name another target; or say `{target.asked('multiclass')}`, which takes up to {MAX_CLASSES:,}",
        )
    return "multiclass"


def _checked(target: Target, wanted: str) -> Task:
    number = target.dtype in ("BIGINT", "DOUBLE")
    if wanted == "regression":
        if not number:
            _refuse(
                target,
                f"regression predicts numbers, target '{target.name}' has values such as {target.example!r}",
            )
        return "regression"
    if number and not target.whole:
        what = f"classes are whole numbers, text or booleans; target '{target.name}' has decimals"
        _refuse(target, what, "regression")
    if wanted == "binary" and target.distinct != 2:
        what = f"binary needs two classes, target '{target.name}' has {target.distinct:,}"
        _refuse(target, what, "multiclass")
    if wanted == "multiclass" and target.distinct == 2:
        _refuse(target, f"target '{target.name}' has two classes", "binary")
    if target.distinct > MAX_CLASSES:
        what = f"target '{target.name}' has {target.distinct:,} classes, {MAX_CLASSES:,} are the most"
        _refuse(target, what)
    return "binary" if wanted == "binary" else "multiclass"


def _refuse(target: Target, what: str, instead: str = "") -> None:
    fix = target.asked(instead) if instead else "leave `task` out, or name another target"
    raise ProjectError([Fault(f"task.{target.name}" if target.further else "task", None, what, fix)])

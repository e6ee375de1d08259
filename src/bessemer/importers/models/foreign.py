"""What a model of another library is, once it has been read: named columns, features, and a native model of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bessemer.core.errors import FormatError, UsageError
from bessemer.core.signature import DType, Task, class_text
from bessemer.core.sql import quote
from bessemer.importers.models.filled import Filled
from bessemer.package.remote.text import harmless
from bessemer.prepare.transforms.base import Column, Feature, Plain
from bessemer.prepare.transforms.categorical import FittedCategorical
from bessemer.train.learner import Native

if TYPE_CHECKING:
    from bessemer.importers.models.pmml.features import Computed
    from bessemer.importers.models.signature import Said
    from bessemer.prepare.transforms.image import FittedImage

#: Largest file that is read, in bytes: JSON and text take ten times as much memory while they are parsed.
LARGEST = 2**28
#: Most columns of a model, and most values of all tables of categories.
MOST_COLUMNS, MOST_VALUES = 100_000, 50_000_000

#: Up to which float32, which features are, has all whole numbers.
EXACT = 2**24
#: What the numbers of a column are to the model: `double` and `whole` are of 64 bits, or a truth.
Precision = Literal["single", "double", "whole"]

#: What the numbers of an ONNX graph may be.
SCORES = ("logits", "probabilities", "values")


@dataclass(frozen=True)
class Asked:
    """What the caller says of the model, where its file does not.

    columns: names of its columns, in its order. classes: names of its classes, in its order.
    scores: what the numbers of an ONNX graph are: `logits`, `probabilities`, `values` or '' (the graph says it).
    beside: names of its columns that stand beside its file, for one that has none, or numbers them.
    task: `binary`, `multiclass`, `regression` or ''.
    signature: all that was said, where it was said in a file: columns, classes, scores and task are those of the file
        then.
    tell: is given a line of what is being done, where that takes long.
    """

    columns: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    scores: str = ""
    beside: tuple[str, ...] = ()
    task: str = ""
    signature: Said | None = None
    tell: Callable[[str], None] = field(default=lambda line: None, compare=False, repr=False)


@dataclass(frozen=True)
class Input:
    """A raw column, and the features that are made of it, which stand side by side.

    nullable, domain: as in a package's signature. precision: what its numbers are to the model.
    """

    column: Column
    fitted: Plain | Filled | FittedCategorical | FittedImage | Computed
    nullable: bool = True
    domain: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "single"


@dataclass(frozen=True)
class Foreign:
    """A model that was read.

    learner: what kind it is, in a word. inputs: their features, one after the other, are what the native model takes.
    classes: in the order of the model's outputs; () for a number. params: facts about the model.
    notes: what is worth saying of how it was read.
    untried: whether its native model is a graph of somebody else's operators, which is tried in a process with limits.
    columns: the raw columns, where some features are made of several; else each input is one.
    threshold: the probability from which on the second of two classes is said.
    """

    learner: str
    task: Task
    classes: tuple[Any, ...]
    inputs: tuple[Input, ...]
    native: Native
    params: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 0
    notes: tuple[str, ...] = ()
    untried: bool = False
    columns: Mapping[str, DType] = field(default_factory=dict)
    threshold: float = 0.5


def refused(what: str, why: str = "", fix: str = "") -> FormatError:
    """The error for a model that is not taken; what its file says of itself may mean harm to a terminal."""
    fix = fix or "export the model again, by the library that trained it"
    lines = "\n".join(harmless(line) for line in fix.splitlines())
    return FormatError(harmless(what), why=harmless(why), fix=lines)


def number(name: str) -> Input:
    """A column of numbers, as it is."""
    return Input(_column(name, "number"), Plain(Feature(name, name, "number", f"the value of {name}")))


def numbers(names: Sequence[str]) -> tuple[Input, ...]:
    return tuple(number(name) for name in names)


def column(name: str, dtype: DType, fitted: FittedCategorical) -> Input:
    """A column of categories, with what makes features of it.

    Raises:
        FormatError: a category that is there twice, has no text, or one that nobody can read.
    """
    seen: set[Any] = set()
    for level in fitted.levels:
        if level == "":
            raise refused(
                f"a category of '{name}' is the empty text",
                "that counts as a missing value here, and the model tells the two apart",
                "call it something before the training",
            )
        if isinstance(level, str) and not level.isprintable():
            raise refused(
                f"a category of '{name}' has a name that nobody can read: '{harmless(level)}'",
                fix="rename it before the training",
            )
        if level in seen:
            raise refused(f"two categories of '{name}' are called '{level}'")
        seen.add(level)
    return Input(_column(name, dtype), fitted)


def _column(name: str, dtype: DType) -> Column:
    return Column(name, dtype, quote(name), (name,))


def named(asked: Asked, said: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of a model's columns: those that were asked for, else those the file says, else numbered ones.

    Raises:
        UsageError: not as many as the model takes, one of them twice, or with what is not printed.
        FormatError: too many of them.
    """
    if not 0 < count <= MOST_COLUMNS:
        raise refused(f"the model takes {count:,} columns", f"1 to {MOST_COLUMNS:,} can be imported")
    numbered = tuple(f"f{i}" for i in range(count))
    own = tuple(map(str, said)) if len(said) == count else numbered
    if own in (numbered, tuple(f"Column_{i}" for i in range(count))) and len(asked.beside) == count:
        own = asked.beside
    names = asked.columns or own
    if len(names) != count:
        raise UsageError(
            f"{_saying(asked, 'columns')} names {len(names)} columns, and the model takes {count}",
            fix="name each column once, in the order in which the model was trained",
        )
    if names != own and sorted(names) == sorted(own):
        raise UsageError(
            f"{_saying(asked, 'columns')} has the model's own columns in another order",
            why=f"the model's is {', '.join(map(harmless, own[:10]))}{', ...' if count > 10 else ''}",
            fix="give its order",
        )
    seen: set[str] = set()
    for name in names:
        if name in seen or not name or not name.isprintable():
            raise UsageError(
                f"two columns of the model are named '{name}'"
                if name in seen
                else f"a column of the model has a name that nobody can read: '{harmless(name)}'",
                fix="name the columns: --columns a,b,c",
            )
        seen.add(name)
    return names


def _saying(asked: Asked, option: str) -> str:
    return f"--{option}" if asked.signature is None else "the signature"


def classes_of(asked: Asked, said: Sequence[Any], count: int) -> tuple[Any, ...]:
    """The names of a model's classes: those asked for, else those the file says, else 0, 1, 2...

    Raises:
        UsageError: not as many as the model has, one of them twice, with what is not printed, or not those of the file.
    """
    found = agreed_classes(asked, said) or tuple(range(count))
    if unread := next((one for one in found if isinstance(one, str) and not one.isprintable()), None):
        raise UsageError(
            f"a class of the model has a name that nobody can read: '{harmless(unread)}'",
            fix="name the classes: --classes no,yes",
        )
    if len(found) != count or len(set(map(str, found))) != count:
        raise UsageError(
            f"the model has {count} classes, and {len(set(map(str, found)))} different ones are named",
            fix="name each class once, in the order of the model's outputs: --classes no,yes",
        )
    return found


def agreed_classes(asked: Asked, said: Sequence[Any]) -> tuple[Any, ...]:
    """The classes that were asked for, else those that the model's file says; () where neither does.

    Numbers may get names. Others may too by an option, but not by a signature.

    Raises:
        UsageError: they are the file's in another order, or the signature says others than the file.
    """
    own, wanted = [class_text(one) for one in said], [class_text(one) for one in asked.classes]
    if not own or not wanted or own == wanted:
        return asked.classes or tuple(said)
    swapped = sorted(own) == sorted(wanted)
    signed = asked.signature is not None and bool(asked.signature.classes)
    if swapped or (signed and not all(one.lstrip("-").isdigit() for one in own)):
        raise UsageError(
            f"{_saying(asked, 'classes')} has "
            + ("the model's own classes in another order" if swapped else "other classes than the model"),
            why=f"the model's are {', '.join(map(harmless, own[:10]))}{', ...' if len(own) > 10 else ''}",
            fix="give its order" if swapped else "leave `classes` out, or give these",
        )
    return asked.classes

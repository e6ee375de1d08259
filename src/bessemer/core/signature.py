"""What goes into a model and what comes out: the typed columns of a package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bessemer.core.further import Further, further_of

DType = Literal["boolean", "integer", "number", "string", "timestamp"]
Tensor = Literal["float32", "float64", "int64", "string", "bool"]
Task = Literal["binary", "multiclass", "regression"]

#: The tensor value that stands for a missing value: NaN for floats, '' for strings, this for timestamps
#: (int64 microseconds since 1970-01-01 UTC), as numpy's NaT.
MISSING_TIMESTAMP = -(2**63)


@dataclass(frozen=True)
class Field:
    """A column of a signature.

    name: the column's name, which is also the name of the tensor in the graph.
    dtype: what the user sees: boolean, integer, number, string or timestamp.
    tensor: what the graph takes, as a tensor of shape (rows, 1) for inputs: booleans, integers and numbers as
        float32 (float64 where a derived feature computes with them), strings as string, timestamps as int64
        microseconds since 1970 (UTC). Missing is NaN, '' and the smallest int64.
    nullable: whether the training data had missing values here.
    shape: of one row; () is a scalar.
    domain: facts about the values: {"min":..., "max":...}, {"categories": [...]}, {"media": "image"} (base64 of PNG or
        JPEG files), or {}.
    """

    name: str
    dtype: DType
    tensor: Tensor
    nullable: bool = True
    shape: tuple[int, ...] = ()
    domain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_image(self) -> bool:
        """Whether its values are images.

        >>> Field("photo", "string", "string", domain={"media": "image"}).is_image
        True
        """
        return self.domain.get("media") == "image"

    def seen(self) -> str:
        """The values seen in training, in a few words.

        >>> Field("age", "number", "float32", domain={"min": 18, "max": 90}).seen()
        '18 to 90'
        """
        if "categories" in self.domain:
            found = [str(value) for value in self.domain["categories"]]
            return ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
        if self.is_image:
            return "images, as base64 of PNG or JPEG files"
        low, high = self.domain.get("min"), self.domain.get("max")
        if low is None or high is None:
            return ""
        return f"{low:.6g} to {high:.6g}" if isinstance(low, int | float) else f"{low} to {high}"


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a model.

    outputs: of the main target, then of each further one.
    on_request: outputs that are computed and given only where they are asked for by name.
    further: the targets beside `target`, which is the main one.

    >>> s = Signature((Field("age", "number", "float32"),), (), task="binary", classes=("no", "yes"))
    >>> Signature.from_json(s.to_json()) == s
    True
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    task: Task = "binary"
    target: str = ""
    classes: tuple[Any, ...] = ()
    on_request: tuple[Field, ...] = ()
    further: tuple[Further, ...] = ()

    def __iter__(self) -> Iterator[Field]:
        return iter(self.inputs)

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, table, text

        missing = {True: "yes", False: "no"}
        rows = [[text(f.name), text(f.dtype), missing[f.nullable], text(f.seen())] for f in self.inputs]
        classes = ", ".join(map(str, self.classes))
        facts = [("task", text(self.task)), ("target", text(self.target)), ("classes", text(classes))]
        facts += [(f"also predicts {one.name}", text(one.task)) for one in self.further]
        return card("Signature", facts, table(["input", "type", "may be missing", "in training"], rows))

    def input(self, name: str) -> Field:
        return next(f for f in self.inputs if f.name == name)

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        for name in ("on_request", "further"):
            if not value[name]:  # a model without any has the bytes it always had
                del value[name]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Signature:
        def fields(rows: list[dict[str, Any]]) -> tuple[Field, ...]:
            return tuple(Field(**{**row, "shape": tuple(row.get("shape", ()))}) for row in rows)

        return cls(
            inputs=fields(value["inputs"]),
            outputs=fields(value["outputs"]),
            task=value["task"],
            target=value["target"],
            classes=tuple(value["classes"]),
            on_request=fields(value.get("on_request", [])),
            further=further_of(value),
        )


def class_text(value: Any) -> str:
    """A class as text, alike whatever file it came from: CSV says true and 1, a frame with gaps 1.0; '' is missing.

    >>> class_text(True), class_text("True"), class_text(1.0), class_text("1.0"), class_text("1.50")
    ('true', 'true', '1', '1', '1.50')
    >>> class_text(None), class_text(float("nan"))
    ('', '')
    """
    if value is None or value != value:
        return ""
    text = str(value)
    whole = text.removesuffix(".0")
    if whole.lstrip("-").isdigit():
        return whole
    return text.lower() if text in ("True", "False") else text

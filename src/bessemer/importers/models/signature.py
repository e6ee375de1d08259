"""What a signature file says of a model: its columns in the model's order, its target, its task and its classes.

It is YAML or JSON: what people write in a few lines, or the `signature.json` of a package as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from bessemer.core.errors import Fault, ProjectError, UsageError
from bessemer.core.project_file import faults_of
from bessemer.core.signature import DType, Task
from bessemer.core.spec import Spec
from bessemer.core.yaml_lines import Document, parse
from bessemer.package.remote.text import harmless
from bessemer.prepare.spec import Fit, ImageSpec

#: Most pixels of an image, over its channels: each is a feature with a name.
MOST_PIXELS = 2**18
#: The largest number of float32, in which models are computed.
_GREATEST = float(np.finfo(np.float32).max)
Layout = Literal["NCHW", "NHWC"]
#: What a model's file may be said to hold: `values` of a number, or scores of classes.
Scores = Literal["logits", "probabilities", "values"]
Class = bool | int | float | str


class ImageSaid(ImageSpec):
    """A column of images: what the model takes of one is `(pixel * scale - mean) / std`, of pixels from 0 to 1."""

    fit: Fit = Field("stretch", description="as in a project: stretch, crop or pad")
    layout: Layout | None = Field(
        None, description="whether the channels come before the rows (torch) or last (TensorFlow)"
    )
    order: Literal["rgb", "bgr"] = Field("rgb", description="which colour is the first one")
    scale: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="what white is to the model: 255 of a graph of whole numbers, else 1",
    )
    mean: tuple[float, ...] = Field((), description="one number, or one a channel, in units of `scale`")
    std: tuple[float, ...] = Field((), description="the same, to divide by")

    @model_validator(mode="after")
    def _fits(self) -> ImageSaid:
        height, width = self.size or (1, 1)
        if height * width * (self.channels or 1) > MOST_PIXELS:
            raise ValueError(f"an image of {height} x {width} is too large\nat most {MOST_PIXELS:,} numbers")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) not in (1, self.channels or len(values)):
                raise ValueError(f"'{name}' has {len(values)} numbers\ngive one, or one a channel")
            if not all(map(math.isfinite, values)) or (name == "std" and not all(v > 0 for v in values)):
                raise ValueError(f"'{name}' has {list(values)}\ngive finite numbers; `std` above 0")
        return self


class Domain(Spec):
    """What is known of a column's values, as in a package's signature."""

    min: int | float | None = None
    max: int | float | None = None
    categories: tuple[Class, ...] | None = None
    media: Literal["image"] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Domain:
        low, high = self.min, self.max
        if not all(edge is None or abs(edge) < 2**63 for edge in (low, high)):
            raise ValueError(f"'min' and 'max' are {low} and {high}\ngive numbers of 64 bits")
        if self.categories is not None and (low, high) != (None, None):
            raise ValueError("it has categories, and 'min' or 'max'\nsay one of the two")
        if low is not None and high is not None and low > high:
            raise ValueError(f"'min' is {low}, above 'max', {high}\nswap them")
        return self

    def holds(self, value: Class) -> bool:
        """Whether a value is one of these."""
        if self.categories is not None:
            return value in self.categories
        if isinstance(value, str):
            return True
        return not (
            (self.min is not None and value < self.min) or (self.max is not None and value > self.max)
        )

    def told(self) -> dict[str, Any]:
        """As a package has it."""
        found = self.model_dump(exclude_none=True)
        return {k: list(v) if k == "categories" else v for k, v in found.items()}


class ColumnSaid(Spec):
    """A column of the model."""

    name: str = Field("", description="its name, where the columns are a list")
    dtype: Literal["number", "integer", "boolean", "string", "image"] | None = Field(
        None, description="number where nothing else is said"
    )
    nullable: bool | None = Field(
        None,
        description="whether a row may lack it; where it is not said, whether the model has an answer then",
    )
    missing: Class | None = Field(None, description="the value that stands for a missing one")
    image: ImageSaid | None = Field(None, description="that it has images, and how the model takes them")
    domain: Domain = Field(Domain(), description="min and max, or categories")
    tensor: str = Field("", description="of a package's signature; not asked for")
    shape: tuple[()] = Field((), description="of a package's signature: one value")

    @model_validator(mode="after")
    def _agrees(self) -> ColumnSaid:
        if self.is_image and self.dtype not in (None, "image", "string"):
            raise ValueError(f"a column of images is no {self.dtype}\nleave `dtype` out")
        if self.is_image and self.missing is not None:
            raise ValueError("a missing image is a black one\nleave `missing` out")
        if self.missing is not None:
            self._check_missing(self.missing)
        return self

    def _check_missing(self, value: Class) -> None:
        if not isinstance(value, str) and not abs(value) <= _GREATEST:
            raise ValueError(
                "what stands for a missing value is no finite number, or too large for 32 bits\ngive another one"
            )
        if self.nullable is False:
            raise ValueError(
                "no row may lack it, and `missing` says what stands for it then\nsay one of the two"
            )
        if not self.domain.holds(value):
            raise ValueError(
                f"{value!r} stands for a missing value, and is not in its domain\ncorrect one of the two"
            )

    @property
    def is_image(self) -> bool:
        return self.image is not None or self.dtype == "image" or self.domain.media == "image"

    @property
    def pixels(self) -> ImageSaid:
        """How the model takes its images."""
        return self.image or ImageSaid()

    @property
    def kind(self) -> DType:
        """The type of its values; an image is a text."""
        if self.is_image:
            return "string"
        return "number" if self.dtype is None or self.dtype == "image" else self.dtype


class Said(Spec):
    """A signature file."""

    inputs: dict[str, ColumnSaid] = Field({}, description="the columns, by name, in the model's order")
    target: str = Field("", description="what the model predicts")
    task: Task | None = Field(None, description="binary, multiclass or regression")
    classes: tuple[Class, ...] = Field((), description="in the order of the model's outputs")
    scores: Scores | None = Field(None, description="what its numbers are, of a graph that does not say it")
    output: str = Field("", description="which output is the prediction, of a graph with several")
    outputs: Any = Field(None, description="of a package's signature; they follow from the task")
    on_request: Any = Field(None, description="of a package's signature; not asked for")
    further: tuple[()] = Field((), description="of a package's signature: an imported model has one target")

    @model_validator(mode="after")
    def _agrees(self) -> Said:
        if not self.target.isprintable():
            raise ValueError(
                f"the target has a name that nobody can read: '{harmless(self.target)}'\nrename it"
            )
        if self.task == "regression" and self.classes:
            raise ValueError("a regression has no classes\nleave `classes` or `task` out")
        if self.task == "binary" and len(self.classes) not in (0, 2):
            raise ValueError(f"a binary task has two classes, not {len(self.classes)}\nname both")
        if len(set(map(str, self.classes))) < len(self.classes):
            raise ValueError("a class is named twice\nname each class once")
        return self


def read_signature(path: Path) -> Said:
    """What a signature file says.

    Raises:
        UsageError: it cannot be read. ProjectError: its faults, all of them, with their lines.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the signature {path}: {why}", fix="check the path") from None
    return signature_of(text, path.name)


def signature_of(text: str, file: str) -> Said:
    """What the text of a signature file says.

    Raises:
        ProjectError: its faults, all of them, with their lines.

    >>> said = signature_of("inputs: {age: integer, income: number}\\nclasses: [no, yes]", "signature.yaml")
    >>> [(name, one.kind) for name, one in said.inputs.items()], said.classes
    ([('age', 'integer'), ('income', 'number')], ('no', 'yes'))
    """
    document = parse(text)
    faults = list(document.faults)
    if not faults and not isinstance(document.value, dict):
        faults.append(
            Fault("", None, "not a mapping of keys", "write `inputs: {age: integer, town: string}`")
        )
    if faults:
        raise ProjectError(faults, file)
    value, places, faults = _by_name(document.value)
    try:
        said = Said.model_validate_json(json.dumps(value))
    except ValidationError as error:
        faults += faults_of(error, Said)
    if faults:
        unique = {(f.path, f.what): f for f in faults}.values()
        located = [Fault(f.path, _line(document, places, f.path), f.what, f.fix) for f in unique]
        raise ProjectError(sorted(located, key=lambda f: (f.line or 0, f.path)), file)
    return said


def _by_name(value: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[Fault]]:
    """The same with its inputs by name, each a mapping; where each of a list stands in the file, and faults of names.

    `age: integer` is short for `age: {dtype: integer}`, and `age:` for a number.
    """
    rows = value.get("inputs")
    if isinstance(rows, dict):
        return {**value, "inputs": {name: _long(row) for name, row in rows.items()}}, {}, []
    if not isinstance(rows, list):
        return dict(value), {}, []
    found: dict[str, Any] = {}
    places: dict[str, str] = {}
    faults = []
    for i, row in enumerate(rows):
        name = row.get("name") if isinstance(row, dict) else row
        if not isinstance(name, str) or not name:
            faults.append(Fault(f"inputs.{i}", None, "it has no name", "write `{name: age, dtype: integer}`"))
        elif name in found:
            faults.append(Fault(f"inputs.{i}", None, f"'{name}' is named twice", "name each column once"))
        else:
            found[name] = row if isinstance(row, dict) else {}
            places[f"inputs.{name}"] = f"inputs.{i}"
    return {**value, "inputs": found}, places, faults


def _long(row: Any) -> Any:
    return {} if row is None else {"dtype": row} if isinstance(row, str) else row


def _line(document: Document, places: Mapping[str, str], path: str) -> int | None:
    for named, place in places.items():
        if path == named or path.startswith(f"{named}."):
            path = place + path.removeprefix(named)
            break
    return document.line(path) or (1 if not path else None)

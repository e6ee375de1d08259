"""What is logged of a model: its columns and their Arrow types. Journals and Parquet files carry it with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from bessemer.core.errors import FormatError, UsageError, did_you_mean
from bessemer.core.signature import DType, Signature, Task, Tensor

#: The number of the format; readers refuse a higher one.
FORMAT = 1
#: The key of a Parquet file's metadata under which `LoggedModel.to_bytes` stands.
METADATA = b"bessemer.prediction_log"

ARROW: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
}


def _arrow_of(dtype: DType) -> pa.DataType:
    """Of a prediction; the graph's numbers are float32."""
    return pa.float32() if dtype == "number" else ARROW[dtype]


@dataclass(frozen=True)
class LoggedInput:
    """An input that is logged. `hashed`: a keyed hash stands in its place, as text."""

    name: str
    dtype: DType
    tensor: Tensor
    hashed: bool = False

    @property
    def arrow(self) -> pa.DataType:
        return ARROW["string" if self.hashed else self.dtype]


@dataclass(frozen=True)
class LoggedModel:
    """A model as the log sees it: name, version, task, classes, the inputs that are kept.

    prediction: the dtype of the predicted class or number.
    further: name and dtype of the predictions of each target beside the main one, as the graph calls them.

    >>> from bessemer.testing.models import tiny_signature
    >>> found = LoggedModel.of("tiny", "1.0.0", tiny_signature("binary"), exclude=["autopay"], hashed=["contract"])
    >>> [(f.name, str(f.type)) for f in found.predictions()][6:]  # doctest: +NORMALIZE_WHITESPACE
    [('in.monthly charges', 'double'), ('in.contract', 'string'), ('in.désactivé', 'timestamp[us]'),
     ('out.prediction', 'string'), ('out.probability', 'float'), ('out.score', 'float')]
    >>> LoggedModel.from_bytes(found.to_bytes()) == found
    True
    """

    model: str
    version: str
    task: Task
    target: str
    classes: tuple[Any, ...]
    prediction: DType
    inputs: tuple[LoggedInput, ...]
    further: tuple[tuple[str, DType], ...] = ()

    @classmethod
    def of(
        cls,
        model: str,
        version: str,
        signature: Signature,
        *,
        exclude: Collection[str] = (),
        hashed: Collection[str] = (),
    ) -> LoggedModel:
        """What a log keeps of a model with this signature.

        Raises:
            UsageError: `exclude` or `hashed` names an input the model does not have.
        """
        known = [field.name for field in signature.inputs]
        for name in (*exclude, *hashed):
            if name not in known:
                raise UsageError(
                    f"the prediction log's columns name '{name}', and {model} {version} has no such input",
                    fix=did_you_mean(name, known),
                )
        inputs = tuple(
            LoggedInput(field.name, field.dtype, field.tensor, field.name in hashed)
            for field in signature.inputs
            if field.name not in exclude
        )
        types = {field.name: field.dtype for field in signature.outputs}
        said: DType = types.get("prediction", "number")
        further = tuple((one.prediction, types[one.prediction]) for one in signature.further)
        classes = tuple(signature.classes)
        return cls(model, version, signature.task, signature.target, classes, said, inputs, further)

    def probabilities(self) -> list[tuple[str, int]]:
        """Columns of probabilities and their place in the graph's output, named as `Model.columns` does."""
        if self.task == "binary":
            return [("out.probability", 1)]
        return [(f"out.probability_{name}", i) for i, name in enumerate(self.classes)]

    def scores(self) -> list[tuple[str, int]]:
        """Columns of raw scores; a regression's prediction is its score already."""
        if self.task == "binary":
            return [("out.score", 0)]
        return [(f"out.score_{name}", i) for i, name in enumerate(self.classes)]

    def predictions(self) -> pa.Schema:
        """The columns of a file of predictions."""
        said = _arrow_of("number" if self.task == "regression" else self.prediction)
        return pa.schema(
            [
                pa.field("prediction_id", pa.string(), nullable=False),
                pa.field("time", pa.timestamp("us"), nullable=False),
                pa.field("client", pa.string()),
                pa.field("dialect", pa.string()),
                pa.field("latency_us", pa.int64()),
                *(pa.field(f"in.{field.name}", field.arrow) for field in self.inputs),
                pa.field("out.prediction", said),
                *(pa.field(name, pa.float32()) for name, _ in [*self.probabilities(), *self.scores()]),
                *(pa.field(f"out.{name}", _arrow_of(dtype)) for name, dtype in self.further),
            ],
            metadata={METADATA: self.to_bytes()},
        )

    def labels(self) -> pa.Schema:
        """The columns of a file of labels: the type is that of the classes, or a double."""
        return pa.schema(
            [
                pa.field("prediction_id", pa.string(), nullable=False),
                pa.field("time", pa.timestamp("us"), nullable=False),
                pa.field("client", pa.string()),
                pa.field("label", pa.float64() if self.task == "regression" else ARROW[self.prediction]),
                pa.field("sequence", pa.int64(), nullable=False),
                pa.field("arrived", pa.timestamp("us")),
            ],
            metadata={METADATA: self.to_bytes()},
        )

    def to_bytes(self) -> bytes:
        """JSON, one line."""
        value = {"format": FORMAT, **asdict(self)}
        if not self.further:  # a model without any has the bytes it always had, which earlier versions read
            del value["further"]
        return json.dumps(value, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LoggedModel:
        """Raises FormatError: the data is of a later format, or not of a prediction log."""
        try:
            value = json.loads(data)
            number = value.pop("format")
            if number == FORMAT:
                value["inputs"] = tuple(LoggedInput(**each) for each in value["inputs"])
                further = tuple((name, dtype) for name, dtype in value.get("further", ()))
                return cls(**{**value, "classes": tuple(value["classes"]), "further": further})
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError("this is not a description of a prediction log", why=str(error)) from None
        raise FormatError(
            f"the prediction log has format {number}, and this version reads {FORMAT}",
            fix="pip install --upgrade bessemer",
        )

"""The JSON dialects that servers of models speak, as who asks writes and reads them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.signature import Field
from bessemer.package.records import rows_to_feeds

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asking:
    """One dialect: the body of a request, where the answers are in that of the answer, and what its paths end in."""

    body: Callable[[Sequence[Row], Sequence[Field]], Any]
    answers: Callable[[Mapping[str, Any]], Any]
    ends: str


def dialect_of(url: str, name: str = "") -> Asking:
    """The dialect of an address, or the one that is named.

    Raises:
        UsageError: none is called so.

    >>> dialect_of("http://shop/v2/models/churn/infer") is DIALECTS["v2"]
    True
    """
    found = name or next(n for n, asking in DIALECTS.items() if url.endswith(asking.ends))
    if found not in DIALECTS:
        raise UsageError(f"no dialect '{found}' to ask in", fix=did_you_mean(found, DIALECTS))
    return DIALECTS[found]


def plain(value: Any) -> Any:
    """A value of a row as JSON has it: a moment as ISO 8601 text in UTC (one without a zone is in UTC), a number that
    is none or infinite as null.

    >>> plain(dt.datetime(2026, 1, 2, 3, 4, 5)), plain(float("nan")), plain(np.int64(7))
    ('2026-01-02T03:04:05Z', None, 7)
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo else value
        return None if value != value else f"{moment.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _tensors(rows: Sequence[Row], inputs: Sequence[Field]) -> dict[str, Any]:
    """The Open Inference Protocol: a tensor a column."""
    made = []
    for name, array in rows_to_feeds(rows, inputs).items():
        values = [plain(value) for value in array.ravel().tolist()]
        made.append({"name": name, "shape": [len(values), 1], "datatype": _datatype(array), "data": values})
    return {"inputs": made}


def _datatype(array: np.ndarray) -> str:
    if array.dtype.kind in "OUS":
        return "BYTES"
    kind = {"f": "FP", "i": "INT", "b": "BOOL"}[array.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{array.dtype.itemsize * 8}"


def _outputs(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each row as an object: every output by its name, and as `prediction` the one that says most plainly what is
    predicted."""
    outputs = {str(one["name"]): one for one in answer["outputs"]}
    plain = [name for name, one in outputs.items() if one.get("datatype") in ("BYTES", "BOOL")]
    chosen = "prediction" if "prediction" in outputs else (plain or list(outputs))[0]
    rows = {name: _rows(one) for name, one in outputs.items()}
    named = {**rows, "prediction": rows[chosen]}
    return [{name: each[i] for name, each in named.items()} for i in range(len(rows[chosen]))]


def _rows(tensor: Mapping[str, Any]) -> list[Any]:
    shape = [int(size) for size in tensor["shape"]]
    if len(shape) < 2 or shape[1] == 1:
        return list(tensor["data"])
    flat = np.asarray(tensor["data"], dtype=np.float64).reshape(shape[0], -1)
    found: list[Any] = flat.tolist()
    return found


def _predictions(answer: Mapping[str, Any]) -> Any:
    return answer["predictions"]


#: The order is that in which an address is looked at; the last is for all others.
DIALECTS: Mapping[str, Asking] = {
    "v2": Asking(_tensors, _outputs, "/infer"),
    "v1": Asking(lambda rows, inputs: {"instances": list(rows)}, _predictions, ":predict"),
    "mlflow": Asking(lambda rows, inputs: {"dataframe_records": list(rows)}, _predictions, "/invocations"),
    "plain": Asking(lambda rows, inputs: {"rows": list(rows)}, _predictions, ""),
}

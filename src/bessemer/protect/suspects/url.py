"""A suspect behind an address: the JSON dialects that servers of models speak."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.exchange import ExchangeError, exchange
from bessemer.package.records import rows_to_feeds
from bessemer.protect.suspects.said import said_of
from bessemer.protect.suspects.text import harmless

if TYPE_CHECKING:
    from bessemer.core.signature import Signature
    from bessemer.protect.suspects.suspect import Door, Marked, Row

#: Rows of a request: few enough for any server, and no more than one person would ask.
_AT_ONCE = 32


@dataclass(frozen=True)
class Asking:
    """One dialect: the body of a request, where the answers are in that of the answer, and what its paths end in."""

    body: Callable[[Sequence[Row], Signature], Any]
    answers: Callable[[Mapping[str, Any]], Any]
    ends: str


def _tensors(rows: Sequence[Row], signature: Signature) -> dict[str, Any]:
    """The Open Inference Protocol: a tensor a column."""
    made = []
    for name, array in rows_to_feeds(rows, signature.inputs).items():
        values = array.ravel().tolist()
        values = [None if isinstance(v, float) and v != v else v for v in values]
        made.append({"name": name, "shape": [len(values), 1], "datatype": _datatype(array), "data": values})
    return {"inputs": made}


def _datatype(array: np.ndarray) -> str:
    if array.dtype.kind in "OUS":
        return "BYTES"
    kind = {"f": "FP", "i": "INT", "b": "BOOL"}[array.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{array.dtype.itemsize * 8}"


def _outputs(answer: Mapping[str, Any]) -> list[Any]:
    """The rows of the tensor that says most plainly what is predicted."""
    outputs = {one["name"]: one for one in answer["outputs"]}
    plain = [one for one in outputs.values() if one.get("datatype") in ("BYTES", "BOOL")]
    chosen = outputs.get("prediction") or (plain or list(outputs.values()))[0]
    shape = [int(size) for size in chosen["shape"]]
    if len(shape) < 2 or shape[1] == 1:
        return list(chosen["data"])
    flat = np.asarray(chosen["data"], dtype=np.float64).reshape(shape[0], -1)
    found: list[Any] = flat.tolist()
    return found


def _predictions(answer: Mapping[str, Any]) -> Any:
    return answer["predictions"]


#: The order is that in which an address is looked at; the last is for all others.
DIALECTS: Mapping[str, Asking] = {
    "v2": Asking(_tensors, _outputs, "/infer"),
    "v1": Asking(lambda rows, signature: {"instances": list(rows)}, _predictions, ":predict"),
    "mlflow": Asking(lambda rows, signature: {"dataframe_records": list(rows)}, _predictions, "/invocations"),
    "plain": Asking(lambda rows, signature: {"rows": list(rows)}, _predictions, ""),
}


class UrlSuspect:
    """A server. v1 is KServe's and TensorFlow Serving's, v2 the Open Inference Protocol, plain our own."""

    def __init__(self, url: str, own: Marked, door: Door) -> None:
        name = door.dialect or next(n for n, asking in DIALECTS.items() if url.endswith(asking.ends))
        if name not in DIALECTS:
            raise UsageError(f"no dialect '{name}' to ask in", fix=did_you_mean(name, DIALECTS))
        self._url, self._own, self._door, self._asking = url, own, door, DIALECTS[name]

    def said(self, rows: Sequence[Row]) -> np.ndarray:
        found: list[Any] = []
        for start in range(0, len(rows), _AT_ONCE):
            found += self._asked(rows[start : start + _AT_ONCE])
        return said_of(found, self._own.certificate)

    def _asked(self, rows: Sequence[Row]) -> list[Any]:
        inputs = [field.name for field in self._own.signature.inputs]
        asked = [{name: row.get(name) for name in inputs} for row in rows]
        body = self._asking.body(asked, self._own.signature)
        headers = {"content-type": "application/json"}
        if self._door.key:
            headers["authorization"] = f"Bearer {self._door.key}"
        try:
            answer = exchange(
                self._url,
                method="POST",
                headers=headers,
                body=json.dumps(body).encode(),
                timeout=self._door.timeout,
            )
        except ExchangeError as error:
            raise UsageError(f"'{self._url}' gives no answer", why=harmless(error)) from None
        if answer.status != 200:
            raise UsageError(
                f"'{self._url}' refuses to answer: {answer.status}",
                why=harmless(answer.body.decode("utf-8", "replace")),
                fix=f"give the whole address of a model, or its dialect with --dialect ({', '.join(DIALECTS)})",
            )
        return self._read(answer.body, len(rows))

    def _read(self, body: bytes, rows: int) -> list[Any]:
        try:
            found = self._asking.answers(json.loads(body))
            if isinstance(found, list) and len(found) == rows:
                return found
            why = "it is no list with an answer for each row"
        except (
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            why = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"what '{self._url}' answers cannot be read",
            why=harmless(why),
            fix=f"name its dialect with --dialect ({', '.join(DIALECTS)})",
        )

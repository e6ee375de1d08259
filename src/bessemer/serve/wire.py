"""What stands between the transports and the dialects: a request, a response, the batch in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from bessemer.serve.errors import RequestError

Array = np.ndarray[Any, Any]

JSON = "application/json"
BINARY = "application/octet-stream"
_FORM = "application/x-www-form-urlencoded"
#: The method of a remote procedure call: its `path` is /SERVICE/METHOD, its `body` the message.
GRPC = "GRPC"


@dataclass(slots=True)
class Request:
    """One request, read whole. `path` is percent-decoded; the names of headers are lowercase.

    Of a gRPC call the method is `GRPC`, the headers are its metadata and the body is the serialised message.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """One response; the transport adds Content-Length, Date and Connection, or the status of gRPC.

    note: what the access log says of it beside; it is not sent.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(slots=True)
class Batch:
    """What a dialect read from a request: rows of values, or tensors, or a matrix; one of the three.

    rows: how many.
    values: each row a tuple of JSON values in the order of the signature's inputs, None for missing. Their types may
        still be wrong: that is found when many requests' rows become one set of tensors.
    typed: whether all values are known to be of a right JSON type.
    feeds: for each input an array (rows, 1) of its tensor type.
    matrix: all inputs in one float32 array (rows, inputs), where each is one (see `columns.takes_matrix`).
    explain: whether the answer has contributions.
    outputs: which of the graph's outputs `encode` needs.
    id: what the client calls the request, '' where it does not.
    context: what else `encode` must know of the request (its id, the names it asked for).
    timeout: seconds in which the client wants its answer, where it said so.
    late: what it is answered when that time has passed, instead of an error.
    """

    rows: int
    values: Sequence[tuple[Any, ...]] | None = None
    feeds: dict[str, Array] | None = None
    matrix: Array | None = None
    explain: bool = False
    outputs: tuple[str, ...] = ("prediction", "probability")
    typed: bool = False
    id: str = ""
    context: Any = None
    timeout: float | None = None
    late: Response | None = None

    def tensors(self, names: Sequence[str]) -> dict[str, Array] | None:
        """What was sent as tensors or as a matrix: for each input (rows, 1); None where it was rows of values.

        Args:
            names: of the inputs, in the order of the signature.

        >>> Batch(2, matrix=np.float32([[1, 2], [3, 4]])).tensors(["a", "b"])["b"].tolist()
        [[2.0], [4.0]]
        """
        if self.matrix is None:
            return self.feeds
        columns = np.ascontiguousarray(self.matrix.T)
        return {name: columns[i].reshape(-1, 1) for i, name in enumerate(names)}


class Predictions:
    """What the model says about a batch, or about the part of a larger batch that is one request's.

    outputs: the graph's outputs by name: `prediction` (N,), `probability` (N, K), `score` (N, K').
    base, explained, contributions: when explained, float64 (N,) and, for each group of features, float64 (N,): what
        they add to the raw score (of the predicted class where there are several). base + their sum = `explained`.
    """

    __slots__ = (
        *("_base", "_contributions", "_explained", "_lines", "_outputs", "_start", "_stop", "_whole"),
    )

    def __init__(
        self,
        outputs: Mapping[str, Array],
        *,
        base: Array | None = None,
        explained: Array | None = None,
        contributions: Mapping[str, Array] | None = None,
    ) -> None:
        self._outputs = outputs
        self._base, self._explained, self._contributions = base, explained, contributions or {}
        self._lines: dict[str, list[bytes]] = {}
        self._whole: Predictions | None = (
            None  # not itself: a cycle would keep the arrays until it is collected
        )
        self._start, self._stop = 0, len(next(iter(outputs.values())))

    @property
    def rows(self) -> int:
        return self._stop - self._start

    @property
    def outputs(self) -> Mapping[str, Array]:
        return {name: array[self._start : self._stop] for name, array in self._outputs.items()}

    @property
    def base(self) -> Array | None:
        return None if self._base is None else self._base[self._start : self._stop]

    @property
    def explained(self) -> Array | None:
        return None if self._explained is None else self._explained[self._start : self._stop]

    @property
    def contributions(self) -> Mapping[str, Array]:
        return {name: each[self._start : self._stop] for name, each in self._contributions.items()}

    @property
    def whole(self) -> Predictions:
        """Those of all rows that were scored together."""
        return self._whole or self

    def part(self, start: int, stop: int) -> Predictions:
        """The predictions of some of the rows; nothing is copied, and lines that were made for all are shared.

        >>> whole = Predictions({"prediction": np.float32([1, 2, 3])})
        >>> whole.part(1, 3).outputs["prediction"].tolist()
        [2.0, 3.0]
        """
        found = Predictions.__new__(Predictions)
        found._outputs, found._base = self._outputs, self._base
        found._explained, found._contributions = self._explained, self._contributions
        found._whole, found._start, found._stop = self, start, stop
        return found

    def lines(self, kind: str, make: Callable[[Predictions], list[bytes]]) -> list[bytes]:
        """A text for each row, made for all rows that were scored together when the first of them asks.

        Args:
            kind: what they are called; the same name must be the same texts.
            make: makes them, for all rows of the predictions it is given.
        """
        whole = self._whole or self
        made = whole._lines.get(kind)
        if made is None:
            made = whole._lines[kind] = make(whole)
        return made if whole is self else made[self._start : self._stop]

    def texts(self, name: str) -> list[bytes]:
        """An output as JSON, a text for each row: of a vector without its brackets; float32 in its shortest digits.

        >>> Predictions({"probability": np.float32([[0.25, 0.75]])}).texts("probability")
        [b'0.25,0.75']
        """
        return self.lines(f"output {name}", lambda whole: _texts(whole._outputs[name]))


def _texts(array: Array) -> list[bytes]:
    if not len(array):
        return []
    if array.dtype.kind in "OUS":  # class names repeat
        known: dict[Any, bytes] = {}
        return [
            known[v] if v in known else known.setdefault(v, to_json(v)) for v in array.reshape(-1).tolist()
        ]
    whole = to_json(np.ascontiguousarray(array))
    return whole[2:-2].split(b"],[") if array.ndim == 2 else whole[1:-1].split(b",")


def to_json(value: Any) -> bytes:
    """JSON bytes; numpy arrays and scalars are taken, float32 in its own shortest digits, NaN as null.

    >>> import numpy as np
    >>> to_json({"p": np.float32(0.1)})
    b'{"p":0.1}'
    """
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, to_json(value))


def check_json(request: Request, *, strict: bool = False) -> None:
    """Refuse (415) a body that its content type says is not JSON in UTF-8.

    What `curl -d` says of every body, that it is a form, is not believed of one that begins as JSON does. `strict`
    believes it: a form is what another site's page can make a browser send without asking.
    """
    given = request.headers.get("content-type")
    if given is None or given == JSON:
        return
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    if kind == _FORM and not strict and request.body.lstrip()[:1] in (b"{", b"["):
        return
    if kind != JSON and not kind.endswith("+json"):
        raise RequestError(
            415, f"the content type '{kind}' is not JSON", fix=f"send the header 'content-type: {JSON}'"
        )
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if charset not in ("", "utf-8", "utf8"):
        raise RequestError(415, f"the charset '{charset}' is not UTF-8", fix="send UTF-8")


def read_json(request: Request, *, strict: bool = False) -> Any:
    """The request's body as JSON; `strict` as in `check_json`.

    Raises:
        RequestError: 415 when the content type says it is something else, 400 when it is not valid JSON.
    """
    check_json(request, strict=strict)
    return parse_json(request.body)


def parse_json(body: bytes | memoryview) -> Any:
    """JSON (RFC 8259) to values; NaN, Infinity and text that is not UTF-8 are refused with 400."""
    if not body:
        raise RequestError(400, "the request has no body", fix="send a JSON body")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fix = "send null for a missing value" if b"NaN" in bytes(body) else ""
        raise RequestError(400, f"the body is not valid JSON: {error}", fix=fix) from None

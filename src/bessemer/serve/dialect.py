"""What a protocol must be able to do, and what it may ask of the model it speaks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from bessemer.core.errors import nearest
from bessemer.core.signature import Signature
from bessemer.serve.errors import RequestError
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Predictions, Request, Response


@dataclass
class Subject:
    """The model a dialect speaks for: its name, its columns, and what the server allows.

    groups: the names contributions are given for; () when this model cannot explain itself.
    sample: a real row to show as the example request, where the package has one.
    ready: whether requests are taken (False while the server stops).
    """

    name: str
    version: str
    signature: Signature
    groups: tuple[str, ...] = ()
    spec: ServeSpec = field(default_factory=ServeSpec)
    sample: Mapping[str, Any] = field(default_factory=dict)
    ready: bool = True

    def explains(self, asked: bool) -> bool:
        """Whether this answer is explained.

        Raises:
            RequestError: 403 where explanations are switched off, 501 where the model has none.
        """
        if self.spec.explain == "always":
            return bool(self.groups)
        if asked and self.spec.explain == "never":
            raise RequestError(
                403, "explanations are switched off", fix="start the server with `explain: on_request`"
            )
        if asked and not self.groups:
            raise RequestError(501, f"the model '{self.name}' has no explanations")
        return asked

    def check_rows(self, rows: int) -> None:
        """Refuse (413) more rows than the server takes in one request."""
        if rows > self.spec.max_rows:
            raise RequestError(
                413,
                f"{rows} rows are more than the {self.spec.max_rows} one request may have",
                fix="send several requests, or raise `max_rows`",
            )


@dataclass(frozen=True)
class Bodies:
    """JSON Schemas of a request's and a response's body."""

    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})


@dataclass(frozen=True)
class Route:
    """One method and path of a protocol.

    path: with `{model}` and `{version}` where the model's name and version stand.
    answer: for a route that needs no prediction, the function that answers it. Without one, the route
        predicts: the server calls `decode`, the model, `encode`.
    bodies: what it takes and gives, for the OpenAPI description.
    """

    method: str
    path: str
    summary: str
    answer: Callable[[Request], Response] | None = None
    bodies: Bodies = Bodies()

    def at(self, model: str, version: str) -> str:
        """The path for one model.

        >>> Route("GET", "/v1/models/{model}", "").at("churn", "1")
        '/v1/models/churn'
        """
        return self.path.replace("{model}", model).replace("{version}", version)


class Dialect(Protocol):
    """A protocol: bytes to a batch, predictions to bytes. It has no sockets, no threads and no state.

    `decode` and the routes' functions refuse a request by raising RequestError, and raise nothing else.
    `example` gives a request the protocol understands for some rows (each a value a column name): the
    documentation page shows it and the conformance suite (`bessemer.testing.dialects`) sends it.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, subject: Subject) -> None: ...

    @property
    def routes(self) -> Sequence[Route]: ...

    def decode(self, request: Request) -> Batch: ...

    def encode(self, batch: Batch, predictions: Predictions) -> Response: ...

    def error(self, error: RequestError) -> Response: ...

    def example(self, rows: Sequence[dict[str, Any]], *, explain: bool = False) -> Request: ...


def flag(request: Request, name: str) -> bool:
    """A yes or no of the query string: `?explain`, `?explain=true`, `?explain=0`."""
    text = request.query.get(name)
    if text is None:
        return False
    if text.lower() in ("", "1", "true", "yes"):
        return True
    if text.lower() in ("0", "false", "no"):
        return False
    raise RequestError(400, f"?{name}={text} is neither true nor false", fix=f"write ?{name}=true")


def extra_ignored(request: Request) -> bool:
    """Whether names the model does not know are ignored: `?extra=ignore`; by default they are refused."""
    text = request.query.get("extra", "refuse")
    if text not in ("refuse", "ignore"):
        fix = f"write ?extra={nearest(text, ('refuse', 'ignore')) or 'ignore'}"
        raise RequestError(400, f"?extra={text} is neither 'refuse' nor 'ignore'", fix=fix)
    return text == "ignore"

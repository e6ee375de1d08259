"""What a protocol must be able to do, and what it may ask of the server and the models it speaks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from bessemer.core.errors import nearest
from bessemer.core.signature import Signature
from bessemer.package.outliers import OUTLIER, has_outliers
from bessemer.serve.errors import RequestError
from bessemer.serve.row_reader import RowReader
from bessemer.serve.row_writer import RowWriter
from bessemer.serve.spec import ServeSpec
from bessemer.serve.statistics import Statistics
from bessemer.serve.wire import Batch, Predictions, Request, Response, to_json

if TYPE_CHECKING:
    from bessemer.serve.ownership.altered import AlteredAnswers

_USUAL = ("prediction", "probability")
_WITH_OUTLIERS = (*_USUAL, OUTLIER)


def version_number(version: str) -> int:
    """A package's version as the whole number that some protocols want: itself, or major, minor and patch in thousands.

    >>> version_number("7"), version_number("1.2.3"), version_number("2.0.0rc1")
    (7, 1002003, 2000000)
    """
    if version.isascii() and version.isdigit():
        return int(version)
    parts = [int(part) for part in re.findall(r"(?:^|\.)(\d+)", version)[:3]]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return (major * 1000 + minor) * 1000 + patch


@dataclass(eq=False)
class Subject:
    """One version of a model that is loaded: its name, its columns, and what the server allows.

    groups: the names contributions are given for; () when this model cannot explain itself.
    sample: a real row to show as the example request, where the package has one.
    labels: other names of this version ('stable', 'canary').
    source: the package's file or address; digest: of its manifest; size: its bytes; learner: what was trained.
    loading: seconds that it took to open and warm it.
    ready: whether it takes requests (False while it is unloaded or the server stops).
    thresholds: of two classes, the probabilities from which on the second is predicted, that of any group of rows.
    altered: what makes some answers wrong on purpose; None where none is.
    """

    name: str
    version: str
    signature: Signature
    groups: tuple[str, ...] = ()
    spec: ServeSpec = field(default_factory=ServeSpec)
    sample: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    source: str = ""
    digest: str = ""
    learner: str = ""
    size: int = 0
    loading: float = 0.0
    ready: bool = True
    thresholds: tuple[float, ...] = ()
    altered: AlteredAnswers | None = None
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self.number = version_number(self.version)
        self.rows = RowReader(self.signature, self.spec.max_rows)
        self.writer = RowWriter(self.signature)
        self.reference = to_json({"name": self.name, "version": self.version})  #: as JSON bytes

    def explains(self, asked: bool) -> bool:
        """Whether this answer is explained.

        Raises:
            RequestError: 403 where explanations are switched off, 501 where the model has none.
        """
        if asked and self.altered is not None:
            raise RequestError(403, "answers are not explained here")
        if self.spec.explain == "always":
            return bool(self.groups)
        if asked and self.spec.explain == "never":
            raise RequestError(
                403, "explanations are switched off", fix="start the server with `explain: on_request`"
            )
        if asked and not self.groups:
            raise RequestError(501, f"the model '{self.name}' has no explanations")
        return asked

    def outputs(self, outliers: bool) -> tuple[str, ...]:
        """What a row's answer is made of.

        Raises:
            RequestError: 400 where the model cannot say how unusual a row is.
        """
        if outliers and not has_outliers(self.signature):
            fix = "train it with `train: {outliers: true}`, or do not ask for them"
            raise RequestError(400, f"the model '{self.name}' was trained without `outliers`", fix=fix)
        return _WITH_OUTLIERS if outliers else _USUAL

    def check_rows(self, rows: int) -> None:
        """Refuse (413) more rows than the server takes in one request."""
        self.rows.check(rows)


@dataclass(frozen=True)
class Label:
    """What turned out to be true: a class of the model, or a number. time: Unix seconds; 0 for now."""

    prediction_id: str
    label: Any
    time: float = 0.0


State = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]


@dataclass(frozen=True)
class Entry:
    """One version of a model the server knows of, loaded or not; reason: why it is not ready."""

    name: str
    version: str
    state: State
    reason: str = ""
    source: str = ""


class Models(Protocol):
    """The models of a server, as a dialect sees them. Everything but `load` and `unload` is quick."""

    @property
    def spec(self) -> ServeSpec: ...

    @property
    def ready(self) -> bool:
        """Whether the server takes requests: False while it starts and stops."""

    def names(self) -> tuple[str, ...]:
        """The names of the loaded models, in the order they were loaded; the first is the default."""

    def versions(self, name: str) -> tuple[Subject, ...]:
        """The loaded versions of a model, the newest first. RequestError 404: there is no such model."""

    def get(self, name: str | None = None, version: str | None = None, label: str | None = None) -> Subject:
        """The version that answers a request: the named one, or the one that takes the traffic of the moment.

        Args:
            name: a model; without it the default model.
            version: a version's text, or its `number`; label: a label.

        Raises:
            RequestError: 404 when there is none of that name, version or label.
        """

    def index(self) -> tuple[Entry, ...]:
        """Every version the server knows of, loaded or not."""

    def load(self, source: str | None = None, name: str | None = None) -> Subject:
        """Load a package, or one that was unloaded, by its name; slow.

        Args:
            source: the package's file or address.
            name: with a source, the name to serve it under; without one, that of a model that was unloaded.

        Raises:
            RequestError: 400 when the package is refused, 403 when the server's settings forbid it, 404 when there is
                none, 409 when this version is loaded already, 507 when memory does not suffice.
        """

    def unload(self, name: str, version: str | None = None) -> None:
        """Take a model, or one version of it, out of service, and wait until what is in flight is answered; slow.

        Raises:
            RequestError: 404 when it is not loaded.
        """

    def set_default(self, name: str, version: str) -> None:
        """Make a version the one that answers where none is named. RequestError 404: it is not loaded."""

    def feedback(self, name: str, labels: Sequence[Label], client: str = "") -> None:
        """Keep what turned out to be true of earlier predictions of a model.

        Raises:
            RequestError: 400 for a label that is none of the model's, 404 for a model that is not served, 501 when the
                server keeps no prediction log.
        """


@dataclass(frozen=True)
class Bodies:
    """JSON Schemas of a request's and a response's body."""

    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})


class Call:
    """A request that has found its route.

    verb: the route's; params: what stands in the path where its template has names. client: who asks, '' where nobody
    knows.
    subject: the model version that answers. Where the path does not name it, `decode` may set another.
    """

    __slots__ = ("_subject", "client", "params", "request", "verb")

    def __init__(
        self, request: Request, verb: str, params: Mapping[str, str], subject: Subject | None
    ) -> None:
        self.request, self.verb, self.params, self.client = request, verb, params, ""
        self._subject = subject

    @property
    def subject(self) -> Subject:
        if self._subject is None:
            raise RequestError(
                404, "no model is loaded", fix="load one, or name one when the server is started"
            )
        return self._subject

    @subject.setter
    def subject(self, subject: Subject) -> None:
        self._subject = subject


@dataclass(frozen=True)
class Route:
    """One method and path of a protocol.

    method: of HTTP, or `wire.GRPC` with the path /SERVICE/METHOD.
    path: with names in braces. `{model}`, `{version}` and `{label}` choose the model; what other names stand for is in
        `call.params`.
    answer: for a route that needs no prediction, the function that answers it. Without one the route predicts: the
        server calls `decode`, the model, `encode`.
    verb: what `decode` and `encode` are told apart by, where a dialect predicts in several ways.
    bodies: what it takes and gives, for the OpenAPI description.
    slow: `answer` loads or unloads something: it is called in a thread.
    scope: whose key may call it: `predict`, or `admin` where it changes what is served.
    accepts: where dialects share a path: whether a request is this one's. The last that shares it takes the rest.
    union: where dialects share a path: each answers, and the answers' JSON objects are united.
    stream: of gRPC: `in` a stream of messages, each answered; `out` one message, answered by a stream of one.
    broken: of a stream: the message that tells a refusal; without it a refusal ends the stream.
    shown: whether it stands in the OpenAPI description.
    outliers: whether `?outliers` may ask how unusual each row is.
    """

    method: str
    path: str
    summary: str
    answer: Callable[[Call], Response] | None = None
    verb: str = "predict"
    bodies: Bodies = Bodies()
    slow: bool = False
    scope: Literal["predict", "admin"] = "predict"
    accepts: Callable[[Request], bool] | None = None
    union: bool = False
    stream: Literal["", "in", "out"] = ""
    broken: Callable[[Response], bytes] | None = None
    shown: bool = True
    outliers: bool = False

    def at(self, **params: str) -> str:
        """The path with its names filled in.

        >>> Route("GET", "/v1/models/{model}", "").at(model="churn")
        '/v1/models/churn'
        """
        return re.sub(r"\{(\w+)\}", lambda found: params.get(found[1], found[0]), self.path)


class RouteSource(Protocol):
    """What has routes of the server itself, which belong to no dialect; title: over them on the documentation page."""

    title: ClassVar[str]

    @property
    def routes(self) -> Sequence[Route]: ...


class Dialect(Protocol):
    """A protocol: bytes to a batch, predictions to bytes. It has no sockets, no threads and no state.

    `decode`, `encode` and the routes' functions refuse a request by raising RequestError, and raise nothing else.
    `example` gives a request the protocol understands for some rows (each a value a column name): the
    documentation page shows it and the conformance suite (`bessemer.testing.dialects`) sends it. Where the protocol has
    no place for explanations, `explain` is ignored and `explaining` is False.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    explaining: ClassVar[bool]

    def __init__(self, models: Models) -> None: ...

    @property
    def routes(self) -> Sequence[Route]: ...

    def decode(self, call: Call) -> Batch: ...

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response: ...

    def error(self, error: RequestError) -> Response: ...

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request: ...


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
    if not request.query:
        return False
    text = request.query.get("extra", "refuse")
    if text not in ("refuse", "ignore"):
        fix = f"write ?extra={nearest(text, ('refuse', 'ignore')) or 'ignore'}"
        raise RequestError(400, f"?extra={text} is neither 'refuse' nor 'ignore'", fix=fix)
    return text == "ignore"


def asked_in_query(request: Request) -> bool:
    """Whether `?explain` asks for contributions; wrong words in the query are refused, whatever the body says."""
    if not request.query:
        return False
    extra_ignored(request)
    return flag(request, "explain")


def outliers_in_query(request: Request) -> bool:
    """Whether `?outliers` asks how unusual each row is."""
    return bool(request.query) and flag(request, "outliers")

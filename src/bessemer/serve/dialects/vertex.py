"""The container contract of Vertex AI: `{"instances", "parameters"}` to `{"predictions"}` at the routes it names.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements (AIP_MODE_VERSION 1.0.0)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.serve import table_schemas
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.frames import read_rows
from bessemer.serve.health import health, no_browser
from bessemer.serve.plugins import spoken
from bessemer.serve.wire import (
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    check_json,
    parse_json,
    to_json,
)

_DEPLOYED = "/v1/endpoints/{endpoint}/deployedModels/{deployed}"
_PARAMETERS = ("explain",)
#: Paths that another dialect answers as Vertex AI wants it: where a platform names one, it is left to that dialect.
_OTHERS: Mapping[str, tuple[str, ...]] = {
    r"/": ("kserve_v1",),
    r"/healthz": ("plain",),
    r"/v2(/.*)?": ("v2",),
    r"/v1/models(/.*)?": ("kserve_v1", "tensorflow"),
    r"/invocations": ("sagemaker", "mlflow"),
}


class Vertex:
    """Instances are objects, or lists in the order of the signature; predictions are those of KServe V1.

    `"parameters": {"explain": true}` adds the explanation to each prediction. AIP_PREDICT_ROUTE and AIP_HEALTH_ROUTE
    are read when the server starts; without them the routes are those of the platform, for any endpoint.

    Raises:
        UsageError: a route of the environment is no path.
    """

    name: ClassVar[str] = "vertex"
    title: ClassVar[str] = "Google Vertex AI"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models
        self._predict = _route("AIP_PREDICT_ROUTE", f"{_DEPLOYED}:predict")
        self._health = _route("AIP_HEALTH_ROUTE", _DEPLOYED)

    @property
    def routes(self) -> Sequence[Route]:
        bodies = table_schemas.vertex()
        found = [Route("POST", f"{_DEPLOYED}:predict", "Predict instances.", bodies=bodies, shown=False)]
        healths = {_DEPLOYED, f"{_DEPLOYED}:predict"}
        if self._predict != found[0].path and not self._left_to_others(self._predict):
            found.append(Route("POST", self._predict, "Predict instances.", bodies=bodies, accepts=_is_ours))
        if not self._left_to_others(self._health):
            healths.add(self._health)
        # the platform's own reference says `:predict` for the default of both routes
        return (*found, *map(self._health_route, sorted(healths)))

    def _health_route(self, path: str) -> Route:
        summary = "Whether the server takes requests."
        if path == "/":  # where browsers find the documentation
            return Route("GET", path, summary, answer=self._ready, accepts=no_browser, shown=False)
        return Route("GET", path, summary, answer=self._ready, union=True, shown=False)

    def _left_to_others(self, path: str) -> bool:
        named = set(spoken(self._models.spec.dialects))
        return any(named & set(names) and re.fullmatch(pattern, path) for pattern, names in _OTHERS.items())

    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        check_json(request)
        asked = asked_in_query(request)
        values = subject.rows.decode(request.body, "instances")
        if values is not None:
            return Batch(len(values), values, explain=subject.explains(asked), typed=True)
        body = parse_json(request.body)
        if not isinstance(body, dict) or "instances" not in body:
            raise RequestError(400, "the body has no list 'instances'", fix='send {"instances": [{...}]}')
        asked = asked or _explain(body.get("parameters"))
        batch = read_rows(subject, body["instances"], "instances", ignore_extra=extra_ignored(request))
        batch.explain = subject.explains(asked)
        return batch

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        writer = call.subject.writer
        rows = writer.bare(predictions) if predictions.base is None else writer.rows(predictions)
        return Response(200, b'{"predictions":[%b]}' % b",".join(rows))

    def error(self, error: RequestError) -> Response:
        return Response(error.status, to_json({"error": error.line}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        body: dict[str, Any] = {"instances": list(rows)}
        if explain:
            body["parameters"] = {"explain": True}
        path = _DEPLOYED.format(endpoint="1", deployed="1") + ":predict"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json(body))

    def _ready(self, call: Call) -> Response:
        return health(self._models)


def _route(name: str, default: str) -> str:
    """A route that the environment names.

    Raises:
        UsageError: it is no path.
    """
    path = os.environ.get(name, "").strip()
    if path and not re.fullmatch(r"/[^{}?#\s]*", path):
        raise UsageError(
            f"{name} is '{path}', not a path", fix=f"set {name} to a path such as /predict, or unset it"
        )
    return path or default


def _is_ours(request: Request) -> bool:
    """Whether a request at a path that another dialect has as well is for Vertex AI."""
    return b'"instances"' in request.body[:1024] or b'"instances"' in request.body[-1024:]


def _explain(parameters: Any) -> bool:
    if parameters is None:
        return False
    if not isinstance(parameters, dict):
        raise RequestError(400, f"'parameters' is {shown(parameters)}, not an object")
    for name in parameters:
        if name not in _PARAMETERS:
            fix = did_you_mean(name, _PARAMETERS)
            raise RequestError(400, f"the model has no parameter {shown(name)}", fix=fix)
    explain = parameters.get("explain", False)
    if not isinstance(explain, bool):
        raise RequestError(400, f"'explain' is {shown(explain)}", fix="send true or false")
    return explain

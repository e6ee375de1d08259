"""The routes that change what is served: `/deployments`, for those whose key has the scope `admin`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bessemer.core.spec import Duration, Share
from bessemer.serve.deployments import changes
from bessemer.serve.deployments.deployments import Deployments
from bessemer.serve.deployments.state import Gates
from bessemer.serve.dialect import Bodies, Call, Route
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Request, Response, json_response, read_json

Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class GatesBody(_Body):
    """What a canary is held to (see `state.Gates`)."""

    requests: int = Field(1000, ge=1)
    seconds: Duration = Field(60.0, ge=0)
    error_rate: Share = 0.01
    latency: float = Field(1.5, gt=0)
    deaths: int = Field(1, ge=0)
    metric: Literal["", "accuracy", "mae"] = ""
    labels: int = Field(200, ge=1)
    worse_by: Share = 0.02


class DeployBody(_Body):
    """What `POST /deployments` takes."""

    package: str = Field(min_length=1, max_length=4096)
    mode: changes.Mode = "replace"
    weight: Share = 0.1
    steps: list[Share] = Field(default_factory=list, max_length=20)
    gates: GatesBody = Field(default_factory=GatesBody)


class VersionBody(_Body):
    version: str = ""


class WeightsBody(_Body):
    weights: dict[str, float] = Field(min_length=1, max_length=100)


class LabelBody(_Body):
    label: str = Field(pattern=r"^[A-Za-z0-9_]{1,64}$")
    version: str = ""


class Control:
    """The deployments of a server as routes.

    | route | does |
    | --- | --- |
    | GET /deployments | what is deployed, with figures |
    | POST /deployments | deploys a package: replace, split, canary or shadow |
    | POST /deployments/{model}/promote | gives a version all requests |
    | POST /deployments/{model}/rollback | goes back to what was before the last change |
    | PUT /deployments/{model}/traffic | shares requests by weights |
    | PUT /deployments/{model}/labels | names a version |
    | DELETE /deployments/{model}[/{version}] | takes it out of service |
    """

    title: ClassVar[str] = "Deployments"

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    @property
    def routes(self) -> Sequence[Route]:
        one = "/deployments/{model}"
        return (
            self._route("GET", "/deployments", "What is deployed, with figures.", self._show, slow=False),
            self._route("POST", "/deployments", "Deploy a package.", self._deploy, DeployBody),
            self._route("POST", f"{one}/promote", "Give a version all requests.", self._promote, VersionBody),
            self._route("POST", f"{one}/rollback", "Go back to before the last change.", self._rollback),
            self._route("PUT", f"{one}/traffic", "Share the requests by weights.", self._weigh, WeightsBody),
            self._route("PUT", f"{one}/labels", "Name a version.", self._label, LabelBody),
            self._route("DELETE", one, "Take a model out of service.", self._remove),
            self._route("DELETE", f"{one}/{{version}}", "Take a version out of service.", self._remove),
        )

    def _route(
        self,
        method: str,
        path: str,
        summary: str,
        answer: Callable[[Call], Response],
        body: type[BaseModel] | None = None,
        *,
        slow: bool = True,
    ) -> Route:
        schema = _whole_schema(body) if body else {}
        bodies = Bodies(schema, {"type": "object"})
        return Route(method, path, summary, answer=answer, bodies=bodies, slow=slow, scope="admin")

    def _show(self, call: Call) -> Response:
        return json_response(self._deployments.describe())

    def _deploy(self, call: Call) -> Response:
        body = _read(call.request, DeployBody)
        gates = Gates(**body.gates.model_dump())
        self._deployments.deploy(
            body.package, mode=body.mode, weight=body.weight, gates=gates, steps=tuple(body.steps)
        )
        return self._show(call)

    def _promote(self, call: Call) -> Response:
        body = _read(call.request, VersionBody)
        return self._changed(call, lambda state: changes.promote(state, call.params["model"], body.version))

    def _rollback(self, call: Call) -> Response:
        return self._changed(call, lambda state: changes.rollback(state, call.params["model"]))

    def _weigh(self, call: Call) -> Response:
        body = _read(call.request, WeightsBody)
        return self._changed(call, lambda state: changes.weigh(state, call.params["model"], body.weights))

    def _label(self, call: Call) -> Response:
        body = _read(call.request, LabelBody)
        name = call.params["model"]
        return self._changed(call, lambda state: changes.label(state, name, body.label, body.version))

    def _remove(self, call: Call) -> Response:
        name, version = call.params["model"], call.params.get("version", "")
        return self._changed(call, lambda state: changes.remove(state, name, version))

    def _changed(self, call: Call, change: Callable[[Any], Any]) -> Response:
        self._deployments.change(change)
        return self._show(call)


def _read(request: Request, kind: type[Body]) -> Body:
    value = read_json(request, strict=True) if request.body else {}
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}" for e in error.errors()[:5]
        )
        raise RequestError(400, faults, fix="see /docs for what this route takes") from None


def _whole_schema(body: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a body, with the schemas that it refers to written out."""
    schema = body.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return whole(parts[value["$ref"].rpartition("/")[2]])
            return {key: whole(inner) for key, inner in value.items()}
        return [whole(inner) for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = whole(schema)
    return found

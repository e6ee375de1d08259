"""Clipper's management API: what it reads of applications and models, and what it changes of versions.

management_frontend.hpp of https://github.com/ucbrise/clipper (0.4). What creates applications, models and containers is
not here: models come as packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bessemer.serve import clipper_apps as apps
from bessemer.serve.dialect import Call, Models, Route
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Response, json_response, parse_json


class Management:
    """The routes under `/admin`; their errors are plain text."""

    def __init__(self, models: Models, named: Mapping[str, apps.Application]) -> None:
        self._models, self._named = models, named

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/admin/ping", "Whether it lives.", answer=_pong, shown=False),
            self._admin("get_all_applications", self._all_applications),
            self._admin("get_application", self._application),
            self._admin("get_linked_models", self._linked),
            self._admin("get_all_models", self._all_models),
            self._admin("get_model", self._model),
            self._admin("set_model_version", self._set_version, changes=True),
            self._admin("delete_versioned_model", self._delete, changes=True),
        )

    def _admin(
        self, what: str, answer: Callable[[dict[str, Any]], Response], *, changes: bool = False
    ) -> Route:
        def told(call: Call) -> Response:
            try:
                body = parse_json(call.request.body)
                if not isinstance(body, dict):
                    raise RequestError(400, "Can only get key-value pair from an object")
                return answer(body)
            except RequestError as error:  # the management API says its errors in plain text
                return Response(error.status, error.line.encode("utf-8"), "text/plain", error.headers)

        scope: Any = "admin" if changes else "predict"
        return Route("POST", f"/admin/{what}", what, answer=told, slow=changes, scope=scope, shown=False)

    def _apps(self) -> list[apps.Application]:
        names = dict.fromkeys([*self._named, *self._models.names()])
        return [apps.application(self._models.spec.clipper, self._named, name) for name in names]

    def _all_applications(self, body: dict[str, Any]) -> Response:
        if _verbose(body):
            return json_response([apps.described(self._models, app) for app in self._apps()])
        return json_response([app.name for app in self._apps()])

    def _application(self, body: dict[str, Any]) -> Response:
        name = _text(body, "name")
        found = [apps.described(self._models, app) for app in self._apps() if app.name == name]
        return json_response(found[0] if found else {})

    def _linked(self, body: dict[str, Any]) -> Response:
        name = _text(body, "app_name")
        for app in self._apps():
            if app.name == name:
                return json_response([app.model])
        raise RequestError(400, f"No application with name '{name}' exists.")

    def _all_models(self, body: dict[str, Any]) -> Response:
        verbose = _verbose(body)
        found = [each for name in self._models.names() for each in self._models.versions(name)]
        if verbose:
            return json_response([apps.described_model(self._models, each) for each in found])
        return json_response([f"{each.name}:{each.version}" for each in found])

    def _model(self, body: dict[str, Any]) -> Response:
        found = apps.find_model(self._models, _text(body, "model_name"), _text(body, "model_version"))
        return json_response(apps.described_model(self._models, found) if found else {})

    def _set_version(self, body: dict[str, Any]) -> Response:
        name, version = _text(body, "model_name"), _text(body, "model_version")
        if apps.find_model(self._models, name, version) is None:
            what = f"Cannot set non-existent version '{version}' for model with name '{name}'"
            raise RequestError(400, what)
        self._models.set_default(name, version)
        return _said(f"Successfully set model with name '{name}' to version '{version}'")

    def _delete(self, body: dict[str, Any]) -> Response:
        name, version = _text(body, "model_name"), _text(body, "model_version")
        if apps.find_model(self._models, name, version) is None:
            raise RequestError(400, f"model with name '{name}' and version '{version}' does not exist")
        self._models.unload(name, version)
        return _said(f"Successfully deleted model with name '{name}' and version '{version}'")


def _pong(call: Call) -> Response:
    return _said("PONG")


def _said(text: str) -> Response:
    return Response(200, text.encode("utf-8"), "text/plain")


def _verbose(body: dict[str, Any]) -> bool:
    verbose = body.get("verbose")
    if isinstance(verbose, bool):
        return verbose
    raise RequestError(400, "JSON object does not have required key: verbose", fix="send true or false")


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if isinstance(value, str):
        return value
    raise RequestError(400, f"JSON object does not have required key: {key}", fix="send a JSON string")

"""The OpenAPI 3.1 description of a server, made from its routes and the model's signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from bessemer.core.signature import Field, Signature
from bessemer.serve import schemas
from bessemer.serve.dialect import Dialect, Route, Subject
from bessemer.serve.rows import class_key

_TIME = "2024-01-31T12:00:00Z"
_MOST_CLASSES = 6
_REFUSALS = {
    "400": "The request is not understood; the body says which row, field and value.",
    "404": "No such model or path.",
    "413": "More bytes or rows than the server takes.",
    "415": "Not JSON.",
    "503": "The server is full or stopping; try again.",
}


def describe(subject: Subject, dialects: Sequence[Dialect]) -> dict[str, Any]:
    """The description as an OpenAPI object.

    Routes with a `{version}` are left out: they are those without one, for the same single version.
    """
    paths: dict[str, dict[str, Any]] = {}
    for dialect in dialects:
        for route in dialect.routes:
            if "{version}" not in route.path:
                path = route.at(subject.name, subject.version)
                paths.setdefault(path, {})[route.method.lower()] = _operation(subject, dialect, route, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": subject.name, "version": subject.version, "description": _about(subject.signature)},
        "servers": [{"url": "/"}],
        "tags": [{"name": dialect.title} for dialect in dialects],
        "paths": paths,
        "components": {"schemas": schemas.components(subject)},
    }


def _about(signature: Signature) -> str:
    if signature.task == "regression":
        return f"Predicts the number `{signature.target}`."
    classes = ", ".join(class_key(value) for value in signature.classes[:_MOST_CLASSES])
    more = (
        f" and {len(signature.classes) - _MOST_CLASSES} more"
        if len(signature.classes) > _MOST_CLASSES
        else ""
    )
    return f"Predicts `{signature.target}`: {classes}{more}."


def _operation(subject: Subject, dialect: Dialect, route: Route, path: str) -> dict[str, Any]:
    words = path.strip("/").replace("/", "_").replace(":", "_").replace("-", "_") or "root"
    made: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{words}",
        "summary": route.summary,
        "tags": [dialect.title],
        "responses": {"200": _answer("The answer.", route.bodies.response)},
    }
    if route.answer is None:
        made["parameters"] = [
            _query("explain", "boolean", "Whether the answer has contributions."),
            _query("extra", "string", "`ignore`: names the model does not know are ignored."),
        ]
        example = orjson.loads(_example(subject, dialect, path))
        content = {"application/json": {"schema": route.bodies.request, "example": example}}
        made["requestBody"] = {"required": True, "content": content}
        made["responses"] |= {status: {"description": text} for status, text in _REFUSALS.items()}
    return made


def _example(subject: Subject, dialect: Dialect, path: str) -> bytes:
    """The body of the dialect's example for a path: the explained one where that is another path's."""
    rows = [example_row(subject)]
    explained = dialect.example(rows, explain=True)
    if explained.path == path and subject.groups and subject.spec.explain != "never":
        return explained.body
    return dialect.example(rows).body


def _answer(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _query(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind}}


def example_row(subject: Subject) -> dict[str, Any]:
    """A row that can be sent: the package's own sample, or values from the middle of each input's domain."""
    if subject.sample:
        return dict(subject.sample)
    return {field.name: _example_value(field) for field in subject.signature.inputs}


def _example_value(field: Field) -> Any:
    domain = field.domain
    if field.dtype == "string":
        return next(iter(domain.get("categories") or ["text"]))
    if field.dtype == "boolean":
        return True
    low, high = domain.get("min"), domain.get("max")
    if field.dtype == "timestamp":
        return low if isinstance(low, str) else _TIME
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return 1
    middle = (low + high) / 2
    return int(middle) if field.dtype == "integer" else round(middle, 3)

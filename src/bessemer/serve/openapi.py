"""The OpenAPI 3.1 description of a server, made from its routes and the model's signature."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from bessemer._version import __version__
from bessemer.core.signature import Field, Signature
from bessemer.package.outliers import has_outliers
from bessemer.serve import schemas
from bessemer.serve.dialect import Dialect, Models, Route, RouteSource, Subject
from bessemer.serve.row_writer import class_key
from bessemer.serve.wire import GRPC, JSON

_TIME = "2024-01-31T12:00:00Z"
_MOST_CLASSES = 6
_REFUSALS = {
    "400": "The request is not understood; the body says which row, field and value.",
    "403": "Explanations are switched off, or the client may not do this.",
    "404": "No such model or path.",
    "413": "More bytes or rows than the server takes.",
    "415": "Not JSON.",
    "501": "The model has no explanations.",
    "503": "The server is full or stopping; try again.",
    "504": "There was no answer in time.",
}
_DEFAULT = {"default": {"description": "A refusal, in the words of this protocol."}}


_SCHEMAS = "#/components/schemas/"
_QUERY = (
    {
        "name": "explain",
        "in": "query",
        "description": "Whether the answer has contributions.",
        "schema": {"type": "boolean"},
    },
    {
        "name": "extra",
        "in": "query",
        "description": "`ignore`: names the model does not know are ignored.",
        "schema": {"enum": ["refuse", "ignore"], "default": "refuse"},
    },
)
_OUTLIERS = {
    "name": "outliers",
    "in": "query",
    "description": "Whether the answer says how unusual each row is.",
    "schema": {"type": "boolean"},
}


def describe(models: Models, dialects: Sequence[Dialect], own: Sequence[RouteSource] = ()) -> dict[str, Any]:
    """The description as an OpenAPI object, of every loaded model.

    Routes with a `{version}` or a `{label}` are left out: they are those without one, for one version. Where dialects
    share a path, it stands where the first has it.

    Args:
        own: what has routes of the server itself.
    """
    subjects = [models.get(name) for name in models.names()]
    paths: dict[str, dict[str, Any]] = {}
    schemas_of: dict[str, Any] = {}
    for subject in reversed(
        subjects
    ):  # the first is the default, which has the routes without a model's name
        prefix = "" if subject is subjects[0] else f"{subject.name}."
        made = {prefix + name: schema for name, schema in schemas.components(subject).items()}
        schemas_of = {**made, **schemas_of}
        here: dict[str, dict[str, Any]] = {}
        for dialect, route in _shown(dialects):
            path = route.at(model=subject.name)
            operation = _operation(subject, dialect, route, path)
            here.setdefault(path, {}).setdefault(route.method.lower(), _prefixed(operation, prefix))
        for source in own:
            for route in source.routes:
                if route.shown and "{version}" not in route.path:
                    path = route.at(model=subject.name)
                    here.setdefault(path, {})[route.method.lower()] = _own_operation(
                        source.title, route, path
                    )
        paths |= here
        schemas_of |= {name: _prefixed(schema, prefix) for name, schema in made.items()}
    first = subjects[0] if subjects else None
    used = {tag for methods in paths.values() for operation in methods.values() for tag in operation["tags"]}
    titles = [each.title for each in (*dialects, *own) if each.title in used]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": first.name if first else "bessemer",
            "version": first.version if first else __version__,
            "description": " ".join(_about(subject.signature) for subject in subjects),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": title} for title in titles],
        "paths": dict(sorted(paths.items(), key=lambda item: _order(item[0], dialects))),
        "components": {"schemas": schemas_of},
    }


def _shown(dialects: Sequence[Dialect]) -> Iterator[tuple[Dialect, Route]]:
    for dialect in dialects:
        for route in dialect.routes:
            hidden = "{version}" in route.path or "{label}" in route.path or not route.shown
            if route.method != GRPC and not hidden:
                yield dialect, route


def _order(path: str, dialects: Sequence[Dialect]) -> int:
    """The place of a path: that of its dialect's routes."""
    patterns = [re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(route.path)) for _, route in _shown(dialects)]
    return next((i for i, pattern in enumerate(patterns) if re.fullmatch(pattern, path)), len(patterns))


def _prefixed(value: Any, prefix: str) -> Any:
    """The same with references to the schemas of another model than the default one."""
    if not prefix:
        return value
    return orjson.loads(orjson.dumps(value).replace(_SCHEMAS.encode(), (_SCHEMAS + prefix).encode()))


def _about(signature: Signature) -> str:
    targets = [(signature.target, signature.classes), *((one.name, one.classes) for one in signature.further)]
    return " ".join(_predicts(name, classes) for name, classes in targets)


def _predicts(name: str, classes: Sequence[Any]) -> str:
    if not classes:
        return f"Predicts the number `{name}`."
    shown = ", ".join(class_key(value) for value in classes[:_MOST_CLASSES])
    more = f" and {len(classes) - _MOST_CLASSES} more" if len(classes) > _MOST_CLASSES else ""
    return f"Predicts `{name}`: {shown}{more}."


def _operation(subject: Subject, dialect: Dialect, route: Route, path: str) -> dict[str, Any]:
    made = _own_operation(dialect.title, route, path)
    if route.answer is None:
        made["parameters"] = [
            *made.get("parameters", []),
            *(_QUERY if dialect.explaining else ()),
            *([_OUTLIERS] if route.outliers and has_outliers(subject.signature) else ()),
        ]
        made["requestBody"] = {"required": True, "content": _content(subject, dialect, route, path)}
        made["responses"] |= {status: {"description": text} for status, text in _REFUSALS.items()}
    return made


def _own_operation(title: str, route: Route, path: str) -> dict[str, Any]:
    """What every route has."""
    words = path.strip("/").replace("/", "_").replace(":", "_").replace("-", "_") or "root"
    made: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{words}",
        "summary": route.summary,
        "tags": [title],
        "responses": {"200": _answer("The answer.", route.bodies.response), **_DEFAULT},
    }
    names = re.findall(r"\{(\w+)\}", path)
    if names:
        made["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.answer is not None and route.bodies.request:
        made["requestBody"] = {"content": {JSON: {"schema": route.bodies.request}}}
    return made


def _content(subject: Subject, dialect: Dialect, route: Route, path: str) -> dict[str, Any]:
    """The request's body with the dialect's example: for this path, or for another that takes the same."""
    rows = [example_row(subject)]
    request = dialect.example(subject, rows, explain=True)
    if request.path != path or not subject.groups or subject.spec.explain == "never":
        request = dialect.example(subject, rows)
    kind = request.headers.get("content-type", JSON)
    content: dict[str, Any] = {"schema": route.bodies.request}
    takers = [each.bodies for each in dialect.routes if _is_at(each, subject, request.path)]
    if kind == JSON and (not takers or takers[0].request == route.bodies.request):
        content["example"] = orjson.loads(request.body)
    return {kind: content}


def _is_at(route: Route, subject: Subject, path: str) -> bool:
    """Whether a path is a route's, for this model."""
    versions = (subject.version, str(subject.number))
    return any(route.at(model=subject.name, version=version) == path for version in versions)


def _answer(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


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

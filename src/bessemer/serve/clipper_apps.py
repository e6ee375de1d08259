"""Clipper's applications: which model each is linked to, its latency objective and its default output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bessemer.serve.clipper_spec import ClipperSpec, Output
from bessemer.serve.columns import takes_matrix
from bessemer.serve.dialect import Models, Subject
from bessemer.serve.errors import RequestError


@dataclass(frozen=True)
class Application:
    """slo: seconds within which it answers; None: it has no default output, and a late answer is an error."""

    name: str
    model: str
    slo: float | None = None
    default: Output = ""

    @property
    def output(self) -> bytes:
        """The default output as JSON: text that is JSON stands as what it says.

        >>> Application("digits", "digits", 0.1, "-1").output, Application("digits", "digits", 0.1, "none").output
        (b'-1', b'"none"')
        """
        if isinstance(self.default, str):
            try:
                return orjson.dumps(orjson.loads(self.default))
            except orjson.JSONDecodeError:
                pass
        return orjson.dumps(self.default)


def applications(spec: ClipperSpec | None) -> dict[str, Application]:
    """The applications that the settings name."""
    if spec is None:
        return {}
    return {
        name: Application(
            *(name, app.model or name, app.slo or spec.slo),
            default=spec.default if app.default is None else app.default,
        )
        for name, app in spec.apps.items()
    }


def application(spec: ClipperSpec | None, named: Mapping[str, Application], name: str) -> Application:
    """An application: one that is named, or a model's own."""
    if name in named:
        return named[name]
    return Application(name, name) if spec is None else Application(name, name, spec.slo, spec.default)


# the management API --------------------------------------------------------------------------------
def described(models: Models, app: Application) -> dict[str, Any]:
    """An application as Clipper's management API describes it."""
    seconds = models.spec.timeout if app.slo is None else app.slo
    default = app.default if isinstance(app.default, str) else orjson.dumps(app.default).decode()
    return {
        "input_type": _input_type(models.get(app.model)),
        "default_output": default,
        "latency_slo_micros": round(seconds * 1e6),
        "name": app.name,
        "linked_models": [app.model],
    }


def described_model(models: Models, subject: Subject) -> dict[str, Any]:
    """A version of a model as Clipper's management API describes it; it has no container."""
    return {
        "model_name": subject.name,
        "model_version": subject.version,
        "input_type": _input_type(subject),
        "labels": list(subject.labels),
        "container_name": "",
        "model_data_path": subject.source,
        "is_current_version": models.get(subject.name) is subject,
    }


def find_model(models: Models, name: str, version: str) -> Subject | None:
    """A version of a model; None where it is not loaded."""
    try:
        return models.get(name, version)
    except RequestError:
        return None


def _input_type(subject: Subject) -> str:
    """Clipper's arrays have one type; those of a model with columns of several are called strings."""
    return "doubles" if takes_matrix(subject.signature.inputs) else "strings"

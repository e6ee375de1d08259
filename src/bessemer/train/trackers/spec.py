"""What the project file may say under `track`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bessemer.core.spec import Spec


def _switch(value: Any) -> Any:
    """YAML reads a bare `off` as false and `on` as true."""
    return (
        {False: "off", True: "auto", "on": "auto"}.get(value, value)
        if isinstance(value, bool | str)
        else value
    )


def _address(value: Any) -> Any:
    value = _switch(value)
    if not isinstance(value, str) or (value not in ("auto", "off") and ":" not in value):
        raise ValueError(f"{value!r} is not auto, off or the URL of a tracking server (http://host:5000)")
    return value


class TrackSpec(Spec):
    """Where runs are tracked."""

    mlflow: Annotated[str, BeforeValidator(_address)] = Field(
        "auto",
        description="`auto`: .bessemer/mlflow.db beside the project file, where MLflow is installed; `off`; or the "
        "URL of a tracking server",
    )
    tensorboard: Annotated[Literal["auto", "off"], BeforeValidator(_switch)] = Field(
        "auto",
        description="`auto`: event files under .bessemer/tensorboard, where tensorboardX is installed; `off`",
    )

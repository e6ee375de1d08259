"""What the project file may say about Clipper's applications."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bessemer.core.spec import Duration, Spec

Output = str | int | float | bool
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class ClipperApp(Spec):
    """One application: a name under which a model answers. What is absent is as for all applications."""

    model: str = Field(
        "", description="The model that answers; without it, the one of the application's name."
    )
    slo: Duration | None = Field(None, gt=0, description="The time within which it answers.")
    default: Output | None = Field(None, description="The output where the model does not answer in time.")


class ClipperSpec(Spec):
    """When and with what Clipper's routes answer in place of a model that is late.

    >>> ClipperSpec(slo="100ms", default="-1").slo
    0.1
    """

    slo: Duration = Field(
        0.1, gt=0, description="The time within which an answer is given: the model's, or the default."
    )
    default: Output = Field("", description="The output where the model does not answer in time.")
    apps: dict[Name, ClipperApp] = Field(
        default_factory=dict,
        description="Applications with a model, a time or a default of their own. Every model is an application too.",
    )

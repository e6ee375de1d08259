"""What the project file may say under `annotate`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bessemer.core.spec import Spec


class AnnotateSpec(Spec):
    positive: str | int | bool | None = Field(
        default=None,
        description="The class of a binary target that the model gives the probability of. By default true, 1, yes "
        "and the like; the later one in order where neither is such a word.",
    )
    rare: Literal["error", "set_aside"] = Field(
        default="error",
        description="What happens to classes with a single row, which cannot be both learned and judged: the run "
        "stops, or their rows go to the unlabelled ones.",
    )

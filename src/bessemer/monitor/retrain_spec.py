"""What the project file may say about training again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bessemer.core.spec import Duration, Share, Spec
from bessemer.monitor.rate import Rate, parse_rate

#: schedule: time has passed. new_data: the sources have more rows. drift: inputs or outputs are not what they were.
#: performance: the model is worse, or its errors are.
Cause = Literal["schedule", "new_data", "drift", "performance"]


class DeploySpec(Spec):
    """How a model that won is given to the running server."""

    server: str = Field(
        "http://127.0.0.1:8080", pattern=r"^https?://", description="The address of the server."
    )
    key_env: str = Field(
        "BESSEMER_SERVER_KEY",
        min_length=1,
        description="The environment variable that has the key with the scope admin.",
    )
    canary: list[Share] = Field(
        [0.05, 0.25, 0.5],
        max_length=20,
        description="The shares of the requests it gets on trial, one after the other; [] gives it all at once.",
    )
    requests: int = Field(1000, ge=1, description="Of a canary: requests it must answer in each step.")
    seconds: Duration = Field(60.0, description="Of a canary: how long a step lasts at least.")
    error_rate: Share = Field(0.01, description="Of a canary: how much higher its share of failures may be.")
    latency: float = Field(
        1.5, gt=0, description="Of a canary: how many times the other's 95th percentile is allowed."
    )
    patience: Duration = Field(
        86_400.0, ge=1, description="How long the end of a canary is waited for; it goes on without us."
    )


class RetrainSpec(Spec):
    """When a model is trained again, and what it must be able to do to be served.

    >>> RetrainSpec(on=["schedule"], every="7d").every
    604800.0
    """

    on: list[Cause] = Field(
        ["drift", "performance"],
        description="What makes it train again: schedule, new_data, drift, performance. By hand is always possible.",
    )
    every: Duration = Field(30 * 86_400.0, ge=1, description="With `schedule`: how old a model may become.")
    new_rows: Share = Field(
        0.1, gt=0, description="With `new_data`: how many more rows than the served model was made of."
    )
    windows: int = Field(
        1, ge=1, description="With `drift` and `performance`: in how many windows in a row it must be found."
    )
    at_most: Rate = Field(
        parse_rate("1 per day"), description="How often it may begin, whatever is found, as '1 per day'."
    )
    rows: int = Field(
        200, ge=20, description="The fewest fresh rows, which neither model has trained on, to compare on."
    )
    margin: Share = Field(
        0.01,
        description="How much worse than the served model it may be at the end of the 95 % interval, as a share of "
        "the metric.",
    )
    deploy: DeploySpec | None = Field(
        None, description="Where the winner goes; nowhere where it is left out."
    )


def parse_retrain(value: Any) -> Any:
    """`retrain: true` is the usual settings, `retrain: [drift]` short for `{on: [drift]}`."""
    if value is True:
        return {}
    if value is False:
        return None
    return {"on": value} if isinstance(value, list) else value


Retrain = Annotated[
    RetrainSpec | None,
    BeforeValidator(parse_retrain, json_schema_input_type=bool | list[Cause] | RetrainSpec | None),
]

"""What the project file may say about the prediction log: `serve: log:`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Duration, Share, Size, Spec
from bessemer.serve.log.plugins import SINKS


class ColumnsSpec(Spec):
    """Which inputs are logged; all by default."""

    exclude: list[str] = Field([], description="Inputs that are not logged, not even in the journal.")
    hash: list[str] = Field(
        [], description="Inputs that are logged as a keyed hash (BLAKE2b): equal values stay equal."
    )
    key: str = Field(
        "", description="The file with the key of `hash`: at least 16 random bytes, kept by you."
    )

    @model_validator(mode="after")
    def _whole(self) -> ColumnsSpec:
        if self.hash and not self.key:
            raise ValueError("`hash` needs a `key`: make one with `head -c 32 /dev/urandom > log.key`")
        if both := set(self.exclude) & set(self.hash):
            raise ValueError(f"{', '.join(sorted(both))} cannot be both in `exclude` and in `hash`")
        return self


def _sinks(value: Any) -> Named:
    """`[parquet, {elasticsearch: {...}}]`, or the mapping that was made of it."""
    entries = [{name: settings} for name, settings in value.items()] if isinstance(value, dict) else value
    return parse_named(entries, SINKS, "a sink", "parquet")


class LogSpec(Spec):
    """How predictions are logged.

    >>> LogSpec(sample="10%", keep="30d").sample
    0.1
    """

    folder: str = Field(
        "prediction-log",
        min_length=1,
        description="Where the log is, a folder on a disk of this machine; seen from where the server starts.",
    )
    sample: Share = Field(1.0, gt=0, description="The share of requests that is logged, whole requests.")
    columns: ColumnsSpec = Field(
        default_factory=ColumnsSpec, description="Which inputs are logged, and which only as a hash."
    )
    fsync: Literal["none", "interval", "always"] = Field(
        "none",
        description="When the journal is forced to the disk. `none`: nothing acknowledged is lost when the "
        "process dies; `interval`: at most a second is lost when the power fails; `always`: nothing is.",
    )
    roll_size: Size = Field(
        32 * 2**20, ge=4096, description="A journal segment of this size becomes Parquet."
    )
    roll_age: Duration = Field(900.0, gt=0, description="A journal segment of this age becomes Parquet.")
    keep: Duration | None = Field(
        90 * 86_400.0, description="Days older than this are deleted; null keeps all."
    )
    max_disk: Size | None = Field(
        None, description="The most the log may take; the oldest files are deleted first. null: no limit."
    )
    on_full: Literal["drop", "refuse"] = Field(
        "drop",
        description="When the log cannot be written: `drop` answers and counts what was lost, `refuse` answers 503.",
    )
    sinks: Annotated[Named, BeforeValidator(_sinks, json_schema_input_type=list[str | dict[str, Any]])] = (
        Field({"parquet": {}}, min_length=1, description="Where closed segments go.")
    )
    operations: Duration = Field(
        60.0, description="How often the server's counters are written beside the log; 0: never."
    )


def _switch(value: Any) -> Any:
    """`log: true` is all defaults, `log: false` is no log."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


#: The type of a server's `log` setting.
LogSetting = Annotated[LogSpec | None, BeforeValidator(_switch, json_schema_input_type=LogSpec | bool | None)]

"""What the project file may say under `acquire`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from bessemer.acquire.options import FUNCTION
from bessemer.acquire.plugins import ENGINES, SOURCES
from bessemer.acquire.sources.csv import CsvSource
from bessemer.acquire.sources.elasticsearch import ElasticsearchSource
from bessemer.acquire.sources.jsonl import JsonlSource
from bessemer.acquire.sources.parquet import ParquetSource
from bessemer.acquire.sources.prediction_log import PredictionLogSource
from bessemer.acquire.sources.python import PythonSource
from bessemer.acquire.sources.sql import SqlSource
from bessemer.core.errors import did_you_mean
from bessemer.core.plugins import PluginTable
from bessemer.core.spec import Spec

#: Each kind of source, and what the project file may say of it. A kind's options have a field of its name.
OPTIONS: dict[str, type[Spec]] = {
    "csv": CsvSource,
    "jsonl": JsonlSource,
    "parquet": ParquetSource,
    "sql": SqlSource,
    "python": PythonSource,
    "prediction_log": PredictionLogSource,
    "elasticsearch": ElasticsearchSource,
}


class PluginSource(Spec):
    """A source of another distribution: one key names the kind, the rest is for the plug-in to judge."""

    # For editors: whatever has one of our own kinds is not a plug-in's.
    model_config = ConfigDict(
        extra="allow", json_schema_extra={"not": {"anyOf": [{"required": [kind]} for kind in OPTIONS]}}
    )

    @model_validator(mode="after")
    def _known(self) -> PluginSource:
        keys = list(self.model_extra or {})
        if not any(key in SOURCES for key in keys):
            hint = did_you_mean(keys[0], SOURCES) if keys else "known: " + ", ".join(SOURCES)
            shown = f"'{keys[0]}' is not a kind of source" if keys else "no kind of source"
            raise ValueError(f"{shown}: {hint}")
        return self


def _tag(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return next((f"{kind} source" for kind in OPTIONS if kind in keys), "plugin source")


if TYPE_CHECKING:
    SourceSpec = Spec
else:
    _tagged = [Annotated[options, Tag(f"{kind} source")] for kind, options in OPTIONS.items()]
    SourceSpec = Annotated[
        Union[(*_tagged, Annotated[PluginSource, Tag("plugin source")])],
        Discriminator(_tag),
    ]


def kind_of(source: Spec) -> str:
    """The kind of a source: the key that names it.

    >>> from bessemer.acquire.sources.csv import CsvSource
    >>> kind_of(CsvSource(csv="a.csv"))
    'csv'
    """
    if isinstance(source, PluginSource):
        return next(key for key in source.model_extra or {} if key in SOURCES)
    return _tag(source).partition(" ")[0]


class AcquireSpec(Spec):
    sources: dict[str, SourceSpec] = Field(
        default_factory=dict,
        description="Names (the tables of `sql`) to sources. `data: FILE` at the top is short for a single one.",
    )
    sql: str | None = Field(
        default=None, min_length=1, description="One SELECT over the sources; its result is the data."
    )
    engine: str = Field(default="duckdb", description="What runs the SQL.")
    python: str | None = Field(
        default=None,
        pattern=FUNCTION,
        description="module:function in the project's folder, applied after the SQL to each Arrow record batch; "
        "it gives a batch, a table, an iterator of them, or None.",
    )
    version: str = Field(
        default="",
        description="Any text; change it to read everything again when nothing else shows a change.",
    )

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, SourceSpec]) -> dict[str, SourceSpec]:
        seen: dict[str, str] = {}
        for name in sources:
            if not name.strip():
                raise ValueError("a source needs a name")
            if name.lower() in seen:
                raise ValueError(
                    f"'{name}' and '{seen[name.lower()]}' differ only by case: SQL cannot tell them apart"
                )
            seen[name.lower()] = name
        return sources

    @field_validator("engine")
    @classmethod
    def _engine(cls, engine: str) -> str:
        return _known(engine, ENGINES)

    @model_validator(mode="after")
    def _joined(self) -> AcquireSpec:
        if len(self.sources) > 1 and not self.sql:
            names = ", ".join(self.sources)
            raise ValueError(
                f"{len(self.sources)} sources ({names}) need `sql` to say how they become one table"
            )
        return self


def _known(name: str, table: PluginTable[Any]) -> str:
    if name not in table:
        raise ValueError(f"no engine '{name}': {did_you_mean(name, table)}")
    return name

"""What the project file may say under `acquire`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from bessemer.acquire.options import FUNCTION
from bessemer.acquire.personal import Treatment
from bessemer.acquire.plugins import SOURCES
from bessemer.acquire.sources.at_engine import AtEngineSource
from bessemer.acquire.sources.avro import AvroSource
from bessemer.acquire.sources.bigquery import BigQuerySource
from bessemer.acquire.sources.csv import CsvSource
from bessemer.acquire.sources.datasets import DatasetsSource
from bessemer.acquire.sources.delta import DeltaSource
from bessemer.acquire.sources.elasticsearch import ElasticsearchSource
from bessemer.acquire.sources.excel import ExcelSource
from bessemer.acquire.sources.iceberg import IcebergSource
from bessemer.acquire.sources.images import ImagesSource
from bessemer.acquire.sources.jsonl import JsonlSource
from bessemer.acquire.sources.kafka import KafkaSource
from bessemer.acquire.sources.mongodb import MongodbSource
from bessemer.acquire.sources.orc import OrcSource
from bessemer.acquire.sources.parquet import ParquetSource
from bessemer.acquire.sources.postgres import PostgresSource
from bessemer.acquire.sources.prediction_log import PredictionLogSource
from bessemer.acquire.sources.python import PythonSource
from bessemer.acquire.sources.rest import RestSource
from bessemer.acquire.sources.snowflake import SnowflakeSource
from bessemer.acquire.sources.sql import SqlSource
from bessemer.core.errors import did_you_mean
from bessemer.core.plugin_settings import Named, parse_named
from bessemer.core.spec import Spec
from bessemer.engines.plugins import EMBEDDED, ENGINES

#: Each kind of source, and what the project file may say of it. A kind's options have a field of its name.
OPTIONS: dict[str, type[Spec]] = {
    "csv": CsvSource,
    "jsonl": JsonlSource,
    "parquet": ParquetSource,
    "sql": SqlSource,
    "python": PythonSource,
    "prediction_log": PredictionLogSource,
    "rest": RestSource,
    "elasticsearch": ElasticsearchSource,
    "kafka": KafkaSource,
    "postgres": PostgresSource,
    "bigquery": BigQuerySource,
    "snowflake": SnowflakeSource,
    "delta": DeltaSource,
    "iceberg": IcebergSource,
    "datasets": DatasetsSource,
    "images": ImagesSource,
    "excel": ExcelSource,
    "avro": AvroSource,
    "orc": OrcSource,
    "mongodb": MongodbSource,
    "at_engine": AtEngineSource,
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


class KeepSpec(Spec):
    """Which snapshots `bessemer clean` keeps: those for which one of these holds."""

    last: int = Field(default=10, ge=1, description="So many of the newest.")
    days: float = Field(default=0, ge=0, description="Those that landed within so many days.")
    named: bool = Field(default=True, description="Those that have a name.")


def _one_engine(value: Any) -> Named:
    """`spark` or `{spark: {master: ...}}`."""
    found = parse_named(
        value if isinstance(value, dict) else [value], ENGINES, "an engine", ", ".join(ENGINES)
    )
    if len(found) != 1:
        raise ValueError(f"{len(found)} engines: name one of {', '.join(ENGINES)}")
    return found


Engine = Annotated[Named, BeforeValidator(_one_engine, json_schema_input_type=str | Named)]


class AcquireSpec(Spec):
    sources: dict[str, SourceSpec] = Field(
        default_factory=dict,
        description="Names (the tables of `sql`) to sources. `data: FILE` at the top is short for a single one.",
    )
    sql: str | None = Field(
        default=None, min_length=1, description="One SELECT over the sources; its result is the data."
    )
    engine: Engine = Field(
        default={EMBEDDED: {}},
        description="What runs the SQL: a name, or {name: {setting: value}}.",
    )
    sample: int | None = Field(
        default=None,
        ge=1,
        description="About how many rows travel from the engine; the whole result stays there, where it is counted and "
        "checked. All rows travel where nothing is said.",
    )
    python: str | None = Field(
        default=None,
        pattern=FUNCTION,
        description="module:function in the project's folder, applied after the SQL to each Arrow record batch; "
        "it gives a batch, a table, an iterator of them, or None.",
    )
    images: list[str] = Field(
        default_factory=list,
        description="Binary columns that are images (PNG, JPEG): they land as base64. Other binary columns are left "
        "out.",
    )
    personal: dict[str, Treatment] = Field(
        default_factory=dict,
        description="Columns with personal data, or `source.column`, to what is done to them before they are stored: "
        "hash (HMAC-SHA256), mask (letters to x, digits to 9) or drop.",
    )
    personal_key_env: str = Field(
        default="BESSEMER_PERSONAL_KEY",
        min_length=1,
        description="The environment variable that has the key of the hashes.",
    )
    version: str = Field(
        default="",
        description="Any text; change it to read everything again when nothing else shows a change.",
    )
    keep: KeepSpec = Field(
        default=KeepSpec(),
        exclude=True,  # what is removed later changes nothing of what lands: it is no part of the cache's key
        description="Which snapshots `bessemer clean` keeps.",
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

    @property
    def engine_name(self) -> str:
        return next(iter(self.engine))

    @model_validator(mode="after")
    def _sampled(self) -> AcquireSpec:
        if self.sample is not None and self.engine_name == EMBEDDED:
            raise ValueError(
                f"`sample` needs an engine other than {EMBEDDED}, which reads all rows here anyway"
            )
        if self.sample is not None and self.python:
            raise ValueError(
                "`sample` and `python` do not go together: the function would see the sample alone"
            )
        return self

    @model_validator(mode="after")
    def _images(self) -> AcquireSpec:
        if self.images and self.engine_name != EMBEDDED:
            raise ValueError(
                f"`images` needs the engine {EMBEDDED}: make base64 of them in the source's query"
            )
        return self

    @model_validator(mode="after")
    def _joined(self) -> AcquireSpec:
        if len(self.sources) > 1 and not self.sql:
            names = ", ".join(self.sources)
            raise ValueError(
                f"{len(self.sources)} sources ({names}) need `sql` to say how they become one table"
            )
        return self

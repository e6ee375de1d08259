"""What the project file may say under `acquire`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from bessemer.acquire.plugins import ENGINES, SOURCES
from bessemer.core.elastic.login import ElasticLogin, ElasticUrl
from bessemer.core.errors import did_you_mean
from bessemer.core.plugins import PluginTable
from bessemer.core.spec import Duration, Spec

ColumnType = Literal["boolean", "integer", "number", "string", "timestamp"]

#: Texts of a CSV cell that mean "no value".
NULL_TEXTS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")

_SHA256 = r"^(sha256:)?[0-9a-fA-F]{64}$"
_FUNCTION = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
_Path = Annotated[str, Field(min_length=1)]
_Checksum = Field(
    default=None,
    pattern=_SHA256,
    description="The sha256 the file must have; needed for http(s) to be cached.",
)


_TAGS = ("csv", "jsonl", "parquet", "sql", "python", "prediction_log", "elasticsearch")


class CsvSource(Spec):
    csv: _Path = Field(
        description="A file, a folder, a glob, a URL (https, s3, gs...), or python://package/file for a file "
        "inside an installed Python package. .gz and .zip (one member) are unpacked."
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=4, description="Found from the file where it is not given."
    )
    quote: str = Field(default='"', max_length=1, description="The quote character; '' for none.")
    header: bool = Field(default=True, description="Whether the first line has the column names.")
    null: tuple[str, ...] = Field(
        default=NULL_TEXTS, strict=False, description="Texts that mean a missing value."
    )
    encoding: str = Field(default="utf-8", description="The text encoding, such as latin-1 or cp1252.")
    types: dict[str, ColumnType] = Field(
        default_factory=dict, description="Column types that are not to be guessed, such as {zip: string}."
    )
    sha256: str | None = _Checksum


class JsonlSource(Spec):
    jsonl: _Path = Field(
        description="JSON lines (or a JSON array): a file, folder, glob, URL or python:// path."
    )
    sha256: str | None = _Checksum


class ParquetSource(Spec):
    parquet: _Path = Field(description="Parquet: a file, folder, glob, URL or python:// path.")
    sha256: str | None = _Checksum


class SqlSource(Spec):
    sql: _Path = Field(
        description="The database: sqlite:///file.db, duckdb:///file.duckdb, or any URL ibis connects to "
        "(postgres://, mysql://...). ${NAME} is taken from the environment, so that no password is written here."
    )
    table: str | None = Field(default=None, min_length=1, description="The table to read.")
    query: str | None = Field(default=None, min_length=1, description="Or a query in the database's own SQL.")

    @model_validator(mode="after")
    def _one_of(self) -> SqlSource:
        if self.table and self.query:
            raise ValueError("give `table` or `query`, not both")
        return self


class PythonSource(Spec):
    python: str = Field(
        pattern=_FUNCTION,
        description="module:function in the project's folder; called without arguments, it gives Arrow tables or "
        "record batches, or an iterator of them. It is called in every run.",
    )


class PredictionLogSource(Spec):
    prediction_log: _Path = Field(
        description="The folder of a prediction log: its labelled rows, as a server was asked for them. A log that is "
        "not there yet has no rows."
    )
    model: str = Field(min_length=1, description="The model's name at the server.")
    label: str = Field(
        min_length=1, description="What the column of the labels is called: the target, mostly."
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Logged inputs to leave out, such as those that are hashed there.",
    )
    exclude_clients: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Clients whose rows and whose labels are left out: what somebody who is not to be believed has "
        "asked and told is not learned from.",
    )


class ElasticsearchSource(ElasticLogin):
    elasticsearch: ElasticUrl = Field(description="The server, as https://host:9200.")
    index: str = Field(
        min_length=1, description="An index, an alias, a data stream, or a pattern of them such as logs-*."
    )
    query: dict[str, Any] | None = Field(
        default=None,
        description="Which documents, in Elasticsearch's query DSL, as {range: {amount: {gte: 10}}}.",
    )
    fields: tuple[str, ...] = Field(
        default=(), strict=False, description="Names or patterns of the fields to read; all by default."
    )
    lists: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Names or patterns of fields that may have several values in one document: they become lists.",
    )
    sort: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Fields that say the order of the rows, `-` before a name for the greatest first.",
    )
    page: int = Field(default=1000, ge=1, le=10_000, description="How many documents come in one answer.")
    keep_alive: Duration = Field(
        default=300.0, ge=1, le=86_400, description="How long the server waits for the next page."
    )
    timeout: Duration = Field(default=60.0, gt=0, le=600, description="How long one answer may take.")


class PluginSource(Spec):
    """A source of another distribution: one key names the kind, the rest is for the plug-in to judge."""

    # For editors: whatever has one of our own kinds is not a plug-in's.
    model_config = ConfigDict(
        extra="allow", json_schema_extra={"not": {"anyOf": [{"required": [tag]} for tag in _TAGS]}}
    )

    @model_validator(mode="after")
    def _known(self) -> PluginSource:
        keys = list(self.model_extra or {})
        if not any(key in SOURCES for key in keys):
            hint = did_you_mean(keys[0], SOURCES) if keys else "known: " + ", ".join(SOURCES)
            shown = f"'{keys[0]}' is not a kind of source" if keys else "no kind of source"
            raise ValueError(f"{shown}: {hint}")
        return self


_KINDS = ("csv", "jsonl", "parquet", "sql", "python", "prediction_log", "elasticsearch")


def _tag(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return next((f"{kind} source" for kind in _KINDS if kind in keys), "plugin source")


SourceSpec = Annotated[
    Annotated[CsvSource, Tag("csv source")]
    | Annotated[JsonlSource, Tag("jsonl source")]
    | Annotated[ParquetSource, Tag("parquet source")]
    | Annotated[SqlSource, Tag("sql source")]
    | Annotated[PythonSource, Tag("python source")]
    | Annotated[PredictionLogSource, Tag("prediction_log source")]
    | Annotated[ElasticsearchSource, Tag("elasticsearch source")]
    | Annotated[PluginSource, Tag("plugin source")],
    Discriminator(_tag),
]


def kind_of(source: Spec) -> str:
    """The kind of a source: the key that names it.

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
        pattern=_FUNCTION,
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

"""Apache Spark: local, on a cluster, or through Spark Connect.

Tables go in and out as Parquet files in a folder that the cluster and this process both see; no row passes through
the driver. Times without a zone are TIMESTAMP_NTZ, the session's zone is UTC, and ANSI mode is on.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from bessemer.core.errors import DataError, EnvironmentFault
from bessemer.core.secrets import expanded
from bessemer.core.spec import Spec
from bessemer.engines.protocol import Corrections
from bessemer.engines.shared_folder import SharedFolder

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_TYPES = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
}
_PATIENCE = 10.0  # seconds for a connection
_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.caseSensitive": "false",
}


class SparkSettings(Spec):
    master: str = Field(
        default="local[*]",
        min_length=1,
        description="Where Spark runs: local[*], spark://HOST:7077, yarn, k8s://..., or sc://HOST:15002 for Spark "
        "Connect.",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="A folder or URL that the cluster and this process both read and write, such as /mnt/shared or "
        "hdfs://... . By default one beside the store, which local Spark sees.",
    )
    config: dict[str, str] = Field(
        default_factory=dict,
        description="Settings of Spark itself, such as spark.executor.memory; ${NAME} is taken from the environment.",
    )


class Spark:
    """A session of its own; one that was there before is left alone."""

    Settings = SparkSettings
    dialect = "spark"

    def __init__(self, settings: SparkSettings, ctx: Context) -> None:
        self.settings, self.ctx = settings, ctx
        self._session: Any = None
        self._owned = False
        self._brought: list[str] = []
        if settings.folder is None and not settings.master.startswith("local"):
            raise DataError(
                f"Spark at '{settings.master}' and this process have no folder in common",
                why="tables go to the cluster and come back as files",
                fix="name one that both can write: `engine: {spark: {master: ..., folder: /mnt/shared}}`",
            )
        self.folder = SharedFolder(settings.folder or str(ctx.store.temporary().parent / "engine"))

    def corrections(self) -> Corrections:
        from bessemer.engines.spark_sql import CORRECTIONS

        return CORRECTIONS

    def find(self, kind: str, options: Any) -> str | None:
        """A table of Spark's catalog; other sources are brought."""
        if kind != "at_engine":
            return None
        return ".".join(f"`{part}`" for part in options.at_engine.split("."))

    def load(self, name: str, files: Sequence[Path]) -> str:
        self._brought.append(f"source-{self.ctx.workdir.name}-{len(self._brought)}")
        return _parquet(self.folder.bring(self._brought[-1], files))

    def describe(self, relation: str) -> list[tuple[str, str]]:
        with self._explained():
            found = self.session.sql(f"SELECT * FROM {relation}").dtypes
        return [(name, _duckdb_type(kind)) for name, kind in found]

    def keep(self, name: str, sql: str) -> str:
        place = self.folder.place(name)
        with self._explained():
            self.session.sql(sql).write.mode("overwrite").parquet(place)
        return _parquet(place)

    def kept(self, name: str) -> str | None:
        return _parquet(self.folder.place(name)) if self.folder.has(f"{name}/_SUCCESS") else None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._explained():
            return [tuple(row) for row in self.session.sql(sql).collect()]

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The result is written to the folder and read from there, as toArrow would hold it as a whole."""
        name = f"result-{self.ctx.workdir.name}"
        self.keep(name, sql)
        try:
            yield from self.folder.batches(name)
        finally:
            self.folder.remove(name)

    def close(self) -> None:
        session, self._session = self._session, None
        while self._brought:
            self.folder.remove(self._brought.pop())
        if session is not None and self._owned:
            session.stop()

    @property
    def session(self) -> Any:
        """The SparkSession, started when it is first asked for.

        Raises:
            EnvironmentFault: Spark does not start, or the cluster does not answer.
        """
        if self._session is None:
            with self._explained():
                self._session, self._owned = _started(self.settings, self.ctx)
        return self._session

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from py4j.protocol import Py4JError
        from pyspark.errors import AnalysisException, PySparkException

        try:
            yield
        except (Py4JError, PySparkException) as error:
            words = next(
                (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
            )
            if "JAVA_GATEWAY" in words:
                raise EnvironmentFault(
                    "Spark does not start", why="there is no Java", fix="install Java 17, or set JAVA_HOME"
                ) from error
            if "TABLE_OR_VIEW_NOT_FOUND" in words or isinstance(error, AnalysisException):
                raise DataError("Spark refuses the query", why=words, fix="correct `acquire`") from error
            if self._session is None or "UNAVAILABLE" in words:
                raise EnvironmentFault(
                    f"Spark at '{self.settings.master}' does not answer",
                    why=words,
                    fix="check `engine: {spark: {master: ...}}` and whether it is up",
                ) from error
            raise DataError("the SQL fails in Spark", why=words, fix="correct `acquire.sql`") from error


def _started(settings: SparkSettings, ctx: Context) -> tuple[Any, bool]:
    """A session with our settings, and whether it is ours to stop."""
    import logging

    from pyspark.sql import SparkSession

    own = {
        key: expanded(value, f"acquire.engine.spark.config.{key}") for key, value in settings.config.items()
    }
    # It would write a stack trace for each error, which we explain.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    master = expanded(settings.master, "acquire.engine.spark.master")
    connect = master.startswith("sc://")
    if not connect:
        os.environ.pop(
            "SPARK_CONNECT_MODE_ENABLED", None
        )  # an earlier session of Spark Connect leaves it behind
    there = None if connect else SparkSession.getActiveSession()
    if connect:
        _reached(master)
        session = SparkSession.builder.remote(master).create()
    elif there is not None:
        session = there.newSession()
    else:
        session = _begun(master, own, ctx)
        own = {}
    for key, value in {**own, **_SESSION}.items():
        session.conf.set(key, value)
    return session, there is None


def _begun(master: str, own: Mapping[str, str], ctx: Context) -> Any:
    """Spark with a driver in this process."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master)
    settings = {
        "spark.app.name": "bessemer",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(ctx.workdir / "warehouse"),
        **(_local(ctx) if master.startswith("local") else {}),
        **own,
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def _reached(url: str) -> None:
    """Say at once that nobody listens: Spark's own client tries for many minutes.

    Raises:
        EnvironmentFault: nobody does.
    """
    found = urlsplit(url)
    try:
        socket.create_connection((found.hostname or "", found.port or 15002), timeout=_PATIENCE).close()
    except OSError as error:
        raise EnvironmentFault(
            f"Spark Connect at '{found.hostname}:{found.port or 15002}' does not answer",
            why=str(error),
            fix="check `engine: {spark: {master: ...}}` and whether it is up",
        ) from error


def _local(ctx: Context) -> dict[str, str]:
    """For Spark in this process: the run's memory, a few large partitions, and nothing that listens to the network."""
    return {
        "spark.driver.memory": f"{max(ctx.memory // 2**20, 1024)}m",
        "spark.sql.shuffle.partitions": str(4 * ctx.threads),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }


def _parquet(place: str) -> str:
    escaped = place.replace("`", "``")
    return f"parquet.`{escaped}`"


def _duckdb_type(kind: str) -> str:
    if kind.startswith("decimal"):
        return kind.upper()
    return _TYPES.get(kind, "BLOB")

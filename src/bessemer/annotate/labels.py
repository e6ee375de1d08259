"""A target column as it is in the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bessemer.annotate.classes import Class
from bessemer.annotate.task import Target
from bessemer.core.errors import Fault, ProjectError, did_you_mean
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.signature import Task


class Labels:
    """A target column of one dataset: which rows have a label, and which labels there are.

    within: a condition; rows that do not meet it are not looked at. further: whether it is not the main one.
    """

    def __init__(
        self, connection: Any, data: Artifact, name: str, within: str = "true", *, further: bool = False
    ) -> None:
        self.connection, self.name = connection, name
        self.relation = f"read_parquet({literal(data.path('data.parquet'))})"
        self.columns = {column["name"]: column["dtype"] for column in data.meta["columns"]}
        if name not in self.columns:
            what = f"the data has no column '{name}'"
            raise ProjectError([Fault("target", None, what, did_you_mean(name, self.columns))])
        self.dtype = self.columns[name]
        c = quote(name)
        no_label = {"VARCHAR": f" OR trim({c}) = ''", "DOUBLE": f" OR NOT isfinite({c})"}
        self.missing = f"({c} IS NULL{no_label.get(self.dtype, '')})"
        self.within, self.further = within, further

    def one(self, expression: str, where: str = "true") -> Any:
        query = f"SELECT {expression} FROM {self.relation} WHERE {self.within} AND {where}"
        return self.connection.execute(query).fetchone()[0]

    def facts(self) -> Target:
        c, labelled = quote(self.name), f"NOT {self.missing}"
        whole = (
            f"coalesce(bool_and({c} = floor({c}) AND abs({c}) < 9e15), true)"
            if self.dtype == "DOUBLE"
            else "true"
        )
        distinct = int(self.one(f"count(DISTINCT {c})", labelled))
        example = self.one(f"min({c})", labelled) if self.dtype != "TIMESTAMP" else None
        return Target(self.name, self.dtype, distinct, bool(self.one(whole, labelled)), example, self.further)

    def counts(self) -> dict[Class, int]:
        """Rows of each class; whole numbers are integers, however they were stored."""
        value = f"CAST({quote(self.name)} AS BIGINT)" if self.dtype == "DOUBLE" else quote(self.name)
        where = f"{self.within} AND NOT {self.missing}"
        query = f"SELECT {value}, count(*) FROM {self.relation} WHERE {where} GROUP BY 1 ORDER BY 1"
        return dict(self.connection.execute(query).fetchall())

    def without(self, values: Sequence[Class]) -> None:
        """Take rows of these classes for rows without a label."""
        if values:
            listed = ", ".join(literal(c) if isinstance(c, str) else str(c) for c in values)
            self.missing = f"({self.missing} OR {quote(self.name)} IN ({listed}))"

    def value(self, task: Task) -> str:
        """The label as it is stored from here on, as SQL: classes that are whole numbers are integers."""
        c = quote(self.name)
        return f"CAST({c} AS BIGINT)" if task != "regression" and self.dtype == "DOUBLE" else c

    def kept(self, task: Task) -> str:
        """The same, null in rows without a label."""
        plain = self.dtype in ("BOOLEAN", "BIGINT") and self.missing == f"({quote(self.name)} IS NULL)"
        value = self.value(task)
        return value if plain else f"CASE WHEN {self.missing} THEN NULL ELSE {value} END"

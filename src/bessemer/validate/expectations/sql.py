"""A condition in SQL that each row keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from bessemer.core.errors import ContractError
from bessemer.validate.protocol import RowExpectation, RowSettings, Subject

if TYPE_CHECKING:
    from sqlglot import exp

#: What gives another value tomorrow: the same data must keep the same contract.
_CHANGING = {"CURRENTDATE", "CURRENTTIME", "CURRENTTIMESTAMP", "RAND", "UUID", "LOCALTIME", "LOCALTIMESTAMP"}
_CHANGING_NAMES = {
    "now", "today", "random", "get_current_timestamp", "transaction_timestamp", "setseed", "current_localtime",
    "txid_current", "uuidv4", "uuidv7",
}  # fmt: skip


class SqlSettings(RowSettings):
    condition: str = Field(
        min_length=1,
        description="One condition over the columns of a row, in DuckDB's SQL; true: it is kept.",
    )
    missing_breaks: bool = Field(
        default=False,
        description="Whether a row breaks it whose condition is NULL, as one with missing values.",
    )

    @field_validator("condition")
    @classmethod
    def _one(cls, condition: str) -> str:
        parsed(condition)
        return condition


def parsed(text: str) -> exp.Expression:
    """The condition as a tree.

    Raises:
        ValueError: it is not one scalar expression of a row's columns.
    """
    import sqlglot
    from sqlglot import exp

    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise ValueError(f"{text!r} is not SQL: {str(error).splitlines()[0]}") from None
    tree = trees[0] if len(trees) == 1 else None
    if tree is None or isinstance(tree, exp.Query | exp.DDL | exp.DML | exp.Command | exp.Alias):
        raise ValueError(f"{text!r} is not one condition, such as `ends >= starts or cancelled`")
    for node in tree.walk():
        if isinstance(node, exp.Query | exp.Subquery):
            raise ValueError(f"{text!r} has a query in it: a condition is about one row")
        if isinstance(node, exp.AggFunc | exp.Window):
            raise ValueError(f"{text!r} is not about one row: it has `{node.sql(dialect='duckdb')}`")
        called = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        to_today = called == "age" and len(node.expressions) == 1
        if to_today or type(node).__name__.upper() in _CHANGING or called in _CHANGING_NAMES:
            raise ValueError(
                f"{text!r} depends on when it is asked: `freshness` and `newest_within` are for ages"
            )
    return tree


class Sql(RowExpectation):
    """`sql: "arr_time >= dep_time or cancelled"`. NULL keeps it, unless `missing_breaks` is set."""

    Settings = SqlSettings
    short = "condition"
    any_case = True

    @cached_property
    def _tree(self) -> exp.Expression:
        return parsed(self.settings.condition)

    def title(self) -> str:
        return f"sql: {' '.join(self.settings.condition.split())}"

    def columns(self) -> Sequence[str]:
        from sqlglot import exp

        return tuple(dict.fromkeys(column.name for column in self._tree.find_all(exp.Column)))

    def broken(self, subject: Subject) -> str:
        # the text itself, so that it means what DuckDB takes it to mean; the line's end ends a comment
        condition = self.settings.condition.strip().rstrip(";") + "\n"
        self._bind(condition, subject)
        return f"NOT coalesce(({condition}), {str(not self.settings.missing_breaks).lower()})"

    def _bind(self, condition: str, subject: Subject) -> None:
        import duckdb

        try:
            described: Any = subject.connection.execute(
                f"DESCRIBE SELECT ({condition}) FROM {subject.relation}"
            ).fetchone()
        except duckdb.Error as error:
            raise ContractError(
                f"the expectation '{self.name}' does not run",
                why=str(error).strip().partition("\n")[0],
                fix="correct it in the contract",
            ) from error
        if described[1] != "BOOLEAN":
            raise ContractError(
                f"the expectation '{self.name}' is no condition: it gives {described[1]}",
                fix="write a comparison, such as `ends >= starts`",
            )

    def shown(self) -> str:
        from bessemer.core.sql import literal, quote

        parts = [
            f"{literal(name + '=')} || coalesce(CAST({quote(name)} AS VARCHAR), 'NULL')"
            for name in self.columns()[:6]
        ]
        return f"concat_ws(', ', {', '.join(parts)})" if parts else "''"

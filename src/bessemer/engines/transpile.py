"""DuckDB's SQL as another system's, meaning the same; what would not is refused.

sqlglot parses, resolves the names (stars, `using`, `exclude`, aliases) and writes; the types that it finds decide
the corrections between: those of `shared` for all systems, then the engine's own. Only kinds of expression that are
known to mean the same are let through (`carried`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.engines.binding import Schema
from bessemer.engines.refusal import NotCarriedOver, Refused

if TYPE_CHECKING:
    from sqlglot import exp

    from bessemer.engines.protocol import Corrections

RESULT = "bessemer_result"
#: What the names of sources begin with in the text for the engine, so that a WITH of the user may have their names.
SOURCE = "bessemer_source_"
#: What a result may be made of: times of day, intervals and nested values are not the same elsewhere.
_PLAIN = (
    "BOOLEAN",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "DOUBLE",
    "FLOAT",
    "DECIMAL",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    '"NULL"',
)
_SQLGLOT = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "TIME WITH TIME ZONE": "TIMETZ"}


def transpile(
    sql: str,
    tables: Mapping[str, tuple[str, Schema]],
    columns: Schema,
    *,
    engine: str,
    dialect: str,
    corrections: Corrections,
    exact: bool = True,
) -> str:
    """A SELECT in the engine's dialect whose result has the five types.

    Args:
        sql: one SELECT in DuckDB's dialect that DuckDB has bound (`binding.bind`).
        tables: name -> the relation it is at the engine, and its columns: names as the engine has them, DuckDB types.
        columns: names and DuckDB types of the result, as DuckDB says.
        engine: how errors name it. dialect: sqlglot's name.
        corrections: the engine's own.
        exact: whether floats as texts, which systems write differently, are refused.

    Raises:
        NotCarriedOver: what cannot be carried over, with its text and position.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError, UnsupportedError

    from bessemer.engines.carried import check

    try:
        query = _resolved(sql, {name: schema for name, (_, schema) in tables.items()})
        check(query)
        names = list(query.named_selects)
        result = _corrected(query, corrections, exact=exact)
        landed = _corrected(_landing(names, columns), corrections)
        whole = _assembled(result, landed, tables, dialect)
        return str(whole.sql(dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, identify=True))
    except Refused as refused:
        raise refused.told(engine) from refused
    except UnsupportedError as error:
        raise NotCarriedOver(
            f"`acquire.sql` cannot be carried over to {engine}",
            why=str(error),
            fix="compute it another way, or take the engine duckdb",
        ) from error
    except SqlglotError as error:
        raise NotCarriedOver(
            f"`acquire.sql` cannot be read for {engine}",
            why=str(error).splitlines()[0],
            fix="write it more plainly, or take the engine duckdb",
        ) from error


def _type(duckdb_type: str) -> str:
    return _SQLGLOT.get(duckdb_type.upper(), duckdb_type)


def _resolved(sql: str, schemas: Mapping[str, Schema]) -> Any:
    """The tree with all names resolved and lower-cased (DuckDB does not tell cases apart), and types found."""
    import sqlglot
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    from bessemer.engines.names import unify
    from bessemer.engines.queries import plain

    schema = {
        name.lower(): {column.lower(): _type(kind) for column, kind in columns}
        for name, columns in schemas.items()
    }
    tree = unify(sqlglot.parse_one(sql, dialect="duckdb"))
    tree = qualify(tree, schema=schema, dialect="duckdb", identify=True)
    tree = annotate_types(tree, schema=schema, dialect="duckdb")
    tree = plain(tree, lambda changed: annotate_types(changed, schema=schema, dialect="duckdb"))
    _own_names(tree)
    return tree


def _own_names(tree: Any) -> None:
    """Give the sources, and not what a WITH defines under the same name, their own names."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    found = {
        id(t): t for scope in traverse_scope(tree) for t in scope.sources.values() if isinstance(t, exp.Table)
    }
    for table in found.values():
        table.set("this", exp.to_identifier(f"{SOURCE}{table.name}", quoted=True))


def _corrected(tree: exp.Expr, corrections: Corrections, *, exact: bool = True) -> exp.Expr:
    from bessemer.engines.names import rewrite
    from bessemer.engines.shared import SHARED, SHARED_INEXACT

    return rewrite(rewrite(tree, SHARED if exact else SHARED_INEXACT), corrections)


def _landing(names: Sequence[str], columns: Schema) -> exp.Expr:
    """SELECT the result's columns as the five types, under the names that DuckDB gives them."""
    from sqlglot import exp

    selected = []
    for inner, (name, kind) in zip(names, columns, strict=True):
        column = exp.column(exp.to_identifier(inner, quoted=True))
        column.type = exp.DataType.build(_type(kind), dialect="duckdb")
        value = _landed(column, name, kind.upper())
        selected.append(exp.alias_(value, name, quoted=True))
    return exp.select(*selected).from_(exp.to_table(RESULT))


def _landed(column: exp.Expr, name: str, kind: str) -> exp.Expr:
    """The column as one of the five types, as `columns.canonical` has it in DuckDB."""
    from sqlglot import exp

    from bessemer.engines.building import typed
    from bessemer.engines.columns import canonical

    found = canonical(name, kind)
    if found is None or not kind.startswith(_PLAIN):
        raise Refused(
            exp.column(name, quoted=True),
            f"a column of type {kind}",
            "select its parts, or cast it, in `acquire.sql`",
        )
    if found.dtype == "DOUBLE":
        number = typed(exp.Cast(this=column, to=exp.DataType.build("DOUBLE")), "DOUBLE")
        missing = typed(exp.IsNan(this=number.copy()), "BOOLEAN")
        return exp.Case(ifs=[exp.If(this=missing, true=exp.Null())], default=number)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return typed(exp.AtTimeZone(this=column, zone=exp.Literal.string("UTC")), "TIMESTAMP")
    # A cast also where DuckDB needs none: the engine may compute the same in another type.
    return exp.Cast(this=column, to=exp.DataType.build(found.dtype, dialect="duckdb"))


def _assembled(
    result: exp.Expr,
    landed: Any,
    tables: Mapping[str, tuple[str, Schema]],
    dialect: str,
) -> Any:
    """WITH each source under its own name, the result, and then the landing."""
    import sqlglot
    from sqlglot import exp

    for name, (relation, columns) in tables.items():
        own = exp.to_identifier(f"{SOURCE}{name.lower()}", quoted=True)
        listed = [
            exp.alias_(exp.column(exp.to_identifier(column, quoted=True)), column.lower(), quoted=True)
            for column, _ in columns
        ]
        source = sqlglot.parse_one(f"SELECT 1 FROM {relation}", dialect=dialect).find(exp.From)
        inner = exp.select(*listed)
        inner.set("from_", source)
        landed = landed.with_(own, as_=inner, copy=False)
    return landed.with_(RESULT, as_=result, copy=False)

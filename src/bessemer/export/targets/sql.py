"""One SQL query that scores rows where they are: trees as CASE, linear models as sums, columns encoded on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.environments.errors import ToolError
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source, UncarriedError
from bessemer.export.rowwise.build import program_of
from bessemer.export.rowwise.sql_code import Query
from bessemer.export.rowwise.sql_run import Run, asked, engine_of
from bessemer.export.rowwise.sql_words import literal, table_name
from bessemer.export.samples import Samples
from bessemer.export.targets.python_file import threshold_of

#: Characters of a query: BigQuery and Snowflake take no more, and DuckDB plans a longer one for minutes.
LONGEST = 1_000_000
#: Numbers in a step: PostgreSQL has columns for so many.
WIDEST = 1_600
#: Multiplications beyond which nobody wants to score in SQL.
_PRODUCTS = 20_000
FILE = "score.sql"


class SqlSettings(Spec):
    """Which engine, and what the query reads."""

    dialect: Literal["duckdb", "postgres", "bigquery", "snowflake"] = Field(
        "duckdb", description="The engine whose SQL it is."
    )
    table: str = Field(
        "input_rows", description="The table that it reads, with its schema where that is needed."
    )
    keep: list[str] = Field(
        default_factory=list, description="Columns of the table that stay beside the answers, such as a key."
    )


class Sql(Base):
    """`score.sql`."""

    takes: ClassVar[Literal["native"]] = "native"
    Settings: ClassVar[type[SqlSettings]] = SqlSettings

    def refuses(self, source: Source) -> str:
        if threshold_of(source) is None:
            return "its decision has another threshold for each group of rows"
        products = sum(
            s.out.size * s.weights.shape[1]
            for s in program_of(source.model).statements
            if hasattr(s, "weights")
        )
        if products > _PRODUCTS:
            return f"it takes {products} multiplications a row, and {_PRODUCTS} is the limit of a query"
        return ""

    def export(self, source: Source, out: Path) -> str:
        text = self.query(source, self.settings.table, self.settings.keep)
        (out / FILE).write_text(text, encoding="utf-8")
        return f"""`{FILE}` reads `{self.settings.table}` in {self.settings.dialect}: a column for each of the model's,
of its name; further ones do not matter. `prediction` and, of classes, `probability_...` come out, in any order of
rows, so set `keep` to a key:

    bessemer export PACKAGE --to sql --set dialect={self.settings.dialect} --set table=orders --set 'keep=[id]'
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        return self.answers(source, out, samples, *engine_of(self.settings.dialect))

    def answers(self, source: Source, out: Path, samples: Samples, runtime: str, run: Run) -> Answers:
        """What an engine says by the query in the folder, which reads rows that stand in it instead of a table."""

        def query(table: str, keep: Sequence[str]) -> str:
            return self.query(source, table, keep)

        if (out / FILE).read_text(encoding="utf-8") != query(self.settings.table, self.settings.keep):
            raise ToolError(f"{FILE} is not what was written", fix="export again")
        found, labels = asked(
            run, self.settings.dialect, source.model.signature.inputs, samples.rows, query, _names(source)
        )
        regression = source.model.task == "regression"
        return Answers(np.asarray(found, dtype=np.float32), runtime, None if regression else labels)

    def query(self, source: Source, table: str, keep: Sequence[str]) -> str:
        """The text of the query.

        Raises:
            UncarriedError: an operator has no form in SQL, by name, or the query would be too large.
        """
        dialect = self.settings.dialect
        output = "score" if source.model.task == "regression" else "probability"
        query = Query(program_of(source.model).needed(output), dialect)
        columns = query.output(output)
        answers = [(_decided(source, columns, dialect), "prediction")]
        if output == "probability":
            answers += zip(columns, _names(source), strict=True)
        try:
            text = query.text(keep, table_name(table, dialect), answers)
        except ValueError as error:
            raise UncarriedError(str(error)) from None
        if len(text) > LONGEST:
            raise UncarriedError(f"the query would have {len(text)} characters, and {LONGEST} is the limit")
        if query.widest > WIDEST:
            raise UncarriedError(
                f"the query would have {query.widest} columns in a step, and {WIDEST} is the limit"
            )
        return text


def _names(source: Source) -> list[str]:
    """Of the columns of probabilities: numbered where the names of classes are no words."""
    if source.model.task == "regression":
        return ["prediction"]
    words = [
        "".join(c if c.isalnum() and c.isascii() else "_" for c in str(name)) for name in source.model.classes
    ]
    plain = len({word.lower() for word in words}) == len(words) and all(
        any(c.isalnum() for c in word) for word in words
    )
    return [f"probability_{word if plain else i}" for i, word in enumerate(words)]


def _decided(source: Source, columns: list[str], dialect: str) -> str:
    """The class by its probabilities; the value of a regression."""
    if source.model.task == "regression":
        return columns[0]
    kinds: Any = {bool: "bool", int: "i64", float: "f64"}
    names = [literal(c, kinds.get(type(c), "str"), dialect) for c in source.model.classes]
    if source.model.task == "binary":
        limit = literal(threshold_of(source), "f64", dialect)
        return f"CASE WHEN {columns[1]} >= {limit} THEN {names[1]} ELSE {names[0]} END"
    cases = []
    for i, column in enumerate(columns[:-1]):
        asked = " AND ".join(f"{column} >= {other}" for other in columns[i + 1 :])
        cases.append(f"WHEN {asked} THEN {names[i]}")
    return f"CASE {' '.join(cases)} ELSE {names[-1]} END"

"""The data contract: what it may say, and how it is read from YAML."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from bessemer.core.errors import ContractError, Fault, did_you_mean
from bessemer.core.spec import Duration, Share, Spec
from bessemer.core.yaml_lines import parse
from bessemer.validate.expect import Asked, made, parse_one

ColumnType = Literal["boolean", "integer", "number", "string", "timestamp"]
Scalar = bool | int | float | str

#: The contract's words for the types of a dataset.
DUCKDB = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
}
WORDS = {duckdb: word for word, duckdb in DUCKDB.items()}


class ColumnRules(Spec):
    """The rules of one column. A missing value breaks `nullable` and no other rule."""

    type: ColumnType = Field(description="boolean, integer, number, string or timestamp.")
    nullable: bool = Field(default=True, description="Whether a row may have no value here.")
    max_missing: Share | None = Field(default=None, description="The largest share of missing values.")
    min: Scalar | None = Field(default=None, description="The smallest value allowed.")
    max: Scalar | None = Field(default=None, description="The largest value allowed.")
    values: tuple[Scalar, ...] | None = Field(default=None, strict=False, description="The values allowed.")
    unique: bool = Field(default=False, description="Whether a value may stand in one row only.")
    finite: bool = Field(default=False, description="Whether infinity breaks the contract (numbers).")
    pattern: str | None = Field(
        default=None, description="A regular expression (RE2) that the whole text must match."
    )
    newest_within: Duration | None = Field(
        default=None, description="How old the newest value may be when the data is validated, such as 7d."
    )

    @model_validator(mode="after")
    def _fits(self) -> ColumnRules:
        for name in ("min", "max"):
            self._check(name, getattr(self, name))
        for value in self.values or ():
            self._check("values", value)
        if (self.min is not None or self.max is not None) and self.type == "boolean":
            raise ValueError("a boolean has no `min` or `max`")
        if self.pattern is not None and self.type != "string":
            raise ValueError(f"`pattern` is for strings, not for type {self.type}")
        if self.newest_within is not None and self.type != "timestamp":
            raise ValueError(f"`newest_within` is for timestamps, not for type {self.type}")
        if self.pattern is not None and (why := _not_a_pattern(self.pattern)):
            raise ValueError(f"`pattern` is not a regular expression of RE2: {why}")
        return self

    def _check(self, name: str, value: Scalar | None) -> None:
        if value is not None and not _is_a(value, self.type):
            raise ValueError(f"`{name}`: {value!r} is not of type {self.type}")


@lru_cache(maxsize=1000)
def _not_a_pattern(pattern: str) -> str:
    """What the engine that matches it says against a pattern; '' where it takes it."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute("SELECT regexp_full_match('', ?)", [pattern])
    except duckdb.Error as error:
        return str(error).strip().partition("\n")[0].removeprefix("Invalid Input Error: ")
    return ""


def _is_a(value: Scalar, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "timestamp":
        return isinstance(value, str) and instant(value) is not None
    if kind == "string":
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def instant(text: str) -> dt.datetime | None:
    """The time that a text in ISO 8601 means, in UTC and without a zone, as columns have it; None where it is none.

    >>> instant("2024-01-02T03:00:00+01:00"), instant("20240102"), instant("soon")
    (datetime.datetime(2024, 1, 2, 2, 0), datetime.datetime(2024, 1, 2, 0, 0), None)
    """
    try:
        found = dt.datetime.fromisoformat(text)
        return found.astimezone(dt.UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


class RowRules(Spec):
    min: int | None = Field(default=None, ge=0, description="The fewest rows a snapshot may have.")
    max: int | None = Field(default=None, ge=0, description="The most rows a snapshot may have.")


What = Literal["allow", "warn", "stop"]


class ChangeRules(Spec):
    """How the columns may change from one snapshot to the next."""

    added: What = Field(default="warn", description="What a column does that the contract does not name.")
    removed: What = Field(default="stop", description="What a column does that is not there any more.")
    widened: What = Field(
        default="allow",
        description="What a change of type does that loses nothing: integers where the contract says number or "
        "string, and a column without any value.",
    )
    fixed: tuple[str, ...] = Field(
        default=(), strict=False, description="Columns that are always there, with their very type."
    )


class Contract(Spec):
    """What the data must be like."""

    rows: RowRules = Field(default_factory=RowRules, description="How many rows there may be.")
    columns: dict[str, ColumnRules] = Field(description="Column names to their rules.")
    changes: ChangeRules = Field(default_factory=ChangeRules, description="How the columns may change.")
    expect: tuple[Annotated[Asked, BeforeValidator(parse_one)], ...] = Field(
        default=(), strict=False, description="Expectations: rules beyond single columns."
    )

    @field_validator("expect")
    @classmethod
    def _told_apart(cls, expect: tuple[Asked, ...]) -> tuple[Asked, ...]:
        names = [expectation.name for expectation in made(expect)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two expectations are called {twice[0]!r}: leave one out, or give one a `name`")
        return expect

    @model_validator(mode="after")
    def _fixed_are_named(self) -> Contract:
        for name in self.changes.fixed:
            if name not in self.columns:
                raise ValueError(
                    f"`changes.fixed`: no column {name!r} in the contract; {did_you_mean(name, self.columns)}"
                )
        return self


def read(text: str, file: str, *, expectations: bool = True) -> Contract:
    """A contract from its YAML text.

    Args:
        expectations: whether they are read too; without them their plug-ins need not be installed.

    Raises:
        ContractError: with every fault, each with its line.

    >>> read("columns: {age: {type: integer, min: 0}}", "contract.yaml").columns["age"].min
    0
    """
    document = parse(text)
    if not expectations and isinstance(document.value, dict):
        document.value.pop("expect", None)
    if document.faults:
        raise _refused(document.faults, file)
    try:
        return Contract.model_validate(document.value if document.value is not None else {})
    except ValidationError as error:
        faults = [_fault(item) for item in error.errors(include_url=False)]
        unique = {(f.path, f.what): Fault(f.path, document.line(f.path), f.what, f.fix) for f in faults}
        raise _refused(list(unique.values()), file) from None


def _refused(faults: list[Fault], file: str) -> ContractError:
    return ContractError(
        f"{file} has {len(faults)} fault{'s' * (len(faults) != 1)}",
        why="\n       ".join(str(fault) for fault in faults),
        fix=f"correct {file}; or delete it, and it is inferred anew",
    )


_KNOWN: dict[str, type[Spec]] = {"columns": ColumnRules, "rows": RowRules, "changes": ChangeRules}


def _fault(item: Any) -> Fault:
    loc = [str(part) for part in item["loc"] if part not in ("bool", "int", "float", "str")]
    path, last = ".".join(loc), loc[-1] if loc else ""
    if item["type"] == "extra_forbidden":
        known = _KNOWN[loc[0]].model_fields if len(loc) > 1 and loc[0] in _KNOWN else Contract.model_fields
        return Fault(path, None, f"unknown key '{last}'", did_you_mean(last, known))
    if item["type"] == "missing":
        return Fault(path, None, f"'{last}' is missing", f"add `{last}: ...`")
    message = item["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    shown = "" if isinstance(item.get("input"), dict | list) else f", not {item.get('input')!r}"
    return Fault(path, None, message + (shown if "Value error" not in item["msg"] else ""))

"""What an expectation is: a rule of the contract beyond single columns, made with its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.validate.findings import Severity

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.validate.accepted import Accepted

#: The row's place in the data, from 1 on, which `Subject.numbered` has beside the columns.
ROW = '"row number"'


@dataclass(frozen=True)
class Subject:
    """The data that is held to an expectation.

    relation: what to select from, with the contract's types. numbered: the same with the column `ROW`.
    columns: names to types (the five of a dataset). statistics: the columns' facts (see `validate.statistics`), of
    rows that keep the contract; empty while rows are still being looked at. accepted: the snapshot that was accepted
    last, None where there is none. keys: columns that the contract says are unique.
    """

    connection: Any
    relation: str
    numbered: str
    columns: Mapping[str, str]
    rows: int
    ctx: Context
    statistics: Mapping[str, Mapping[str, Any]]
    accepted: Accepted | None = None
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Breach:
    """How the data as a whole breaks an expectation: on which column ('' for the data), and what was found."""

    column: str
    says: str


class Settings(Spec):
    """What every expectation may be told."""

    name: str | None = Field(default=None, min_length=1, description="What the rule is called in tables.")


class RowSettings(Settings):
    """Settings of an expectation about rows."""

    severity: Severity = Field(
        default="quarantine",
        description="quarantine: the rows are set aside; stop: one such row stops the run; warn: it is told.",
    )


class WholeSettings(Settings):
    """Settings of an expectation about the data as a whole."""

    severity: Literal["stop", "warn"] = Field(
        default="stop", description="stop: the run stops; warn: it is told."
    )


class Expectation:
    """The base of expectations: `Settings`, the name of the rule, and the columns it needs.

    short: the field of `Settings` that a bare value stands for, as in `unique: [a, b]`. any_case: whether names of
    columns are those of SQL, to which upper and lower case are the same.
    """

    Settings: ClassVar[type[Settings]]
    short: ClassVar[str] = ""
    any_case: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def title(self) -> str:
        """What it is called where the settings give no name; two expectations must not have one title."""
        raise NotImplementedError

    def columns(self) -> Sequence[str]:
        """The columns that must be there."""
        return ()

    def reads(self, project_dir: Path, memo: MutableMapping[str, str]) -> Mapping[str, str]:
        """Fingerprints of what it reads besides the data (see `core.table.StageRow.reads`)."""
        return {}

    def compares(self) -> bool:
        """Whether it needs the snapshot that was accepted last."""
        return False

    @property
    def name(self) -> str:
        return str(self.settings.name or self.title())


class RowExpectation(Expectation):
    """An expectation that single rows break; they go to the quarantine."""

    def broken(self, subject: Subject) -> str:
        """SQL that is true for a row of `subject.numbered` that breaks it; it may stand on temporary tables."""
        raise NotImplementedError

    def shown(self) -> str:
        """SQL of what is shown of a broken row, by default the columns it is on."""
        from bessemer.core.sql import quote

        names = [quote(name) for name in self.columns()]
        return names[0] if len(names) == 1 else f"concat_ws(', ', {', '.join(names)})"


class WholeExpectation(Expectation):
    """An expectation about the data as a whole."""

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        """What breaks it; nothing where it is kept."""
        raise NotImplementedError

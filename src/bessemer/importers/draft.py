"""The project file in the making: its keys, the SQL that selects the columns, the learner and its parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core.errors import ProjectError
from bessemer.core.sql import quote
from bessemer.importers.findings import Findings

_ORDER = (
    "data", "target", "task", "seed", "resources", "acquire", "annotate", "prepare", "train", "evaluate",
)  # fmt: skip


@dataclass
class Draft:
    """What becomes of a tool's file.

    data: the path or URL of the data as the new file names it; None while nobody has said it.
    locate: turns a path that the tool's file names into one the new file can name.
    is_csv: the tool's file says so, and the path does not show it. reading: settings of the CSV source.
    selected: column of the result -> its SQL; empty for all the columns. wanted: conditions on the rows.
    """

    findings: Findings
    data: str | None = None
    locate: Callable[[str], str] = str
    target: str = ""
    is_csv: bool = False
    reading: dict[str, Any] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    limit: int | None = None
    notes: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, Any] = field(default_factory=dict)

    def put(self, path: str, value: Any) -> None:
        """Set a key of the project file by its dotted path."""
        at = self._keys
        *above, last = path.split(".")
        for step in above:
            at = at.setdefault(step, {})
        at[last] = value

    def column(self, name: str, **settings: Any) -> None:
        """Settings of one column under `prepare.columns`; its name may have dots."""
        columns = self._keys.setdefault("prepare", {}).setdefault("columns", {})
        columns.setdefault(name, {}).update(settings)

    def exclude(self, name: str) -> None:
        """A column that is no feature."""
        excluded = self._keys.setdefault("prepare", {}).setdefault("exclude", [])
        if name not in excluded:
            excluded.append(name)

    def get(self, path: str) -> Any:
        """What a key is so far, None where it is not set."""
        at: Any = self._keys
        for step in path.split("."):
            at = at.get(step) if isinstance(at, dict) else None
        return at

    def sql(self) -> str:
        """The SELECT over the data, '' where all of it is taken as it is.

        >>> from bessemer.core.yaml_lines import parse
        >>> draft = Draft(Findings(parse("")), selected={"age": '"age"', "y": '"Y"'}, wanted=['"Y" is not null'])
        >>> print(draft.sql())
        select
          "age",
          "Y" as "y"
        from data
        where "Y" is not null
        <BLANKLINE>
        """
        if not self.selected and not self.wanted and self.limit is None:
            return ""
        ordered = sorted(self.selected.items(), key=lambda item: item[0] == self.target)  # the target last
        columns = [f"  {sql}" if sql == quote(name) else f"  {sql} as {quote(name)}" for name, sql in ordered]
        lines = ["select", ",\n".join(columns), "from data"] if columns else ["select * from data"]
        if self.wanted:
            lines.append("where " + "\n  and ".join(dict.fromkeys(self.wanted)))
        if self.limit is not None:
            lines.append(f"limit {self.limit}")
        return "\n".join(lines) + "\n"

    def keys(self) -> dict[str, Any]:
        """The whole project file, in the order of its keys.

        Raises:
            AssertionError: nobody has said where the data is.
        """
        assert self.data is not None
        found = {**self._keys, "target": self.target}
        acquire = dict(found.get("acquire", {}))
        if self.reading or self.is_csv:
            acquire["sources"] = {"data": {"csv": self.data, **self.reading}}
        else:
            found["data"] = self.data
        if sql := self.sql():
            acquire["sql"] = sql
        if acquire:
            found["acquire"] = acquire
        return {key: found[key] for key in _ORDER if key in found}


def kind_of(data: str) -> str:
    """The kind of source a path stands for; a file with an unknown ending is taken for CSV.

    >>> kind_of("a/b.parquet"), kind_of("sqlite:///a.db"), kind_of("data.dat")
    ('parquet', 'sql', 'csv')
    """
    from bessemer.acquire.shorthand import source_from_path

    try:
        return next(iter(source_from_path(data)))
    except ProjectError:
        return "csv"


def relative(path: str, start: Path, folder: Path) -> str:
    """A path seen from `start`, written as one seen from `folder`; URLs and absolute paths stay.

    >>> relative("data/a.csv", Path("/x"), Path("/x/y")), relative("s3://b/a.csv", Path("/x"), Path("/y"))
    ('../data/a.csv', 's3://b/a.csv')
    """
    import os

    if "://" in path or Path(path).is_absolute():
        return path
    return Path(os.path.relpath(start / path, folder)).as_posix()

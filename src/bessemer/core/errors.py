"""Every error Bessemer raises on purpose.

BessemerError                  exit code 1
├── ProjectError               2   the project file: all faults at once, each with path and line
├── UsageError                 2   a command or call that cannot mean anything
├── DataError                  3   the data: unreadable, empty, impossible to learn from
│   └── ContractError          3   more rows broke the contract than the project allows
├── GateError                  4   the model did not pass its gates; nothing was packaged
├── PackageError               5   a model package that is refused
│   ├── SignatureError         5   wrong, missing or untrusted signature
│   ├── IntegrityError         5   a byte differs from what was signed
│   └── FormatError            5   not a package, an unknown format number, or unsafe content
└── EnvironmentFault           6   this machine: disk full, read-only folder, lock held
    ├── StoreError             6   the artifact store
    └── MissingExtra           6   an optional dependency is not installed

An error says what happened, why, and how to fix it. The exit codes are those of the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from bessemer.core.redaction import hidden


class BessemerError(Exception):
    """What happened, why, and what to do about it; without the secrets that were read (see `core.redaction`).

    Args:
        what: one sentence with the offending value in it.
        why: the reason, where it is not plain from `what`.
        fix: what the reader can do; a command where there is one.

    >>> print(BessemerError("no file 'a.csv'", fix="check the path"))
    no file 'a.csv'
      fix: check the path
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = hidden(what), hidden(why), hidden(fix)
        super().__init__(self.what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(cls: type[BessemerError], state: dict[str, object]) -> BessemerError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    Exception.__init__(error, state.get("what", ""))
    return error


@dataclass(frozen=True)
class Fault:
    """One fault of a project file: where it is, what is wrong, how to mend it; without secrets, as errors are."""

    path: str
    line: int | None
    what: str
    fix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", hidden(self.what))
        object.__setattr__(self, "fix", hidden(self.fix))

    def __str__(self) -> str:
        where = self.path or "(top)"
        if self.line is not None:
            where = f"line {self.line}: {where}"
        return f"{where}: {self.what}" + (f"\n    fix: {self.fix}" if self.fix else "")


class ProjectError(BessemerError):
    """All the faults of a project file at once."""

    exit_code = 2

    def __init__(self, faults: Iterable[Fault], file: str = "bessemer.yaml") -> None:
        self.faults = tuple(faults)
        n = len(self.faults)
        super().__init__(f"{file} has {n} fault{'s' if n != 1 else ''}")

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"  {fault}" for fault in self.faults)])


class UsageError(BessemerError):
    exit_code = 2


class DataError(BessemerError):
    exit_code = 3


class ContractError(DataError):
    """More rows broke the contract than the project allows. `broken` has a row for each rule."""

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", broken: tuple[dict[str, object], ...] = ()
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.broken = broken


class GateError(BessemerError):
    """The model did not pass its gates. `failed` has a row for each gate that failed."""

    exit_code = 4

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", failed: tuple[dict[str, object], ...] = ()
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.failed = failed


class PackageError(BessemerError):
    exit_code = 5


class SignatureError(PackageError):
    pass


class IntegrityError(PackageError):
    pass


class FormatError(PackageError):
    pass


class EnvironmentFault(BessemerError):
    exit_code = 6


class StoreError(EnvironmentFault):
    pass


class MissingExtra(EnvironmentFault):
    """An optional dependency is not installed; the message has the command that installs it."""

    def __init__(self, name: str, module: str, extra: str) -> None:
        super().__init__(
            f"'{name}' needs the Python package '{module}', which is not installed",
            fix=f"pip install 'bessemer[{extra}]'",
        )


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name nearest to `word`, or '' when none is near.

    >>> nearest("lightbgm", ["lightgbm", "linear"])
    'lightgbm'
    """
    names = {str(name).lower(): str(name) for name in known}
    found = difflib.get_close_matches(str(word).lower(), list(names), n=1, cutoff=0.6)
    return names[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], limit: int = 12) -> str:
    """A hint for a wrong name: the nearest right one, else the list of right ones.

    >>> did_you_mean("lightbgm", ["lightgbm", "linear"])
    "did you mean 'lightgbm'?"
    >>> did_you_mean("zzz", ["lightgbm", "linear"])
    'known: lightgbm, linear'
    """
    names = [str(name) for name in known]
    if near := nearest(word, names):
        return f"did you mean '{near}'?"
    shown = ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
    return f"known: {shown}" if names else ""

"""Quicker and smaller packages, from Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import UsageError
from bessemer.core.redaction import remember_environment

if TYPE_CHECKING:
    from bessemer.optimize.run import Found

#: Rows that are read of the data, at most.
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Optimized:
    """A child of a package. told: what stands in its `optimization.json`. text: where the rows were from."""

    path: Path
    size: int
    found: Found
    told: dict[str, Any]
    text: str


def optimize(
    package: str | Path,
    out: str | Path | None = None,
    *,
    data: str | None = None,
    ways: Mapping[str, Mapping[str, Any]] | None = None,
    loss: float = 0.01,
    changed: float | None = None,
    batch: int = 1,
    metric: str = "",
    confidence: float = 0.95,
    version: str = "",
    seed: int = 0,
    key: str | Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Optimized:
    """Try quicker and smaller versions of a package, and sign the best one as its child.

    Args:
        package: a `.bsm` file or an fsspec URL.
        out: the child's file; by default beside the package, or here where that is elsewhere. A child that is there is
            replaced, another file never.
        data: a source of raw rows to try it on, with right answers where there are any; by default rows drawn from the
            package's profile.
        ways: what to try, with settings; everything by default.
        loss: what may be lost, a share: of rows that are answered otherwise, or with right answers in the metric (of
            what is better when less, relative to it); it is the upper end of the interval that may not be beyond.
        changed: the share of rows that may be answered otherwise, whatever the metric says; by default 0.05 where
            classes are judged by right answers, and else no further limit.
        batch: the size of requests that is to be quick: 1 or 64.
        metric: of right answers. confidence: that the version which is taken keeps to what is allowed, however many
            were tried; above 0.5.
        version: of the child, the parent's with `.opt` by default. seed: of everything that is drawn. key: a public key
            to trust as well. tell: is given a line for each thing done.

    Raises:
        UsageError: no such way, setting, batch, metric or version; the child would take the place of its parent or of
            another file.
        DataError: the rows cannot be read, there are none, or the metric says nothing of them.
        PackageError: the package is refused. StoreError: disk full or read-only.
    """
    from bessemer.api.packages import load
    from bessemer.optimize.rows import rows_of
    from bessemer.optimize.run import Asked, optimized
    from bessemer.package.stage import file_name
    from bessemer.predict.head import first_rows

    remember_environment()
    model = load(package, key=key)
    named = _version(version or f"{model.version[:28]}.opt")
    folder = Path() if "://" in str(package) else Path(package).parent
    path = Path(out) if out is not None else folder / file_name(model.name, named)
    _check_place(path, package)
    given = None
    if data is not None:
        given = first_rows(data, model.signature.inputs, MOST_ROWS, optional=model.signature.target)
    rows = rows_of(model, given, seed)
    asked = Asked(dict(ways or {}), loss, batch, metric, confidence, seed, changed)
    found, told, size = optimized(model, rows, path, asked, named, tell)
    return Optimized(path, size, found, told, rows.text)


def _version(text: str) -> str:
    from bessemer.core.project_file import VERSION

    if not re.fullmatch(VERSION, text):
        raise UsageError(
            f"'{text}' is no version",
            why="it takes up to 32 letters, digits, dots, dashes and underscores, a letter or digit first",
            fix="--version 1.1",
        )
    return text


def _check_place(path: Path, package: str | Path) -> None:
    """Whether a child may be written there: over nothing, or over an earlier child."""
    from bessemer.core.errors import PackageError
    from bessemer.optimize.child import NAME
    from bessemer.package.read import read_package

    if not (path.exists() or path.is_symlink()):
        return
    fix = "name another file with -o"
    if path.exists() and "://" not in str(package) and path.samefile(package):
        raise UsageError(f"'{path}' is the package itself", fix=fix)
    try:
        earlier = path.is_file() and NAME in read_package(path)
    except (PackageError, OSError):
        earlier = False
    if not earlier:
        raise UsageError(f"'{path}' is there already", why="only an earlier child is replaced", fix=fix)

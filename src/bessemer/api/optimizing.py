"""Quicker and smaller packages, from Python."""

from __future__ import annotations

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
        out: the child's file; by default beside the package, or here where that is elsewhere.
        data: a source of raw rows to try it on, with right answers where there are any; by default rows drawn from the
            package's profile.
        ways: what to try, with settings; everything by default.
        loss: what may be lost, a share: of rows that are answered otherwise, or with right answers in the metric (of
            an error, relative to it); it is the upper end of the interval that may not be beyond.
        batch: the size of requests that is to be quick: 1 or 64.
        metric: of right answers. confidence: of the interval. version: of the child, the parent's with `.opt` by
        default. seed: of everything that is drawn. key: a public key to trust as well. tell: is given a line for each
        thing done.

    Raises:
        UsageError: no such way, setting, batch or metric; the child would take its parent's place.
        DataError: the rows cannot be read, or there are none.
        PackageError: the package is refused. StoreError: disk full or read-only.
    """
    from bessemer.api.packages import load
    from bessemer.optimize.rows import rows_of
    from bessemer.optimize.run import Asked, optimized
    from bessemer.package.stage import file_name
    from bessemer.predict.head import first_rows

    remember_environment()
    model = load(package, key=key)
    named = version or f"{model.version}.opt"
    folder = Path() if "://" in str(package) else Path(package).parent
    path = Path(out) if out is not None else folder / file_name(model.name, named)
    if path.exists() and "://" not in str(package) and path.samefile(package):
        raise UsageError(f"'{path}' is the package itself", fix="name another file with -o")
    given = None
    if data is not None:
        given = first_rows(data, model.signature.inputs, MOST_ROWS, optional=model.signature.target)
    rows = rows_of(model, given, seed)
    asked = Asked(dict(ways or {}), loss, batch, metric, confidence, seed)
    found, told, size = optimized(model, rows, path, asked, named, tell)
    return Optimized(path, size, found, told, rows.text)

"""Packages in other runtimes' formats, from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import MissingExtra, UsageError, did_you_mean
from bessemer.core.redaction import remember_environment

if TYPE_CHECKING:
    from bessemer.export.protocol import Tell
    from bessemer.package.model import Model

#: Rows that are read of a file to compare on, at most.
MOST_ROWS = 10_000


def export(
    package: str | Path | Model,
    to: str,
    out: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    limit: float | None = None,
    rows: str | None = None,
    key: str | Path | None = None,
    tell: Tell = lambda line: None,
) -> tuple[Path, dict[str, Any]]:
    """Write a package in another runtime's format, run it there, and hold it against the package.

    Args:
        package: a `.bsm` file, an fsspec URL, or a loaded model.
        to: a target; `targets()` lists them.
        out: the folder; by default `build/export/NAME-VERSION/TARGET` here.
        settings: of the target. limit: the greatest difference that is no fault; by default the target's own.
        rows: a source of raw rows to compare on, besides those of the package.
        key: a public key file to trust as well. tell: is given a line for each thing that is done.

    Returns:
        the folder, and what stands in its EXPORT.json.

    Raises:
        UsageError: no such target or setting, or the folder holds something else.
        ExportError: the model cannot be carried, or the artefact answers differently; nothing was written.
        PackageError: the package is refused. MissingExtra, ToolError: what the target needs is not there, or failed.
        DataError: the rows cannot be read.
    """
    from bessemer.api.packages import load
    from bessemer.export.protocol import Source
    from bessemer.export.run import export as run
    from bessemer.package.stage import file_name

    remember_environment()
    model = load(package, key=key) if isinstance(package, str | Path) else package
    named = file_name(model.name, model.version).removesuffix(".bsm")
    folder = Path(out) if out is not None else Path("build/export", named, to)
    told = run(Source(model, tell), to, folder, settings=settings, limit=limit, rows=_rows(rows, model))
    return folder, told


def _rows(rows: str | None, model: Model) -> list[dict[str, Any]]:
    from bessemer.predict.head import first_rows

    if rows is None:
        return []
    found: list[dict[str, Any]] = first_rows(rows, model.signature.inputs, MOST_ROWS).to_pylist()
    return found


def targets(package: str | Path | None = None, *, key: str | Path | None = None) -> list[dict[str, Any]]:
    """What packages can be exported to.

    Args:
        package: to say of each target whether it carries this one.

    Returns:
        for each target `name`, `summary`, `takes`, `environment`, `ready` (whether its tools are there), `needs`
        (what to do where they are not), and with a package `carries` ('' or why not).

    Raises:
        PackageError: the package is refused.
    """
    from bessemer.export.protocol import Source

    source = None
    if package is not None:
        from bessemer.api.packages import load

        source = Source(load(package, key=key))
    return list(_told(source))


def _told(source: Any) -> Iterator[dict[str, Any]]:
    from bessemer.environments.plugins import ENVIRONMENTS
    from bessemer.export.plugins import TARGETS
    from bessemer.export.protocol import UncarriedError

    for name in TARGETS:
        row: dict[str, Any] = {"name": name, "summary": TARGETS.ref(name).summary}
        try:
            kind: Any = TARGETS.load(name)
        except MissingExtra as error:
            yield {**row, "takes": "", "environment": "", "ready": False, "needs": error.fix}
            continue
        place = ENVIRONMENTS.get(kind.environment)
        row |= {"takes": kind.takes, "environment": kind.environment, "ready": place is None or place.ready}
        row["needs"] = "" if row["ready"] else f"bessemer targets install {name}"
        if source is not None:
            try:
                row["carries"] = kind(kind.Settings()).refuses(source)
            except UncarriedError as error:
                row["carries"] = str(error)
        yield row


def install(name: str, *, tell: Tell = lambda line: None) -> list[Path]:
    """Make the environment of a target, or of all with `all`; done already is done.

    Returns:
        the folders.

    Raises:
        UsageError: no such target. ToolError: it cannot be installed.
    """
    return [place.ensure(tell) for place in _places(name)]


def remove(name: str) -> list[str]:
    """Remove the environment of a target, or all of them with `all`; the names of those that were there.

    Raises:
        UsageError: no such target.
    """
    return [place.name for place in _places(name) if place.remove()]


def _places(name: str) -> list[Any]:
    from bessemer.environments.plugins import ENVIRONMENTS
    from bessemer.export.plugins import TARGETS

    if name == "all":
        return list(ENVIRONMENTS.values())
    if name in ENVIRONMENTS:
        return [ENVIRONMENTS[name]]
    if name not in TARGETS:
        known = [*TARGETS, *ENVIRONMENTS, "all"]
        raise UsageError(f"there is no target '{name}'", fix=did_you_mean(name, known))
    kind: Any = TARGETS.load(name)
    return [ENVIRONMENTS[kind.environment]] if kind.environment else []

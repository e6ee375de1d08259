"""An export from the package to the folder: written aside, proven, then moved into place."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bessemer.core.errors import UsageError
from bessemer.core.store import explained
from bessemer.export.errors import ExportError
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof, compare, not_run
from bessemer.export.protocol import NotRunError, Source, Target, UncarriedError
from bessemer.export.record import NAME, read_record, strangers, write_record
from bessemer.export.samples import Samples, samples_of


def export(
    source: Source,
    name: str,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    limit: float | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Export a package to a target and prove it.

    Args:
        name: of the target.
        out: the folder, which appears only when all is well. An earlier export there is replaced, where nothing was
            changed or put in since; of a link, what it leads to.
        settings: of the target. limit: the greatest difference that is no fault, by default the target's; finite.
        rows: raw rows to compare on, besides the package's own.

    Returns:
        what stands in EXPORT.json.

    Raises:
        UsageError: no such target or setting, no such limit, or the folder holds something else.
        ExportError: the model cannot be carried, or the artefact answers differently.
        MissingExtra, ToolError: what the target needs is not there, or failed.
        StoreError: disk full or read-only.
    """
    if limit is not None and not (math.isfinite(limit) and limit >= 0):
        raise UsageError(
            f"a limit of {limit:g} proves nothing", fix="give a number of 0 or more, such as 0.001"
        )
    kind: Any = TARGETS.load(name)
    chosen = _settings(kind, name, settings or {})
    out = out.resolve()
    target: Target = kind(chosen)
    check_carried(target, name, source)
    with explained("export to", out):
        _check_place(out)
    most = target.limit if limit is None else limit
    with explained("export to", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            made = Path(folder) / "export"
            made.mkdir()
            usage = _exported(target, name, source, made)
            notes = _notes(target, source)
            (made / "README.md").write_text(_readme(name, source, usage, notes), encoding="utf-8")
            proof = _proven(target, source, made, samples_of(source.model, rows), most)
            _check_proof(proof, name, source)
            told = write_record(made, name, chosen.model_dump(mode="json"), source.model, proof, notes)
            _check_place(out)  # somebody may have put something there meanwhile
            _replace(made, out)
    return told


def check_carried(target: Target, name: str, source: Source) -> None:
    """Raises ExportError where the target cannot carry this model."""
    try:
        why = target.refuses(source)
    except UncarriedError as error:
        why = str(error)
    if why:
        raise _uncarried(name, source, why)


def _uncarried(name: str, source: Source, why: str) -> ExportError:
    return ExportError(
        f"'{source.model.name} {source.model.version}' cannot be exported to {name}",
        why=why,
        fix="`bessemer targets --package PACKAGE` says which targets carry it",
    )


def _settings(kind: Any, name: str, given: Mapping[str, Any]) -> Any:
    try:
        return kind.Settings.model_validate(dict(given))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(kind.Settings.model_fields) or "none"
        raise UsageError(
            f"the target {name} cannot be set so", why=told, fix=f"its settings: {known}"
        ) from None


def _check_place(out: Path) -> None:
    """Raises UsageError unless `out` is nothing, an empty folder, or an earlier export as it was written."""
    if Path.cwd().is_relative_to(out):
        raise UsageError(
            f"'{out}' is the folder you work in, or holds it: it cannot be replaced",
            fix="name another with -o",
        )
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    record = read_record(out)
    if record is None:
        raise UsageError(f"'{out}' holds something that is no export", fix="name another folder with -o")
    if found := strangers(out, record):
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UsageError(
            f"'{out}' holds files that are not of the export there, or were changed since",
            why=", ".join(found[:3]) + more,
            fix="move them away, or name another folder with -o",
        )


def _exported(target: Target, name: str, source: Source, made: Path) -> str:
    try:
        return target.export(source, made)
    except UncarriedError as error:
        raise _uncarried(name, source, str(error)) from None


def _proven(target: Target, source: Source, made: Path, samples: Samples, limit: float) -> Proof:
    source.tell(f"running it on {len(samples)} rows")
    try:
        return compare(source.model, samples, target.check(source, made, samples), limit)
    except NotRunError as error:
        return not_run(str(error), limit)


def _check_proof(proof: Proof, name: str, source: Source) -> None:
    if proof.passed:
        return
    if not proof.rows:
        raise ExportError(
            f"nothing shows that what was exported to {name} answers as the package",
            why="the package has no rows to compare on, and none can be made up",
            fix="give some with --rows",
        )
    if proof.contradicted:
        raise ExportError(
            f"what was exported to {name} names other classes than its own probabilities",
            why=f"{proof.contradicted} of {proof.rows} rows in {proof.runtime}",
            fix="choose another target: nothing was written",
        )
    raise ExportError(
        f"what was exported to {name} answers otherwise than the package: it differs by {proof.difference:.3g}",
        why=f"{proof.rows} rows in {proof.runtime}; {proof.flips} of another class; the limit is {proof.limit:g}",
        fix="raise it with --limit if that is good enough, or choose another target: nothing was written",
    )


def _notes(target: Target, source: Source) -> list[str]:
    """What was not carried or not compared, in sentences."""
    signature = source.model.signature
    names = ", ".join(f"`{one.name}`" for one in signature.further)
    if not names:
        return []
    if target.takes == "graph":
        return [
            f"Its graph answers {names} besides, which were not compared with the package; what asks the graph "
            f"here may give `{signature.target}` alone."
        ]
    return [f"It predicts `{signature.target}` alone: {names} of the package are not in it."]


def _readme(name: str, source: Source, usage: str, notes: Sequence[str]) -> str:
    model = source.model
    head = (
        f"# {model.name} {model.version} as {name}\n\nIt predicts `{model.signature.target}` ({model.task})."
    )
    proof = f"`{NAME}` says what was compared with the package, and how it came out."
    told = "".join(f"\n{note}\n" for note in notes)
    return f"{head} {proof}\n{told}\n{usage.strip()}\n"


def _replace(made: Path, out: Path) -> None:
    """What was there goes only when the new folder is whole and in its place."""
    old = made.parent / "old"
    try:
        if not out.exists():
            made.rename(out)
            return
        out.rename(old)
        try:
            made.rename(out)
        except OSError:
            old.rename(out)
            raise
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        raise UsageError(
            f"'{out}' cannot be replaced", why=os.strerror(error.errno), fix="name a folder inside it with -o"
        ) from None

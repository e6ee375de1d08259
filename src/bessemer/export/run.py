"""An export from the package to the folder: written aside, proven, then moved into place."""

from __future__ import annotations

import shutil
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
from bessemer.export.record import NAME, write_record
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
        name: of the target. out: the folder, which appears only when all is well; an earlier export there is replaced.
        settings: of the target. limit: the greatest difference that is no fault, by default the target's.
        rows: raw rows to compare on, besides the package's own.

    Returns:
        what stands in EXPORT.json.

    Raises:
        UsageError: no such target or setting, or the folder holds something else.
        ExportError: the model cannot be carried, or the artefact answers differently.
        MissingExtra, ToolError: what the target needs is not there, or failed.
        StoreError: disk full or read-only.
    """
    kind: Any = TARGETS.load(name)
    chosen = _settings(kind, name, settings or {})
    target: Target = kind(chosen)
    check_carried(target, name, source)
    _check_place(out)
    most = target.limit if limit is None else limit
    with explained("export to", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            made = Path(folder) / "export"
            made.mkdir()
            usage = _exported(target, name, source, made)
            (made / "README.md").write_text(_readme(name, source, usage), encoding="utf-8")
            proof = _proven(target, source, made, samples_of(source.model, rows), most)
            _check_proof(proof, name, source)
            told = write_record(made, name, chosen.model_dump(mode="json"), source.model, proof)
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
        fix="`bessemer targets PACKAGE` says which targets carry it",
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
    if out.exists() and not (out / NAME).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' holds something that is no export", fix="name another folder with -o")


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
    raise ExportError(
        f"what was exported to {name} answers otherwise than the package: it differs by {proof.difference:.3g}",
        why=f"{proof.rows} rows in {proof.runtime}; {proof.flips} of another class; the limit is {proof.limit:g}",
        fix="raise it with --limit if that is good enough, or choose another target: nothing was written",
    )


def _readme(name: str, source: Source, usage: str) -> str:
    model = source.model
    head = (
        f"# {model.name} {model.version} as {name}\n\nIt predicts `{model.signature.target}` ({model.task})."
    )
    proof = f"`{NAME}` says what was compared with the package, and how it came out."
    return f"{head} {proof}\n\n{usage.strip()}\n"


def _replace(made: Path, out: Path) -> None:
    """What was there goes only when the new folder is whole."""
    if out.exists():
        old = made.parent / "old"
        out.rename(old)
        made.rename(out)
        shutil.rmtree(old)
        return
    made.rename(out)

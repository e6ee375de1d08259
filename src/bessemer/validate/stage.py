"""Validate: the first run writes the data contract, every later one enforces it.

A row that breaks a rule goes to the quarantine with the names of all rules it broke; nothing is dropped. The
data a contract was inferred from keeps it, so the run that infers it and the next one give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.errors import ContractError, DataError, StoreError
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.sql import for_width, literal, quote
from bessemer.core.store import write_atomic
from bessemer.validate.accepted import file_of
from bessemer.validate.contract import Contract, read
from bessemer.validate.enforce import Enforcement, Outcome
from bessemer.validate.engine_checks import Whole, whole_of
from bessemer.validate.expect import made
from bessemer.validate.infer import candidates, infer
from bessemer.validate.judge import (
    findings_file,
    judge_rows,
    judge_shape,
    judge_whole,
    opened,
    quarantine_meta,
    subject_of,
)
from bessemer.validate.rules import RowRule, row_rules
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.statistics import Statistics, describe
from bessemer.validate.writing import write

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context


def fingerprint(
    spec: ValidateSpec, project_dir: Path, memo: MutableMapping[str, str] | None = None
) -> dict[str, str]:
    """The digests of the contract file, or "missing"; of the accepted snapshot, and of what expectations read."""
    text = contract_text(spec, project_dir)
    if spec.contract is None:
        return {"contract": "missing"}
    found = {"contract": "missing" if text is None else hashlib.sha256(text.encode()).hexdigest()}
    accepted = project_dir / file_of(spec.contract)
    if accepted.is_file():
        found["accepted"] = hashlib.sha256(accepted.read_bytes()).hexdigest()
    if text is None:
        return found
    return {**found, **_read_by_expectations(text, spec.contract, project_dir, {} if memo is None else memo)}


def _read_by_expectations(
    text: str, file: str, project_dir: Path, memo: MutableMapping[str, str]
) -> dict[str, str]:
    if "expect" not in text:
        return {}
    try:
        expectations = made(read(text, file).expect)
    except ContractError:  # the stage itself says what is wrong with it
        return {}
    return {what: mark for one in expectations for what, mark in one.reads(project_dir, memo).items()}


def contract_text(spec: ValidateSpec, project_dir: Path, *, newline: str | None = None) -> str | None:
    """The text of the contract file; None where there is none, or none is asked for.

    Args:
        newline: as of `open`: '' keeps the ends of lines as they are.
    """
    if spec.contract is None:
        return None
    try:
        with (project_dir / spec.contract).open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{spec.contract}' is not UTF-8 text", why=error.reason, fix="save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read '{spec.contract}'", why=str(error), fix="check the path and the rights"
        ) from error


def run(spec: ValidateSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Infer or enforce the contract.

    Raises:
        ContractError: the contract file has faults, the data has another shape, or too many rows break the
            contract; `quarantine.parquet` in the project's folder then has those rows.
    """
    raw = ctx.open(inputs["raw"])
    connection = ctx.connect()
    for_width(connection, len(raw.meta["columns"]))
    try:
        with machine_explained("checking", "the data"):
            text = contract_text(spec, ctx.project_dir)
            with whole_of(raw, ctx) as whole:
                if text is None:
                    return _first(spec, raw, connection, ctx, whole)
                return _enforce(spec, raw, text, connection, ctx, whole)
    finally:
        connection.close()


def _columns(raw: Artifact) -> list[tuple[str, str]]:
    return [(column["name"], column["dtype"]) for column in raw.meta["columns"]]


def inferred_contract(
    connection: Any, relation: str, statistics: Statistics, margin: float, whole: Whole | None = None
) -> Contract:
    """The contract these data would be given."""
    keys = set()
    for name in candidates(statistics):
        if whole is not None:  # distinct values are counted exactly there
            keys |= {name} if statistics.columns[name]["distinct"] == statistics.rows else set()
            continue
        c = quote(name)
        if connection.execute(f"SELECT count(*) = count(DISTINCT {c}) FROM {relation}").fetchone()[0]:
            keys.add(name)
    return infer(statistics, keys, margin)


def _first(
    spec: ValidateSpec, raw: Artifact, connection: Any, ctx: Context, whole: Whole | None
) -> dict[str, ArtifactRef]:
    parquet = raw.path("data.parquet")
    relation = f"read_parquet({literal(parquet)})"
    statistics = whole.statistics([], ctx) if whole else describe(connection, relation, _columns(raw), ctx)
    contract = inferred_contract(connection, relation, statistics, spec.margin, whole)
    text = write(contract)
    if spec.contract is not None:
        try:
            write_atomic(ctx.project_dir / spec.contract, text.encode())
            ctx.wrote("contract", hashlib.sha256(text.encode()).hexdigest())
            ctx.note(f"wrote the data contract to {spec.contract}: review it and commit it")
        except StoreError as error:
            ctx.warn(f"the inferred contract was not written to {spec.contract}: {error.what}")
    enforcement = Enforcement(connection, parquet, _columns(raw), contract, ctx)
    outcome = Outcome(statistics.rows)
    told = whole.to_json([]) if whole else None
    return _outputs(
        spec, enforcement, raw, contract, text, statistics, outcome, ctx, inferred=True, whole=told
    )


def _enforce(
    spec: ValidateSpec, raw: Artifact, text: str, connection: Any, ctx: Context, whole: Whole | None
) -> dict[str, ArtifactRef]:
    contract = read(text, spec.contract or "contract")
    enforcement = Enforcement(connection, raw.path("data.parquet"), _columns(raw), contract, ctx)
    expected = opened(spec, contract, enforcement, ctx)
    judge_shape(spec, enforcement, expected, raw.meta["rows"])
    relation, kept, bad = (
        enforcement.relation(),
        ctx.temporary("data.parquet"),
        ctx.temporary("quarantine.parquet"),
    )
    outcome = enforcement.count(subject_of(enforcement, expected, raw.meta["rows"]), expected.on_rows)
    broken: Sequence[RowRule] = ()
    if whole is not None:
        whole.cast(enforcement.casts)
        broken = whole.judge(enforcement.present, outcome)
    outcome.findings = [*enforcement.shape.findings, *outcome.findings]
    if outcome.mask:
        judge_rows(spec, enforcement, outcome, kept, bad)
        relation = f"read_parquet({literal(kept)})"
    statistics = (
        whole.statistics(broken, ctx) if whole else describe(connection, relation, enforcement.types, ctx)
    )
    if statistics.rows == 0:
        raise ContractError("no row keeps the contract", fix=f"correct the data, or edit {spec.contract}")
    subject = subject_of(enforcement, expected, statistics.rows, relation, statistics.columns)
    judge_whole(spec, enforcement, expected, subject, outcome)
    inferred = not outcome.findings and text == write(
        inferred_contract(connection, relation, statistics, spec.margin, whole)
    )
    told = whole.to_json(broken) if whole else None
    return _outputs(
        spec, enforcement, raw, contract, text, statistics, outcome, ctx, inferred=inferred, whole=told
    )


def _rows(parquet: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(parquet).num_rows)


def _outputs(
    spec: ValidateSpec,
    enforcement: Enforcement,
    raw: Artifact,
    contract: Contract,
    text: str,
    statistics: Statistics,
    outcome: Outcome,
    ctx: Context,
    *,
    inferred: bool,
    whole: Mapping[str, Any] | None,
) -> dict[str, ArtifactRef]:
    """The four artifacts. Where no rule was broken and no type changed, the data is the very file that came in."""
    data, bad = ctx.temporary("data.parquet"), ctx.temporary("quarantine.parquet")
    if not outcome.mask:
        enforcement.empty_quarantine(bad)
        if enforcement.casts:
            write_parquet(enforcement.connection, f"SELECT * FROM {enforcement.relation()}", data)
        else:
            data = raw.path("data.parquet")
    columns = [{"name": name, "dtype": kind} for name, kind in enforcement.types]
    rules = len(row_rules(contract)) + sum(column.unique for column in contract.columns.values())
    rules += len(contract.expect)
    facts = {"rows": _rows(data), "columns": columns, **({"whole": whole} if whole else {})}
    put = ctx.store.put
    return {
        "data": put("data", {"data.parquet": data}, facts),
        "contract": put(
            "contract",
            {"contract.yaml": text.encode()},
            {"inferred": inferred, "rules": rules, "quarantine": spec.quarantine},
        ),
        "statistics": put(
            "statistics",
            {"statistics.json": canonical.dump_bytes(statistics.to_json())},
            {"rows": statistics.rows, "columns": len(statistics.columns)},
        ),
        "quarantine": put(
            "quarantine", {"quarantine.parquet": bad, **findings_file(outcome)}, quarantine_meta(outcome)
        ),
    }

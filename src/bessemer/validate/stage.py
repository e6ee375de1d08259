"""Validate: the first run writes the data contract, every later one enforces it.

A row that breaks a rule goes to the quarantine with the names of all rules it broke; nothing is dropped. The
data a contract was inferred from keeps it, so the run that infers it and the next one give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.errors import ContractError, DataError, StoreError
from bessemer.core.parquet import machine_explained, write_parquet
from bessemer.core.sql import for_width, literal, quote
from bessemer.core.store import write_atomic
from bessemer.validate.contract import Contract, read
from bessemer.validate.enforce import Enforcement, Outcome
from bessemer.validate.infer import candidates, infer
from bessemer.validate.rules import row_rules
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.statistics import Statistics, describe
from bessemer.validate.writing import write

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context


def fingerprint(
    spec: ValidateSpec, project_dir: Path, memo: MutableMapping[str, str] | None = None
) -> dict[str, str]:
    """The digest of the contract file, or "missing"."""
    text = _contract_text(spec, project_dir)
    return {"contract": "missing" if text is None else hashlib.sha256(text.encode()).hexdigest()}


def _contract_text(spec: ValidateSpec, project_dir: Path) -> str | None:
    if spec.contract is None:
        return None
    try:
        return (project_dir / spec.contract).read_text("utf-8")
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
            text = _contract_text(spec, ctx.project_dir)
            if text is None:
                return _first(spec, raw, connection, ctx)
            return _enforce(spec, raw, text, connection, ctx)
    finally:
        connection.close()


def _columns(raw: Artifact) -> list[tuple[str, str]]:
    return [(column["name"], column["dtype"]) for column in raw.meta["columns"]]


def _inferred(connection: Any, relation: str, statistics: Statistics, margin: float) -> Contract:
    """The contract these data would be given."""
    keys = set()
    for name in candidates(statistics):
        c = quote(name)
        if connection.execute(f"SELECT count(*) = count(DISTINCT {c}) FROM {relation}").fetchone()[0]:
            keys.add(name)
    return infer(statistics, keys, margin)


def _first(spec: ValidateSpec, raw: Artifact, connection: Any, ctx: Context) -> dict[str, ArtifactRef]:
    parquet = raw.path("data.parquet")
    relation = f"read_parquet({literal(parquet)})"
    statistics = describe(connection, relation, _columns(raw), ctx)
    contract = _inferred(connection, relation, statistics, spec.margin)
    text = write(contract)
    if spec.contract is not None:
        try:
            write_atomic(ctx.project_dir / spec.contract, text.encode())
            ctx.note(f"wrote the data contract to {spec.contract}: review it and commit it")
        except StoreError as error:
            ctx.warn(f"the inferred contract was not written to {spec.contract}: {error.what}")
    enforcement = Enforcement(connection, parquet, _columns(raw), contract, ctx)
    return _outputs(
        spec, enforcement, raw, contract, text, statistics, Outcome(statistics.rows), ctx, inferred=True
    )


def _enforce(
    spec: ValidateSpec, raw: Artifact, text: str, connection: Any, ctx: Context
) -> dict[str, ArtifactRef]:
    contract = read(text, spec.contract or "contract")
    enforcement = Enforcement(connection, raw.path("data.parquet"), _columns(raw), contract, ctx)
    outcome = enforcement.count()
    relation, kept, bad = (
        enforcement.relation(),
        ctx.temporary("data.parquet"),
        ctx.temporary("quarantine.parquet"),
    )
    if outcome.broken:
        enforcement.split(outcome.mask, kept, bad)
        if outcome.broken > spec.quarantine * outcome.rows:
            raise _too_many(spec, enforcement, outcome, bad, ctx)
        relation = f"read_parquet({literal(kept)})"
        _tell(outcome, ctx)
    statistics = describe(connection, relation, enforcement.types, ctx)
    if statistics.rows == 0:
        raise ContractError("no row keeps the contract", fix=f"correct the data, or edit {spec.contract}")
    enforcement.check_whole(statistics.columns, statistics.rows)
    inferred = not outcome.broken and text == write(_inferred(connection, relation, statistics, spec.margin))
    return _outputs(spec, enforcement, raw, contract, text, statistics, outcome, ctx, inferred=inferred)


def _tell(outcome: Outcome, ctx: Context) -> None:
    worst = sorted(outcome.by_rule.items(), key=lambda item: (-item[1], item[0]))[:3]
    rules = ", ".join(f"{name} ({count:,})" for name, count in worst)
    ctx.warn(f"{outcome.broken:,} of {outcome.rows:,} rows broke the contract and are in quarantine: {rules}")


def _too_many(
    spec: ValidateSpec, enforcement: Enforcement, outcome: Outcome, bad: Path, ctx: Context
) -> ContractError:
    """The error that stops the run; the quarantine is kept beside the project file, or at least in the store."""
    ref = ctx.store.put("quarantine", {"quarantine.parquet": bad}, _quarantine_meta(outcome))
    stored = ctx.open(ref).path("quarantine.parquet")
    place = ctx.project_dir / "quarantine.parquet"
    try:
        write_atomic(place, stored.read_bytes())
    except StoreError:
        place = stored
    table = enforcement.table(outcome)
    shown = [
        f"{row['column']}: {row['rule']} broken by {row['rows']:,} rows ({row['share']:.1%}), such as {row['samples']}"
        for row in table[:10]
    ]
    return ContractError(
        f"{outcome.broken:,} of {outcome.rows:,} rows ({outcome.broken / outcome.rows:.1%}) break the contract; "
        f"{spec.quarantine:.1%} are allowed",
        why="\n       ".join(shown),
        fix=f"the rows are in {place}, with the reason in '_rule'; correct the data, or edit {spec.contract}, or raise "
        "`validate.quarantine`",
        broken=table,
    )


def _quarantine_meta(outcome: Outcome) -> dict[str, Any]:
    return {"rows": outcome.broken, "by_rule": outcome.by_rule}


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
) -> dict[str, ArtifactRef]:
    """The four artifacts. Where no row broke a rule and no type changed, the data is the very file that came in."""
    data, bad = ctx.temporary("data.parquet"), ctx.temporary("quarantine.parquet")
    if not outcome.broken:
        enforcement.empty_quarantine(bad)
        if enforcement.casts:
            write_parquet(enforcement.connection, f"SELECT * FROM {enforcement.relation()}", data)
        else:
            data = raw.path("data.parquet")
    columns = [{"name": name, "dtype": kind} for name, kind in enforcement.types]
    rules = len(row_rules(contract)) + sum(column.unique for column in contract.columns.values())
    put = ctx.store.put
    return {
        "data": put("data", {"data.parquet": data}, {"rows": statistics.rows, "columns": columns}),
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
        "quarantine": put("quarantine", {"quarantine.parquet": bad}, _quarantine_meta(outcome)),
    }

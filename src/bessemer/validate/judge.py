"""What follows from what was found: the run stops, rows are set aside, or it is told."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.errors import StoreError, nearest
from bessemer.core.store import replacing
from bessemer.validate.accepted import Accepted, file_of, read_accepted
from bessemer.validate.contract import Contract
from bessemer.validate.enforce import Enforcement, Outcome
from bessemer.validate.expect import made
from bessemer.validate.findings import BrokenContract, Finding, Part, ranked
from bessemer.validate.protocol import Expectation, RowExpectation, Subject, WholeExpectation
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.whole import whole_findings

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_SHOWN = 10


@dataclass(frozen=True)
class Expected:
    """The contract's expectations, and the accepted snapshot that some of them compare with."""

    all: Sequence[Expectation]
    accepted: Accepted | None

    @property
    def on_rows(self) -> list[RowExpectation]:
        return [one for one in self.all if isinstance(one, RowExpectation)]

    @property
    def on_whole(self) -> list[WholeExpectation]:
        return [one for one in self.all if isinstance(one, WholeExpectation)]


def opened(spec: ValidateSpec, contract: Contract, enforcement: Enforcement, ctx: Context) -> Expected:
    """The expectations, and the accepted snapshot where one of them needs it."""
    expectations = made(contract.expect)
    comparing = [one.name for one in expectations if one.compares()]
    accepted = (
        read_accepted(ctx.project_dir / file_of(spec.contract)) if comparing and spec.contract else None
    )
    if comparing and accepted is None:
        ctx.warn(
            f"no snapshot has been accepted yet, with which to compare: {', '.join(comparing)}; "
            "`bessemer validate --accept --yes` accepts this one"
        )
    return Expected(expectations, accepted)


def subject_of(
    enforcement: Enforcement,
    expected: Expected,
    rows: int,
    relation: str = "",
    statistics: Mapping[str, Mapping[str, Any]] | None = None,
) -> Subject:
    """The data as expectations see it: all of it, or `relation`, the rows that are kept."""
    unique = {name for name, rules in enforcement.contract.columns.items() if rules.unique}
    numbered = enforcement.relation(numbered=True)
    if relation and relation != enforcement.relation():
        numbered = f'(SELECT *, row_number() OVER () AS "row number" FROM {relation})'
    return Subject(
        enforcement.connection,
        relation or enforcement.relation(),
        numbered,
        dict(enforcement.types),
        rows,
        enforcement.ctx,
        statistics or {},
        expected.accepted,
        frozenset(unique),
    )


def judge_shape(spec: ValidateSpec, enforcement: Enforcement, expected: Expected, rows: int) -> None:
    """Stop where columns are missing, or have types that the contract does not allow.

    Raises:
        BrokenContract: naming all of them.
    """
    findings = [*enforcement.shape.findings, *_unknown(enforcement, expected)]
    _stop_if(findings, spec, rows, 0, "shape")
    _warn(findings, enforcement.ctx)


def _unknown(enforcement: Enforcement, expected: Expected) -> list[Finding]:
    there = dict(enforcement.types)
    lower = {name.lower() for name in there}
    return [
        Finding(
            f"{one.name} ({name})", one.name, name, "stop",
            says=f"missing, and '{one.name}' is about it" + (f" (there is '{near}')" if near else ""),
            part="shape",
        )
        for one in expected.all
        for name in one.columns()
        if name not in there and not (one.any_case and name.lower() in lower)
        for near in [nearest(name, there)]
    ]  # fmt: skip


def judge_rows(
    spec: ValidateSpec, enforcement: Enforcement, outcome: Outcome, kept: Path, quarantine: Path
) -> None:
    """Set the broken rows aside, and write the others to `kept`.

    Raises:
        BrokenContract: there are too many of them, or one breaks a rule that stops the run.
    """
    stopping = [f for f in outcome.findings if f.severity == "stop"]
    allowed = -1.0 if stopping else spec.quarantine
    if not enforcement.split(outcome, kept, quarantine, allowed):
        raise _too_many(spec, enforcement.ctx, outcome, quarantine, stopping)
    worst = sorted(outcome.by_rule.items(), key=lambda item: (-item[1], item[0]))[:3]
    rules = ", ".join(f"{name} ({count:,})" for name, count in worst)
    enforcement.ctx.warn(
        f"{outcome.broken:,} of {outcome.rows:,} rows broke the contract and are in quarantine: {rules}"
    )


def judge_whole(
    spec: ValidateSpec, enforcement: Enforcement, expected: Expected, subject: Subject, outcome: Outcome
) -> None:
    """Stop where the data as a whole breaks the contract.

    Raises:
        BrokenContract: naming all that is broken.
    """
    found = list(whole_findings(enforcement.present, subject, expected.on_whole))
    rows = [f for f in outcome.findings if f.rows is not None]
    outcome.findings = [*outcome.findings, *found]
    _stop_if(outcome.findings, spec, outcome.rows, outcome.broken, "whole")
    _warn([*rows, *found], enforcement.ctx)


def _stop_if(findings: Sequence[Finding], spec: ValidateSpec, rows: int, aside: int, judged: Part) -> None:
    stopping = [f for f in findings if f.severity == "stop"]
    if not stopping:
        return
    shown = [f.sentence() for f in stopping[:_SHOWN]]
    more = [f"and {len(stopping) - _SHOWN} more"] if len(stopping) > _SHOWN else []
    raise BrokenContract(
        f"the data is not what the contract says: {len(stopping)} difference{'s' * (len(stopping) != 1)}",
        why="; ".join(shown + more),
        fix="correct the data or `acquire.sql`; if the change is meant, `bessemer validate --accept` shows what would "
        f"change in {spec.contract}",
        findings=findings,
        rows=rows,
        aside=aside,
        judged=judged,
    )


def _warn(findings: Sequence[Finding], ctx: Context) -> None:
    """Tell what is only told: new columns in one line, the rest one by one."""
    told = [f for f in ranked(findings) if f.severity == "warn"]
    added = [f.column for f in told if f.rule == "added"]
    if added:
        more = f" and {len(added) - _SHOWN} more" if len(added) > _SHOWN else ""
        ctx.warn(f"not in the contract, taken as they are: {', '.join(added[:_SHOWN])}{more}")
    rest = [f for f in told if f.rule != "added"]
    for finding in rest[:_SHOWN]:
        ctx.warn(f"contract: {finding.sentence()}")
    if len(rest) > _SHOWN:
        ctx.warn(f"contract: and {len(rest) - _SHOWN} more")


def _too_many(
    spec: ValidateSpec, ctx: Context, outcome: Outcome, bad: Path, stopping: Sequence[Finding]
) -> BrokenContract:
    """The error that stops the run; the quarantine is kept beside the project file, or at least in the store."""
    files: dict[str, Path | bytes] = {"quarantine.parquet": bad, **findings_file(outcome)}
    ref = ctx.store.put("quarantine", files, quarantine_meta(outcome))
    stored = ctx.open(ref).path("quarantine.parquet")
    place = ctx.project_dir / "quarantine.parquet"
    try:
        with replacing(place) as part:
            shutil.copyfile(stored, part)
    except StoreError:
        place = stored
    shown = [f.sentence() for f in ranked(outcome.findings) if f.rows is not None][:_SHOWN]
    allowed = f"{stopping[0].name} allows none" if stopping else f"{spec.quarantine:.1%} are allowed"
    return BrokenContract(
        f"{outcome.broken:,} of {outcome.rows:,} rows ({outcome.broken / outcome.rows:.1%}) break the contract; "
        f"{allowed}",
        why="\n       ".join(shown),
        fix=f"the rows are in {place}, with the reason in '_rule'; correct the data, or edit {spec.contract} "
        "(`bessemer validate --accept` shows how), or raise `validate.quarantine`",
        findings=outcome.findings,
        rows=outcome.rows,
        aside=outcome.broken,
        judged="rows",
    )


def quarantine_meta(outcome: Outcome) -> dict[str, Any]:
    """What the record of the quarantine says: how many rows, and how many broke each rule."""
    return {"rows": outcome.broken, "by_rule": outcome.by_rule}


def findings_file(outcome: Outcome) -> dict[str, bytes]:
    """The file of all that was found, in the order in which it is shown."""
    found = [finding.to_json() for finding in ranked(outcome.findings)]
    return {"findings.json": canonical.dump_bytes(found)}

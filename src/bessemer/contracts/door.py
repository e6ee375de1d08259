"""The contract of a project, as the Python door has it: check a snapshot, and accept what it is."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bessemer.contracts.checked import Checked, rule_names
from bessemer.contracts.history import found_in, since
from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.sql import for_width
from bessemer.core.store import write_atomic
from bessemer.validate.accept import Change, changes, described, edited
from bessemer.validate.accepted import Accepted, file_of, sketches, write_accepted
from bessemer.validate.contract import Contract, read
from bessemer.validate.enforce import Enforcement
from bessemer.validate.engine_checks import whole_of
from bessemer.validate.findings import BrokenContract
from bessemer.validate.judge import opened, subject_of
from bessemer.validate.rules import RowRule
from bessemer.validate.stage import contract_text, inferred_contract
from bessemer.validate.statistics import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bessemer.api import Project
    from bessemer.core.artifact import Artifact
    from bessemer.core.runner import Sink
    from bessemer.core.stage import Context
    from bessemer.validate.spec import ValidateSpec


@dataclass(frozen=True)
class Proposed:
    """What accepting a snapshot changes. file: the contract's. before, text: its text as it is, and as it will be.

    diff: of the two, '' where nothing changes. changes: of single rules. accepted: what will be remembered of the
    snapshot.
    """

    file: str
    before: str
    text: str
    diff: str
    changes: tuple[Change, ...]
    accepted: Accepted

    def to_json(self) -> dict[str, Any]:
        return {
            "contract": self.file,
            "diff": self.diff,
            "changes": described(self.changes),
            "snapshot": {"raw": self.accepted.raw, "rows": self.accepted.rows, "at": self.accepted.at},
        }


class ContractDoor:
    """Check and accept. Each runs what is needed of the flow first, from the cache where it is there."""

    def __init__(self, project: Project, scratch: Path) -> None:
        self.project, self._scratch = project, scratch / "contract"

    @cached_property
    def _spec(self) -> ValidateSpec:
        spec: ValidateSpec = self.project.file.sections["validate"]
        return spec

    def check(self, *, wait: float = 0.0, sinks: Iterable[Sink] = ()) -> Checked:
        """Acquire and validate, and what came of it. Ages are looked at now, also where the cache has the stage.

        Raises:
            BessemerError: the data cannot be read, or the contract has faults. A broken contract is no error here.
        """
        stopped: BrokenContract | None = None
        fresh = contract_text(self._spec, self.project.folder) is None
        try:
            run = self.project.run(upto="validate", force=["validate"], wait=wait, sinks=sinks, track=False)
        except BrokenContract as error:
            stopped, run = error, self.project.show("latest")
        contract = self._contract()
        if stopped is None:
            quarantine = self.project.artifact("quarantine", run.id)
            findings, aside = found_in(self.project.store, quarantine.ref), int(quarantine.meta["rows"])
            raw = self.project.artifact("raw", run.id).meta
            rows = int((raw.get("whole") or raw)["rows"])  # of a sample, the table that it is of
        else:
            findings, aside, rows = stopped.findings, stopped.aside, stopped.rows
        return Checked(
            project=self.project.name,
            run=run.id,
            time=run.started,
            contract=self._spec.contract or "",
            passed=stopped is None,
            inferred=fresh and self._spec.contract is not None,
            rows=rows,
            aside=aside,
            allowed=self._spec.quarantine,
            rules=rule_names(contract) if contract else (),
            findings=findings,
            since=since(self.project.store),
            why=stopped.what if stopped else "",
            fix=stopped.fix if stopped else "",
        )

    def _contract(self) -> Contract | None:
        text = contract_text(self._spec, self.project.folder)
        return None if text is None else read(text, self._spec.contract or "contract")

    def propose(
        self, *, columns: Collection[str] = (), wait: float = 0.0, sinks: Iterable[Sink] = ()
    ) -> Proposed:
        """What has to change in the contract so that the newest snapshot keeps it; nothing is written.

        Args:
            columns: only these are changed; all, and the number of rows, by default.

        Raises:
            UsageError: there is no contract, or it has no such column.
        """
        file = self._spec.contract
        if file is None:
            raise UsageError(
                "this project has no contract",
                fix="take `validate: {contract: null}` out of the project file",
            )
        upto = "validate" if contract_text(self._spec, self.project.folder) is None else "acquire"
        run = self.project.run(upto=upto, wait=wait, sinks=sinks, track=False)
        raw = self.project.artifact("raw", run.id)
        text = self._text()
        contract = read(text, file)
        self._check_names(columns, contract, raw)
        with self._context() as ctx:
            found = self._changes(raw, contract, columns, ctx)
            new = edited(text, file, contract, found) if found else text
            accepted = self._accepted(raw, read(new, file), run.id, ctx)
        lines = difflib.unified_diff(
            text.splitlines(keepends=True), new.splitlines(keepends=True), file, file, n=2
        )
        return Proposed(file, text, new, "".join(lines), tuple(found), accepted)

    def accept(self, proposed: Proposed) -> None:
        """Write the contract as proposed, and beside it what is remembered of the snapshot.

        Raises:
            UsageError: the contract was changed since. StoreError: disk full or read-only.
        """
        folder = self.project.folder
        if self._text() != proposed.before:
            raise UsageError(
                f"{proposed.file} was changed after this change of it was proposed",
                fix="propose again: bessemer validate --accept",
            )
        if proposed.diff:
            write_atomic(folder / proposed.file, proposed.text.encode("utf-8"))
        write_accepted(folder / file_of(proposed.file), proposed.accepted)

    def _text(self) -> str:
        """The contract's text with the ends of its lines, which a change of it keeps; '' where there is none."""
        return contract_text(self._spec, self.project.folder, newline="") or ""

    def _check_names(self, columns: Collection[str], contract: Contract, raw: Artifact) -> None:
        known = {*contract.columns, *(column["name"] for column in raw.meta["columns"])}
        for name in columns:
            if name not in known:
                raise UsageError(f"no column '{name}'", fix=did_you_mean(name, sorted(known)))

    @contextmanager
    def _context(self) -> Iterator[Context]:
        """What the validate stage would have, with a folder that goes again."""
        from bessemer.core.stage import Context

        resources = self.project.file.top.resources
        self._scratch.mkdir(parents=True, exist_ok=True)
        try:
            yield Context(
                store=self.project.store,
                stage="validate",
                shared={},
                seed=self.project.file.top.seed,
                project_dir=self.project.folder,
                workdir=self._scratch,
                threads=resources.threads or len(os.sched_getaffinity(0)),
                memory=resources.memory_bytes(),
            )
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @contextmanager
    def _enforcement(self, raw: Artifact, contract: Contract, ctx: Context) -> Iterator[Enforcement]:
        columns = [(column["name"], column["dtype"]) for column in raw.meta["columns"]]
        with closing(ctx.connect()) as connection:
            for_width(connection, len(columns))
            yield Enforcement(connection, raw.path("data.parquet"), columns, contract, ctx)

    def _changes(
        self, raw: Artifact, contract: Contract, only: Collection[str], ctx: Context
    ) -> list[Change]:
        own = contract.model_copy(update={"expect": ()})
        with self._enforcement(raw, own, ctx) as held, whole_of(raw, ctx) as whole:
            subject = subject_of(held, opened(self._spec, own, held, ctx), raw.meta["rows"])
            outcome = held.count(subject)
            if whole is None:
                statistics = describe(held.connection, held.source, held.columns, ctx)
            else:
                statistics = whole.statistics([], ctx)
                whole.cast(held.casts)
                whole.judge(held.present, outcome)
            inferred = inferred_contract(held.connection, held.source, statistics, self._spec.margin, whole)
            return changes(held, outcome.findings, statistics, inferred, only, whole)

    def _accepted(self, raw: Artifact, contract: Contract, run: str, ctx: Context) -> Accepted:
        """The rows that keep the new contract, in short; where it still stops, all of them.

        Of a sample, the columns are those of the sample, and the number of rows is that of the whole table.
        """
        with self._enforcement(raw, contract, ctx) as held, whole_of(raw, ctx) as whole:
            relation, types, broken = held.source, dict(held.columns), list[RowRule]()
            if not any(finding.severity == "stop" for finding in held.shape.findings):
                types = dict(held.types)
                expected = opened(self._spec, contract, held, ctx)
                on_rows = [one for one in expected.on_rows if all(name in types for name in one.columns())]
                subject = subject_of(held, expected, raw.meta["rows"])
                outcome = held.count(subject, on_rows)
                if whole is not None:
                    whole.cast(held.casts)
                    broken = whole.judge(held.present, outcome)
                relation = held.keeping(outcome)
            rows = int(held.connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
            found = sketches(held.connection, relation, types, rows)
            rows = whole.rows(broken) if whole is not None else rows
        return Accepted(raw.ref.digest, ctx.now().isoformat(timespec="seconds"), run, rows, found)

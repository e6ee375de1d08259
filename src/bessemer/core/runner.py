"""Runs stages in the order of the table, takes from the cache what is there, and says why it ran the rest.

A stage's key covers: its code and that of everything it imports, its spec, the shared settings it reads, the seed, its
inputs' digests, what it reads from outside, the versions of Python and of the packages it imports. The key
record is written last, so a stage that was killed simply has none; what it left in its workdir is there
for it to resume from.
"""

from __future__ import annotations

import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core import canonical, scans
from bessemer.core.artifact import ArtifactRef
from bessemer.core.code import code_of
from bessemer.core.errors import BessemerError, StoreError
from bessemer.core.redaction import hidden, hidden_in
from bessemer.core.stage import Context, Stage
from bessemer.core.store import DamagedBlob, Store
from bessemer.core.table import StageRow, resolve

#: How the fingerprint of what cannot say whether it changed begins.
_NEW = "always:"

Sink = Callable[[str, str, Mapping[str, Any]], None]
"""Gets (stage, kind, data) for everything that happens: stage_start, stage_end, progress, metric, note, warning."""


@dataclass
class StageResult:
    """What became of one stage in a run: status is cached, ran or failed; seconds of wall clock; peak in MB."""

    stage: str
    status: str
    why: str
    key: str
    seconds: float = 0.0
    peak_mb: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)
    notes: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Given:
    """What a run takes instead of running a stage: the artifacts that an earlier run of it gave.

    key: of the stage as it made them. why: what is said of it.
    """

    outputs: Mapping[str, ArtifactRef]
    key: str
    why: str


@dataclass
class Plan:
    """All that a run needs to know, beyond the store.

    specs: stage -> its section of the project file. shared: project-wide settings by name.
    force: stages that run even if they are cached. after: called with a stage's name and all artifacts so far when
    the stage has ended; what it raises stops the run. given: stages that do not run, with what they gave before.
    """

    rows: Sequence[StageRow]
    specs: Mapping[str, Any]
    shared: Mapping[str, Any]
    seed: int
    project_dir: Path
    state_dir: Path
    threads: int
    memory: int
    force: frozenset[str] = frozenset()
    after: Callable[[str, Mapping[str, ArtifactRef]], None] = lambda stage, artifacts: None
    given: Mapping[str, Given] = field(default_factory=dict)


class Runner:
    """Runs a plan against a store. `results` fills as stages end."""

    def __init__(self, plan: Plan, store: Store, sinks: Iterable[Sink] = ()) -> None:
        self.plan, self.store = plan, store
        self.sinks = list(sinks)
        self.results: list[StageResult] = []
        self.artifacts: dict[str, ArtifactRef] = {}
        self._memo: dict[str, str] = dict(store.record("memo", "fingerprints") or {})
        self._scans = scans.known()

    def run(self) -> dict[str, ArtifactRef]:
        """Run every row of the plan and give the artifacts by name.

        A blob found damaged on the way has been removed by the store: the plan is walked again, and the stage that
        made it runs again.
        """
        for attempt in (1, 2, 3):
            self.results, self.artifacts = [], {}
            try:
                for row in self.plan.rows:
                    self._stage(row)
                    self.plan.after(row.name, self.artifacts)
                return self.artifacts
            except DamagedBlob as error:
                if attempt == 3:
                    raise
                self._send(self.results[-1].stage if self.results else "", "warning", {"text": error.what})
        raise AssertionError("unreachable")

    # one stage ---------------------------------------------------------------------------------------
    def _stage(self, row: StageRow) -> None:
        if row.name in self.plan.given:
            self._take(row, self.plan.given[row.name])
            return
        parts = self._key_parts(row)
        key = canonical.digest(parts)
        record = self.store.record("keys", key)
        why = hidden(self._why(row, parts, record))
        if not why and record is not None:
            result = StageResult(row.name, "cached", "nothing it depends on has changed", key)
            result.outputs, result.notes = dict(record["outputs"]), list(record.get("notes", []))
            self._send(row.name, "stage_start", {"cached": True})
            self._finish(row, result)
            return
        result = StageResult(row.name, "failed", why, key)
        self.results.append(result)
        self._send(row.name, "stage_start", {"cached": False, "why": why, "does": row.does})
        started = time.perf_counter()
        try:
            outputs, written = self._run_stage(row, key, result)
            missing = set(row.gives) - set(outputs)
            assert not missing, f"stage '{row.name}' did not give {sorted(missing)}"
            result.outputs = {name: outputs[name].digest for name in row.gives}
            result.status = "ran"
        finally:
            result.seconds = time.perf_counter() - started
            result.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._remember(row, parts, result, written)
        self.results.pop()
        self._finish(row, result)

    def _take(self, row: StageRow, given: Given) -> None:
        """Take what an earlier run of the stage gave, whatever the stage would give now."""
        for ref in given.outputs.values():
            if not self.store.has(ref):
                raise StoreError(f"{ref} is gone from the store or damaged", fix="bessemer data log")
        result = StageResult(row.name, "cached", given.why, given.key)
        result.outputs = {name: given.outputs[name].digest for name in row.gives}
        self._send(row.name, "stage_start", {"cached": True})
        self._finish(row, result)

    def _run_stage(
        self, row: StageRow, key: str, result: StageResult
    ) -> tuple[Mapping[str, ArtifactRef], Mapping[str, str]]:
        """What the stage gives, and what it wrote of what it reads from outside."""
        work = self.plan.state_dir / "work" / key[:16]
        work.mkdir(parents=True, exist_ok=True)

        def emit(kind: str, data: Mapping[str, Any]) -> None:
            data = hidden_in(data)
            if kind in ("note", "warning"):
                result.notes.append({"kind": kind, "text": str(data["text"])})
            self._send(row.name, kind, data)

        context = Context(
            store=self.store,
            stage=row.name,
            shared=self._shared(row),
            seed=self.plan.seed,
            project_dir=self.plan.project_dir,
            workdir=work,
            kept=self.plan.state_dir / "cache" / row.name,
            threads=self.plan.threads,
            memory=self.plan.memory,
            emit=emit,
        )
        stage: Stage = resolve(row.run)
        outputs = stage(
            self.plan.specs[row.name], {name: self.artifacts[name] for name in row.takes}, context
        )
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(self.store.temporary() / work.name, ignore_errors=True)
        return outputs, context.written

    def _remember(
        self, row: StageRow, parts: dict[str, Any], result: StageResult, written: Mapping[str, str]
    ) -> None:
        """Note what the stage gave, under the state that it read or left.

        What changed while the stage read it is neither: which content was read nobody knows, so the record, which
        lineage needs, gets a key that no run asks for.
        """
        before, after = parts["reads"], self._reads(row)
        left = {**before, **{what: mark for what, mark in written.items() if what in after}}
        if changed := moved(left, after):
            text = f"{' and '.join(changed)} changed while it was read: the next run reads it again"
            result.notes.append({"kind": "warning", "text": text})
            self._send(row.name, "warning", {"text": text})
            mixed = {what: f"between {before.get(what)} and {after.get(what)}" for what in changed}
            parts = {**parts, "reads": {**before, **mixed}}
        elif moved(before, after):  # the contract it inferred, the key it made: that is the same state
            parts = {**parts, "reads": after}
        result.key = canonical.digest(parts)
        record = {"stage": row.name, "outputs": result.outputs, "notes": result.notes, "parts": parts}
        self.store.write_record("keys", result.key, record)
        self.store.write_record("latest", row.name, {"parts": parts})
        self.store.write_record("memo", "fingerprints", self._memo)

    def _finish(self, row: StageRow, result: StageResult) -> None:
        self.results.append(result)
        for name, digest in result.outputs.items():
            self.artifacts[name] = ArtifactRef(name, digest)
        self._send(
            row.name,
            "stage_end",
            {
                "status": result.status,
                "seconds": result.seconds,
                "why": result.why,
                "peak_mb": result.peak_mb,
            },
        )

    def _send(self, stage: str, kind: str, data: Mapping[str, Any]) -> None:
        for sink in self.sinks:
            sink(stage, kind, data)

    # keys --------------------------------------------------------------------------------------------
    def _key_parts(self, row: StageRow) -> dict[str, Any]:
        before = len(self._scans)
        code = code_of(row.module, self._scans)
        spec_code = code_of(row.spec.partition(":")[0], self._scans)
        if len(self._scans) > before:
            scans.keep(self._scans)
        return {
            "stage": row.name,
            "code": {**code.files, **spec_code.files},
            "packages": {"python": platform.python_version(), **code.packages},
            "spec": self.plan.specs[row.name],
            "shared": self._shared(row),
            "seed": self.plan.seed,
            "inputs": {name: self.artifacts[name].digest for name in row.takes},
            "reads": self._reads(row),
        }

    def _reads(self, row: StageRow) -> dict[str, str]:
        if not row.reads:
            return {}
        found: dict[str, str] = resolve(row.reads)(
            self.plan.specs[row.name], self.plan.project_dir, self._memo
        )
        return found

    def _shared(self, row: StageRow) -> dict[str, Any]:
        shared = {name: self.plan.shared[name] for name in row.shared if name != "provenance"}
        if "provenance" in row.shared:
            shared["provenance"] = {
                "stages": {r.stage: self._provenance(r) for r in self.results if r.outputs},
                "seed": self.plan.seed,
                "python": platform.python_version(),
                "platform": f"{sys.platform}-{platform.machine()}",
            }
        return shared

    def _provenance(self, result: StageResult) -> dict[str, Any]:
        (row,) = (row for row in self.plan.rows if row.name == result.stage)
        kept = {name: digest for name, digest in result.outputs.items() if name not in row.volatile}
        return {"key": result.key, "outputs": kept}

    def _why(self, row: StageRow, parts: Mapping[str, Any], record: Mapping[str, Any] | None) -> str:
        """Why the stage has to run; '' when the cache has it."""
        if row.name in self.plan.force:
            return "forced"
        if record is not None:
            refs = [ArtifactRef(name, digest) for name, digest in record["outputs"].items()]
            lost = [ref.kind for ref in refs if not self.store.has(ref)]
            return f"lost from the store: {', '.join(lost)}" if lost else ""
        latest = self.store.record("latest", row.name)
        if latest is None:
            return "first run"
        return differences(latest["parts"], canonical.plain(parts))


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What has another fingerprint than before. A source that cannot tell has a new one each time, and has not moved.

    >>> moved({"a": "1", "b": "always:1", "c": "3"}, {"a": "2", "b": "always:2", "c": "3"})
    ['a']
    """
    names = sorted({*before, *after})
    pairs = [(name, before.get(name, ""), after.get(name, "")) for name in names]
    return [n for n, old, new in pairs if old != new and not (old.startswith(_NEW) and new.startswith(_NEW))]


def differences(old: Mapping[str, Any], new: Mapping[str, Any], limit: int = 4) -> str:
    """What differs between the parts of two keys, in words.

    >>> differences({"spec": {"test": 0.2}, "seed": 7}, {"spec": {"test": 0.3}, "seed": 7})
    'spec: test 0.2 -> 0.3'
    """
    words = {
        "code": "code",
        "packages": "version",
        "inputs": "input",
        "reads": "outside",
        "shared": "project",
    }
    found = []
    for part in sorted({*old, *new}):
        for path, before, after in _changes(old.get(part), new.get(part), ""):
            name = words.get(part, part)
            if part in ("code", "inputs", "reads") or len(f"{before}{after}") > 80:
                found.append(f"{name}: {path} changed".replace("  ", " "))
            else:
                found.append(f"{name}: {path} {before} -> {after}")
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return "; ".join(found[:limit]) + more if found else "no record of the same key"


def _changes(old: Any, new: Any, path: str) -> Iterable[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path, old, new


def describe_failure(error: BaseException) -> str:
    """An error as one text for the record of a run."""
    return hidden(str(error) if isinstance(error, BessemerError) else f"{type(error).__name__}: {error}")

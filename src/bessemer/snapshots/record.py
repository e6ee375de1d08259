"""How a run enters what landed into the catalogue, and takes an earlier snapshot instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core.artifact import ArtifactRef
from bessemer.core.run import Run
from bessemer.core.runner import Given, Runner
from bessemer.snapshots.catalogue import Catalogue, Snapshot


def taken(snapshot: Snapshot) -> Given:
    """What a run takes instead of acquiring: the rows of a snapshot, with the key they were made by."""
    why = f"snapshot {snapshot.called()}, landed {snapshot.time[:16].replace('T', ' ')}"
    return Given({"raw": snapshot.ref}, snapshot.key, why)


class Recorder:
    """Follows a run: enters its snapshot, and what the validation says of it.

    given: the snapshot that the run works on, None where it acquires.
    """

    def __init__(self, catalogue: Catalogue, run: Run, runner: Runner, given: Snapshot | None) -> None:
        self.catalogue, self.run, self.runner = catalogue, run, runner
        self._given = self._snapshot = given

    def after(self, stage: str, artifacts: Mapping[str, ArtifactRef]) -> None:
        """A stage has ended well."""
        if stage == "acquire":
            if self._given is None:
                raw, key = self.catalogue.store.get(artifacts["raw"]), self.runner.results[-1].key
                self._snapshot = self.catalogue.landed(raw, run=self.run.id, key=key, time=self.run.started)
            assert self._snapshot is not None
            self.run.data = {
                "snapshot": str(self._snapshot),
                "digest": self._snapshot.digest,
                "from": "an earlier run" if self._given else "acquire",
            }
        elif stage == "validate" and self._snapshot is not None:
            store = self.catalogue.store
            aside, contract = store.get(artifacts["quarantine"]).meta, store.get(artifacts["contract"]).meta
            self._judged(
                {"status": "inferred" if contract["inferred"] else "kept", "quarantined": aside["rows"]}
            )

    def end(self) -> None:
        """The run has ended, well or not."""
        last = self.runner.results[-1] if self.runner.results else None
        if self._snapshot is not None and last and (last.stage, last.status) == ("validate", "failed"):
            self._judged({"status": "broken"})

    def _judged(self, contract: dict[str, Any]) -> None:
        assert self._snapshot is not None
        self.catalogue.judged(self._snapshot, contract)

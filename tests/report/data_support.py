"""Split rows made by hand: what the data part of the report reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core import canonical
from bessemer.core.artifact import Artifact
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.report.data.facts import data_facts

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


class Given:
    """Artifacts in a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "store")
        self.context = Context(self.store, "report", {}, 7, folder, folder)

    def splits(
        self,
        table: pa.Table,
        target: str,
        *,
        task: str = "binary",
        classes: Sequence[Any] = (False, True),
        y: Any = None,
        sizes: Mapping[str, int] | None = None,
        method: str = "random",
        row_group: int = 1000,
    ) -> Artifact:
        """The table cut into parts in its order; y is the target as class indexes or values."""
        if y is None:
            y = np.array(table.column(target).to_pylist(), dtype=np.float64)
        sizes = sizes or {part: round(len(table) * share) for part, share in SHARES.items()}
        files: dict[str, Path] = {}
        start = 0
        for part, rows in sizes.items():
            path = self.folder / f"{part}.parquet"
            pq.write_table(table.slice(start, rows), path, row_group_size=row_group)
            np.save(self.folder / f"{part}.y.npy", np.asarray(y[start : start + rows], dtype=np.float64))
            files |= {f"{part}.parquet": path, f"{part}.y.npy": self.folder / f"{part}.y.npy"}
            start += rows
        meta = {
            "rows": dict(sizes),
            "task": task,
            "classes": list(classes),
            "target": target,
            "method": method,
        }
        return self.store.get(self.store.put("splits", files, meta))

    def quarantine(self, table: pa.Table, by_rule: Mapping[str, int]) -> Artifact:
        path = self.folder / "quarantine.parquet"
        pq.write_table(table, path)
        meta = {"rows": len(table), "by_rule": dict(by_rule)}
        return self.store.get(self.store.put("quarantine", {"quarantine.parquet": path}, meta))

    def facts(self, splits: Artifact, samples: int = 20, **others: Artifact) -> dict[str, Any]:
        """What the page would hold, as it comes back from its JSON."""
        found = data_facts({"splits": splits, **others}, samples, self.context)
        back: dict[str, Any] = json.loads(canonical.dumps(found))
        return back


def column(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What was found of a column."""
    found: dict[str, Any] = next(one for one in facts["columns"] if one["name"] == name)["found"]
    return found


def noted(facts: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(note["kind"], note["column"]) for note in facts["notes"]}

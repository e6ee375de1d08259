"""The finished runs, kept in a file so that a comparison that was stopped goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Key = tuple[str, str, int]  # table, tool, seed


class Results:
    """Runs by table, tool and seed, with their predictions of the test rows.

    Args:
        path: a JSON file; predictions are beside it, in the folder of its name with `.predictions`.
        settings: what the runs have in common. A file with other settings is refused.

    Raises:
        SystemExit: the file holds runs of other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.predictions = path.with_suffix(".predictions")
        self.rows: dict[Key, dict[str, Any]] = {}
        if path.exists():
            found = json.loads(path.read_text())
            if found["settings"] != settings:
                raise SystemExit(
                    f"{path} holds runs with {found['settings']}, not {settings}: name another file"
                )
            self.rows = {self.key(row): row for row in found["rows"]}

    @staticmethod
    def key(row: dict[str, Any]) -> Key:
        return row["data"], row["tool"], row["seed"]

    def done(self, key: Key) -> bool:
        return key in self.rows and "metric" in self.rows[key]

    def add(self, row: dict[str, Any], predictions: np.ndarray | None) -> None:
        """Keep a run and write the file anew. A run that failed has no metric and no predictions."""
        self.rows[self.key(row)] = row
        self.predictions.mkdir(parents=True, exist_ok=True)
        if predictions is not None:
            np.save(self._file(self.key(row)), predictions)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"settings": self.settings, "rows": list(self.rows.values())}, indent=1))
        new.replace(self.path)

    def finished(self, data: str) -> dict[str, list[dict[str, Any]]]:
        """The finished runs of a table by tool, in the order of their seeds."""
        found: dict[str, list[dict[str, Any]]] = {}
        for key in sorted(self.rows):
            if key[0] == data and self.done(key):
                found.setdefault(key[1], []).append(self.rows[key])
        return found

    def predicted(self, row: dict[str, Any]) -> np.ndarray:
        return np.asarray(np.load(self._file(self.key(row))))

    def _file(self, key: Key) -> Path:
        return self.predictions / f"{key[0]}-{key[1]}-{key[2]}.npy"

"""Helpers that tests of whole projects import by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_project(folder: Path, **keys: Any) -> Path:
    """A project file with these keys (JSON is YAML), without trackers unless they are asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bessemer.yaml"
    keys = {"name": "test", "track": {"mlflow": "off", "tensorboard": "off"}, **keys}
    path.write_text(json.dumps(keys, indent=1, ensure_ascii=False), "utf-8")
    return path

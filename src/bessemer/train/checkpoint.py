"""Where a killed fit goes on: one file, replaced whole, read only by the run that would have written it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core import canonical
from bessemer.core.store import write_atomic

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one fit.

    fingerprint: names data, settings and seed; a checkpoint with another one reads as none.
    """

    path: Path
    fingerprint: str

    def save(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the checkpoint. `state` is plain JSON with finite numbers."""
        import numpy as np

        text = canonical.dumps({"fingerprint": self.fingerprint, "state": state})
        buffer = io.BytesIO()
        content: dict[str, Any] = {"json": np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
        np.savez(buffer, **content)
        write_atomic(self.path, buffer.getvalue())

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The state and arrays last saved, or None: nothing saved, damaged, or of another run."""
        import numpy as np

        try:
            with np.load(self.path, allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in saved.files}
            content = json.loads(arrays.pop("json").tobytes())
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        return (content["state"], arrays) if content["fingerprint"] == self.fingerprint else None

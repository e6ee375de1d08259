"""The method that a package was told to explain with, as `explainer.json` and a member of the package hold it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.package.attribution.plugins import METHODS

#: The member (and the file of the `explainer` artifact) that holds the rows of the background.
BACKGROUND = "background.npy"


@dataclass(frozen=True)
class Chosen:
    """A method of `METHODS` with its settings, and its background (B, F) float32: None where it draws none."""

    method: str
    settings: Mapping[str, int] = field(default_factory=dict)
    background: np.ndarray | None = None

    def to_json(self) -> dict[str, Any]:
        """What stands under `attribution` in explainer.json."""
        rows = None if self.background is None else {"file": BACKGROUND, "rows": len(self.background)}
        return {"method": self.method, "settings": dict(self.settings), "background": rows}


def chosen_from(facts: Mapping[str, Any], member: Callable[[str], bytes], features: int) -> Chosen | None:
    """What explainer.json says; None where it says nothing, as in packages that were made before it could.

    Args:
        facts: explainer.json.
        member: gives the bytes of a member of the package.
        features: F of the model.

    Raises:
        FormatError: it says what cannot be, or names a method that this version does not know.
    """
    said = facts.get("attribution")
    if said is None:
        return None
    try:
        method, settings = str(said["method"]), {str(k): int(v) for k, v in said["settings"].items()}
        rows = said["background"]
        file = None if rows is None else str(rows["file"])
        if method not in METHODS:
            raise ValueError(f"this version knows no method '{method}'")
        if METHODS.load(method).draws != (file is not None):
            raise ValueError(f"'{method}' has a background that it does not need, or none")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError("'explainer.json' cannot be read", why=str(error), fix="update Bessemer") from error
    return Chosen(method, settings, None if file is None else read_background(member(file), features))


def write_background(rows: np.ndarray) -> bytes:
    """Rows (B, F) float32 as .npy (version 1.0, little-endian): the same rows are the same bytes.

    >>> read_background(write_background(np.float32([[1, np.nan]])), 2).tolist()
    [[1.0, nan]]
    """
    out = io.BytesIO()
    np.lib.format.write_array(
        out, np.ascontiguousarray(rows, dtype="<f4"), version=(1, 0), allow_pickle=False
    )
    return out.getvalue()


def read_background(content: bytes, features: int) -> np.ndarray:
    """What `write_background` wrote.

    Raises:
        FormatError: it is not that, or of another number of features.
    """
    try:
        rows = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        if rows.dtype != np.dtype("<f4") or rows.ndim != 2 or rows.shape[1] != features or not len(rows):
            raise ValueError(f"it holds {rows.dtype} of shape {rows.shape}, not rows of {features} float32")
    except (ValueError, EOFError, OSError) as error:
        raise FormatError("the background of the explainer cannot be read", why=str(error)[:200]) from error
    return np.ascontiguousarray(rows)

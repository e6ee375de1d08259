"""Training rows that travel in a package where the project file says so, coded as `row_codes` does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.stats.arrays import Floats

if TYPE_CHECKING:
    from bessemer.package.read import PackageContents

#: The member, and the file of the `reference` artifact.
KEPT_ROWS = "reference_rows.npy"


def write_kept(rows: Floats) -> bytes:
    """Coded rows (n, columns) as .npy (version 1.0, float32, little-endian): the same rows are the same bytes."""
    out = io.BytesIO()
    coded = np.ascontiguousarray(rows, dtype="<f4")
    np.lib.format.write_array(out, coded, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def read_kept(contents: PackageContents, columns: int) -> Floats | None:
    """The coded rows of a package; None where it has none.

    Raises:
        FormatError: they are not that, or of another number of columns.
    """
    if KEPT_ROWS not in contents:
        return None
    try:
        rows = np.lib.format.read_array(io.BytesIO(contents.bytes(KEPT_ROWS)), allow_pickle=False)
        if rows.dtype != np.dtype("<f4") or rows.ndim != 2 or rows.shape[1] != columns or not len(rows):
            raise ValueError(f"it holds {rows.dtype} of shape {rows.shape}, not rows of {columns} float32")
    except (ValueError, EOFError, OSError) as error:
        raise FormatError(
            f"'{KEPT_ROWS}' cannot be read",
            why=str(error)[:200],
            fix="make the package again: `bessemer run`",
        ) from error
    return rows.astype(np.float64)

"""The graph of a version against the model that explains it, as the package stage holds every package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bessemer.optimize.variant import Variant
from bessemer.package.contributions import Contributions
from bessemer.package.decision import Decision
from bessemer.package.model import Model
from bessemer.package.parity import check_parity

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that it is looked at on, as many as the package stage takes.
_ROWS = 500


def parity_of(model: Model, variant: Variant, rows: pa.Table) -> Mapping[str, float | int] | None:
    """How far the version's graph is from its native model, or from the parent's where that still explains it.

    Args:
        rows: raw.

    Returns:
        as `package.parity.check_parity`; None where the package has no native model.

    Raises:
        PackageError: it is further away than any package may be.
    """
    if variant.native is not None:
        kind, content = variant.native.kind, variant.native.content
    else:
        native = model.info.get("native") or {}
        if native.get("file") not in model.contents:
            return None
        kind, content = native["kind"], model.contents.bytes(native["file"])
    explains = Contributions(kind, content, model.info)
    decision = Decision.from_json(model.info.get("decision"))
    return check_parity(variant.graph, model.signature, explains, rows.slice(0, _ROWS), decision)

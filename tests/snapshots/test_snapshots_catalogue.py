"""The catalogue of what has landed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.core.errors import StoreError
from bessemer.core.store import Store
from bessemer.snapshots.catalogue import Catalogue


def test_a_snapshot_whose_rows_are_gone_gets_no_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    catalogue = Catalogue(store)
    meta = {"rows": 0, "columns": [], "sources": {}}
    for version in (1, 2):
        raw = store.get(store.put("raw", {"data.parquet": bytes([version])}, meta))
        catalogue.landed(raw, run="r", key="k", time="2026-01-01T00:00:00+00:00")
    store.sweep({catalogue.find("v2").digest}, dry_run=False)
    with pytest.raises(StoreError, match="the rows of snapshot v1 are gone"):
        catalogue.tag("v1", "golden")
    assert catalogue.names() == {}
    assert catalogue.tag("v2", "golden").names == ("golden",)
    with pytest.raises(StoreError):
        catalogue.tag("v1", "golden", move=True)
    assert catalogue.names() == {"golden": 2}

"""Rows of inputs whose names JSON has to escape."""

from __future__ import annotations

import json

import pytest

from bessemer.core.signature import Field, Signature
from bessemer.serve.row_reader import RowReader


@pytest.mark.parametrize("name", ['12" pipe', "back\\slash", "two\nlines", "tab\there"])
def test_a_name_that_json_escapes_goes_the_long_way(name: str) -> None:
    """The quick way's decoder takes no such name, and must not be made."""
    reader = RowReader(Signature((Field(name, "number", "float32"),), ()))
    assert reader.decode(json.dumps({"rows": [{name: 3}]}).encode(), "rows") is None
    assert reader.read([{name: 3}]) == [(3,)]

"""Every dialect keeps what all dialects promise."""

from __future__ import annotations

import pytest

from bessemer.serve.plugins import DIALECTS
from bessemer.testing.dialects import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DIALECTS.names())
def test_conforms(name: str, check: Check) -> None:
    check(DIALECTS.load(name))

"""Which column of a Snowflake table a name means where two differ only by case."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bessemer.predict.sinks.snowflake import by_name


@pytest.mark.parametrize("order", [["id", "ID"], ["ID", "id"]])
def test_the_exact_name_comes_first(order: list[str]) -> None:
    found = by_name([SimpleNamespace(name=name) for name in [*order, "Score"]])
    assert (found["id"].name, found["ID"].name) == ("id", "ID")
    assert (found["score"].name, found["Score"].name) == ("Score", "Score")

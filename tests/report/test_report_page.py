"""The page as text: complete, safe, self-contained, the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core import canonical
from bessemer.core.errors import BessemerError
from bessemer.report.data.facts import COLUMNS
from bessemer.report.html import TIMINGS, embed
from bessemer.report.spec import ReportSpec
from bessemer.report.view import shorten

TASKS = ["binary", "multiclass", "regression"]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def page_data(page: str) -> Any:
    """The data that is embedded in a page."""
    start = page.index('id="bessemer-data">') + len('id="bessemer-data">')
    return json.loads(page[start : page.index("</script>", start)])


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_one_file_that_loads_nothing(made: Callable[[str], Any], task: str) -> None:
    page = made(task).report()
    assert len(page.encode()) < 500_000
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert "{{" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_place_for_the_timings_stands_there_once(made: Callable[[str], Any]) -> None:
    assert made("binary").report().count(TIMINGS) == 1


@pytest.mark.slow
def test_same_artifacts_same_bytes(made: Callable[[str], Any]) -> None:
    assert made("regression").report() == made("regression").report()


def test_the_page_has_what_the_artifacts_have(made: Callable[[str], Any]) -> None:
    one = made("binary")
    data = page_data(one.report())
    evaluation = one.store.get(one.refs["evaluation"]).json("evaluation.json")
    metric = evaluation["metrics"][evaluation["metric"]]
    assert data["evaluation"]["metrics"][evaluation["metric"]]["value"] == pytest.approx(
        metric["value"], rel=1e-5
    )
    assert {c["name"] for c in data["data"]["columns"]} >= {"tenure", "Contract"}
    assert data["data"]["quarantine"]["by_rule"]["tenure: min"] == 9
    assert data["positive"] is True
    assert 0.2 < data["positive_share"] < 0.4
    assert 0 < data["threshold"] < 1
    assert dict(data["provenance"]["artifacts"])["model"] == one.refs["model"].digest


def test_regression_has_a_scatter_of_actual_and_predicted(made: Callable[[str], Any]) -> None:
    points = page_data(made("regression").report())["scatter"]
    assert len(points) == 600
    assert all(len(point) == 2 for point in points)


def test_hostile_text_stays_text(made: Callable[[str], Any]) -> None:
    page = made("binary").report(
        ReportSpec(title=HOSTILE), name="n", version=HOSTILE, description=f"{HOSTILE} {{{{data}}}}"
    )
    assert HOSTILE not in page
    assert page.count("</script>") == 3
    assert "<h1>&lt;/script&gt;" in page
    assert page_data(page)["title"] == HOSTILE


@given(st.recursive(st.text() | st.floats(allow_nan=False) | st.none(), lambda x: st.lists(x, max_size=3)))
def test_embedded_data_has_no_angle_brackets_and_comes_back(value: Any) -> None:
    text = embed(value)
    assert not set("<>&") & set(text)
    assert canonical.dumps(json.loads(text)) == canonical.dumps(value)


def test_only_what_is_there_is_needed(made: Callable[[str], Any]) -> None:
    one = made("binary")
    few = {kind: one.refs[kind] for kind in ("model", "splits", "evaluation")}
    data = page_data(one.report(refs=few))
    assert data["explanations"] is None
    assert data["history"] is None
    assert data["data"]["violations"] == []
    with pytest.raises(BessemerError, match="no report without evaluation"):
        one.report(refs={kind: one.refs[kind] for kind in ("model", "splits")})


@pytest.mark.slow
def test_thousands_of_columns_are_cut_and_counted(made: Callable[[str], Any]) -> None:
    one = made("binary")
    column = {"dtype": "DOUBLE", "count": 9, "missing": 0, "missing_share": 0.0, "distinct": 9, "mean": 1.0}
    many = {"rows": 9, "columns": {f"c{i:05}": column for i in range(10_000)}}
    wide = one.store.put("statistics", {"statistics.json": canonical.dump_bytes(many)})
    page = one.report(refs={**one.refs, "statistics": wide})
    data = page_data(page)["data"]
    assert len(data["columns"]) == COLUMNS
    held = one.store.get(one.refs["splits"]).path("test.parquet")
    assert (
        data["left_out"] == 10_000 + len(pq.read_schema(held)) - COLUMNS
    )  # none of them is in the statistics
    assert len(page) < 1_500_000


@pytest.mark.slow
def test_fifty_full_columns_stay_small(made: Callable[[str], Any]) -> None:
    one = made("binary")
    top = [[f"a value that is long {i}", i] for i in range(20)]
    histogram = {"edges": [i / 7 for i in range(41)], "counts": list(range(40))}
    column = {"dtype": "VARCHAR", "count": 9, "missing": 0, "distinct": 9, "top": top, "histogram": histogram}
    many = {"rows": 9, "columns": {f"column {i}": column for i in range(50)}}
    wide = one.store.put("statistics", {"statistics.json": canonical.dump_bytes(many)})
    assert len(one.report(refs={**one.refs, "statistics": wide})) < 700_000


def test_long_texts_are_cut_and_numbers_are_short() -> None:
    short = shorten({"description": "d" * 3000, "why": "w" * 300, "x": 1 / 3, "n": 12345678901})
    assert len(short["description"]) == 2000
    assert short["why"].endswith("w…")
    assert short["x"] == 0.333333
    assert short["n"] == 12345678901


def test_digits_are_enough_to_tell_values_apart() -> None:
    """A column in 1,234,567,000 to ..399, a curve along it, and a place on earth."""
    points = [[1234567000.25, 0.123456789], [1234567399.5, 0.2]]
    view = {
        "columns": [{"mean": 1234567199.0, "min": 1234567000.0, "quantiles": {"0.5": -122.4194155}}],
        "curve": {"points": points, "name": "a"},
        "lines": [[[1e9 + 0.125, 2.0]], [[1e9 + 0.25, 2.0]]],
        "rows": [{"values": {"longitude": -122.4194155}, "metric": -122.4194155}],
    }
    short = shorten(view)
    assert short["columns"] == view["columns"]
    assert [point[0] for point in short["curve"]["points"]] == pytest.approx([p[0] for p in points], abs=0.01)
    assert short["curve"]["points"][0][1] == 0.123457
    assert short["rows"] == [{"values": {"longitude": -122.4194155}, "metric": -122.419}]

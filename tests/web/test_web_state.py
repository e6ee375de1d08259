"""What the page is given, and to whom."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bessemer.web.state import Stores


def ask(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_the_state_has_what_is_served_and_found_and_done(filled: Any) -> None:
    state = Stores(filled.path).state("churn")
    assert [(v["version"], v["current"], v["rows"]) for v in state["versions"]] == [
        ("1", False, 1500),
        ("1.1", True, 1500),
    ]
    assert [w["found"] for w in state["windows"]] == [0, 0, 1, 0, 0, 1]
    assert state["windows"][1]["measured"]["value"] == 0.79
    assert state["windows"][0]["measured"] is None
    assert {one["version"] for one in state["alerts"]} == {"1", "1.1"}
    assert all(one["cause"] and one["command"].startswith("bessemer ") for one in state["alerts"])
    assert state["retrainings"][0]["outcome"] == "promoted"


def test_drift_is_one_where_it_is_found_and_less_where_it_is_not(filled: Any) -> None:
    state = Stores(filled.path).state("churn")
    strength = {column["name"]: column["values"] for column in state["drift"]["columns"]}
    assert strength["tenure"][2] == 1
    assert all(0 < value < 0.5 for value in strength["plan"])
    assert strength["tenure"][5] is None  # that window did not look at it


def test_windows_can_be_those_of_some_days(filled: Any) -> None:
    state = Stores(filled.path).state("churn", days=2 / 24)
    assert len(state["windows"]) == 3


def test_nothing_is_sent_twice_while_nothing_changes(filled: Any, served: Callable[[Path], str]) -> None:
    from conftest import window

    url = served(filled.path)
    status, headers, body = ask(url, "/state.json")
    assert (status, json.loads(body)["model"]) == (200, "churn")
    assert ask(url, "/state.json", if_none_match=headers["etag"])[0] == 304
    filled.keep(window(6, "1.1"))
    assert ask(url, "/state.json", if_none_match=headers["etag"])[0] == 200


@pytest.mark.parametrize("path", ["/", "/monitor.js", "/monitor.css", "/state.json"])
def test_a_name_that_somebody_else_has_pointed_here_is_refused(
    filled: Any, served: Callable[[Path], str], path: str
) -> None:
    url = served(filled.path)
    assert ask(url, path, host="evil.example:8081")[0] == 421
    status, headers, _ = ask(url, path)
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/etc/passwd", "/../monitor.db", "/state.json/"])
def test_nothing_else_is_there(filled: Any, served: Callable[[Path], str], path: str) -> None:
    assert ask(served(filled.path), path)[0] == 404


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path, served: Callable[[Path], str]) -> None:
    status, _, body = ask(served(tmp_path / "none.db"), "/state.json")
    assert (status, json.loads(body)) == (200, {"models": []})
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_store_is_told(tmp_path: Path, served: Callable[[Path], str]) -> None:
    (tmp_path / "monitor.db").write_bytes(b"not a database" * 100)
    status, _, body = ask(served(tmp_path / "monitor.db"), "/state.json")
    assert status == 500
    assert "monitor.db" in json.loads(body)["error"]

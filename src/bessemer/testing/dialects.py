"""What every dialect of the server must do. Run each check over yours:

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_dialect(check):
        check(MyDialect)

A check takes the class and raises AssertionError with what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Dialect, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.predictor import Predictor
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Request
from bessemer.testing.models import INPUTS, ROWS, TASKS, tiny_contributions, tiny_session, tiny_signature

Check = Callable[[type[Dialect]], None]


def subject(task: Any = "binary", **settings: Any) -> Subject:
    """A subject for the tiny model of a task and a server with these settings."""
    groups = tuple(field.name for field in INPUTS)
    return Subject("tiny", "1.0.0", tiny_signature(task), groups, ServeSpec(**settings))


def predictor(task: Any = "binary") -> Predictor:
    """What predicts for the tiny model of a task."""
    return Predictor(tiny_signature(task), tiny_session(task), tiny_contributions(task))


def _whole_rows() -> list[dict[str, Any]]:
    return [{field.name: row.get(field.name) for field in INPUTS} for row in ROWS]


def routes_are_well_formed(kind: type[Dialect]) -> None:
    """Routes differ, begin with a slash, name only {model} and {version}, and one predicts."""
    routes = kind(subject()).routes
    places = [(route.method, route.path) for route in routes]
    assert len(set(places)) == len(places), f"a route stands twice: {places}"
    assert any(route.answer is None for route in routes), "no route predicts"
    for route in routes:
        assert route.method in ("GET", "POST", "PUT", "DELETE"), route
        assert route.path.startswith("/"), route
        assert set(re.findall(r"\{(.*?)\}", route.path)) <= {"model", "version"}, route
        assert route.summary, route


def example_goes_to_a_route(kind: type[Dialect]) -> None:
    """The example's method and path are those of a route that predicts, explained or not."""
    dialect = kind(subject())
    predicting = {(r.method, r.at("tiny", "1.0.0")) for r in dialect.routes if r.answer is None}
    for explain in (False, True):
        request = dialect.example(_whole_rows(), explain=explain)
        assert (request.method, request.path) in predicting, request.path


def values_arrive_unchanged(kind: type[Dialect]) -> None:
    """What is decoded are the rows of the example: values, types and missing values."""
    wanted = rows_to_feeds(_whole_rows(), INPUTS)
    dialect = kind(subject())
    batch = dialect.decode(dialect.example(_whole_rows()))
    assert batch.rows == len(ROWS)
    assert batch.feeds.keys() == wanted.keys()
    for name, array in wanted.items():
        found = batch.feeds[name]
        assert found.shape == (len(ROWS), 1), f"{name}: {found.shape}"
        assert found.dtype == array.dtype, f"{name}: {found.dtype}"
        assert _same(found, array), f"{name}: {found.tolist()} is not {array.tolist()}"


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def every_task_is_answered(kind: type[Dialect]) -> None:
    """One row, many rows and no rows are answered with 200, explained or not, twice with the same bytes."""
    for task in TASKS:
        dialect, model = kind(subject(task)), predictor(task)
        for rows in (_whole_rows(), _whole_rows()[:1], []):
            for explain in (False, True):
                request = dialect.example(rows, explain=explain)
                answers = [_answered(dialect, model, request) for _ in range(2)]
                assert answers[0] == answers[1], "the same request has two answers"


def _answered(dialect: Dialect, model: Predictor, request: Request) -> bytes:
    batch = dialect.decode(request)
    response = dialect.encode(batch, model.predict(batch))
    assert response.status == 200, response
    assert response.body
    return response.body


def explanations_follow_the_setting(kind: type[Dialect]) -> None:
    """On request, always, or never: then a request that asks is refused with 403."""

    def decoded(setting: str, asks: bool) -> Batch:
        dialect = kind(subject(explain=setting))
        return dialect.decode(dialect.example(_whole_rows(), explain=asks))

    assert not decoded("on_request", False).explain
    assert decoded("on_request", True).explain
    assert decoded("always", False).explain
    assert not decoded("never", False).explain
    assert _status(lambda: decoded("never", True)) == 403


def limits_are_kept(kind: type[Dialect]) -> None:
    """More rows than the server takes are refused with 413."""
    dialect = kind(subject(max_rows=2))
    assert dialect.decode(dialect.example(_whole_rows()[:2])).rows == 2
    assert _status(lambda: dialect.decode(dialect.example(_whole_rows()))) == 413


def broken_requests_are_refused(kind: type[Dialect]) -> None:
    """A body that is cut anywhere, or has a byte changed, is decoded or refused with 4xx; nothing else is raised."""
    dialect = kind(subject())
    whole = dialect.example(_whole_rows(), explain=True)
    rng = np.random.default_rng(7)
    bodies = [whole.body[:end] for end in range(0, len(whole.body), 3)]
    for place in rng.integers(0, len(whole.body), 300):
        changed = bytearray(whole.body)
        changed[place] = rng.integers(0, 256)
        bodies.append(bytes(changed))
    bodies += [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b'"text"',
        b"[[]]",
        b"[null]",
        b"[" * 5000,
        b"\xff\xfe",
        b"NaN",
    ]
    for body in bodies:
        request = Request(whole.method, whole.path, headers=whole.headers, body=body)
        status = _status(lambda request=request: dialect.decode(request))  # type: ignore[misc]
        assert status == 200 or 400 <= status < 500, (status, body)


def errors_are_told(kind: type[Dialect]) -> None:
    """An error keeps its status and headers and says what it is, in any words."""
    dialect = kind(subject())
    for status in (400, 404, 405, 408, 413, 415, 431, 500, 503, 504):
        error = RequestError(status, "the <reason>", fix="the fix", headers=(("retry-after", "1"),))
        response = dialect.error(error)
        assert response.status == status
        assert b"the <reason>" in response.body or b"the \\u003creason" in response.body, response.body
        assert ("retry-after", "1") in response.headers


def _status(decode: Callable[[], Any]) -> int:
    try:
        decode()
    except RequestError as error:
        return error.status
    return 200


CHECKS: Sequence[Check] = (
    routes_are_well_formed,
    example_goes_to_a_route,
    values_arrive_unchanged,
    every_task_is_answered,
    explanations_follow_the_setting,
    limits_are_kept,
    broken_requests_are_refused,
    errors_are_told,
)

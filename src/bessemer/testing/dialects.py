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

from bessemer.serve.batching import Lane
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Call, Dialect, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.predictor import Predictor
from bessemer.serve.repository import Repository
from bessemer.serve.router import Router
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import GRPC, Batch, Request
from bessemer.testing.models import INPUTS, ROWS, TASKS, tiny_contributions, tiny_session, tiny_signature
from bessemer.testing.several import several_session, several_signature

Check = Callable[[type[Dialect]], None]


def repository(task: Any = "binary", **settings: Any) -> Repository:
    """A server's models: the tiny model of a task, under these settings."""
    groups = tuple(field.name for field in INPUTS)
    subject = Subject("tiny", "1.0.0", tiny_signature(task), groups, ServeSpec(**settings))
    return Repository(subject.spec, [Lane(subject, predictor(task))])


def predictor(task: Any = "binary") -> Predictor:
    """What predicts for the tiny model of a task."""
    return Predictor(tiny_signature(task), tiny_session(task), tiny_contributions(task))


def _whole_rows() -> list[dict[str, Any]]:
    return [{field.name: row.get(field.name) for field in INPUTS} for row in ROWS]


def routes_are_well_formed(kind: type[Dialect]) -> None:
    """Routes differ, begin with a slash, have names in braces, and one predicts."""
    routes = kind(repository()).routes
    places = [(route.method, route.path) for route in routes]
    assert len(set(places)) == len(places), f"a route stands twice: {places}"
    assert any(route.answer is None for route in routes), "no route predicts"
    for route in routes:
        assert route.method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", GRPC), route
        assert route.path.startswith("/"), route
        assert re.fullmatch(r"(\{\w+\}|[^{}])+", route.path), route
        assert route.summary, route


def example_goes_to_a_route(kind: type[Dialect]) -> None:
    """The example's method and path are those of a route that predicts, explained or not."""
    models = repository()
    dialect = kind(models)
    router = Router([dialect])
    for explain in (False, True):
        request = dialect.example(models.get(), _whole_rows(), explain=explain)
        found = router.find(request.method, request.path)
        assert found is not None, request.path
        assert found.choose(request).route.answer is None, request.path


def called(models: Repository, dialect: Dialect, request: Request) -> Call:
    """The call that a request to this dialect alone becomes."""
    found = Router([dialect]).find(request.method, request.path)
    assert found is not None, request.path
    params = found.params
    subject = models.get(params.get("model"), params.get("version"), params.get("label"))
    return Call(request, found.choose(request).route.verb, params, subject)


def values_arrive_unchanged(kind: type[Dialect]) -> None:
    """What is decoded are the rows of the example: values, types and missing values."""
    fields = list(INPUTS)
    wanted = rows_to_feeds([tuple(row[field.name] for field in fields) for row in _whole_rows()], fields)
    models = repository()
    dialect = kind(models)
    batch = dialect.decode(called(models, dialect, dialect.example(models.get(), _whole_rows())))
    assert batch.rows == len(ROWS)
    feeds = batch.feeds if batch.feeds is not None else rows_to_feeds(batch.values or [], fields)
    assert feeds.keys() == wanted.keys()
    for name, array in wanted.items():
        found = feeds[name]
        assert found.shape == (len(ROWS), 1), f"{name}: {found.shape}"
        assert found.dtype == array.dtype, f"{name}: {found.dtype}"
        assert _same(found, array), f"{name}: {found.tolist()} is not {array.tolist()}"


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def every_task_is_answered(kind: type[Dialect]) -> None:
    """One row, many rows and no rows are answered with 200, explained or not, twice with the same bytes."""
    for task in TASKS:
        models = repository(task)
        dialect = kind(models)
        for rows in (_whole_rows(), _whole_rows()[:1], []):
            for explain in (False, True):
                request = dialect.example(models.get(), rows, explain=explain)
                answers = [_answered(models, dialect, request) for _ in range(2)]
                assert answers[0] == answers[1], "the same request has two answers"


def _answered(models: Repository, dialect: Dialect, request: Request) -> bytes:
    call = called(models, dialect, request)
    batch = dialect.decode(call)
    response = dialect.encode(call, batch, models.predictor(call.subject).predict(batch))
    assert response.status == 200, response
    assert response.body
    return response.body


def batches_change_nothing(kind: type[Dialect]) -> None:
    """Requests that are scored together have the answers of each alone."""
    for task in TASKS:
        models = repository(task)
        dialect = kind(models)
        calls = [
            called(models, dialect, dialect.example(models.get(), rows))
            for rows in (_whole_rows(), _whole_rows()[1:2], _whole_rows()[:2])
        ]
        batches = [dialect.decode(call) for call in calls]
        predictor = models.predictor(models.get())
        alone = [
            dialect.encode(call, b, predictor.predict(b)).body for call, b in zip(calls, batches, strict=True)
        ]
        together = predictor.predict_together(batches)
        found = [dialect.encode(*each).body for each in zip(calls, batches, together, strict=True)]
        assert found == alone, "the neighbours in a batch change the answer"


def further_targets_are_told(kind: type[Dialect]) -> None:
    """Of a model of several targets the answer says what each is: it is another one where a further one is."""
    for task in TASKS:
        answers = []
        for shift in (0.0, 64.0):
            subject = Subject("tiny", "1.0.0", several_signature(task))
            lane = Lane(subject, Predictor(subject.signature, several_session(task, shift), None))
            models = Repository(subject.spec, [lane])
            dialect = kind(models)
            answers.append(_answered(models, dialect, dialect.example(models.get(), _whole_rows())))
        assert answers[0] != answers[1], (
            f"what is said beside the main target of a {task} is not in the answer"
        )


def explanations_follow_the_setting(kind: type[Dialect]) -> None:
    """On request, always, or never: then a request that asks is refused with 403."""

    def decoded(setting: str, asks: bool) -> Batch:
        models = repository(explain=setting)
        dialect = kind(models)
        return dialect.decode(
            called(models, dialect, dialect.example(models.get(), _whole_rows(), explain=asks))
        )

    assert not decoded("on_request", False).explain
    if not kind.explaining:
        assert not decoded("never", True).explain
        return
    assert decoded("on_request", True).explain
    assert decoded("always", False).explain
    assert not decoded("never", False).explain
    assert _status(lambda: decoded("never", True)) == 403


def limits_are_kept(kind: type[Dialect]) -> None:
    """More rows than the server takes are refused with 413."""
    models = repository(max_rows=2)
    dialect = kind(models)

    def decoded(rows: Sequence[dict[str, Any]]) -> Batch:
        return dialect.decode(called(models, dialect, dialect.example(models.get(), rows)))

    assert decoded(_whole_rows()[:2]).rows == 2
    assert _status(lambda: decoded(_whole_rows())) == 413


def broken_requests_are_refused(kind: type[Dialect]) -> None:
    """A body that is cut anywhere, or has a byte changed, is answered or refused with 4xx; nothing else is raised."""
    models = repository()
    dialect = kind(models)
    whole = dialect.example(models.get(), _whole_rows(), explain=True)
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
        status = _status(lambda request=request: _predicted(models, dialect, request))  # type: ignore[misc]
        assert status == 200 or 400 <= status < 500, (status, body)


def _predicted(models: Repository, dialect: Dialect, request: Request) -> None:
    call = called(models, dialect, request)
    batch = dialect.decode(call)
    dialect.encode(call, batch, models.predictor(call.subject).predict(batch))


def errors_are_told(kind: type[Dialect]) -> None:
    """An error keeps its status and headers and says what it is, in any words.

    A protocol that has its own statuses (`own_statuses = True` on the class) may answer with another of 400 to 599.
    """
    dialect = kind(repository())
    for status in (400, 404, 405, 408, 413, 415, 431, 500, 503, 504):
        error = RequestError(status, "the <reason>", fix="the fix", headers=(("retry-after", "1"),))
        response = dialect.error(error)
        if getattr(kind, "own_statuses", False):
            assert 400 <= response.status < 600
        else:
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
    batches_change_nothing,
    further_targets_are_told,
    explanations_follow_the_setting,
    limits_are_kept,
    broken_requests_are_refused,
    errors_are_told,
)

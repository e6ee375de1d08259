"""Every request has one answer, and none counts as waiting for ever, whatever goes wrong where nobody expects it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bessemer.package.model import Model
from bessemer.serve.app import App, House
from bessemer.serve.batching import Job, Run
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request, Response
from patience import PATIENCE

ROW = b'{"tenure": 8}'


class Broken:
    """An observer with an error of its own."""

    def __init__(self, where: str) -> None:
        self._where = where

    def scored(self, run: Run) -> None:
        if self._where == "scored":
            raise KeyError("an error of scored")

    def answered(self, run: Run) -> None:
        if self._where == "answered":
            raise KeyError("an error of answered")


def answers(app: App, requests: list[Request]) -> list[Response]:
    """The answers of all, sent in one turn of the loop."""

    async def send() -> list[Response]:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in requests]
        for request, future in zip(requests, futures, strict=True):
            app.begin(request, future.set_result)
        return list(await asyncio.wait_for(asyncio.gather(*futures), PATIENCE))

    return asyncio.run(send())


@pytest.fixture
def served(models: dict[str, Model]) -> Any:
    with ThreadPoolExecutor(2) as pool:

        def made(*observers: Any) -> App:
            spec = ServeSpec()
            lane = make_lane(models["binary"], spec, pool=pool, observers=observers)
            return App(Repository(spec, [lane]), House(pool=pool))

        yield made


@pytest.mark.parametrize("explain", [False, True], ids=["on the loop", "in a thread"])
@pytest.mark.parametrize(("where", "status"), [("scored", 500), ("answered", 200)])
def test_an_observer_that_raises_holds_up_no_request(
    where: str, status: int, explain: bool, served: Callable[..., App]
) -> None:
    app = served(Broken(where))
    query = {"explain": "true"} if explain else {}
    for _ in range(2):
        found = answers(app, [Request("POST", "/predict", query, {}, ROW) for _ in range(3)])
        assert [answer.status for answer in found] == [status] * 3
    lane = app.models.lanes()[0]
    assert (lane.waiting, lane._busy) == (0, 0)
    assert lane.subject.statistics.failed == (6 if status == 500 else 0)


def test_a_client_that_cannot_be_answered_costs_the_others_nothing(served: Callable[..., App]) -> None:
    app = served()

    async def send() -> bytes:
        other: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def gone(response: Response) -> None:
            raise ConnectionError("gone")

        app.begin(Request("POST", "/predict", body=ROW), gone)
        app.begin(Request("POST", "/predict", body=ROW), other.set_result)
        return (await asyncio.wait_for(other, PATIENCE)).body

    assert b'"prediction"' in asyncio.run(send())
    assert app.models.waiting == 0


class Kept:
    """What can be seen to be gone."""


def test_a_deadline_keeps_no_request_that_is_answered(served: Callable[..., App]) -> None:
    app = served()
    found = app.router.find("POST", "/predict")
    assert found is not None
    endpoint = found.endpoints[0]

    async def send() -> object:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        call = app._call(Request("POST", "/predict", body=ROW), endpoint, found)
        job = Job(call, endpoint.dialect, answer.set_result, "", 30.0)
        job.batch = endpoint.dialect.decode(call)
        job.batch.timeout, job.batch.context = 20.0, Kept()
        kept = weakref.ref(job.batch.context)
        app.models.submit(job)
        del job
        await asyncio.wait_for(answer, PATIENCE)
        await asyncio.sleep(0)
        gc.collect()
        return kept()

    assert asyncio.run(send()) is None

"""A change of what is served, seen from the requests that come meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bessemer.package.model import load
from bessemer.serve import repository as module
from bessemer.serve.batching import Lane
from bessemer.serve.errors import RequestError
from bessemer.serve.repository import Repository, Traffic, make_lane
from bessemer.serve.spec import ServeSpec


@pytest.fixture
def lanes(versions: Any) -> list[Lane]:
    from serve_packages import PUBLIC

    return [make_lane(load(versions(v), trust=[PUBLIC]), ServeSpec()) for v in ("1.0.0", "1.1.0")]


def test_what_was_found_before_a_change_is_not_kept_after_it(lanes: list[Lane]) -> None:
    repository = Repository(ServeSpec(), lanes)
    search = repository._search

    def changed_meanwhile(*of: Any) -> Lane:
        found = search(*of)
        repository._search = search  # type: ignore[method-assign]
        repository.share("tiny", Traffic({"1.1.0": 1.0}))
        return found

    repository._search = changed_meanwhile  # type: ignore[method-assign]
    assert repository.get("tiny").version == "1.0.0", "it asked before the change"
    assert repository.get("tiny").version == "1.1.0"


def test_a_dropped_version_is_let_go(lanes: list[Lane], monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    repository = Repository(ServeSpec(timeout=10.0), lanes)
    subject = lanes[0].subject
    repository.drop("tiny", "1.0.0")
    assert repository.predictor(subject), "requests that found it are still read"
    moment[0] = 19.0
    repository.let_go()
    assert repository.predictor(subject), "within twice the time that a request may take"
    moment[0] = 21.0
    repository.let_go()
    with pytest.raises(KeyError):
        repository.predictor(subject)


def test_readers_see_a_whole_state_while_versions_come_and_go(lanes: list[Lane]) -> None:
    repository = Repository(ServeSpec(), lanes)
    wrong: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                repository.get()
                repository.default()
            except RequestError:
                continue  # no model at this moment
            except Exception as error:
                wrong.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(300):
        repository.share("tiny", Traffic({"1.0.0": 1.0, "1.1.0": 1.0}))
        for lane in lanes:
            repository.drop("tiny", lane.subject.version)
        for lane in lanes:
            repository.put(lane)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong

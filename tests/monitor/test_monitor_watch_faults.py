"""What must not happen to a watch: a second one, a clock that jumps, a watcher that fails, windows forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_support import Server, at, watching

from bessemer.core.errors import EnvironmentFault
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.steady import Steady
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watchers.age import Age
from bessemer.package.prediction_log.read import labelled_between


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "log")
    yield one
    one.log.close()


@pytest.mark.slow
def test_a_second_monitor_of_the_same_version_and_store_is_refused(
    server: Server, package: Path, tmp_path: Path
) -> None:
    for hour in range(3):
        server.answer(hour + 0.5, 300, hour)
    first, second = watching(tmp_path, package), watching(tmp_path, package)
    looking = first.tick(at(3))
    next(looking)
    with pytest.raises(EnvironmentFault, match="another monitor watches this version"):
        next(second.tick(at(3)))
    said: list[str] = []
    assert list(Steady(said.append).tick(second, at(3))) == []
    assert "another monitor" in said[0]
    assert len(list(looking)) == 2
    assert list(second.tick(at(3))) == [], "it sees what the first has kept"


@pytest.mark.slow
def test_a_clock_that_was_ahead_does_not_blind_it(server: Server, package: Path, tmp_path: Path) -> None:
    server.answer(0.5, 300, 0)
    watch = watching(tmp_path, package, silence="1d", again=[])
    ahead = list(watch.tick(at(24 * 30)))
    assert len(ahead) > 1, "windows of days that are still to come"
    for hour in range(1, 4):
        server.answer(hour + 0.5, 300, hour)
    seen = list(watch.tick(at(4)))
    assert sum(window.rows for window in seen) == 900
    ends = [window.end for window in MonitorStore(tmp_path / "monitor.db").windows("tiny")]
    assert max(ends) <= at(5).isoformat(timespec="microseconds")


@pytest.mark.slow
def test_a_watcher_that_fails_ends_nothing_else_and_is_told_of(
    server: Server, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by a plug-in")

    monkeypatch.setattr(Age, "watch", broken)
    server.answer(0.5, 300, 0)
    (window,) = watching(tmp_path, package).tick(at(1))
    (found,) = [each for each in window.check["findings"] if each["detector"] == "age"]
    assert "ZeroDivisionError: by a plug-in" in found["text"]
    assert window.check["figures"]["skew"]["rows"] == 300, "the others have spoken"


@pytest.mark.slow
@pytest.mark.parametrize("again", ["1h", "6h"])
def test_a_window_is_looked_at_again_however_long_it_is(
    server: Server, package: Path, tmp_path: Path, again: str
) -> None:
    """Also where it is longer than that age, and where nobody has watched in between."""
    server.answer(1, 300, 0)
    watch = watching(tmp_path, package, every="1d", again=[again], silence=None)
    assert [window.looks for window in watch.tick(at(24))] == [1]
    assert [window.looks for window in watch.tick(at(24 * 20))] == [2]
    assert list(watch.tick(at(24 * 21))) == []


@pytest.mark.slow
def test_a_label_speaks_for_one_prediction_of_its_id(server: Server, package: Path, tmp_path: Path) -> None:
    """Clients name requests, and ask again under the same name."""
    ids = [server.answer(0.5, 50, seed) for seed in range(3)]
    assert ids[0] == ids[1] == ids[2]
    server.label(1, ids[0], 0, flipped=0)
    rows = labelled_between(tmp_path / "log", "tiny", at(0), at(2)).read_all()
    assert rows.num_rows == 50


def test_a_mapping_of_watchers_changes_some_and_keeps_the_others() -> None:
    usual = MonitorSpec().watchers
    found = MonitorSpec(watchers={"cusum": {"odds": 3.0}, "age": False, "slices": True}).watchers
    assert set(found) == (set(usual) | {"slices"}) - {"age"}
    assert found["cusum"] == {"odds": 3.0}
    assert set(MonitorSpec(watchers=["age"]).watchers) == {"age"}
    with pytest.raises(ValueError, match="did you mean 'cusum'"):
        MonitorSpec(watchers={"cusun": {}})

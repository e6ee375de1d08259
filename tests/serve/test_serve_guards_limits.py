"""Rate limits: the bucket, whose it is, how many there can be."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.serve.errors import RequestError
from bessemer.serve.guards.buckets import Buckets
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.keyfile import add_key
from bessemer.serve.guards.principal import Rate
from bessemer.serve.guards.spec import AccessSpec


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def guard_of(clock: Clock, workers: int = 1, folder: Path | None = None, **access: Any) -> Guard:
    return Guard(AccessSpec.model_validate(access), None, workers, clock, folder=folder)


def passes(guard: Guard, address: str = "192.0.2.1", times: int = 1, **headers: str) -> int:
    """How many of some requests at once are admitted."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    statuses: list[int] = []
    for _ in range(times):
        try:
            guard.admit("POST", "/predict", named, address)
        except RequestError as error:
            statuses.append(error.status)
        else:
            statuses.append(200)
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    guard = guard_of(clock, limits={"requests_per_second": 10, "burst": 25})
    assert passes(guard, times=100) == 25
    clock.now += 1.0
    assert passes(guard, times=100) == 10
    clock.now += 0.35
    assert passes(guard, times=100) == 3
    clock.now += 3600.0
    assert passes(guard, times=100) == 25


def test_a_refusal_says_when_to_come_again_and_that_is_true() -> None:
    clock = Clock()
    guard = guard_of(clock, limits={"requests_per_second": 0.4, "burst": 2})
    assert passes(guard, times=2) == 2
    with pytest.raises(RequestError) as caught:
        guard.admit("POST", "/predict", {}, "192.0.2.1")
    headers = dict(caught.value.headers)
    assert headers == {
        "retry-after": "3",
        "ratelimit-policy": '"default";q=2;w=5',
        "ratelimit": '"default";r=0;t=3',
    }
    clock.now += 2.4
    assert passes(guard) == 0
    clock.now += 0.6
    assert passes(guard) == 1


def test_each_address_has_its_own_bucket_and_an_ipv6_network_is_one() -> None:
    guard = guard_of(Clock(), limits={"requests_per_second": 1, "burst": 2})
    assert passes(guard, "192.0.2.1", times=5) == 2
    assert passes(guard, "192.0.2.2", times=5) == 2
    assert passes(guard, "::ffff:192.0.2.2", times=5) == 0
    assert sum(passes(guard, f"2001:db8::{n:x}", times=5) for n in range(1, 20)) == 2
    assert passes(guard, "2001:db8:0:1::1", times=5) == 2


def test_forwarded_addresses_count_only_from_our_proxies() -> None:
    limits = {"requests_per_second": 1, "burst": 1}
    guard = guard_of(Clock(), limits=limits, proxies=["10.0.0.0/8", "fd00::/8"])
    assert passes(guard, "10.1.2.3", x_forwarded_for="203.0.113.5") == 1
    assert passes(guard, "10.9.9.9", x_forwarded_for="8.8.8.8, 203.0.113.5, 10.0.0.2") == 0
    assert passes(guard, "10.1.2.3", x_forwarded_for="203.0.113.6:4711") == 1
    assert passes(guard, "fd00::1", x_forwarded_for="[2001:db8::1]:80") == 1
    assert passes(guard, "198.51.100.1", x_forwarded_for="1.1.1.1") == 1
    assert passes(guard, "198.51.100.1", x_forwarded_for="1.1.1.2") == 0
    assert passes(guard, "10.1.2.3", x_forwarded_for="junk, also junk") == 1
    assert passes(guard, "10.1.2.3", x_forwarded_for="more, other") == 0


def test_keys_have_their_own_limits(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    small, large = add_key(path, "small"), add_key(path, "large", requests_per_second=50.0, burst=70)
    guard = guard_of(Clock(), folder=tmp_path, keys={"file": "keys.yaml"}, limits={"requests_per_second": 5})
    assert passes(guard, "192.0.2.1", times=100, x_api_key=small) == 5
    assert passes(guard, "192.0.2.99", times=100, x_api_key=small) == 0
    assert passes(guard, "192.0.2.1", times=100, x_api_key=large) == 70


def test_several_workers_share_a_limit() -> None:
    clock = Clock()
    guards = [guard_of(clock, 4, limits={"requests_per_second": 40, "burst": 80}) for _ in range(4)]
    assert [passes(guard, times=100) for guard in guards] == [20] * 4
    clock.now += 1
    assert sum(passes(guard, times=100) for guard in guards) == 40


def test_public_paths_are_not_limited() -> None:
    guard = guard_of(Clock(), limits={"requests_per_second": 1, "burst": 1})
    assert all(guard.admit("GET", "/healthz", {}, "192.0.2.1") for _ in range(50))


def test_good_answers_show_the_limit_where_asked() -> None:
    clock = Clock()
    guard = guard_of(clock, limits={"requests_per_second": 2, "burst": 10, "headers": True})
    for _ in range(4):
        principal = guard.admit("POST", "/predict", {}, "192.0.2.1")
    shown = dict(guard.response_headers({}, principal, "192.0.2.1"))
    assert shown == {"ratelimit-policy": '"default";q=10;w=5', "ratelimit": '"default";r=6;t=1'}
    clock.now += 60
    assert dict(guard.response_headers({}, principal, "192.0.2.1"))["ratelimit"] == '"default";r=10;t=0'
    assert guard.response_headers({}, None) == ()


@pytest.mark.slow
def test_a_million_addresses_take_no_more_memory_than_the_first_few_thousand() -> None:
    buckets, rate = Buckets(4096), Rate(0.001, 5)  # none is full again in the time this takes

    def flood(start: int, end: int) -> int:
        for n in range(start, end):
            assert buckets.take(str(n), rate, n * 1e-6) == 0.0
        return sys.getsizeof(buckets._full)

    full = flood(0, 4096 * 4)
    assert len(buckets) == 4096
    assert flood(4096 * 4, 1_000_000) <= full
    assert len(buckets) == 4096


def test_a_flood_of_addresses_goes_through_the_door_and_not_into_memory() -> None:
    guard = guard_of(Clock(), limits={"requests_per_second": 0.001, "burst": 5, "remember": 256})
    assert all(passes(guard, f"10.0.{n >> 8}.{n & 255}") == 1 for n in range(5000))
    assert len(guard._strangers) == 256


def test_one_who_is_refused_stays_refused_while_others_come_and_go() -> None:
    buckets = Buckets(100)
    rate = Rate(1.0, 3)
    assert [buckets.take("loud", Rate(0.001, 3), 0.0) > 0 for _ in range(4)] == [False, False, False, True]
    for n in range(10_000):  # each of these is full again before the next hundred have come
        buckets.take(f"quiet-{n}", rate, 10.0 + n * 0.1)
    assert buckets.take("loud", Rate(0.001, 3), 1010.0) == 0.0
    assert buckets.take("loud", Rate(0.001, 3), 1010.0) > 0


@settings(max_examples=200)
@given(
    st.floats(0.01, 1000.0),
    st.integers(1, 50),
    st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(per_second: float, burst: int, pauses: list[float]) -> None:
    """In any stretch of time no more passes than burst + rate * time; and one who waits as told is admitted."""
    buckets, rate, now = Buckets(10), Rate(per_second, burst), 0.0
    taken: list[float] = []
    for pause in pauses:
        now += pause
        wait = buckets.take("a", rate, now)
        if wait == 0.0:
            taken.append(now)
        else:
            now += wait
            assert buckets.take("a", rate, now + 1e-6) == 0.0
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + per_second * (taken[last] - start + 1e-4 * (last - first + 1))
            assert last - first + 1 <= allowed + 1e-3


def test_many_threads_take_no_more_than_there_is() -> None:
    guard = guard_of(Clock(), limits={"requests_per_second": 1, "burst": 1000})
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: passes(guard, times=500), range(8))) == 1000

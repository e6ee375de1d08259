"""Followers of a topic that are killed at random, and a producer that never stops: run by a test as a process.

Two followers share a group, each with a place of its own in it (static membership), so that who takes a killed one's
place has its partitions at once. In each round one of these things happens:

- a follower is killed (SIGKILL), and another takes its place;
- a follower is frozen (SIGSTOP), another takes its place, and then it wakes up and goes on with what it held;
- a third one joins the group, or leaves it: partitions change hands;
- a rival, which lands all partitions too and knows nothing of the others, is killed and starts again: in turns runs
  that land up to the end, one after the other, and a follower of another group.

Between two rounds something is landed, however slow the machine is. Followers are forked from this process, which has
imported everything and runs no threads: a round takes a fraction of a second.

    python -m systems.kafka_kills BROKER TOPIC PARTITIONS LAKE ROUNDS SEED
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

import confluent_kafka
import deltalake  # noqa: F401 - what the followers need is imported before the fork
import duckdb  # noqa: F401
import numpy as np  # noqa: F401
import pyarrow as pa  # noqa: F401
import pyarrow.compute
import pyarrow.json  # noqa: F401

from bessemer.acquire.streams.bounded import land_to_end
from bessemer.acquire.streams.follow import Follower
from bessemer.acquire.streams.open import client_of, lander_of
from bessemer.acquire.streams.options import KafkaSource

_STOP = Event()


def options_of(broker: str, topic: str, lake: str, group: str, place: str = "") -> KafkaSource:
    settings: dict[str, Any] = {
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "log_level": 0, "fetch.wait.max.ms": 10,
    }  # fmt: skip
    if place:
        settings["group.instance.id"] = place
    return KafkaSource.model_validate(
        {
            "kafka": broker, "topic": topic, "land": lake, "batch": 40, "every": 0.03, "group": group,
            "settings": settings,
        }
    )  # fmt: skip


def _follow(options: KafkaSource) -> None:
    client = client_of("kills", options, Path(), ends=False)
    lander = lander_of("kills", options, Path())
    Follower(client, lander, options, lambda nexts: None).run(_STOP)
    client.close()


def _run(options: KafkaSource) -> None:
    while not _STOP.is_set():
        with closing(client_of("kills", options, Path(), ends=True)) as client:
            land_to_end(client, lander_of("kills", options, Path()), options)
        time.sleep(0.05)


def _produce(broker: str, topic: str, partitions: int) -> None:
    """Numbers, counted in each partition, until SIGTERM; then how many there are is printed."""
    config = {"bootstrap.servers": broker, "linger.ms": 1, "enable.idempotence": True, "log_level": 0}
    producer = confluent_kafka.Producer(config)
    number = 0
    while not _STOP.is_set():
        for partition in range(partitions):
            value = json.dumps({"seq": number, "part": partition}).encode()
            producer.produce(topic, value, partition=partition)
        number += 1
        producer.poll(0.003)
    assert producer.flush(300) == 0
    print(json.dumps({"sent": number}), flush=True)


def _forked(work: Callable[..., None], *arguments: Any) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work(*arguments)
            code = 0
        except BaseException as error:  # told to the test
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return child


def _kill(process: int, number: int = signal.SIGKILL) -> int:
    """End a process; gives how it ended."""
    os.kill(process, number)
    return os.waitpid(process, 0)[1]


def _commits(lake: str) -> int:
    """How many there were; the names say it, and this process begins none of the threads of the library."""
    return sum(1 for _ in Path(lake, "_delta_log").glob("*.json"))


def _wait_for_a_commit(lake: str, before: int) -> None:
    end = time.monotonic() + 300
    while _commits(lake) <= before:
        assert time.monotonic() < end, "nothing lands"
        time.sleep(0.01)


class Rounds:
    """The followers that run, and what happens to them."""

    def __init__(self, broker: str, topic: str, lake: str) -> None:
        self._of = broker, topic, lake
        self.places = {place: self._start("shared", place) for place in ("a", "b")}
        self.rival = _forked(_run, options_of(broker, topic, lake, "rival-0"))
        self.frozen: list[int] = []
        self.third = 0
        self.done: Counter[str] = Counter()

    def _start(self, group: str, place: str = "") -> int:
        return _forked(_follow, options_of(*self._of, group, place))

    def one(self, chance: random.Random) -> None:
        """One round."""
        what = chance.choices(("killed", "frozen", "third", "rival"), (6, 2, 1, 1))[0]
        self.done[what] += 1
        place = chance.choice("ab")
        if what == "killed":
            _kill(self.places[place])
            self.places[place] = self._start("shared", place)
        elif what == "frozen":
            os.kill(self.places[place], signal.SIGSTOP)
            self.frozen.append(self.places[place])
            self.places[place] = self._start("shared", place)
        elif what == "third" and self.third:
            assert _kill(self.third, signal.SIGTERM) == 0, "the third did not leave well"
            self.third = 0
        elif what == "third":
            self.third = self._start("shared", "c")
        else:
            _kill(self.rival)
            name = f"rival-{self.done[what]}"
            self.rival = (
                self._start(name) if self.done[what] % 2 else _forked(_run, options_of(*self._of, name))
            )
        if self.frozen and what != "frozen":
            woken = self.frozen.pop()
            os.kill(woken, signal.SIGCONT)
            time.sleep(0.1)
            _kill(woken)

    def end(self) -> None:
        """Ask those that run to end; they must end well."""
        for woken in self.frozen:
            _kill(woken)
        left = self._running()
        for each in left:
            os.kill(each, signal.SIGTERM)
        ended = [os.waitpid(each, 0)[1] for each in left]
        assert not any(ended), f"followers that were asked to end: {ended}"

    def kill(self) -> None:
        """After a failure nobody is left behind."""
        for each in (*self.frozen, *self._running()):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def _running(self) -> list[int]:
        return [*self.places.values(), self.rival, *([self.third] if self.third else [])]


def main(broker: str, topic: str, partitions: str, lake: str, rounds: str, seed: str) -> None:
    chance = random.Random(int(seed))
    signal.signal(signal.SIGTERM, lambda *_: _STOP.set())  # before the forks: who starts can be ended at once
    producer = _forked(_produce, broker, topic, int(partitions))
    going = Rounds(broker, topic, lake)
    try:
        seen = 0
        for _ in range(int(rounds)):
            _wait_for_a_commit(lake, seen)
            time.sleep(chance.uniform(0.0, 0.3))
            seen = _commits(lake)
            going.one(chance)
        assert _kill(producer, signal.SIGTERM) == 0, "the producer failed"
        going.end()
    except BaseException:
        going.kill()
        with suppress(ProcessLookupError):
            os.kill(producer, signal.SIGKILL)
        raise
    print(json.dumps(going.done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

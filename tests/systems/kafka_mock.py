"""librdkafka's own cluster of mock brokers: what goes wrong with brokers can be ordered from it.

It stands behind sockets of this machine, so that clients of any process reach it. The functions are the library's
that the official client is built on, called by `ctypes`; a client of its own carries the brokers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka

#: Numbers of requests in Kafka's protocol.
PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_FETCH, COORDINATOR = 0, 1, 2, 3, 9, 10
INIT_PRODUCER, ADD_OFFSETS, END_TRANSACTION, COMMIT_OFFSETS = 22, 25, 26, 28
#: Numbers of its errors; negative ones are the client's own.
NOT_LEADER, TIMED_OUT, LOADING, NOT_COORDINATOR, TRANSPORT = 6, 7, 14, 16, -195
NOT_AUTHORIZED = 30
_PRODUCER = 0


def _library() -> Any:
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    (file,) = folder.glob("librdkafka*.so*")
    library = ctypes.CDLL(str(file))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class Cluster:
    """Brokers, numbered from 1. address: their `bootstrap.servers`."""

    def __init__(self, library: Any, handle: int, brokers: int) -> None:
        self._library, self._handle, self._brokers = library, ctypes.c_void_p(handle), brokers
        self.address = library.rd_kafka_mock_cluster_bootstraps(self._handle).decode()

    def topic(self, name: str, partitions: int = 1) -> str:
        self._do("topic_create", name.encode(), partitions, 1)
        return name

    def fail(self, request: int, *errors: int) -> None:
        """The next answers to a request are these errors, whichever broker it goes to."""
        given = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._handle, ctypes.c_int16(request), ctypes.c_size_t(len(errors)), given
        )

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Another broker has the partition from now on; clients find that out."""
        self._do("partition_set_leader", topic.encode(), partition, broker)

    def down(self, broker: int) -> None:
        """A broker closes its connections, and takes no others."""
        self._do("broker_set_down", broker)

    def up(self, broker: int) -> None:
        self._do("broker_set_up", broker)

    def slow(self, milliseconds: int) -> None:
        """How long each answer takes from now on."""
        for broker in range(1, self._brokers + 1):
            self._do("broker_set_rtt", broker, milliseconds)

    def _do(self, what: str, *given: Any) -> None:
        error = getattr(self._library, f"rd_kafka_mock_{what}")(self._handle, *given)
        assert error == 0, f"{what}: error {error}"


@contextmanager
def cluster(brokers: int = 3) -> Iterator[Cluster]:
    """Mock brokers that run in this process, until the end."""
    library = _library()
    said = ctypes.create_string_buffer(512)
    config = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(config, b"log_level", b"0", said, ctypes.c_size_t(len(said)))
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, config, said, ctypes.c_size_t(len(said))))
    assert client.value, said.value
    handle = library.rd_kafka_mock_cluster_new(client, brokers)
    assert handle, "no mock cluster"
    try:
        yield Cluster(library, handle, brokers)
    finally:
        library.rd_kafka_mock_cluster_destroy(ctypes.c_void_p(handle))
        library.rd_kafka_destroy(client)

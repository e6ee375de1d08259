"""The Kafka client as Bessemer sets it up, and its errors in words."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.options import KafkaLogin, KafkaSource
from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.secrets import expanded, secret

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError

#: Seconds for which a topic may be unknown: to a broker that has just begun, topics come one by one.
_SETTLING = 1.0
#: Seconds between two questions to a partition whose leader moves.
_PAUSE = 0.2
#: Where librdkafka writes.
LOG = logging.getLogger("bessemer.kafka")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False  # librdkafka tells every retry; what matters is raised


def login(options: KafkaLogin, servers: str, folder: Path, setting: str) -> dict[str, Any]:
    """What librdkafka needs to know to reach and trust brokers.

    Args:
        folder: of the project file, for relative paths.
        setting: where in it the options stand; '' where they do not stand in one.

    Raises:
        UsageError, ProjectError: a variable is not set, or a password would be sent in clear text.
        DataError: a file is not there.
    """
    kafka, user = (f"{setting}.{name}" if setting else "" for name in ("kafka", "username"))
    said: dict[str, Any] = {**options.settings, "bootstrap.servers": expanded(servers, kafka)}
    files = {
        "ssl.ca.location": options.ca,
        "ssl.certificate.location": options.certificate,
        "ssl.key.location": options.certificate_key,
    }
    for name, path in files.items():
        if path is not None:
            there = folder / Path(path).expanduser()
            if not there.is_file():
                raise DataError(f"no file '{path}'", why=f"looked for {there}", fix="check the path")
            said[name] = str(there)
    if options.certificate_key_password_env:
        said["ssl.key.password"] = secret(
            options.certificate_key_password_env, "the password of the client's key"
        )
    safe = _safe(options, said["bootstrap.servers"])
    if options.username and options.password_env:
        said |= {
            "sasl.mechanism": options.mechanism,
            "sasl.username": expanded(options.username, user),
            "sasl.password": secret(options.password_env, "the password of Kafka's user"),
        }
    said["security.protocol"] = ("SASL_" if options.username else "") + ("SSL" if safe else "PLAINTEXT")
    return said


def _safe(options: KafkaLogin, servers: str) -> bool:
    """Whether to speak TLS. A password that the wire would show goes to this machine alone, or where `tls` says so."""
    if options.tls is not None:
        return options.tls
    if options.ca or options.certificate or any("ssl." in name for name in options.settings):
        return True
    if options.username and options.mechanism == "PLAIN" and not all(map(_here, servers.split(","))):
        raise UsageError(
            f"the password of Kafka's user would go to {servers} in clear text",
            why="`mechanism: PLAIN` without TLS shows it to everybody on the way",
            fix="`tls: true`, a SCRAM `mechanism`, or `tls: false` where the network is trusted",
        )
    return False


def _here(server: str) -> bool:
    """Whether a broker, as host:port, is on this machine."""
    import ipaddress

    host = server.strip().rpartition("://")[2]
    host = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class NoAnswer(DataError):
    """The brokers did not answer in time; what was last heard of a connection may say why."""


class Client:
    """A consumer that commits nothing by itself and reads only what is committed; to be closed.

    Args:
        said: from `login`. group: the consumer group. ends: whether the end of a partition is told.
    """

    def __init__(self, said: Mapping[str, Any], group: str, where: str, *, ends: bool) -> None:
        from confluent_kafka import Consumer, KafkaException

        self.where, self.last = where, ""
        wanted = {
            "client.id": "bessemer",
            "log_level": 2,  # every retry is logged else
            **said,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": ends,
            "auto.offset.reset": "error",  # offsets that are not there any more are told, never skipped
            "isolation.level": "read_committed",
            "error_cb": self._heard,
        }
        try:
            self.consumer: Consumer = Consumer(wanted, logger=LOG)
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            raise DataError(
                f"Kafka at {where} cannot be used", why=fault.str(), fix="check `settings`"
            ) from None

    def _heard(self, error: KafkaError) -> None:
        self.last = error.str()

    def partitions(self, topic: str, timeout: float) -> list[int]:
        """The partitions of a topic, ascending.

        Raises:
            DataError: the brokers do not answer, or there is no such topic.
        """
        from confluent_kafka import KafkaException

        end = time.monotonic() + min(_SETTLING, timeout)
        while True:
            try:
                found = self.consumer.list_topics(topic, timeout).topics.get(topic)
            except KafkaException as error:
                raise self.failed(error.args[0]) from None
            if found is not None and found.error is None and found.partitions:
                return sorted(found.partitions)
            if time.monotonic() > end:
                raise self._no_topic(topic, timeout)
            time.sleep(0.1)

    def _no_topic(self, topic: str, timeout: float) -> DataError:
        from confluent_kafka import KafkaException

        try:
            there = [
                name
                for name in self.consumer.list_topics(timeout=timeout).topics
                if not name.startswith("__")
            ]
        except KafkaException:
            there = []
        return DataError(
            f"no topic '{topic}' at {self.where}", fix=did_you_mean(topic, [n for n in there if n != topic])
        )

    def watermarks(self, topic: str, partition: int, timeout: float) -> tuple[int, int]:
        """The first offset that is there, and the one behind the last that is committed.

        A partition whose leader moves is asked for again, until the time is over.
        """
        from confluent_kafka import KafkaException, TopicPartition

        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                found = self.consumer.get_watermark_offsets(TopicPartition(topic, partition), max(left, 0.1))
                if found is None:
                    raise self.away("no answer in time", NoAnswer)
                return found[0], found[1]
            except KafkaException as error:
                if left < _PAUSE or not retriable(error.args[0]):
                    raise self.failed(error.args[0]) from None
            time.sleep(_PAUSE)

    def failed(self, error: KafkaError) -> DataError:
        """What the client says of a request, as an error."""
        from confluent_kafka import KafkaError as Codes

        silent = (Codes._TRANSPORT, Codes._TIMED_OUT, Codes._ALL_BROKERS_DOWN, Codes._RESOLVE)
        return self.away(error.str(), NoAnswer if error.code() in silent else DataError)

    def away(self, why: str, kind: type[DataError] = DataError) -> DataError:
        return kind(
            f"Kafka at {self.where} cannot be read",
            why=f"{why}; {self.last}" if self.last and self.last not in why else why,
            fix="check `kafka`, the login and whether the brokers run; then run it again: it goes on where it was",
        )

    def close(self) -> None:
        self.consumer.close()


def group_of(options: KafkaSource) -> str:
    return options.group or f"bessemer-{options.topic}"


def retriable(error: KafkaError) -> bool:
    """Whether the client goes on by itself: also where a broker that starts does not know a topic yet."""
    from confluent_kafka import KafkaError as Codes

    refused = (
        Codes.TOPIC_AUTHORIZATION_FAILED, Codes.GROUP_AUTHORIZATION_FAILED, Codes.SASL_AUTHENTICATION_FAILED,
        Codes._AUTHENTICATION,
    )  # fmt: skip
    return not (error.fatal() or error.code() in refused)

"""A topic of Kafka: a message a notice, in the order of its subject."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from bessemer.core.secrets import secret
from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings, Variable

if TYPE_CHECKING:
    from confluent_kafka import Producer

_SECRETS = ("password", "secret", "pem", "jaas", "token")
_OURS = ("bootstrap.servers", "enable.idempotence", "acks", "delivery.timeout.ms", "message.timeout.ms")


class KafkaSettings(SinkSettings):
    send: list[NoticeKind] = Field(
        ["finding", "resolved", "window", "action"], description="What it gets: everything, by default."
    )
    servers: str = Field(min_length=1, description="Brokers to begin with, as `host:port,host:port`.")
    topic: str = Field("bessemer", min_length=1, max_length=249, description="The topic.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Other properties of librdkafka, as `security.protocol`; no secrets.",
    )
    secrets_env: dict[str, Variable] = Field(
        default_factory=dict,
        description="Properties whose values are in environment variables, as `sasl.password: KAFKA_PASSWORD`.",
    )

    @field_validator("config")
    @classmethod
    def _no_secrets(cls, config: dict[str, Any]) -> dict[str, Any]:
        for name in config:
            if any(word in name for word in _SECRETS) and not name.endswith("location"):
                raise ValueError(f"{name} is a secret: write secrets_env: {{{name}: VARIABLE}}")
            if name in _OURS:
                raise ValueError(f"{name} is not to be set")
        return config


class Kafka:
    """An idempotent producer: the broker leaves out what a lost answer has made it be sent twice within a delivery.

    The key is the notice's subject, so that all that is told of it is in one partition, in order; the header `id` has
    its id.
    """

    Settings = KafkaSettings

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._secrets = {name: secret(env, name) for name, env in settings.secrets_env.items()}

    def send(self, notices: Sequence[Notice]) -> None:
        from confluent_kafka import KafkaException

        faults: list[str] = []
        try:
            producer = self._producer()
            for notice in notices:
                producer.produce(
                    self._settings.topic,
                    key=notice.subject.encode(),
                    value=json.dumps(notice.to_json()).encode(),
                    headers=[("id", notice.id.encode()), ("content-type", b"application/json")],
                    on_delivery=lambda error, _: faults.append(str(error)) if error else None,
                )
            left = _flushed(producer, self._settings.timeout)
        except (KafkaException, BufferError) as error:
            raise SinkFault(f"Kafka at {self._settings.servers} cannot be used", why=str(error)) from None
        if faults or left:
            why = faults[0] if faults else f"no answer within {self._settings.timeout:g} s"
            raise SinkFault(f"Kafka at {self._settings.servers} has not taken the notices", why=why)

    def _producer(self) -> Producer:
        """One of its own for each delivery: what it has not sent in time, it must not send later behind our back."""
        from confluent_kafka import Producer

        settings = self._settings
        return Producer(
            {
                **settings.config,
                **self._secrets,
                "bootstrap.servers": settings.servers,
                "enable.idempotence": True,
                "message.timeout.ms": max(1, round(settings.timeout * 1000)),
                "linger.ms": 0,
            },
            logger=_QUIET,
        )


def _flushed(producer: Producer, timeout: float) -> int:
    """How many have not been answered in time; they are thrown away."""
    until = time.monotonic() + timeout
    left = int(producer.flush(timeout))
    if left:
        producer.purge()
        producer.flush(max(0.1, until + 1 - time.monotonic()))
    return left


def _quiet() -> Any:
    """What librdkafka says while brokers are away is said by us, once."""
    import logging

    logger = logging.getLogger("bessemer.monitor.kafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


_QUIET = _quiet()

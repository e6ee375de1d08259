"""A topic of Kafka: a batch of predictions and the progress after it are one transaction.

How far a job is stands where a consumer's position would: as the committed offset, with its metadata, of a group of the
job's own. Kafka commits it in the transaction of the messages, so that after a kill both are there or neither is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, ValidationError

from bessemer.acquire.kafka_reasons import reasons
from bessemer.acquire.streams.client import LOG, Client, login
from bessemer.acquire.streams.options import KafkaLogin
from bessemer.core.errors import EnvironmentFault, StoreError, UsageError, did_you_mean
from bessemer.core.secrets import no_literal_password
from bessemer.predict.protocol import Job, Progress, Target

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import KafkaError, Producer

#: The longest that brokers let a transaction take unless they are told otherwise.
_LONGEST = 900_000
_TRIES = 5


class KafkaTarget(KafkaLogin):
    kafka: Annotated[str, AfterValidator(no_literal_password)] = Field(
        min_length=1, description="The brokers."
    )
    topic: str = Field(min_length=1, description="The topic, which must be there.")
    key: str | None = Field(default=None, description="The column whose value is a message's key.")
    timeout: float = Field(default=30.0, gt=0, description="Seconds to wait for the brokers.")


class Kafka:
    """Each row is a message, a JSON object.

    Readers that read what is committed see each row once, whatever was killed when; brokers keep where a job is for as
    long as they keep the offsets of a group without members (`offsets.retention.minutes`, a week).
    """

    def __init__(self, target: Target, job: Job) -> None:
        self._job = job
        self._options = _options(target)
        self._progress = Progress()
        self._producer: Producer | None = None
        self._client: Client | None = None
        self._open = False

    def open(self) -> Progress:
        from confluent_kafka import Producer

        options = self._options
        if options.key is not None and options.key not in self._job.schema.names:
            raise UsageError(
                f"the predictions have no column '{options.key}'",
                fix=did_you_mean(options.key, self._job.schema.names),
            )
        said = login(options, options.kafka, Path.cwd(), "")
        self._client = Client(said, self._name, options.kafka, ends=False)
        with reasons(self._client, options, Path.cwd()):
            self._client.partitions(options.topic, options.timeout)
        with self._explained():
            self._producer = Producer(
                {
                    **said,
                    "client.id": "bessemer",
                    "transactional.id": self._name,
                    "transaction.timeout.ms": _LONGEST,
                    "linger.ms": 20,
                    "error_cb": lambda error: None,
                },
                logger=LOG,
            )
            # another process with this job is shut out, and what it had not committed is gone
            self._again(lambda: self._made.init_transactions(options.timeout))
            self._progress = self._known()
            if self._job.restart and self._progress.rows:
                raise UsageError(
                    f"the topic '{options.topic}' has rows of this job already",
                    why="messages cannot be taken back: with --restart they would be there twice",
                    fix="name another topic",
                )
            if not self._job.resumable:  # all or nothing
                self._made.begin_transaction()
                self._open = True
        return self._progress

    @property
    def _name(self) -> str:
        """Of the group that holds the progress, and of the transactions."""
        return f"bessemer-{self._options.topic}-{self._job.key}"

    @property
    def _made(self) -> Producer:
        assert self._producer is not None, "the sink was not opened"
        return self._producer

    def _known(self) -> Progress:
        from confluent_kafka import KafkaException, TopicPartition

        assert self._client is not None
        place = TopicPartition(self._options.topic, 0)
        (found,) = self._client.consumer.committed([place], self._options.timeout)
        if found.error is not None:
            raise KafkaException(found.error)
        if found.metadata:
            return Progress(**json.loads(found.metadata))
        if found.offset >= 0:
            raise StoreError(
                f"how far this job is in the topic '{self._options.topic}' is not known any more",
                why=f"the group '{self._name}' has an offset, {found.offset}, without the note of the job: "
                "something else has set it",
                fix="name another topic; or delete the group, and what the job wrote is written once more",
            )
        return Progress()

    def write(self, table: pa.Table, progress: Progress) -> None:
        with self._explained():
            if not self._open:
                self._made.begin_transaction()
                self._open = True
            self._send(table)
            if self._job.resumable:
                self._commit(progress)
        self._progress = progress

    def _send(self, table: pa.Table) -> None:
        from bessemer.predict.sinks.jsonl import JsonFormat

        lines, _ = JsonFormat().block(table, 0)
        keys = table[self._options.key].to_pylist() if self._options.key else [None] * table.num_rows
        for line, key in zip(lines.split(b"\n"), keys, strict=False):
            self._put(line, None if key is None else str(key).encode())
            self._made.poll(0)

    def _put(self, line: bytes, key: bytes | None) -> None:
        """Give the client a message; where it holds as many as it may, wait until the brokers have taken some.

        Raises:
            StoreError: they take none for as long as `timeout` says.
        """
        end = time.monotonic() + self._options.timeout
        while True:
            try:
                self._made.produce(self._options.topic, line, key)
                return
            except BufferError:
                if time.monotonic() > end:
                    raise self._away(f"the brokers took no message for {self._options.timeout:g} s") from None
                self._made.poll(0.1)

    def _commit(self, progress: Progress) -> None:
        """End the transaction with how far the job is after it."""
        from confluent_kafka import TopicPartition

        assert self._client is not None
        place = TopicPartition(self._options.topic, 0, progress.rows, json.dumps(asdict(progress)))
        group = self._client.consumer.consumer_group_metadata()
        timeout = self._options.timeout
        self._again(lambda: self._made.send_offsets_to_transaction([place], group, timeout))
        self._again(lambda: self._made.commit_transaction(timeout))
        self._open = False

    def _again(self, step: Callable[[], object]) -> None:
        """Do a step that may be done again where the client says so."""
        from confluent_kafka import KafkaException

        for left in reversed(range(_TRIES)):
            try:
                step()
                return
            except KafkaException as error:
                if not left or not error.args[0].retriable():
                    raise
                time.sleep(0.2)

    def finish(self) -> None:
        p = self._progress
        with self._explained():
            if not self._open:
                self._made.begin_transaction()
                self._open = True
            self._commit(Progress(p.batches, p.rows, p.file, p.row, complete=True))

    def close(self) -> None:
        """What was not committed goes: here, or when the brokers find out."""
        from confluent_kafka import KafkaException

        if self._producer is not None and self._open:
            # where it fails, the brokers abort it when its time is over, or another process has
            with suppress(KafkaException):
                self._producer.abort_transaction(self._options.timeout)
        if self._client is not None:
            self._client.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:
            raise self._fault(error.args[0]) from error

    def _fault(self, error: KafkaError) -> EnvironmentFault:
        from confluent_kafka import KafkaError as Codes

        topic = self._options.topic
        if error.code() in (Codes._FENCED, Codes.INVALID_PRODUCER_EPOCH, Codes.PRODUCER_FENCED):
            return EnvironmentFault(
                f"another `bessemer predict` writes this job into the topic '{topic}'",
                why="it has begun later, and goes on from where this one is",
                fix="wait for it, or name another topic",
            )
        return self._away(error.str())

    def _away(self, why: str) -> StoreError:
        return StoreError(
            f"cannot write the topic '{self._options.topic}' at {self._options.kafka}",
            why=why,
            fix="check the brokers and the login; then call it again to go on",
        )


def _options(target: Target) -> KafkaTarget:
    options = {name: value for name, value in target.options.items() if name != "part_rows"}
    try:
        return KafkaTarget.model_validate({"kafka": target.where, **options})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "kafka"
        fix = did_you_mean(name, KafkaTarget.model_fields) if first["type"] == "extra_forbidden" else ""
        fix = fix or "write {kafka: 'host:9092', topic: scores}"
        raise UsageError(f"the output's `{name}` cannot be: {first['msg']}", fix=fix) from None

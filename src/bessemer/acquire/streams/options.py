"""What the project file may say of a Kafka topic."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from bessemer.acquire.options import PathText
from bessemer.acquire.streams.decoded import refused
from bessemer.acquire.streams.decoders.json import TYPES
from bessemer.acquire.streams.windows_spec import WindowsSpec
from bessemer.core.errors import did_you_mean
from bessemer.core.secrets import no_literal_password
from bessemer.core.spec import Duration, Share, Size, Spec

#: Settings of librdkafka that the options above speak of, or that what is promised stands on.
_OURS = re.compile(
    r"^(bootstrap\.servers|metadata\.broker\.list|group\.id|enable\.auto\.|enable\.partition\.eof|isolation\.level|"
    r"auto\.offset\.reset|partition\.assignment\.strategy|group\.protocol|group\.remote\.assignor|transactional\.id|"
    r"enable\.idempotence)"
)
#: What has options of its own: who set it here too would be overridden, or would override them.
_OPTIONS = re.compile(r"^(security\.protocol|sasl\.mechanisms?|ssl\.(ca|certificate)\.location)$")
_SECRET = re.compile(r"password|secret|username|\.pem$|token|oauthbearer\.config|ssl\.key")
ENVIRONMENT = r"^[A-Za-z_][A-Za-z0-9_]*$"


def settings_of(settings: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    """Settings of librdkafka that may stand in a project file.

    Raises:
        ValueError: one is a secret, or is not the user's to set.
    """
    for name in settings:
        if _SECRET.search(name):
            raise ValueError(f"'{name}' is a secret: use `username`, `password_env`, `certificate_key` ...")
        if _OPTIONS.match(name):
            raise ValueError(
                f"'{name}' has an option of its own: use `tls`, `mechanism`, `ca`, `certificate`"
            )
        if _OURS.match(name):
            raise ValueError(f"'{name}' is set by Bessemer: that rows come exactly once stands on it")
    return settings


class KafkaLogin(Spec):
    """How to reach brokers. Passwords are in the environment."""

    username: str | None = Field(
        default=None, min_length=1, description="The user of SASL; ${NAME} is taken from the environment."
    )
    password_env: str | None = Field(
        default=None, pattern=ENVIRONMENT, description="The environment variable with the user's password."
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="How the password is shown to the broker."
    )
    tls: bool | None = Field(
        default=None,
        description="Whether to speak TLS; it does where `ca`, `certificate` or settings of `ssl.` are given.",
    )
    ca: PathText | None = Field(
        default=None, description="A file of the certificates to trust; those of the system by default."
    )
    certificate: PathText | None = Field(
        default=None, description="The client's own certificate, a PEM file."
    )
    certificate_key: PathText | None = Field(
        default=None, description="The key of the client's certificate, a PEM file."
    )
    certificate_key_password_env: str | None = Field(
        default=None, pattern=ENVIRONMENT, description="The environment variable with the key's password."
    )
    settings: Annotated[dict[str, str | int | float | bool], AfterValidator(settings_of)] = Field(
        default_factory=dict, description="Settings of librdkafka, as {session.timeout.ms: 10000}."
    )

    @model_validator(mode="after")
    def _both(self) -> KafkaLogin:
        if (self.username is None) != (self.password_env is None):
            raise ValueError("`username` and `password_env` go together")
        return self


class KafkaSource(KafkaLogin):
    kafka: Annotated[str, AfterValidator(no_literal_password)] = Field(
        min_length=1, description="The brokers, as host:9092 or several with commas between them."
    )
    topic: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$", description="The topic.")
    land: PathText = Field(
        description="The folder of the Delta table that the messages land in, here or in a bucket (s3://, gs://...)."
    )
    format: Literal["json", "avro", "protobuf"] = Field(default="json", description="What a message is.")
    registry: Annotated[str, AfterValidator(no_literal_password)] | None = Field(
        default=None,
        pattern=r"^https?://",
        description="The registry of schemas that messages name theirs in.",
    )
    registry_username: str | None = Field(default=None, min_length=1, description="The user of the registry.")
    registry_password_env: str | None = Field(
        default=None, pattern=ENVIRONMENT, description="The environment variable with that user's password."
    )
    schema_: dict[str, str] | str | None = Field(
        default=None,
        alias="schema",
        description="The fields to keep: of JSON as {amount: number, at: timestamp}, of Avro and Protobuf a file "
        "(.avsc, .proto). All fields by default.",
    )
    message: str = Field(default="", description="The message of a .proto file; its first by default.")
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a partition begins of which nothing has landed."
    )
    metadata: tuple[Literal["partition", "offset", "timestamp", "key", "headers"], ...] = Field(
        default=(),
        strict=False,
        description="Columns that the data have of the message itself: _partition, _offset, _timestamp, _key ...",
    )
    tombstones: Literal["skip", "keep"] = Field(
        default="skip", description="Whether a message without a value is a row without values."
    )
    quarantine: Share = Field(
        default=0.01, description="The share of messages that may be unreadable before landing stops."
    )
    batch: int = Field(default=100_000, ge=1, le=10_000_000, description="How many messages make a commit.")
    batch_bytes: Size = Field(default=64 * 2**20, description="Or how many bytes of values.")
    every: Duration = Field(
        default=5.0, gt=0, le=3600, description="How long `bessemer data follow` waits for a full batch."
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        description="The consumer group of `bessemer data follow`; bessemer-TOPIC by default.",
    )
    patience: Duration = Field(
        default=60.0, gt=0, le=3600, description="How long a run waits for brokers that do not answer."
    )
    windows: WindowsSpec | None = Field(
        default=None,
        description="Windows of event time whose aggregates are the data, instead of the messages.",
    )

    @field_validator("schema_")
    @classmethod
    def _types(cls, schema: dict[str, str] | str | None) -> dict[str, str] | str | None:
        if isinstance(schema, dict):
            if not schema:
                raise ValueError("it names no field")
            known: dict[str, None] = {}
            for name, kind in schema.items():
                if reason := refused(name, known):
                    raise ValueError(reason)
                known[name] = None
                if kind not in TYPES:
                    raise ValueError(f"'{kind}' is no type of '{name}': {did_you_mean(kind, TYPES)}")
        return schema

    @model_validator(mode="after")
    def _goes_together(self) -> KafkaSource:
        if self.format == "json" and isinstance(self.schema_, str):
            raise ValueError("`schema` of JSON is a mapping, as {amount: number, at: timestamp}")
        if self.format != "json" and isinstance(self.schema_, dict):
            raise ValueError(f"`schema` of {self.format} is a file")
        if self.format != "json" and self.registry is None and self.schema_ is None:
            raise ValueError(f"{self.format} needs `registry`, or `schema` with a file")
        if self.format == "protobuf" and self.registry and self.schema_:
            raise ValueError("protobuf takes `registry` or `schema`, not both")
        if (self.registry_username is None) != (self.registry_password_env is None):
            raise ValueError("`registry_username` and `registry_password_env` go together")
        if self.windows and self.format == "json" and not self.schema_:
            raise ValueError(
                "`windows` over JSON need `schema`: types must not depend on which message came first"
            )
        return self

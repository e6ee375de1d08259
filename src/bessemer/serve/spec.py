"""What the project file may say about serving."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bessemer.core.spec import Duration, Size, Spec, parse_size
from bessemer.serve.clipper_spec import ClipperSpec
from bessemer.serve.guards.spec import AccessSpec, CorsSpec, TlsSpec
from bessemer.serve.log.spec import LogSetting, LogSpec
from bessemer.serve.ownership.spec import OwnershipSpec
from bessemer.serve.telemetry.spec import TelemetrySpec

__all__ = ["Explain", "LogSetting", "LogSpec", "ServeSpec", "Size", "parse_size"]

Explain = Literal["on_request", "never", "always"]


class ServeSpec(Spec):
    """How the package is served.

    >>> ServeSpec().port
    8080
    """

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address to listen on. 127.0.0.1 takes requests from this machine only; "
        "0.0.0.0 takes them from everywhere.",
    )
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    grpc_port: int | None = Field(
        None, ge=0, le=65535, description="The port for gRPC; 0 takes a free one; absent: no gRPC."
    )
    dialects: list[str] = Field(
        ["all"],
        min_length=1,
        description="The protocols to speak, by name; `all` is every one whose libraries are installed.",
    )
    explain: Explain = Field(
        "on_request",
        description="Contributions of each input: `on_request` when a request asks, `always`, or `never` "
        "(a request that asks is refused).",
    )
    threads: int = Field(2, ge=1, le=256, description="How many requests are predicted at the same time.")
    queue: int = Field(
        256,
        ge=0,
        description="How many requests of a model that runs in threads may wait, in each process. Beyond it a request "
        "is answered 503 at once. A quick model answers all it is asked in the next turn of the event loop.",
    )
    timeout: Duration = Field(
        30.0, gt=0, description="A request that is not answered in this time is answered 504."
    )
    max_body: Size = Field(
        16 * 2**20, description="The largest request body, in bytes or as '16MB'. Beyond it: 413."
    )
    max_rows: int = Field(10_000, ge=1, description="The most rows in one request. Beyond it: 413.")
    connections: int = Field(1024, ge=1, description="The most open connections. Beyond it: 503.")
    read_timeout: Duration = Field(
        20.0, gt=0, description="How long a client may take to send one request. Beyond it: 408."
    )
    keep_alive: Duration = Field(
        60.0, gt=0, description="How long an idle connection is kept open for the next request."
    )
    drain: Duration = Field(
        30.0,
        ge=0,
        description="How long requests in flight may take after a signal to stop, before they are cut.",
    )
    workers: int | None = Field(
        None, ge=1, le=256, description="How many processes serve; by default one a core."
    )
    state: str | None = Field(
        None,
        min_length=1,
        description="The folder that keeps what is deployed over a restart. Without one, a restart serves the packages "
        "it is given.",
    )
    access: AccessSpec | None = Field(
        None, description="Who may use the server. By default everybody may predict, and nobody administer."
    )
    cors: CorsSpec | None = Field(None, description="Which web pages of other origins may call the server.")
    tls: TlsSpec | None = Field(
        None, description="The server's certificate; without it, it speaks plain HTTP."
    )
    log: LogSetting = Field(
        None,
        description="Log every prediction, or a sample, to Parquet: `true`, or the settings of the prediction log.",
    )
    ownership: OwnershipSpec | None = Field(
        None,
        description="Answer a share of rows with a wrong class, which a copy of the model would learn. Off by "
        "default; it takes the prediction log with all inputs, and classes.",
    )
    telemetry: TelemetrySpec = Field(
        default_factory=TelemetrySpec,
        description="What the server tells of itself: metrics, an access log, OpenTelemetry.",
    )
    clipper: ClipperSpec | None = Field(
        None,
        description="Clipper's applications: the time within which they answer, and their default output. Without "
        "it they answer as the other protocols do.",
    )

    @model_validator(mode="after")
    def _certificates_need_an_authority(self) -> Self:
        asked = self.access is not None and self.access.certificates is not None
        if asked and (self.tls is None or self.tls.client_ca is None):
            raise ValueError(
                "`access.certificates` needs `tls.client_ca`: nobody else says whose certificates are good"
            )
        return self

    @model_validator(mode="after")
    def _marked_answers_can_be_told_again(self) -> Self:
        if self.ownership is None:
            return self
        if self.log is None or self.log.columns.exclude or self.log.columns.hash:
            raise ValueError(
                "`ownership` needs `log: true` with all inputs: a suspect is asked for the rows that a client had asked"
            )
        if self.explain == "always":
            raise ValueError(
                "`ownership` does not go with `explain: always`: contributions would tell what is altered"
            )
        return self

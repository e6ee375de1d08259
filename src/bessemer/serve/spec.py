"""What the project file may say about serving."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bessemer.core.spec import Duration, Spec

_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


def parse_size(value: Any) -> int:
    """Bytes, from 4096, '64 KB', '16MB' or '1GB' (of 1024 bytes a step).

    >>> parse_size("16MB"), parse_size(4096)
    (16777216, 4096)
    """
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+)\s*([KMG]?B)?\s*", value.upper())):
        value = int(found.group(1)) * _UNITS[found.group(2) or ""]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a size: write 65536, 64KB or 16MB")
    return value


Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
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
    dialects: list[str] = Field(
        ["plain", "v2", "kserve_v1"],
        min_length=1,
        description="The protocols to speak: `plain`, `v2` (Open Inference Protocol), `kserve_v1`, or a plug-in's.",
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
        description="How many requests may wait for a thread. Beyond it a request is answered 503 at once.",
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

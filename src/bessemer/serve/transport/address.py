"""Where a server listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Listening:
    """Where a server listens; secure: with TLS; grpc_port: for gRPC, where there is one."""

    host: str
    port: int
    grpc_port: int | None = None
    secure: bool = False

    @property
    def grpc(self) -> str:
        """The address that a gRPC client takes; '' where there is no gRPC.

        >>> Listening("127.0.0.1", 8080, 8001).grpc
        '127.0.0.1:8001'
        """
        return "" if self.grpc_port is None else f"{self._host}:{self.grpc_port}"

    @property
    def url(self) -> str:
        """The address to open; an IPv6 address stands in brackets.

        >>> Listening("::1", 8080).url
        'http://[::1]:8080'
        """
        return f"{'https' if self.secure else 'http'}://{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"[{host}]" if ":" in host else host

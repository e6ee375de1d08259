"""TLS of the gRPC server: credentials from PEM files that are read again when they change."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import grpc

log = logging.getLogger("bessemer.serve")


def server_credentials(
    certificate: Path, key: Path, client_ca: Path | None = None, *, required: bool = False
) -> Any:
    """Credentials for `GrpcServer`.

    Each new connection gets what the files hold then; a pair that cannot be read leaves the one before it. That the
    files are what they should be, `guards.tls.ServerTls` has said before.

    Args:
        certificate: the server's own first, its issuers after it; key: without a password; both PEM.
        client_ca: who may sign clients' certificates; None: clients show none.
        required: whether a client must show one.

    Raises:
        OSError: a file cannot be read.
    """
    paths = [certificate, key, *([client_ca] if client_ca else [])]
    seen = _stamps(paths)

    def configuration() -> Any:
        roots = client_ca.read_bytes() if client_ca else None
        pair = (key.read_bytes(), certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)

    def fetch() -> Any:
        nonlocal seen
        try:
            now = _stamps(paths)
            if now == seen:
                return None  # as before
            found = configuration()
        except OSError as error:
            log.error("the certificate of gRPC stays as it was: %s", error)
            return None
        seen = now
        return found

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=required and client_ca is not None
    )


def _stamps(paths: list[Path]) -> list[tuple[int, int]]:
    return [(stat.st_mtime_ns, stat.st_size) for stat in (path.stat() for path in paths)]

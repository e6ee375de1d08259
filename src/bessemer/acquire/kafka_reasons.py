"""Why brokers cannot be reached, and what to do: the client says that it was not answered, and not why.

What it has heard of a connection that failed is told when it is asked. Of a certificate that is not trusted it says no
more than that: then this process begins a TLS connection of its own, with the same certificates, and says what Python's
`ssl` says.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.streams.client import NoAnswer
from bessemer.core.errors import DataError
from bessemer.core.secrets import expanded

if TYPE_CHECKING:
    from bessemer.acquire.streams.client import Client
    from bessemer.acquire.streams.options import KafkaLogin

_PATIENCE = 5.0
#: What to do, by what is in the words of librdkafka.
_FIXES = {
    "authentication failed": "check `username`, and the variable that `password_env` names",
    "unsupported sasl mechanism": "set `mechanism` to one that the brokers take",
    "broker certificate could not be verified": "check `ca`",
    **dict.fromkeys(
        ("wrong version number", "plaintext broker listener", "in state ssl_handshake"),
        "the brokers do not speak TLS there: take the port for it, or `tls: false`",
    ),
}
#: Brokers that want TLS or a login close the connection without a word.
_SILENT = (
    "check `kafka`, whether the brokers run, and whether they want TLS (`tls: true`) or a login (`username`)"
)
#: OpenSSL's numbers of what is wrong with a certificate.
_EXPIRED, _NOT_YET, _HOST, _ADDRESS = 10, 9, 62, 64
_CERTIFICATES = {
    _EXPIRED: "renew the brokers' certificate",
    _NOT_YET: "the brokers' certificate is not valid yet: check the clocks",
    _HOST: "write the host's name in `kafka` as the certificate has it",
    _ADDRESS: "write the host in `kafka` as the certificate has it, or have the address put into it",
}


@contextmanager
def reasons(client: Client, options: KafkaLogin, folder: Path) -> Iterator[None]:
    """An error of this client's brokers with the reason, and what to do about it.

    Args:
        options: of the client. folder: of the project file, for relative paths.
    """
    try:
        yield
    except DataError as error:
        if not error.what.startswith("Kafka at "):
            raise
        heard = _heard(client)
        if not isinstance(error, NoAnswer):  # it says itself what is wrong
            raise _answered(error, heard) from None
        plain = options.username is None and not heard
        fix = next(
            (fix for sign, fix in _FIXES.items() if sign in heard.lower()), _SILENT if plain else error.fix
        )
        if "could not be verified" in heard:
            heard, fix = _certificate(client.where, options, folder) or (heard, fix)
        raise DataError(error.what, why=heard or error.why, fix=fix) from None


def _answered(error: DataError, heard: str) -> DataError:
    """The error with its own reason first, and what was heard beside it."""
    fix = next((fix for sign, fix in _FIXES.items() if sign in error.why.lower()), error.fix)
    why = error.why if heard in error.why else f"{error.why}; {heard}"
    return DataError(error.what, why=why, fix=fix)


def _heard(client: Client) -> str:
    """What went wrong with the last connection; it is told when the client is asked for messages, and only then."""
    client.consumer.poll(0)
    return "" if client.last.endswith("are down") else client.last


def _certificate(servers: str, options: KafkaLogin, folder: Path) -> tuple[str, str] | None:
    """What is wrong with the certificate of a broker, and what to do; None where it is trusted."""
    ca = str(folder / Path(options.ca).expanduser()) if options.ca else None
    context = ssl.create_default_context(cafile=ca)
    for server in expanded(servers).split(","):
        host, _, port = server.strip().rpartition("://")[2].rpartition(":")
        try:
            with (
                socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=host.strip("[]")),
            ):
                continue
        except ssl.SSLCertVerificationError as error:
            fix = _CERTIFICATES.get(error.verify_code, "check `ca`: it must have who signed the certificate")
            return f"the certificate of {host}:{port} is not trusted: {error.verify_message}", fix
        except (OSError, ValueError):
            continue
    return None

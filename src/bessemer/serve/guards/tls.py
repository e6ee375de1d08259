"""TLS of the server: a context from PEM files, with errors that say which file is wrong, and why."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import BessemerError, UsageError
from bessemer.serve.guards.spec import TlsSpec
from bessemer.serve.guards.watch import Periodic, Stamp

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

log = logging.getLogger("bessemer.serve")

_VERSIONS = {"TLS1.2": ssl.TLSVersion.TLSv1_2, "TLS1.3": ssl.TLSVersion.TLSv1_3}
#: For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_SOON = timedelta(days=14)


class ServerTls:
    """Holds the server's `context`.

    The files are looked at every second once it is started. A new certificate is for connections made from then
    on, and so are authorities that were added or taken away. A pair that does not fit (one file is written, the other
    not yet) leaves the old one, and is looked at again.

    Raises:
        UsageError: a file is missing or not what it should be, or the key is not the certificate's.
    """

    def __init__(self, spec: TlsSpec, folder: Path | None = None) -> None:
        folder = folder or Path()
        self._spec = spec
        self._certificate, self._key = folder / spec.certificate, folder / spec.key
        self._ca = folder / spec.client_ca if spec.client_ca else None
        self._stamp = Stamp(*(path for path in (self._certificate, self._key, self._ca) if path))
        self._pending = False
        self.context = self._current = self._build()
        # A context that handshakes use is never changed: OpenSSL does not lock it, and a thread that reads it while
        # another one writes may never return. So each handshake is handed the newest.
        self.context.sni_callback = self._hand_over
        self._thread = Periodic("bessemer-tls", self.refresh, 1.0)

    def start(self) -> None:
        """Begin to watch the files, in a thread. Call it in each process, after a fork."""
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def refresh(self) -> None:
        """Take new files, if they have changed and are good."""
        if not self._stamp.changed() and not self._pending:
            return
        first, self._pending = not self._pending, True
        try:
            self._current = self._build()
        except BessemerError as error:
            if first:
                log.error("the certificate stays as it was: %s", error)
            return
        self._pending = False
        log.info("new certificate from %s", self._certificate.name)

    def _hand_over(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """Called in every handshake, also where the client names no server."""
        connection.context = self._current

    def _build(self) -> ssl.SSLContext:
        """A context of the files as they are now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._spec.minimum]
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        if self._ca is not None:
            required = self._spec.client_certificate == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        _check_dates(_certificates(self._certificate)[0], self._certificate)
        _check_pair(self._certificate, self._key)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            what = f"the certificate '{self._certificate}' and the key '{self._key}' cannot be used"
            raise UsageError(what, why=str(error)) from None
        if self._ca is not None:
            _certificates(self._ca)
            context.load_verify_locations(cafile=self._ca)
        return context


def _no_password() -> str:
    raise ValueError("the key has a password")  # OpenSSL would ask for it at the terminal


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "see `serve.tls`; paths are relative to the folder of the project file"
        raise UsageError(f"cannot read '{path}'", why=error.strerror or "", fix=fix) from None


def _certificates(path: Path) -> list[Certificate]:
    """The certificates in a PEM file, at least one."""
    from cryptography import x509

    data = _read(path)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        why = "it holds a private key" if b"PRIVATE KEY" in data else str(error)
        fix = "the file has -----BEGIN CERTIFICATE----- blocks"
        raise UsageError(f"'{path}' has no certificate in PEM form", why=why, fix=fix) from None


def _check_pair(certificate: Path, path: Path) -> None:
    """Refuse a key that is not the certificate's."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        fix = f"openssl pkey -in {path} -out plain.pem"
        raise UsageError(f"the key '{path}' has a password", fix=fix) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "it holds a certificate" if b"BEGIN CERTIFICATE" in data else str(error)
        raise UsageError(f"'{path}' has no private key in PEM form", why=why) from None
    if key.public_key() != _certificates(certificate)[0].public_key():
        what = f"the key '{path}' is not the key of the certificate '{certificate}'"
        fix = "the server's own certificate comes first in the file, its issuers after it"
        raise UsageError(what, fix=fix)


def _check_dates(certificate: Certificate, path: Path) -> None:
    """Say in the log what clients will not like; a server with an old certificate still starts."""
    now, ends = datetime.now(UTC), certificate.not_valid_after_utc
    if certificate.not_valid_before_utc > now:
        log.warning("the certificate '%s' is not valid before %s", path, certificate.not_valid_before_utc)
    elif ends < now:
        log.warning("the certificate '%s' has expired on %s: clients refuse it", path, ends)
    elif ends < now + _SOON:
        log.warning("the certificate '%s' expires on %s", path, ends)


def peer_name(certificate: Mapping[str, Any] | None) -> str:
    """The client's name in what `SSLSocket.getpeercert()` gives for a certificate that was verified: the common name
    of the subject, else the first alternative name, else ''.

    >>> peer_name({"subject": ((("organizationName", "Shops"),), (("commonName", "shop.example"),))})
    'shop.example'
    >>> peer_name(None)
    ''
    """
    if not certificate:
        return ""
    for parts in certificate.get("subject", ()):
        for kind, value in parts:
            if kind == "commonName" and value:
                return str(value)
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "URI", "email"):
            return str(value)
    return ""

"""Mail over SMTP, encrypted unless one says otherwise."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from bessemer.core.exchange import Deadline
from bessemer.core.secrets import secret
from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings, Variable

_SUBJECT = 200  # characters
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class EmailSettings(SinkSettings):
    host: str = Field(min_length=1, description="The SMTP server.")
    port: int | None = Field(
        None, ge=1, le=65_535, description="587 for `starttls`, 465 for `tls`, 25 for `none`."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="How it is encrypted. `none` also sends a password in the clear, and takes none.",
    )
    authority: str | None = Field(
        None,
        description="A file of certificates to trust, where the server's is of an authority of one's own.",
    )
    username: str | None = Field(None, min_length=1, description="The name to log in with.")
    password_env: Variable | None = Field(None, description="The environment variable with its password.")
    sender: str = Field(description="The address it comes from.")
    to: list[str] = Field(min_length=1, description="The addresses it goes to.")

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, value: str | list[str]) -> str | list[str]:
        for each in [value] if isinstance(value, str) else value:
            if each.count("@") != 1 or not each.isprintable() or any(c in each for c in ' ,;<>"'):
                raise ValueError(f"{each!r} is not an address: write who@example.org")
        return value

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if (self.username is None) != (self.password_env is None):
            raise ValueError("`username` and `password_env` go together")
        if self.username is not None and self.security == "none":
            raise ValueError("a password is not sent in the clear: set `security: starttls`")
        return self


class Email:
    """One mail for what is told at once; its `Message-ID` is made of the notices' ids."""

    Settings = EmailSettings

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._password = secret(settings.password_env, "a password") if settings.password_env else ""

    def send(self, notices: Sequence[Notice]) -> None:
        message = message_of(notices, self._settings.sender, self._settings.to)
        try:
            with self._server() as server:
                refused = server.send_message(message)
        except smtplib.SMTPException as error:
            raise SinkFault(f"{self._settings.host} has not taken the mail", why=str(error)) from None
        except (OSError, ValueError) as error:
            raise SinkFault(f"{self._settings.host} was not reached", why=str(error)) from None
        if refused:
            # some have it: to send it to all again, for days, would be worse than to leave these out
            raise SinkFault(
                f"{self._settings.host} does not take mail for {', '.join(sorted(refused))}",
                why="the others have it",
                delivered=len(notices),
            )

    @contextmanager
    def _server(self) -> Iterator[Any]:
        """A server that is ready for a mail, and is cut when its time is over."""
        settings = self._settings
        port = settings.port or _PORTS[settings.security]
        with Deadline(settings.timeout) as deadline:
            try:
                with self._connected(port, deadline) as server:
                    if settings.security == "starttls":
                        server.starttls(context=self._trusted())
                        deadline.hold(server.sock)
                    if settings.username is not None:
                        server.login(settings.username, self._password)
                    yield server
            except smtplib.SMTPServerDisconnected:
                if deadline.late:
                    raise TimeoutError(f"it has not taken the mail within {settings.timeout:g} s") from None
                raise

    def _connected(self, port: int, deadline: Deadline) -> Any:
        settings = self._settings
        secure = settings.security == "tls"
        kind = _held(smtplib.SMTP_SSL if secure else smtplib.SMTP, deadline)
        context = {"context": self._trusted()} if secure else {}
        return kind(settings.host, port, timeout=settings.timeout, **context)

    def _trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.authority)


def _held(kind: Any, deadline: Deadline) -> Any:
    """A client that shows its socket to the deadline before it reads from it."""

    class Client(kind):  # type: ignore[misc]
        def _get_socket(self, *where: Any) -> Any:
            connected = super()._get_socket(*where)
            deadline.hold(connected)
            return connected

    return Client


def message_of(notices: Sequence[Notice], sender: str, to: Sequence[str]) -> EmailMessage:
    """The mail: plain text, a paragraph a notice."""
    message = EmailMessage()
    more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
    subject = f"[{notices[0].severity}] {notices[0].title}"
    message["Subject"] = " ".join(subject.split())[:_SUBJECT] + more
    message["From"], message["To"], message["Date"] = sender, ", ".join(to), formatdate()
    ids = hashlib.sha256("".join(each.id for each in notices).encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{ids}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer from a holiday
    message["X-Bessemer-Ids"] = " ".join(each.id for each in notices)
    message.set_content("\n\n".join(_paragraph(each) for each in notices) + "\n")
    return message


def _paragraph(notice: Notice) -> str:
    window = f"window {notice.start[:16]} to {notice.end[:16]} UTC" if notice.start else ""
    since = f"since {notice.since[:16]} UTC" if notice.since else ""
    where = ", ".join(each for each in (notice.severity, since, window) if each)
    return "\n".join(each for each in (notice.title, where, notice.text, notice.todo) if each)

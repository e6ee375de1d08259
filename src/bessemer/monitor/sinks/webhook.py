"""Any address that takes JSON, signed as Standard Webhooks has it (www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from bessemer.core.errors import UsageError
from bessemer.core.secrets import secret
from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.sinks.http import HttpSettings, address_of, headers_of, post
from bessemer.monitor.sinks.settings import SinkFault, Variable

_FEWEST = 24  # bytes of a key, as the standard has it


class WebhookSettings(HttpSettings):
    secret_env: Variable | None = Field(
        None,
        description="The environment variable with the key that signs, in base64 and with `whsec_` or without.",
    )
    format: Literal["json", "cloudevents"] = Field(
        "json", description="`json`: the notice; `cloudevents`: the notice in a CloudEvent (structured mode)."
    )


class Webhook:
    """One POST a notice; `webhook-id` is the notice's id, by which a receiver knows one that it has."""

    Settings = WebhookSettings

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url, self._headers = address_of(settings), headers_of(settings.headers_env)
        self._key = _key(settings.secret_env) if settings.secret_env else None

    def send(self, notices: Sequence[Notice]) -> None:
        until = time.monotonic() + self._settings.timeout
        for done, notice in enumerate(notices):
            left = max(0.001, until - time.monotonic())
            try:
                self._post(notice, left)
            except SinkFault as fault:
                fault.delivered = done
                raise

    def _post(self, notice: Notice, timeout: float) -> None:
        events = self._settings.format == "cloudevents"
        body = json.dumps(event_of(notice) if events else notice.to_json()).encode()
        kind = {"content-type": "application/cloudevents+json; charset=UTF-8"} if events else {}
        headers = {**kind, **self._headers, **self._signed(notice.id, int(time.time()), body)}
        post(self._url, body, timeout=timeout, headers=headers)

    def _signed(self, name: str, now: int, body: bytes) -> dict[str, str]:
        headers = {"webhook-id": name, "webhook-timestamp": str(now)}
        if self._key is None:
            return headers
        mac = hmac.new(self._key, f"{name}.{now}.".encode() + body, hashlib.sha256).digest()
        return {**headers, "webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}


def event_of(notice: Notice) -> dict[str, Any]:
    """A CloudEvent 1.0 in JSON: `subject` is what the notice is about.

    >>> event_of(Notice("action", "info", "churn/retraining", "1", "churn", "1.0.0", "trained"))["type"]
    'io.bessemer.monitor.action'
    """
    at = {"time": notice.at + "Z"} if notice.at else {}
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": f"/bessemer/monitor/{notice.model}",
        "type": f"io.bessemer.monitor.{notice.kind}",
        "subject": notice.subject,
        **at,
        "datacontenttype": "application/json",
        "data": notice.to_json(),
    }


def _key(variable: str) -> bytes:
    text = secret(variable, "the key that signs").removeprefix("whsec_")
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if len(key) < _FEWEST:
        raise UsageError(
            f"the environment variable {variable} has no key that signs",
            why=f"it is not base64, or of fewer than {_FEWEST} bytes",
            fix=f"export {variable}=whsec_$(openssl rand -base64 32)",
        )
    return key

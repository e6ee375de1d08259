"""A model behind an address, asked for rows: a few at once, again where the server says later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bessemer.core.errors import UsageError
from bessemer.core.exchange import Answer, ExchangeError, exchange
from bessemer.core.redaction import remember
from bessemer.core.retry_after import retry_after
from bessemer.core.signature import Field
from bessemer.package.remote.dialects import DIALECTS, Row, dialect_of, plain
from bessemer.package.remote.purse import Purse
from bessemer.package.remote.text import harmless, shown_url

#: Rows of a request: few enough for any server, and no more than one person would ask.
AT_ONCE = 32
#: A server that is busy (these answers), or that is gone after it has answered, is asked so often, after what it asks
#: for or 1, 2, 4... seconds.
_BUSY, _TRIES, _LONGEST = (429, 502, 503, 504), 6, 60.0
#: Headers that are no secrets.
_OPEN = frozenset({"accept", "accept-language", "content-type", "user-agent"})


@dataclass(frozen=True)
class Door:
    """How a server is asked.

    dialect: '' to take it from the address. key: sent as a bearer token, or ''. headers: more of them, by name.
    timeout: seconds for each request.
    """

    dialect: str = ""
    key: str = ""
    timeout: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.key, *(one for name, one in self.headers.items() if name.lower() not in _OPEN)):
            remember(value)


class Client:
    """A server. v1 is KServe's and TensorFlow Serving's, v2 the Open Inference Protocol, plain our own.

    inputs: the columns that are sent, and their types. purse: what may be asked.
    """

    def __init__(
        self,
        url: str,
        inputs: Sequence[Field],
        door: Door,
        purse: Purse | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._asking = dialect_of(url, door.dialect)
        self._url, self._door, self._inputs = url, door, tuple(inputs)
        self.purse, self._sleep = purse or Purse(), sleep
        self._shown, self._known = (
            shown_url(url),
            False,
        )  # known: it has answered before, so the address is right

    def ask(self, rows: Sequence[Row]) -> list[Any]:
        """What is said of each row, as the server writes it.

        Raises:
            UsageError: it cannot be asked so; the error says why. SpentError: the purse does not hold so much.
        """
        found: list[Any] = []
        for start in range(0, len(rows), AT_ONCE):
            found += self._asked(rows[start : start + AT_ONCE])
        return found

    def _asked(self, rows: Sequence[Row]) -> list[Any]:
        asked = [{one.name: plain(row.get(one.name)) for one in self._inputs} for row in rows]
        answer = self._answer(json.dumps(self._asking.body(asked, self._inputs)).encode(), len(rows))
        if answer.status != 200:
            raise UsageError(
                f"'{self._shown}' refuses to answer: {answer.status}",
                why=harmless(answer.body.decode("utf-8", "replace")),
                fix=f"give the whole address of a model, or its dialect with --dialect ({', '.join(DIALECTS)})",
            )
        return self._read(answer.body, len(rows))

    def _answer(self, body: bytes, rows: int) -> Answer:
        headers = {"content-type": "application/json", **self._door.headers}
        if self._door.key:
            headers["authorization"] = f"Bearer {self._door.key}"
        for attempt in range(_TRIES):
            self.purse.take(rows)  # whoever asks again asks once more
            last, wait = attempt == _TRIES - 1, 2.0**attempt
            try:
                answer = exchange(
                    self._url, method="POST", headers=headers, body=body, timeout=self._door.timeout
                )
            except ExchangeError as error:
                if last or not self._known:
                    raise UsageError(f"'{self._shown}' gives no answer", why=harmless(error)) from None
            else:
                self._known = True
                wanted = retry_after(answer.headers.get("retry-after"))
                wait = wait if wanted is None else wanted
                if answer.status not in _BUSY or last or wait > _LONGEST:
                    return answer
            self._sleep(wait)
        raise AssertionError("unreachable")

    def _read(self, body: bytes, rows: int) -> list[Any]:
        try:
            found = self._asking.answers(json.loads(body))
            if isinstance(found, list) and len(found) == rows:
                return found
            why = "it is no list with an answer for each row"
        except (
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            why = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"what '{self._shown}' answers cannot be read",
            why=harmless(why),
            fix=f"name its dialect with --dialect ({', '.join(DIALECTS)})",
        )

"""The file of clients that are suspected: what is done to each, why, and until when.

The monitor and the operator write it, servers follow it. It is small, whole at every moment, and says nothing secret.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from bessemer.core.errors import BessemerError, FormatError, UsageError, did_you_mean
from bessemer.core.lock import Busy, exclusive
from bessemer.core.store import write_atomic

log = logging.getLogger("bessemer.suspects")

FORMAT = 1
#: What a server can do to a client, the mildest first.
Action = Literal["watermark", "throttle", "step_up"]
ACTIONS: tuple[Action, ...] = get_args(Action)
#: Entries, at most: a file that grows would be another way to stop a server.
MOST = 1_000
#: Requests a second of `throttle`; what is beyond them is no limit, or a client shut out.
SLOWEST, QUICKEST = 0.001, 1e6
#: The last moment that dates are written of (the year 9999).
_LAST = 253_402_300_799.0
_BUSY = Busy(
    "another process writes the file of suspects",
    "one process after the other changes it, so that no change is lost",
    "try again in a moment",
)


@dataclass(frozen=True)
class Suspect:
    """A client that something is done to.

    name: as logs show it. since, until: Unix seconds. reason: a sentence. by: who found it, a watcher or `operator`.
    per_second: of `throttle`, requests a second; 0: the server's setting. key: of `step_up`, the first 16 hexadecimal
    digits of the SHA-256 of the key that no longer is enough; '' where there is none. seen: the end of the window in
    which it was found, Unix seconds; 0 where an operator says so.

    Raises:
        UsageError: a value is none that a server could follow.
    """

    name: str
    action: Action
    since: float
    until: float
    reason: str = ""
    by: str = "operator"
    per_second: float = 0.0
    key: str = ""
    seen: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise UsageError(
                f"{self.action!r} is no action", fix=did_you_mean(str(self.action), [str(a) for a in ACTIONS])
            )
        if not all(isinstance(each, str) for each in (self.name, self.reason, self.by, self.key)):
            raise UsageError("the name and the words of a suspect are texts")
        if not self.name.strip():
            raise UsageError("a suspect has a name", fix="name a client as the prediction log shows it")
        for what, value in (("since", self.since), ("until", self.until), ("seen", self.seen)):
            if not _number(value) or not 0 <= value <= _LAST:
                raise UsageError(
                    f"`{what}` of the suspect '{self.name}' is {value!r}",
                    why="it is a moment in Unix seconds, up to the year 9999",
                )
        if self.until <= self.since:
            raise UsageError(f"the suspicion of '{self.name}' ends before it begins", fix="give it some time")
        rate = self.per_second
        if not _number(rate) or not (rate == 0 or SLOWEST <= rate <= QUICKEST):
            raise UsageError(
                f"{rate!r} requests a second are no limit",
                fix=f"give {SLOWEST:g} to {QUICKEST:,.0f}, or 0 for the server's setting",
            )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class SuspectsFile:
    """The file at a path; where there is none, nobody is suspected.

    >>> import tempfile
    >>> file = SuspectsFile(Path(tempfile.mkdtemp()) / "suspects.json")
    >>> file.put(Suspect("shop", "throttle", 0.0, 60.0)), file.put(Suspect("shop", "watermark", 10.0, 70.0))
    (True, True)
    >>> [(each.action, each.until) for each in file.read(now=20.0).values()]
    [('throttle', 70.0)]
    >>> file.read(now=100.0)
    {}
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, now: float) -> dict[str, Suspect]:
        """Who is suspected at a moment (Unix seconds), by name, in the order in which they came.

        An entry that is wrong is left out, and the log says so: the others hold. Beyond `MOST` none is looked at.

        Raises:
            FormatError: the file is not one of ours.
        """
        try:
            value = json.loads(self.path.read_bytes())
            if value.get("format") != FORMAT:
                raise ValueError(f"format {value.get('format')!r} is not {FORMAT}")
            rows = list(value["suspects"])[:MOST]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"'{self.path}' cannot be read", why=str(error), fix="remove it: nobody is suspected then"
            ) from None
        found = [each for row in rows if (each := self._suspect(row)) is not None]
        return {each.name: each for each in found if each.until > now}

    def _suspect(self, row: Any) -> Suspect | None:
        try:
            return Suspect(**row)
        except (BessemerError, TypeError) as error:
            log.warning("an entry of '%s' is left out: %s", self.path, error)
            return None

    def put(self, suspect: Suspect) -> bool:
        """Suspect a client, or for longer. The stricter action stays; of equal ones the newer, with its beginning and
        key, unless both come from the same window. Gives whether that changed anything; one more than `MOST` does
        not."""
        with self._changing(suspect.since) as known:
            before = known.get(suspect.name)
            if before is None and len(known) >= MOST:
                return False
            after = suspect if before is None else _stricter(before, suspect)
            known[suspect.name] = after
            return after != before

    def lift(self, name: str, now: float) -> Suspect:
        """Let a client off.

        Raises:
            UsageError: it is not suspected.
        """
        with self._changing(now) as known:
            if name not in known:
                raise UsageError(f"'{name}' is not suspected", fix=did_you_mean(name, known))
            return known.pop(name)

    @contextmanager
    def _changing(self, now: float) -> Iterator[dict[str, Suspect]]:
        """Who is suspected, to be changed: what comes of it is written as a whole, one process after the other."""
        with exclusive(self.path.with_name(f".{self.path.name}.lock"), wait=10.0, busy=_BUSY):
            known = self.read(now)
            before = dict(known)
            yield known
            if known != before:
                rows = [asdict(each) for each in known.values()]
                write_atomic(self.path, json.dumps({"format": FORMAT, "suspects": rows}, indent=1).encode())


def _stricter(before: Suspect, after: Suspect) -> Suspect:
    harder = ACTIONS.index(after.action) - ACTIONS.index(before.action)
    newer = after.seen == 0 or after.seen > before.seen
    kept = after if harder > 0 or (harder == 0 and newer) else before
    return replace(kept, until=max(before.until, after.until))

"""The file of clients that are suspected: what is done to each, why, and until when.

The monitor and the operator write it, servers follow it. It is small, whole at every moment, and says nothing secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bessemer.core.errors import FormatError, UsageError, did_you_mean
from bessemer.core.lock import exclusive
from bessemer.core.store import write_atomic

FORMAT = 1
#: What a server can do to a client, the mildest first.
Action = Literal["watermark", "throttle", "step_up"]
ACTIONS: tuple[Action, ...] = get_args(Action)
#: Entries, at most: a file that grows would be another way to stop a server.
MOST = 1_000


@dataclass(frozen=True)
class Suspect:
    """A client that something is done to.

    name: as logs show it. since, until: Unix seconds. reason: a sentence. by: who found it, a watcher or `operator`.
    per_second: of `throttle`, requests a second; 0: the server's setting. key: of `step_up`, the first 16 hexadecimal
    digits of the SHA-256 of the key that no longer is enough; '' where there is none.
    """

    name: str
    action: Action
    since: float
    until: float
    reason: str = ""
    by: str = "operator"
    per_second: float = 0.0
    key: str = ""


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

        Raises:
            FormatError: the file is not one of ours.
        """
        try:
            value = json.loads(self.path.read_bytes())
            if value.get("format") != FORMAT:
                raise ValueError(f"format {value.get('format')!r} is not {FORMAT}")
            found = [_suspect(each) for each in value["suspects"]]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"'{self.path}' cannot be read", why=str(error), fix="remove it: nobody is suspected then"
            ) from None
        return {each.name: each for each in found if each.until > now}

    def put(self, suspect: Suspect) -> bool:
        """Suspect a client, or for longer: the stricter action stays, and its beginning. Gives whether that changed
        anything; one more than `MOST` does not."""
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
        with exclusive(self.path.with_name(f".{self.path.name}.lock"), wait=10.0):
            known = self.read(now)
            before = dict(known)
            yield known
            if known != before:
                rows = [asdict(each) for each in known.values()]
                write_atomic(self.path, json.dumps({"format": FORMAT, "suspects": rows}, indent=1).encode())


def _stricter(before: Suspect, after: Suspect) -> Suspect:
    harder = ACTIONS.index(after.action) > ACTIONS.index(before.action)
    kept = {**asdict(after if harder else before), "until": max(before.until, after.until)}
    return Suspect(**kept)


def _suspect(value: Mapping[str, Any]) -> Suspect:
    found = Suspect(**value)
    numbers = (found.since, found.until, found.per_second)
    texts = (found.name, found.reason, found.by, found.key)
    if found.action not in ACTIONS:
        raise ValueError(f"{found.action!r} is no action; {did_you_mean(str(found.action), ACTIONS)}")
    if not found.name or not all(isinstance(each, str) for each in texts):
        raise ValueError("a suspect has a name, and its words are texts")
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
        raise ValueError("times and rates are numbers")
    return found

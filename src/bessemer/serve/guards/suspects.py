"""The clients that are suspected, as a server follows them: what is done when one of them asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bessemer.core.errors import BessemerError, UsageError
from bessemer.core.suspects import Suspect, SuspectsFile
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.mark import SHORTEST, Mark
from bessemer.serve.guards.principal import Principal, Rate
from bessemer.serve.guards.refusals import step_up
from bessemer.serve.guards.spec import SuspectsSpec
from bessemer.serve.guards.watch import Stamp

log = logging.getLogger("bessemer.serve")


class Suspects:
    """Follows the file of suspects.

    acted: those to whom something is done, by name; while it is empty, a request costs one look-up more. At most
    `most` of them, and half of the clients where their number is known: those who came first. Whoever may administer is
    none of them. A file that is broken leaves them as they were, and the log says so.

    Raises:
        UsageError: the key of the marks cannot be read, or is too short.
    """

    def __init__(
        self,
        spec: SuspectsSpec,
        folder: Path,
        workers: int = 1,
        clients: Callable[[], int | None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._spec, self._workers, self._clients, self._wall = spec, workers, clients, wall
        self._file = SuspectsFile(folder / spec.file)
        self._key = mark_key(folder / spec.key) if spec.key is not None else None
        self._stamp = Stamp(self._file.path)
        self.acted: dict[str, Suspect] = {}
        self._left: frozenset[str] = frozenset()
        self._follow()

    def refresh(self) -> None:
        """Read the file again where it has changed, and let those go whose time is over."""
        now = self._wall()
        if self._stamp.changed() or any(each.until <= now for each in self.acted.values()):
            self._follow()

    def _follow(self) -> None:
        try:
            known = self._file.read(self._wall())
        except BessemerError as error:
            log.error("the suspects stay as they were: %s", error)
            return
        clients = self._clients()
        most = self._spec.most if clients is None else min(self._spec.most, clients // 2)
        able = {
            name: each for name, each in known.items() if each.action != "watermark" or self._key is not None
        }
        acted = dict(list(able.items())[:most])
        self._tell(known, acted, most)
        self.acted = acted  # in one step, for the threads that look up

    def _tell(self, known: dict[str, Suspect], acted: dict[str, Suspect], most: int) -> None:
        for name, each in acted.items():
            if name not in self.acted:
                log.warning("'%s' is suspected (%s): %s", name, each.reason or each.by, each.action)
        for name in self.acted:
            if name not in acted:
                log.warning("'%s' is suspected no more", name)
        left = frozenset(known) - frozenset(acted)
        if left - self._left:
            named = ", ".join(sorted(left))
            why = "`key` is not set" if len(acted) < most else f"it is done to {len(acted)} clients already"
            log.error("nothing is done to %s: %s", named, why)
        self._left = left

    def met(self, principal: Principal) -> Principal:
        """One of `acted` asks: who is let in, with what is done to them.

        Raises:
            RequestError: 401, a newer credential is needed.
        """
        suspect = self.acted.get(principal.name)
        if suspect is None or suspect.until <= self._wall() or "admin" in principal.scopes:
            return principal
        if suspect.action == "step_up":
            return self._stepped_up(principal, suspect)
        if suspect.action == "throttle":
            return replace(principal, rate=self._slower(principal.rate, suspect), action="throttle")
        assert self._key is not None, "without a key nobody is marked"
        mark = Mark(self._key, principal.name, self._spec.harm)
        return replace(principal, mark=mark, action="watermark")

    def _stepped_up(self, principal: Principal, suspect: Suspect) -> Principal:
        renewed = bool(suspect.key) and principal.credential not in ("", suspect.key)
        if renewed or principal.since > suspect.since:
            return principal
        error = step_up(principal.name, self._wall() - suspect.since)
        raise audited(error, replace(principal, action="step_up"))

    def _slower(self, own: Rate | None, suspect: Suspect) -> Rate:
        each = suspect.per_second or self._spec.requests_per_second
        rate = Rate(each, max(1, round(each))).shared(self._workers)
        return rate if own is None or own.per_second > rate.per_second else own


def audited(error: RequestError, principal: Principal) -> RequestError:
    """A refusal with what the access log says of it, where the client is suspected."""
    if principal.action:
        error.client, error.action = principal.name, principal.action
    return error


def mark_key(path: Path) -> bytes:
    """The key of the marks.

    Raises:
        UsageError: the file cannot be read, or the key is too short.
    """
    try:
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the key of the marks '{path}'",
            why=error.strerror or "",
            fix=f"head -c 32 /dev/urandom > {path}",
        ) from None
    if len(key) < SHORTEST:
        raise UsageError(
            f"the key of the marks '{path}' has {len(key)} bytes",
            fix=f"it has {SHORTEST} at least: head -c 32 /dev/urandom > {path}",
        )
    return key

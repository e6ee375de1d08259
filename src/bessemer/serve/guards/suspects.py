"""The clients that are suspected, as a server follows them: what is done when one of them asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bessemer.core.errors import BessemerError
from bessemer.core.suspects import ACTIONS, Suspect, SuspectsFile
from bessemer.package.answer_key import mark_key
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.mark import Mark
from bessemer.serve.guards.principal import Principal, Rate
from bessemer.serve.guards.refusals import step_up
from bessemer.serve.guards.spec import SuspectsSpec
from bessemer.serve.guards.watch import Stamp

log = logging.getLogger("bessemer.serve")


class Suspects:
    """Follows the file of suspects.

    acted: those to whom something is done, by name; while it is empty, a request costs one look-up more. At most
    `most` of them, and half of the clients where these are known: the strictest actions, then those who came first.
    Whoever may administer is none of them. A file that is broken leaves them as they were, and the log says so.

    Args:
        clients: gives the names of the clients there are; None where nobody can say. usual: the server's own limit.

    Raises:
        UsageError: the key of the marks cannot be read, or is too short.
    """

    def __init__(
        self,
        spec: SuspectsSpec,
        folder: Path,
        workers: int = 1,
        clients: Callable[[], frozenset[str] | None] = lambda: None,
        wall: Callable[[], float] = time.time,
        usual: Rate | None = None,
    ) -> None:
        self._spec, self._workers, self._clients, self._wall = spec, workers, clients, wall
        self._usual = usual
        self._file = SuspectsFile(folder / spec.file)
        self._key = mark_key(folder / spec.key) if spec.key is not None else None
        self._stamp = Stamp(self._file.path)
        self.acted: dict[str, Suspect] = {}
        self._known: dict[str, Suspect] = {}
        self._left: dict[str, str] = {}
        self._read()
        self._choose()

    def refresh(self) -> None:
        """Read the file again where it has changed, let those go whose time is over, and count the clients anew."""
        if self._stamp.changed():
            self._read()
        if self._known or self.acted:
            self._choose()

    def _read(self) -> None:
        try:
            self._known = self._file.read(self._wall())
        except BessemerError as error:
            log.error("the suspects stay as they were: %s", error)

    def _choose(self) -> None:
        now, clients = self._wall(), self._clients()
        self._known = {name: each for name, each in self._known.items() if each.until > now}
        most = self._spec.most if clients is None else min(self._spec.most, len(clients) // 2)
        acted: dict[str, Suspect] = {}
        left: dict[str, str] = {}
        for name, each in sorted(self._known.items(), key=lambda item: -ACTIONS.index(item[1].action)):
            why = self._why_not(each, clients)
            if not why and len(acted) >= most:
                why = f"it is done to {len(acted)} clients already"
            if why:
                left[name] = why
            else:
                acted[name] = each
        self._tell(acted, left)
        self.acted = acted  # in one step, for the threads that look up

    def _why_not(self, suspect: Suspect, clients: frozenset[str] | None) -> str:
        if suspect.action == "watermark" and self._key is None:
            return "`key` is not set"
        if clients is not None and suspect.name not in clients:
            return "no client that can be shut out has this name"
        return ""

    def _tell(self, acted: dict[str, Suspect], left: dict[str, str]) -> None:
        for name, each in acted.items():
            if name not in self.acted:
                log.warning("'%s' is suspected (%s): %s", name, each.reason or each.by, each.action)
                if each.action == "step_up" and not renewable(each):
                    log.warning("'%s' has no credential that could be newer: it waits until the end", name)
        for name in self.acted:
            if name not in acted:
                log.warning("'%s' is suspected no more", name)
        for why in dict.fromkeys(left.values()):
            named = [name for name, reason in left.items() if reason == why]
            if any(self._left.get(name) != why for name in named):
                log.error("nothing is done to %s: %s", ", ".join(named), why)
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
        """The limit of a suspect: never a quicker one than it has anyway."""
        each = suspect.per_second or self._spec.requests_per_second
        rate, before = Rate(each, max(1, round(each))).shared(self._workers), own or self._usual
        if before is None:
            return rate
        return Rate(min(rate.per_second, before.per_second), min(rate.burst, before.burst))


def renewable(suspect: Suspect) -> bool:
    """Whether a newer credential may end `step_up`: a key of the key file, or a token whose issuer says when its user
    signed in."""
    return bool(suspect.key) or suspect.name.startswith("jwt:")


def audited(error: RequestError, principal: Principal) -> RequestError:
    """A refusal with what the access log says of it, where the client is suspected."""
    if principal.action:
        error.client, error.action = principal.name, principal.action
    return error

"""What follows from a finding about a client: it is written into the file that servers follow."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from bessemer.core.errors import BessemerError, did_you_mean
from bessemer.core.spec import Duration, Spec
from bessemer.core.suspects import MOST, Action, Suspect, SuspectsFile
from bessemer.monitor.finding import Finding

log = logging.getLogger("bessemer.monitor")

Deed = Literal["alert", "watermark", "throttle", "step_up"]
DEEDS: tuple[Deed, ...] = get_args(Deed)
#: The watchers whose findings are about one client.
ADVERSARIES = ("near_queries", "uniform_queries", "fingerprints", "feedback")


def _deeds(value: Any) -> Any:
    for name in value if isinstance(value, dict) else ():
        if name not in ADVERSARIES:
            raise ValueError(
                f"no watcher of clients is called {name!r}; {did_you_mean(str(name), ADVERSARIES)}"
            )
    return value


class SuspectsSpec(Spec):
    """What is done to a client that a watcher has found.

    >>> SuspectsSpec(actions={"near_queries": "throttle"}).lasts
    86400.0
    """

    actions: Annotated[dict[str, Deed], BeforeValidator(_deeds, json_schema_input_type=dict[str, Deed])] = (
        Field(
            {},
            description="By watcher: `alert`, `watermark`, `throttle` or `step_up`; `alert` where nothing is said.",
        )
    )
    lasts: Duration = Field(
        86_400.0, gt=0, description="For how long, from the last window in which it was found."
    )
    file: str = Field(
        ".bessemer/suspects.json",
        min_length=1,
        description="The file that the server follows: that of `serve: access: suspects`.",
    )
    keys: str | None = Field(
        None,
        min_length=1,
        description="The key file of the server, so that a new key ends `step_up`; the one of `serve: access: keys` by "
        "default.",
    )


def _spoken(value: Any) -> Any:
    """`suspects: throttle` is that action for every watcher of clients."""
    if isinstance(value, str):
        if value not in DEEDS:
            raise ValueError(f"{value!r} is no action; {did_you_mean(value, DEEDS)}")
        return {"actions": dict.fromkeys(ADVERSARIES, value)}
    return value


#: The type of the setting `monitor: suspects`.
Suspects = Annotated[SuspectsSpec, BeforeValidator(_spoken, json_schema_input_type=SuspectsSpec | Deed)]


def act(
    spec: SuspectsSpec, findings: Sequence[Finding], end: dt.datetime, now: dt.datetime
) -> list[dict[str, Any]]:
    """Write down the clients of some findings, where something is to be done to them.

    Doing it twice changes nothing, so that a kill between this and the window's commit does no harm. A window that
    ended longer ago than the action lasts is history. What cannot be done, as where a file is broken, is said in the
    log and in what is given back: the watch goes on.

    Args:
        end: of the window; now: both naive, UTC.

    Returns:
        who, what and until when (ISO 8601), for the figures of the window; `fault` where it could not be done.
    """
    until = end + dt.timedelta(seconds=spec.lasts)
    if until <= now:
        return []
    done = []
    for finding in findings:
        deed = spec.actions.get(finding.detector, "alert")
        if deed == "alert" or finding.of != "client" or finding.column.startswith("("):
            continue  # a name in brackets is no client's: it stands for several
        row = {"client": finding.column, "action": deed, "until": until.isoformat(), "by": finding.detector}
        fault = _done(spec, finding, deed, (now, until, end))
        done.append({**row, "fault": fault} if fault else row)
    return done


def _done(
    spec: SuspectsSpec, finding: Finding, deed: Action, moments: tuple[dt.datetime, dt.datetime, dt.datetime]
) -> str:
    """Do it, or say why it cannot be done."""
    since, until, seen = map(_unix, moments)
    file, name = SuspectsFile(Path(spec.file)), finding.column
    try:
        key = _key(spec, name) if deed == "step_up" else ""
        file.put(Suspect(name, deed, since, until, finding.text, finding.detector, key=key, seen=seen))
        fault = "" if name in file.read(since) else f"{MOST:,} clients are suspected already"
    except BessemerError as error:
        fault = str(error)
    if fault:
        log.warning("nothing is done to '%s', which %s has found: %s", name, finding.detector, fault)
    return fault


def _key(spec: SuspectsSpec, name: str) -> str:
    """What tells a client's key of now from a later one; '' where it has none."""
    from bessemer.serve.guards.keyfile import shown_key

    return shown_key(Path(spec.keys), name) if spec.keys is not None else ""


def _unix(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()

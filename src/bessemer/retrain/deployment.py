"""Giving a package to the running server, and waiting for the end of its trial."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bessemer.core.control import ask
from bessemer.core.errors import BessemerError, EnvironmentFault, UsageError
from bessemer.monitor.retrain_spec import DeploySpec
from bessemer.retrain.records import Outcome

#: Seconds between two looks at a canary.
_EVERY = 1.0


def served(spec: DeploySpec, model: str) -> Path | None:
    """The package that takes most of a model's requests; None where the server has no such model.

    Raises:
        EnvironmentFault: the server does not answer.
        UsageError: it refuses, or what it has loaded is no longer in a file of this machine.
    """
    versions = _model(spec, model).get("versions", {})
    traffic = {name: each for name, each in versions.items() if each["role"] == "traffic"}
    if not traffic:
        return None
    name, best = max(traffic.items(), key=lambda item: float(item[1]["share"]))
    source = str(best["source"])
    if "://" in source:
        raise UsageError(
            f"the served package is at {source}",
            why="it is compared here",
            fix="name a copy: --champion FILE",
        )
    if best.get("digest") not in (None, digest(Path(source))):
        raise UsageError(
            f"{source} is no longer the package that the server has loaded as version {name}",
            why="it was written over: each version must have a file of its own",
            fix="change `version:` before `bessemer run`, or name the served package: --champion FILE",
        )
    return Path(source)


def digest(package: Path) -> str:
    """What the server tells of a package that it has loaded; '' where there is none in the file."""
    from bessemer.package import load

    try:
        return load(package).manifest.digest
    except BessemerError:
        return ""


def deploy(spec: DeploySpec, package: Path) -> None:
    """Give a package to the server.

    Raises:
        EnvironmentFault: the server does not answer. UsageError: it refuses.
    """
    ask(spec.server, spec.key_env, "POST", "/deployments", _body(spec, package))


def outcome(
    spec: DeploySpec, model: str, version: str, sleep: Callable[[float], None] = time.sleep
) -> tuple[Outcome, str]:
    """Wait for the end of a trial, and give what came of it. A server that is away for a while is waited for as well.

    Raises:
        EnvironmentFault: the server did not answer until patience ended.
    """
    waited, every = 0.0, _EVERY
    while True:
        try:
            found = _model(spec, model)
        except EnvironmentFault:
            if waited >= spec.patience:
                raise
        else:
            if not found.get("canary"):
                return _ended(found, version)
            if waited >= spec.patience:
                return "deployed", f"it was still on trial after {waited:.0f} s"
        sleep(every)
        waited, every = waited + every, min(30.0, every * 1.1)


def _body(spec: DeploySpec, package: Path) -> dict[str, Any]:
    body: dict[str, Any] = {"package": str(package.resolve())}
    if spec.canary:
        gates = {name: getattr(spec, name) for name in ("requests", "seconds", "error_rate", "latency")}
        body |= {"mode": "canary", "steps": list(spec.canary), "gates": gates}
    return body


def _ended(found: dict[str, Any], version: str) -> tuple[Outcome, str]:
    mine = found.get("versions", {}).get(version, {})
    said = str(found.get("verdict") or "")
    if mine and mine["share"] == 1:
        return "promoted", said or "it has all requests"
    if mine and mine["share"] > 0:
        return "deployed", said or f"it has {mine['share']:.0%} of the requests"
    return "rolled_back", said or "the server no longer has it"


def _model(spec: DeploySpec, model: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(spec.server, spec.key_env, "GET", "/deployments")["models"].get(model, {})
    return found

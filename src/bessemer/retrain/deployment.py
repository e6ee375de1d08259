"""Giving a package to the running server, and waiting for the end of its trial."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bessemer.core.control import ask
from bessemer.core.errors import UsageError
from bessemer.monitor.retrain_spec import DeploySpec
from bessemer.retrain.records import Outcome

#: Seconds between two looks at a canary.
_EVERY = 1.0


def served(spec: DeploySpec, model: str) -> Path | None:
    """The package that takes most of a model's requests; None where the server has no such model.

    Raises:
        EnvironmentFault: the server does not answer. UsageError: it refuses, or the package is not on a disk of this
            machine.
    """
    versions = _model(spec, model).get("versions", {})
    traffic = {name: each for name, each in versions.items() if each["role"] == "traffic"}
    if not traffic:
        return None
    source = str(max(traffic.values(), key=lambda each: float(each["share"]))["source"])
    if "://" in source:
        raise UsageError(
            f"the served package is at {source}",
            why="it is compared here",
            fix="name a copy: --champion FILE",
        )
    return Path(source)


def deploy(
    spec: DeploySpec, model: str, version: str, package: Path, sleep: Callable[[float], None] = time.sleep
) -> tuple[Outcome, str]:
    """Give a package to the server, unless it has it already, and wait until its trial has ended.

    Raises:
        EnvironmentFault: the server does not answer. UsageError: it refuses.
    """
    if version not in _model(spec, model).get("versions", {}):
        ask(spec.server, spec.key_env, "POST", "/deployments", _body(spec, package))
    waited = 0.0
    while (found := _model(spec, model)).get("canary"):
        if waited >= spec.patience:
            return "deployed", f"it was still on trial after {waited:.0f} s"
        sleep(_EVERY)
        waited += _EVERY
    return _ended(found, version)


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

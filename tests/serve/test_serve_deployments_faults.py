"""Changes of what is served that fail, or meet others: nothing is lost, and nobody else's change is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from serve_packages import PUBLIC

from bessemer.package.model import load
from bessemer.serve.deployments import changes
from bessemer.serve.deployments.canary import Verdict
from bessemer.serve.deployments.control import Control
from bessemer.serve.deployments.deployments import Deployments
from bessemer.serve.deployments.shadow import _compare, _order
from bessemer.serve.deployments.state import Gates, State, StateFile
from bessemer.serve.errors import RequestError
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Predictions
from patience import until

Deployed = Callable[..., Deployments]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    """deployed(package, ...) -> the deployments of a server of one process"""
    with ThreadPoolExecutor(2) as pool:

        def made(*packages: str, **how: Any) -> Deployments:
            found = Deployments(
                ServeSpec(), StateFile(tmp_path), lambda source: load(source, trust=[PUBLIC]), pool, **how
            )
            found.start(packages)
            return found

        yield made


def test_a_change_that_fails_undoes_itself_alone(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))

    def fails_while_another_deploys(lane: Any) -> None:
        if lane.subject.version == "1.1.0":
            deployments.file.change(
                lambda state: changes.deploy(
                    state, "other", "1.0.0", versions("1.0.0", "other", "regression")
                )
            )
            raise RuntimeError("the runtime refuses the graph")

    deployments._added = fails_while_another_deploys
    with pytest.raises(RequestError, match=r"'tiny 1\.1\.0' was not deployed"):
        deployments.deploy(versions("1.1.0"))
    state = deployments.file.read()
    assert dict(state.models["tiny"].traffic) == {"1.0.0": 1.0}
    assert list(state.models) == ["tiny", "other"]
    assert deployments.names() == ("tiny", "other")


def test_what_served_before_serves_on_while_a_new_version_fails(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    before = deployments.get("tiny")
    seen: list[str] = []

    def told(generation: int, errors: dict[str, Any]) -> None:
        seen.append(deployments.get("tiny").version if errors else "")
        follow(generation, errors)

    follow, deployments._peers.follow = deployments._peers.follow, told  # type: ignore[method-assign]

    def fails(lane: Any) -> None:
        raise MemoryError

    deployments._added = fails
    with pytest.raises(RequestError) as caught:
        deployments.deploy(versions("1.1.0"))
    assert caught.value.status == 507
    assert seen == ["1.0.0", ""]
    assert deployments.get("tiny") is before, "it was not loaded anew"


def test_a_package_that_is_gone_holds_up_no_other(versions: Any, deployed: Deployed, tmp_path: Path) -> None:
    gone = tmp_path / "gone.bsm"
    gone.write_bytes(Path(versions("1.0.0", "other", "regression")).read_bytes())
    deployed(versions("1.0.0"), str(gone))
    gone.unlink()
    deployments = deployed()
    assert deployments.names() == ("tiny",)
    assert deployments.deploy(versions("1.1.0")).version == "1.1.0"
    assert [entry.state for entry in deployments.index()] == ["READY", "UNAVAILABLE"]
    deployments.unload("tiny", None)
    assert deployments.names() == ()


def test_what_could_not_be_loaded_is_tried_again(
    versions: Any, deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bessemer.serve.deployments import deployments as module

    away = tmp_path / "away.bsm"
    package = Path(versions("1.0.0", "other", "regression")).read_bytes()
    away.write_bytes(package)
    deployed(versions("1.0.0"), str(away))
    away.unlink()
    monkeypatch.setattr(module, "_TRY_AGAIN", 0.0)
    deployments = deployed()
    assert deployments.changed()
    away.write_bytes(package)
    deployments.follow()
    assert deployments.names() == ("tiny", "other")
    assert not deployments.changed()


def test_a_verdict_ends_its_own_trial_only(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    deployments.deploy(versions("1.1.0"), mode="canary", steps=(0.1,))
    canary = deployments.file.read().models["tiny"].canary
    assert canary is not None
    deployments.change(lambda state: changes.promote(state, "tiny"))
    deployments.trials.act("tiny", canary, Verdict("fail", "it came late"))
    assert dict(deployments.file.read().models["tiny"].traffic) == {"1.1.0": 1.0}


def test_a_shadow_of_other_columns_is_logged_under_its_own(versions: Any, deployed: Deployed) -> None:
    """Its log has the rows as the shadow saw them."""
    import asyncio

    from bessemer.serve.app import App
    from bessemer.serve.wire import Request

    recorded: list[Any] = []
    deployments = deployed(versions("1.0.0"), record=recorded.append)
    deployments.deploy(versions("1.1.0"), mode="shadow")
    shadow = deployments._shadow_lanes["tiny"][0]
    fields = shadow.subject.signature.inputs
    object.__setattr__(shadow.subject.signature, "inputs", fields[::-1])
    app = App(deployments)

    async def send() -> None:
        answer = asyncio.get_running_loop().create_future()
        app.begin(Request("POST", "/predict", body=b'{"tenure": 8}'), answer.set_result)
        await answer

    asyncio.run(send())
    until(lambda: recorded)
    (run,) = recorded
    place = [field.name for field in fields[::-1]].index("tenure")
    assert run.subject is shadow.subject
    assert run.jobs[0].batch.values[0][place] == 8


def test_removed_shadows_leave_nothing_behind(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    deployments.deploy(versions("1.1.0"), mode="shadow")
    deployments.shadows.differences["tiny", "1.1.0"] = object()  # type: ignore[assignment]
    deployments.unload("tiny")
    assert deployments._shadow_lanes == {}
    assert deployments.shadows.differences == {}


def trial() -> State:
    state = changes.deploy(State(), "churn", "1", "a")
    return changes.deploy(state, "churn", "2", "b", mode="canary", steps=(0.1, 0.5), gates=Gates())


def test_a_failed_canary_loses_its_share_whatever_came_during_its_trial() -> None:
    with_shadow = changes.deploy(trial(), "churn", "3", "c", mode="shadow")
    assert dict(changes.rollback(with_shadow, "churn").models["churn"].traffic) == {"1": 1.0}
    less = changes.remove(with_shadow, "churn", "3")
    assert less.models["churn"].canary is not None
    back = changes.rollback(less, "churn").models["churn"]
    assert (dict(back.traffic), dict(back.versions)) == ({"1": 1.0}, {"1": "a"})


def test_every_step_of_a_canary_is_looked_at_when_it_begins() -> None:
    state = changes.deploy(State(), "churn", "1", "a")
    with pytest.raises(RequestError, match="not between 0 and 1"):
        changes.deploy(state, "churn", "2", "b", mode="canary", steps=(0.1, 1.0))


def test_no_share_is_infinite(versions: Any, deployed: Deployed) -> None:
    from bessemer.serve.app import App, House
    from bessemer.serve.guards.guard import Guard
    from bessemer.serve.guards.spec import AccessSpec
    from bessemer.serve.wire import Request

    deployments = deployed(versions("1.0.0"))
    guard = Guard(AccessSpec(anonymous=["predict", "admin"]))
    app = App(deployments, House(guard, own=[Control(deployments)]))
    body = orjson.dumps({"weights": {"1.0.0": "Infinity"}})
    assert app.handle(Request("PUT", "/deployments/tiny/traffic", body=body)).status == 400
    with pytest.raises(RequestError, match="no finite number"):
        changes.weigh(changes.deploy(State(), "churn", "1", "a"), "churn", {"1": float("inf")})


def test_classes_in_another_order_are_the_same_classes() -> None:
    one = Predictions({"prediction": np.array(["no"]), "probability": np.float32([[0.75, 0.25]])})
    other = Predictions({"prediction": np.array(["no"]), "probability": np.float32([[0.25, 0.75]])})
    assert _compare(one, other, _order(["no", "yes"], ["yes", "no"])) == (1, 0, 0.0, 0.0)

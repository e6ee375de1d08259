"""What is served can change: at once, by shares, on trial, as a shadow, and back."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from serve_packages import PUBLIC

from bessemer.core.errors import FormatError
from bessemer.package.model import load
from bessemer.serve.app import App, House
from bessemer.serve.deployments import changes
from bessemer.serve.deployments.canary import judge, quantile
from bessemer.serve.deployments.control import Control
from bessemer.serve.deployments.deployments import Deployments
from bessemer.serve.deployments.peers import Peers
from bessemer.serve.deployments.state import Gates, ModelState, State, StateFile
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.spec import ServeSpec
from bessemer.serve.statistics import Statistics
from bessemer.serve.wire import Request, Response
from patience import until

Deployed = Callable[..., Deployments]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    """deployed(package, ...) -> the deployments of a server of one process"""
    with ThreadPoolExecutor(2) as pool:

        def made(*packages: str, folder: Path = tmp_path, **how: Any) -> Deployments:
            def opened(source: str) -> Any:
                return load(source, trust=[PUBLIC])

            found = Deployments(ServeSpec(), StateFile(folder), opened, pool, **how)
            found.start(packages)
            return found

        yield made


def app(deployments: Deployments, *scopes: Any) -> App:
    guard = Guard(AccessSpec(anonymous=list(scopes or ("predict", "admin"))))
    return App(deployments, House(guard, own=[Control(deployments)]))


def asked(one: App, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = b"" if body is None else orjson.dumps(body)
    response: Response = one.handle(Request(method, path, body=data))
    return response.status, orjson.loads(response.body)


def served_version(one: App) -> str:
    answer = asked(one, "POST", "/predict", {"tenure": 8})[1]
    return str(answer["model"]["version"])


def test_a_new_version_takes_over_and_can_be_taken_back(versions: Any, deployed: Deployed) -> None:
    one = app(deployed(versions("1.0.0")))
    assert served_version(one) == "1.0.0"
    status, found = asked(one, "POST", "/deployments", {"package": versions("1.1.0")})
    assert status == 200
    assert list(found["models"]["tiny"]["versions"]) == ["1.1.0"]
    assert served_version(one) == "1.1.0"
    assert asked(one, "POST", "/deployments/tiny/rollback")[0] == 200
    assert served_version(one) == "1.0.0"
    assert asked(one, "POST", "/deployments/tiny/rollback")[0] == 200
    assert served_version(one) == "1.1.0"


def test_shares_are_kept_and_versions_can_be_named(versions: Any, deployed: Deployed) -> None:
    one = app(deployed(versions("1.0.0")))
    body = {"package": versions("1.1.0"), "mode": "split", "weight": "25%"}
    assert asked(one, "POST", "/deployments", body)[0] == 200
    found = [served_version(one) for _ in range(2000)]
    assert 400 < found.count("1.1.0") < 600  # 500 expected, 5 standard deviations
    for version in ("1.0.0", "1.1.0"):
        answer = asked(one, "POST", f"/predict/tiny/{version}", {"tenure": 8})[1]
        assert answer["model"]["version"] == version
    assert asked(one, "PUT", "/deployments/tiny/traffic", {"weights": {"1.0.0": 0, "1.1.0": 3}})[0] == 200
    assert {served_version(one) for _ in range(50)} == {"1.1.0"}
    assert asked(one, "PUT", "/deployments/tiny/labels", {"label": "old", "version": "1.0.0"})[0] == 200
    assert one.models.get("tiny", label="old").version == "1.0.0"


def test_a_shadow_answers_nobody_and_its_differences_are_counted(versions: Any, deployed: Deployed) -> None:
    import asyncio

    deployments = deployed(versions("1.0.0"))
    one = app(deployments)
    asked(one, "POST", "/deployments", {"package": versions("2.0.0"), "mode": "shadow"})

    async def send(count: int) -> list[Response]:
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in range(count)]
        for future in answers:
            one.begin(Request("POST", "/predict", body=b'{"tenure": 8}'), future.set_result)
        return list(await asyncio.gather(*answers))

    answers = asyncio.run(send(20))
    assert {orjson.loads(answer.body)["model"]["version"] for answer in answers} == {"1.0.0"}
    until(lambda: deployments.differences("tiny", "2.0.0").get("rows", 0) == 20)
    found = deployments.differences("tiny", "2.0.0")
    assert (found["rows"], found["flips"], found["worst"], found["failed"]) == (20, 0, 0.0, 0)
    assert deployments.get("tiny").statistics.requests == 20
    assert deployments.get("tiny", "2.0.0").statistics.requests == 0


def test_a_package_that_is_refused_changes_nothing(versions: Any, deployed: Deployed, tmp_path: Path) -> None:
    one = app(deployed(versions("1.0.0")))
    broken = tmp_path / "broken.bsm"
    broken.write_bytes(Path(versions("1.1.0")).read_bytes()[:-7])
    status, told = asked(one, "POST", "/deployments", {"package": str(broken)})
    assert status == 400
    assert told["error"]["message"]
    assert asked(one, "POST", "/deployments", {"package": versions("1.0.0")})[0] == 409
    assert asked(one, "POST", "/deployments", {"packag": "x"})[0] == 400
    assert served_version(one) == "1.0.0"
    assert asked(one, "GET", "/deployments")[1]["generation"] == 1


def test_only_an_administrator_changes_anything(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    one = app(deployments, "predict")
    for route in Control(deployments).routes:
        path = route.at(model="tiny", version="1.0.0")
        assert asked(one, route.method, path, {})[0] == 403, path
    form = Request(
        "POST", "/deployments", headers={"content-type": "application/x-www-form-urlencoded"}, body=b"{}"
    )
    assert app(deployments).handle(form).status == 415, "another site's page could send this"


def test_what_is_deployed_survives_a_restart(versions: Any, deployed: Deployed, tmp_path: Path) -> None:
    first = app(deployed(versions("1.0.0"), versions("1.0.0", "other", "regression")))
    asked(first, "POST", "/deployments", {"package": versions("1.1.0"), "mode": "split"})
    second = deployed(folder=tmp_path)
    assert second.names() == ("tiny", "other")
    assert {subject.version for subject in second.versions("tiny")} == {"1.0.0", "1.1.0"}
    named_anew = deployed(versions("1.2.0"), folder=tmp_path)
    assert named_anew.get("tiny").version == "1.2.0"


def test_models_come_and_go(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    deployments.load(versions("1.0.0", "other", "regression"))
    assert deployments.names() == ("tiny", "other")
    deployments.unload("tiny")
    assert deployments.names() == ("other",)
    with pytest.raises(RequestError, match="there is no model 'tiny'"):
        deployments.get("tiny")
    deployments.unload("other")
    assert asked(app(deployments), "POST", "/predict", {})[0] == 404


def test_another_worker_follows(versions: Any, deployed: Deployed) -> None:
    leader, follower = deployed(versions("1.0.0"), workers=2), None
    follower = deployed(versions("1.0.0"), worker=1, workers=2)
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(leader.deploy, versions("1.1.0"))

        def followed() -> bool:
            if follower.changed():
                follower.follow()
            return changing.done()

        until(followed)
        assert changing.result().version == "1.1.0"
    assert follower.get("tiny").version == "1.1.0"
    leader.get("tiny").statistics.requests += 3
    follower.get("tiny").statistics.requests += 4
    follower.write_statistics()
    assert leader.statistics(leader.get("tiny"))["requests"] == 7


def failing(
    deployments: Deployments, version: str, requests: int, failed: int, latency: float = 0.001
) -> None:
    statistics = deployments.get("tiny", version).statistics
    for _ in range(requests):
        statistics.took(latency)
    statistics.requests += requests
    statistics.failed += failed


def test_a_canary_goes_up_its_steps_and_is_promoted(versions: Any, deployed: Deployed) -> None:
    deployments = deployed(versions("1.0.0"))
    gates = Gates(requests=100, seconds=0.0)
    deployments.deploy(versions("1.1.0"), mode="canary", steps=(0.1, 0.5), gates=gates)
    shares = []
    for _ in range(2):
        shares.append(round(deployments.file.read().models["tiny"].traffic["1.1.0"], 6))
        deployments.judge()  # begins to count
        failing(deployments, "1.0.0", 900, 1)
        failing(deployments, "1.1.0", 99, 0)
        deployments.judge()
        assert deployments.file.read().models["tiny"].canary is not None, "too few requests"
        failing(deployments, "1.1.0", 1, 0)
        deployments.judge()
    assert shares == [0.1, 0.5]
    state = deployments.file.read().models["tiny"]
    assert (dict(state.traffic), state.canary) == ({"1.1.0": 1.0}, None)
    assert "was promoted" in state.verdict


@pytest.mark.parametrize("why", ["errors", "latency", "metric"])
def test_a_canary_that_breaks_a_gate_is_rolled_back(why: str, versions: Any, deployed: Deployed) -> None:
    scores = {"1.0.0": 0.9, "1.1.0": 0.7 if why == "metric" else 0.89}
    deployments = deployed(versions("1.0.0"), metric=lambda subject, *_: scores[subject.version])
    gates = Gates(requests=100, seconds=0.0, metric="accuracy")
    deployments.deploy(versions("1.1.0"), mode="canary", steps=(0.1,), gates=gates)
    deployments.judge()
    failing(deployments, "1.0.0", 900, 0)
    failing(deployments, "1.1.0", 100, 30 if why == "errors" else 0, 0.05 if why == "latency" else 0.001)
    deployments.judge()
    state = deployments.file.read().models["tiny"]
    assert dict(state.traffic) == {"1.0.0": 1.0}
    assert {"errors": "failed", "latency": "percentile", "metric": "accuracy"}[why] in state.verdict


def test_a_canary_under_which_processes_die_is_rolled_back(
    versions: Any, deployed: Deployed, tmp_path: Path
) -> None:
    deployments = deployed(versions("1.0.0"))
    supervisor = Peers(tmp_path, -1, 1)
    supervisor.note_restarts(3)  # before the trial: they do not count
    deployments.deploy(versions("1.1.0"), mode="canary", steps=(0.1,), gates=Gates())
    for deaths in (3, 4):
        supervisor.note_restarts(deaths)
        deployments.judge()
        assert deployments.file.read().models["tiny"].canary is not None
    supervisor.note_restarts(5)
    deployments.judge()
    state = deployments.file.read().models["tiny"]
    assert dict(state.traffic) == {"1.0.0": 1.0}
    assert "2 processes of the server died" in state.verdict


def test_two_canaries_are_judged_side_by_side_and_over_the_death_of_their_judge(
    versions: Any, deployed: Deployed, tmp_path: Path
) -> None:
    deployments = deployed(versions("1.0.0"), versions("1.0.0", "other"))
    gates = Gates(requests=100, seconds=0.0)
    for name in ("tiny", "other"):
        deployments.deploy(versions("1.1.0", name), mode="canary", steps=(0.1,), gates=gates)
    for _ in range(3):
        deployments.judge()
    for name in ("tiny", "other"):
        for version in ("1.0.0", "1.1.0"):
            statistics = deployments.get(name, version).statistics
            statistics.requests += 60
            for _ in range(60):
                statistics.took(0.001)
    deployments.judge()
    deployments.write_statistics()
    again = deployed(folder=tmp_path)  # the worker died: its counters and the step go on
    for name in ("tiny", "other"):
        statistics = again.get(name, "1.1.0").statistics
        assert statistics.requests == statistics.carried["requests"] == 60
        statistics.requests += 60
        for _ in range(60):
            statistics.took(0.001)
    again.judge()
    models = again.file.read().models
    assert {name: dict(model.traffic) for name, model in models.items()} == {
        "tiny": {"1.1.0": 1.0},
        "other": {"1.1.0": 1.0},
    }


def done(requests: int, failed: int, latency: float = 0.001) -> dict[str, Any]:
    found = Statistics(requests=requests, failed=failed)
    for _ in range(requests):
        found.took(latency)
    return found.snapshot()


def test_chance_alone_rolls_nothing_back() -> None:
    """A canary that is as good as the other is looked at 2,000 times: its error rate by chance must not end it."""
    import numpy as np

    rng = np.random.default_rng(5)
    ended = 0
    for _ in range(200):
        mine, theirs = np.cumsum(rng.binomial(10, 0.02, (2, 200)), axis=1)
        gates = Gates(requests=10**9, error_rate=0.0)
        looks = (
            judge(gates, done(0, 0) | _rate(mine[i], i), done(0, 0) | _rate(theirs[i], i), 1.0, None)
            for i in range(200)
        )
        ended += any(verdict.kind == "fail" for verdict in looks)
    assert ended <= 2, "4 standard errors: less than one in a hundred over all looks"


def _rate(failed: Any, look: int) -> dict[str, Any]:
    return {"failed": int(failed), "requests": 10 * (look + 1) - int(failed)}


def test_quantiles_of_a_histogram() -> None:
    assert quantile([0, 0, 3, 1], 0.5) == 0.0005
    assert quantile([0, 0, 3, 1], 0.95) == 0.001
    assert quantile([], 0.5) != quantile([], 0.5)  # NaN


def _count(folder: str, times: int) -> None:
    file = StateFile(Path(folder))
    for i in range(times):
        name = f"m{multiprocessing.current_process().pid}-{i}"
        file.change(lambda state, name=name: state.with_model(name, ModelState({"1": "x"}, {"1": 1.0})))  # type: ignore[misc]


@pytest.mark.slow
def test_changes_of_several_processes_queue_up(tmp_path: Path) -> None:
    processes = [multiprocessing.Process(target=_count, args=(str(tmp_path), 25)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    state = StateFile(tmp_path).read()
    assert (state.generation, len(state.models)) == (100, 100)


def test_a_state_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deployments.json").write_text('{"format": 99}')
    with pytest.raises(FormatError, match="cannot be read"):
        StateFile(tmp_path).read()


def test_a_state_survives_its_file(tmp_path: Path) -> None:
    state = changes.deploy(State(), "churn", "1", "a.bsm")
    state = changes.deploy(
        state, "churn", "2", "b.bsm", mode="canary", steps=(0.1, 0.5), gates=Gates(metric="accuracy")
    )
    state = changes.deploy(state, "churn", "3", "c.bsm", mode="shadow")
    state = changes.label(state, "churn", "stable", "1")
    file = StateFile(tmp_path)
    file.change(lambda _: state)
    assert file.read().models == state.models


def test_what_cannot_be_meant_is_refused() -> None:
    state = changes.deploy(State(), "churn", "1", "a.bsm")
    for change, status in (
        (lambda: changes.rollback(state, "churn"), 409),
        (lambda: changes.promote(state, "churn", "9"), 404),
        (lambda: changes.promote(state, "churn"), 409),
        (lambda: changes.weigh(state, "churn", {"1": 0.0}), 400),
        (lambda: changes.weigh(state, "churn", {"1": float("nan")}), 400),
        (lambda: changes.weigh(state, "chrun", {"1": 1.0}), 404),
        (lambda: changes.deploy(state, "churn", "2", "b", mode="split", weight=1.0), 400),
        (lambda: changes.deploy(state, "churn", "1", "b"), 409),
    ):
        with pytest.raises(RequestError) as caught:
            change()
        assert caught.value.status == status


@pytest.mark.slow
def test_a_metric_comes_from_the_labels(tmp_path: Path) -> None:
    import numpy as np

    from bessemer.serve.deployments.metric import logged_metric
    from bessemer.serve.log.entry import Entry, Label
    from bessemer.serve.log.prediction_log import PredictionLog
    from bessemer.serve.log.spec import LogSpec
    from bessemer.testing.models import tiny_signature

    now = time.time()
    with PredictionLog(LogSpec(folder=str(tmp_path))) as log:
        for task, said in (("binary", np.array(["yes", "yes", "no"])), ("regression", np.float32([1, 2, 4]))):
            log.register(task, "1", tiny_signature(task))
            ids, rows = ["a", "b", "c"], [(8, None, None, None, None)] * 3
            log.take(
                Entry(task, "1", ids, rows, None, {"prediction": said}, now, [0.1] * 3, [""] * 3, [""] * 3)
            )
        log.feedback("binary", [Label("a", "yes", now), Label("b", "no", now), Label("c", "no", now)])
        log.feedback("regression", [Label("a", 2.0, now), Label("c", 1.0, now)])
        assert logged_metric(tmp_path, "binary", "1", "accuracy", 3, now - 1) == pytest.approx(2 / 3)
        assert logged_metric(tmp_path, "regression", "1", "mae", 2, now - 1) == pytest.approx(2.0)
        assert logged_metric(tmp_path, "regression", "1", "mae", 3, now - 1) is None
        assert logged_metric(tmp_path, "binary", "2", "accuracy", 1, now - 1) is None

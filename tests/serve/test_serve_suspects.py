"""What a server does to clients that are suspected: over HTTP, to real processes that follow the file as they run."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from serve_command import Server
from serve_packages import PUBLIC, write_tiny

from bessemer.cli import group
from bessemer.core.errors import UsageError
from bessemer.core.suspects import MOST, Suspect, SuspectsFile
from bessemer.monitor.watching.trace import trace
from bessemer.package.model import load
from bessemer.serve.app import App, House
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.keyfile import add_key, revoke_key, shown_key
from bessemer.serve.guards.mark import Mark
from bessemer.serve.guards.spec import AccessSpec, SuspectsSpec
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Predictions, Request
from bessemer.testing.models import tiny_model
from patience import PATIENCE, until

ROW = {"tenure": 8, "monthly charges": 70.5, "autopay": True, "contract": "One year", "désactivé": None}
SETTINGS = """serve:
  access:
    keys: {file: keys.yaml}
    suspects: {file: suspects.json, key: mark.key, harm: 1%, most: 2}
  telemetry: {access_log: {file: access.log}}
"""

HOUR = 3600.0


def clients(folder: Path, *names: str) -> dict[str, str]:
    return {name: add_key(folder / "keys.yaml", name) for name in names}


def guard_of(
    folder: Path,
    wall: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    workers: int = 1,
    **settings: Any,
) -> Guard:
    access = {"keys": {"file": "keys.yaml"}, "suspects": {"file": "suspects.json", **settings}}
    return Guard(AccessSpec.model_validate(access), workers=workers, clock=clock, folder=folder, wall=wall)


def enter(guard: Guard, key: str) -> Any:
    return guard.admit("POST", "/predict", {"x-api-key": key}, "192.0.2.1")


def refused(guard: Guard, key: str) -> RequestError:
    with pytest.raises(RequestError) as found:
        enter(guard, key)
    return found.value


class TestTheFile:
    def test_the_stricter_action_stays_and_the_later_end(self, tmp_path: Path) -> None:
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("shop", "throttle", 0, 50))
        file.put(Suspect("shop", "step_up", 10, 40, key="abc"))
        file.put(Suspect("shop", "watermark", 20, 90))
        (found,) = file.read(30).values()
        assert (found.action, found.until, found.key, found.since) == ("step_up", 90, "abc", 10)

    def test_what_has_not_changed_is_not_written(self, tmp_path: Path) -> None:
        file = SuspectsFile(tmp_path / "suspects.json")
        assert file.put(Suspect("shop", "throttle", 0, 50))
        before = file.path.stat().st_mtime_ns
        assert not file.put(Suspect("shop", "throttle", 0, 50))
        assert file.path.stat().st_mtime_ns == before

    def test_it_does_not_grow_beyond_what_is_allowed(self, tmp_path: Path) -> None:
        file = SuspectsFile(tmp_path / "suspects.json")
        rows = [{"name": f"c{i}", "action": "throttle", "since": 0, "until": 99} for i in range(MOST)]
        file.path.write_text(json.dumps({"format": 1, "suspects": rows}))
        assert not file.put(Suspect("one more", "throttle", 0, 99))
        assert file.put(Suspect("c0", "throttle", 0, 200)), "one that is there may stay longer"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"name": 3},
            {"action": "ban"},
            {"until": "late"},
            {"until": 9e15},
            {"until": 0},
            {"per_second": -3.0},
            {"per_second": float("nan")},
            {"per_second": float("inf")},
            {"per_second": 1e-300},
            {"reason": None},
        ],
    )
    def test_what_no_server_could_follow_is_not_written_and_spoils_no_file(
        self, tmp_path: Path, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        row = {"name": "x", "action": "throttle", "since": 0, "until": 99, "reason": "", "per_second": 0.0}
        with pytest.raises(UsageError):
            Suspect(**{**row, **wrong})
        file = SuspectsFile(tmp_path / "suspects.json")
        rows = [{**row, **wrong}, {**row, "name": "good"}, {"nome": "x"}, 7]
        file.path.write_text(json.dumps({"format": 1, "suspects": rows}))
        assert list(file.read(1)) == ["good"]
        assert "is left out" in caplog.text
        assert file.put(Suspect("another", "throttle", 0, 99))
        assert list(file.read(1)) == ["good", "another"]

    def test_of_equal_actions_the_newer_counts_but_a_window_counts_once(self, tmp_path: Path) -> None:
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("shop", "step_up", 10, 90, key="old", seen=5, by="near_queries"))
        assert not file.put(Suspect("shop", "step_up", 12, 90, key="new", seen=5, by="near_queries"))
        assert file.put(Suspect("shop", "step_up", 20, 80, key="new", seen=6, by="near_queries"))
        (found,) = file.read(30).values()
        assert (found.since, found.key, found.until) == (20, "new", 90)
        file.put(Suspect("shop", "step_up", 40, 60, key="newer"))
        assert file.read(50)["shop"].key == "newer", "an operator says so again"

    def test_who_holds_it_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl
        import itertools

        from bessemer.core import lock
        from bessemer.core.errors import EnvironmentFault

        clock = itertools.count(step=5)
        monkeypatch.setattr(lock.time, "monotonic", lambda: next(clock))
        with (tmp_path / ".suspects.json.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(EnvironmentFault, match="writes the file of suspects") as found:
                SuspectsFile(tmp_path / "suspects.json").put(Suspect("shop", "throttle", 0, 50))
        assert "--wait" not in str(found.value)

    def test_who_is_not_there_cannot_be_let_off(self, tmp_path: Path) -> None:
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("web-shop", "throttle", 0, 50))
        with pytest.raises(UsageError, match="web-shop"):
            file.lift("web-shp", 1)


class TestTheGuard:
    def test_a_suspect_is_slowed_and_nobody_else(self, tmp_path: Path) -> None:
        keys = clients(tmp_path, "good", "bad")
        guard = guard_of(tmp_path, clock=lambda: 0.0, requests_per_second=2)
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("bad", "throttle", 0, time.time() + HOUR))
        assert not enter(guard, keys["bad"]).action, "the file is read when it is refreshed"
        guard.refresh()
        assert [enter(guard, keys["bad"]).action for _ in range(2)] == ["throttle"] * 2
        error = refused(guard, keys["bad"])
        assert (error.status, error.client, error.action) == (429, "bad", "throttle")
        assert all(enter(guard, keys["good"]).action == "" for _ in range(50))

    def test_a_limit_of_its_own_that_is_stricter_stays(self, tmp_path: Path) -> None:
        keys = {
            "bad": add_key(tmp_path / "keys.yaml", "bad", requests_per_second=1.0),
            **clients(tmp_path, "good"),
        }
        SuspectsFile(tmp_path / "suspects.json").put(
            Suspect("bad", "throttle", 0, time.time() + HOUR, per_second=30)
        )
        guard = guard_of(tmp_path, clock=lambda: 0.0)
        enter(guard, keys["bad"])
        assert refused(guard, keys["bad"]).status == 429

    def test_nobody_gets_quicker(self, tmp_path: Path) -> None:
        """The server's own limit holds where it is stricter."""
        keys, now = clients(tmp_path, "good", "bad"), [0.0]
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("bad", "throttle", 0, time.time() + HOUR))
        access = {
            "keys": {"file": "keys.yaml"},
            "suspects": {"file": "suspects.json"},
            "limits": {"requests_per_second": 0.2, "burst": 1},
        }
        guard = Guard(AccessSpec.model_validate(access), folder=tmp_path, clock=lambda: now[0])

        def let_in(name: str) -> int:
            found = 0
            for _ in range(600):
                now[0] += 0.1
                found += enter_or_none(guard, keys[name]) is not None
            return found

        assert let_in("bad") == let_in("good") == 12

    def test_step_up_bites_again(self, tmp_path: Path) -> None:
        keys, file = clients(tmp_path, "good", "bad"), SuspectsFile(tmp_path / "suspects.json")
        path, now = tmp_path / "keys.yaml", time.time()
        file.put(Suspect("bad", "step_up", now, now + HOUR, key=shown_key(path, "bad"), seen=now - 1))
        guard = guard_of(tmp_path)
        refused(guard, keys["bad"])
        revoke_key(path, "bad")
        renewed = add_key(path, "bad")
        guard.refresh()
        assert enter(guard, renewed).name == "bad"
        file.put(Suspect("bad", "step_up", now + 1, now + HOUR, key=shown_key(path, "bad"), seen=now + 1))
        guard.refresh()
        assert refused(guard, renewed).status == 401

    def test_a_newer_key_is_enough(self, tmp_path: Path) -> None:
        keys = clients(tmp_path, "good", "bad")
        suspect = Suspect(
            "bad", "step_up", 0, time.time() + HOUR, key=shown_key(tmp_path / "keys.yaml", "bad")
        )
        SuspectsFile(tmp_path / "suspects.json").put(suspect)
        guard = guard_of(tmp_path)
        error = refused(guard, keys["bad"])
        assert (error.status, error.client, error.action) == (401, "bad", "step_up")
        assert 'error="insufficient_user_authentication"' in dict(error.headers)["www-authenticate"]
        revoke_key(tmp_path / "keys.yaml", "bad")
        renewed = add_key(tmp_path / "keys.yaml", "bad")
        guard.refresh()
        assert enter(guard, renewed).name == "bad"
        assert refused(guard, keys["bad"]).status == 401

    def test_a_token_of_who_signed_in_again_is_enough(self, tmp_path: Path) -> None:
        """A token that was only refreshed is as old as the sign-in it goes back to."""
        from guard_tokens import ask, jwt_spec, key_set, token

        (tmp_path / "jwks.json").write_bytes(key_set())
        now = int(time.time())
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("jwt:alice", "step_up", now - 60, now + HOUR))
        access = AccessSpec(
            jwt=jwt_spec(str(tmp_path / "jwks.json")), suspects=SuspectsSpec(file="suspects.json")
        )
        guard = Guard(access, folder=tmp_path)
        for old in ({}, {"auth_time": now - 3600}, {"auth_time": "now"}):
            with pytest.raises(RequestError, match="newer credential"):
                ask(guard, token(**old))
        assert ask(guard, token(auth_time=now - 10)).name == "jwt:alice"
        assert ask(guard, token(auth_time=10**400)).name == "jwt:alice", "no time at all breaks nothing"
        assert ask(guard, token(sub="bob")).name == "jwt:bob"

    def test_it_ends_by_itself_and_by_the_operator(self, tmp_path: Path) -> None:
        keys, now = clients(tmp_path, "good", "bad"), [1000.0]
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("bad", "step_up", 1000, 1060))
        guard = guard_of(tmp_path, wall=lambda: now[0])
        refused(guard, keys["bad"])
        now[0] = 1061.0
        assert enter(guard, keys["bad"]).name == "bad"
        file.put(Suspect("bad", "step_up", 1061, 1120))
        guard.refresh()
        refused(guard, keys["bad"])
        file.lift("bad", 1062)
        guard.refresh()
        assert enter(guard, keys["bad"]).name == "bad"

    def test_not_everybody_can_be_shut_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        names = [f"c{i}" for i in range(5)]
        keys = clients(tmp_path, *names)
        for name in names:
            SuspectsFile(tmp_path / "suspects.json").put(Suspect(name, "step_up", 0, time.time() + HOUR))
        with caplog.at_level(logging.ERROR):
            guard = guard_of(tmp_path, most=100)
        assert [name for name in names if enter_or_none(guard, keys[name])] == ["c2", "c3", "c4"]
        assert "nothing is done to c2, c3, c4" in caplog.text

    def test_the_strictest_come_first_and_names_of_nobody_take_no_place(self, tmp_path: Path) -> None:
        names = [f"c{i}" for i in range(6)]
        keys, file, end = (
            clients(tmp_path, *names),
            SuspectsFile(tmp_path / "suspects.json"),
            time.time() + HOUR,
        )
        add_key(tmp_path / "keys.yaml", "operator", scopes=["predict", "admin"])
        for name in ("gone1", "gone2", "gone3", "operator"):
            file.put(Suspect(name, "step_up", 0, end))
        for name in names[:3]:
            file.put(Suspect(name, "throttle", 0, end))
        file.put(Suspect("c5", "step_up", 0, end))
        guard = guard_of(tmp_path)
        assert refused(guard, keys["c5"]).status == 401
        assert [enter(guard, keys[name]).action for name in names[:3]] == ["throttle", "throttle", ""]

    def test_half_of_the_clients_are_counted_again_when_keys_change(self, tmp_path: Path) -> None:
        names, path = "abcdef", tmp_path / "keys.yaml"
        keys = clients(tmp_path, *names)
        for name in "abc":
            SuspectsFile(tmp_path / "suspects.json").put(Suspect(name, "step_up", 0, time.time() + HOUR))
        guard = guard_of(tmp_path)
        assert not any(enter_or_none(guard, keys[name]) for name in "abc")
        for name in "def":
            revoke_key(path, name)
        guard.refresh()
        assert [name for name in "abc" if enter_or_none(guard, keys[name])] == ["b", "c"]
        add_key(path, "g")
        guard.refresh()
        assert [name for name in "abc" if enter_or_none(guard, keys[name])] == ["c"]

    def test_keys_that_have_expired_are_nobody(self, tmp_path: Path) -> None:
        keys = clients(tmp_path, "only")
        add_key(tmp_path / "keys.yaml", "old", expires=dt.datetime(2020, 1, 1))
        add_key(tmp_path / "keys.yaml", "operator", scopes=["predict", "admin"])
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("only", "step_up", 0, time.time() + HOUR))
        assert enter(guard_of(tmp_path), keys["only"]).name == "only"

    def test_a_broken_file_is_told_of_once_and_time_goes_on(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        keys, now = clients(tmp_path, "good", "bad"), [1000.0]
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("bad", "step_up", 1000, 1060))
        guard = guard_of(tmp_path, wall=lambda: now[0])
        file.path.write_text("{")
        now[0] = 1100.0
        for _ in range(5):
            guard.refresh()
        assert caplog.text.count("the suspects stay as they were") == 1
        assert enter(guard, keys["bad"]).name == "bad"
        assert "'bad' is suspected no more" in caplog.text

    def test_names_that_a_log_cannot_show_are_told_apart(self, tmp_path: Path) -> None:
        from guard_tokens import ask, jwt_spec, key_set, token

        (tmp_path / "jwks.json").write_bytes(key_set())
        access = AccessSpec(
            jwt=jwt_spec(str(tmp_path / "jwks.json")), suspects=SuspectsSpec(file="suspects.json")
        )
        guard = Guard(access, folder=tmp_path)
        one, other = (ask(guard, token(sub=name)).name for name in ("田中", "佐藤"))
        assert one.startswith("jwt:?~")
        SuspectsFile(tmp_path / "suspects.json").put(Suspect(one, "step_up", time.time(), time.time() + HOUR))
        guard.refresh()
        assert ask(guard, token(sub="佐藤")).name == other
        with pytest.raises(RequestError, match="newer credential"):
            ask(guard, token(sub="田中"))

    def test_who_can_show_nothing_newer_is_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        clients(tmp_path, "good", "bad")
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("bad", "step_up", 0, time.time() + HOUR))
        guard_of(tmp_path)
        assert "'bad' has no credential that could be newer" in caplog.text

    def test_whoever_administers_is_not_shut_out(self, tmp_path: Path) -> None:
        key = add_key(tmp_path / "keys.yaml", "operator", scopes=["predict", "admin"])
        clients(tmp_path, "other")
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("operator", "step_up", 0, time.time() + HOUR))
        assert enter(guard_of(tmp_path), key).name == "operator"

    def test_a_broken_file_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        keys = clients(tmp_path, "good", "bad")
        file = SuspectsFile(tmp_path / "suspects.json")
        file.put(Suspect("bad", "step_up", 0, time.time() + HOUR))
        guard = guard_of(tmp_path)
        file.path.write_text('{"format": 1, "suspects": [{"name": "good"')
        guard.refresh()
        assert "the suspects stay as they were" in caplog.text
        refused(guard, keys["bad"])
        assert enter(guard, keys["good"]).name == "good"

    @pytest.mark.parametrize(
        "text",
        [
            "[]",
            '{"format": 2}',
            '{"format": 1, "suspects": 3}',
        ],
    )
    def test_what_is_no_file_of_ours_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "suspects.json").write_text(text)
        with pytest.raises(Exception, match="cannot be read"):
            SuspectsFile(tmp_path / "suspects.json").read(0)

    def test_without_a_key_nobody_is_marked(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        keys = clients(tmp_path, "good", "bad")
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("bad", "watermark", 0, time.time() + HOUR))
        assert enter(guard_of(tmp_path), keys["bad"]).mark is None
        assert "nothing is done to bad: `key` is not set" in caplog.text

    def test_a_short_key_is_refused(self, tmp_path: Path) -> None:
        clients(tmp_path, "a", "b")
        (tmp_path / "mark.key").write_bytes(b"short")
        with pytest.raises(UsageError, match="5 bytes"):
            guard_of(tmp_path, key="mark.key")

    def test_nobody_has_a_name_without_keys(self) -> None:
        with pytest.raises(ValueError, match="clients with names"):
            AccessSpec.model_validate({"suspects": {}})


def enter_or_none(guard: Guard, key: str) -> Any:
    try:
        return enter(guard, key)
    except RequestError:
        return None


class TestMarkedAnswers:
    @pytest.fixture
    def app(self, tmp_path: Path) -> tuple[App, dict[str, str]]:
        keys = clients(tmp_path, "good", "bad")
        (tmp_path / "mark.key").write_bytes(bytes(range(32)))
        SuspectsFile(tmp_path / "suspects.json").put(Suspect("bad", "watermark", 0, time.time() + HOUR))
        guard, spec = guard_of(tmp_path, key="mark.key"), ServeSpec()
        return App(Repository(spec, [make_lane(tiny_model("binary"), spec)]), House(guard=guard)), keys

    def test_within_its_harm_the_same_each_time_and_no_other_class(
        self, app: tuple[App, dict[str, str]]
    ) -> None:
        one, keys = app
        rows = [{**ROW, "tenure": i, "monthly charges": 20.0 + i} for i in range(60)]
        good, bad, again = (ask(one, keys[name], rows) for name in ("good", "bad", "bad"))
        apart = np.abs(np.array(good["probability"]) - np.array(bad["probability"]))
        assert bad == again
        assert good["prediction"] == bad["prediction"]
        assert 0.001 < apart.max() <= 0.01 + 1e-6
        assert np.array_equal(np.argmax(good["probability"], axis=1), np.argmax(bad["probability"], axis=1))

    @pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
    def test_the_score_says_the_same(self, task: Any) -> None:
        spec, rows = ServeSpec(), [tuple(row.values()) for row in rows_of(50)]
        lane = make_lane(tiny_model(task), spec)
        known = tuple(field.name for field in lane.subject.signature.outputs)
        plain = lane.predictor.predict(Batch(50, rows, outputs=known)).outputs
        marked = Mark(bytes(range(32)), "bad", 0.01).on(lane.subject, Predictions(plain)).outputs
        assert {name: (each.shape, each.dtype) for name, each in marked.items()} == {
            name: (each.shape, each.dtype) for name, each in plain.items()
        }
        if task == "regression":
            assert np.array_equal(marked["prediction"], marked["score"][:, 0])
            apart = np.abs(marked["prediction"] / plain["prediction"] - 1)
        else:
            score = marked["score"].astype(np.float64)
            raw = np.concatenate([np.zeros((50, 1)), score], axis=1) if task == "binary" else score
            said = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
            assert said == pytest.approx(marked["probability"], abs=1e-5)
            assert np.array_equal(marked["prediction"], plain["prediction"])
            apart = np.abs(marked["probability"] - plain["probability"])
        assert 0.001 < apart.max() <= 0.01 + 1e-5

    @pytest.mark.parametrize("edges", [(0.3,), (0.2, 0.7)])
    def test_no_probability_crosses_what_decides(self, edges: tuple[float, ...]) -> None:
        """Whoever compares the probability with the model's threshold finds what the model said."""
        rng, spec = np.random.default_rng(0), ServeSpec()
        lane = make_lane(tiny_model("binary"), spec)
        positive = np.concatenate([edge + rng.uniform(-0.02, 0.02, 2000) for edge in edges]).astype(
            np.float32
        )
        given = {"probability": np.stack([1 - positive, positive], axis=1)}
        crossed = {}
        for thresholds in (edges, ()):
            subject = replace(lane.subject, thresholds=thresholds)
            marked = (
                Mark(bytes(range(32)), "bad", 0.01)
                .on(subject, Predictions(given))
                .outputs["probability"][:, 1]
            )
            assert np.abs(marked - positive).max() > 0.005
            crossed[thresholds] = sum(
                int(((marked >= np.float32(edge)) != (positive >= np.float32(edge))).sum()) for edge in edges
            )
        assert crossed[edges] == 0 < crossed[()]

    def test_an_explanation_would_tell_the_score(self, app: tuple[App, dict[str, str]]) -> None:
        one, keys = app
        headers = {"x-api-key": keys["bad"], "content-type": "application/json"}
        found = one.handle(
            Request("POST", "/predict", {"explain": "true"}, headers, json.dumps({"rows": [ROW]}).encode())
        )
        assert found.status == 403


def ask(app: App, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Through a dialect that tells outputs by their names."""
    headers = {"x-api-key": key, "content-type": "application/json"}
    found = app.handle(Request("POST", "/predict", {}, headers, json.dumps({"rows": rows}).encode()))
    assert found.status == 200, found.body
    said = json.loads(found.body)["predictions"]
    return {
        "prediction": [each["prediction"] for each in said],
        "probability": [list(each["probability"].values()) for each in said],
    }


def post(url: str, key: str, body: Any) -> tuple[int, Any]:
    headers = {"x-api-key": key, "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def access_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of all workers."""
    return [
        json.loads(line) for path in folder.glob("access*.log*") for line in path.read_text().splitlines()
    ]


def rows_of(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    kinds = ["Month-to-month", "One year", "Two year"]
    return [
        {
            **ROW,
            "tenure": int(rng.integers(0, 72)),
            "monthly charges": float(rng.uniform(18, 118)),
            "contract": kinds[i % 3],
        }
        for i in range(n)
    ]


def test_the_mark_is_found_among_many_clients(tmp_path: Path) -> None:
    """Of more clients than 100 times the smallest p-value of 9,999 waves could name."""
    (tmp_path / "mark.key").write_bytes(bytes(range(32)))
    model = load(write_tiny(tmp_path / "tiny.bsm"), trust=[PUBLIC])
    lane, rows = make_lane(model, ServeSpec()), rows_of(300)
    plain = lane.predictor.predict(Batch(300, [tuple(row.values()) for row in rows])).outputs
    marked = (
        Mark(bytes(range(32)), "bad", 0.01).on(lane.subject, Predictions(plain)).outputs["probability"][:, 1]
    )
    with (tmp_path / "leaked.jsonl").open("w") as file:
        answers = zip(rows, marked.tolist(), strict=True)
        file.writelines(json.dumps({**row, "answer": answer}) + "\n" for row, answer in answers)
    names = ["bad", *(f"c{i}" for i in range(149))]
    found = trace(model, tmp_path / "leaked.jsonl", tmp_path / "mark.key", names)
    assert [each.client for each in found if each.found] == ["bad"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--add", ""], "has a name"),
        (["--add", "shop", "--for", "9999999d"], "year 9999"),
        (["--add", "shop", "--for", "0s"], "ends before it begins"),
        (["--add", "shop", "--rate", "nan"], "are no limit"),
        (["--add", "shop", "--rate", "-3"], "are no limit"),
    ],
)
def test_the_command_writes_nothing_that_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(group, ["access", "suspects", *words])
    assert says in str(done.exception)
    assert not (tmp_path / ".bessemer" / "suspects.json").exists()


@pytest.mark.slow
def test_the_command_says_what_is_odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients(tmp_path, "web-shop")
    add_key(tmp_path / "keys.yaml", "operator", scopes=["predict", "admin"])
    access = "{keys: {file: keys.yaml}, suspects: {file: s.json}}"
    (tmp_path / "bessemer.yaml").write_text(f"data: x.csv\ntarget: y\nserve: {{access: {access}}}\n")
    monkeypatch.chdir(tmp_path)

    def told(*words: str) -> str:
        done = CliRunner().invoke(group, ["access", "suspects", *words])
        assert done.exception is None, done.output
        return done.stderr

    assert "did you mean 'web-shop'" in told("--add", "web-shp")
    assert "may administer" in told("--add", "operator")
    assert told("--add", "web-shop", "--action", "step_up") == ""
    assert "nothing has changed: 'web-shop' has step_up already" in told("--add", "web-shop", "--for", "1m")
    assert "no newer credential ends this" in told("--add", "certificate:till", "--action", "step_up")
    rows = [{"name": f"c{i}", "action": "throttle", "since": 0, "until": 9e9} for i in range(MOST)]
    (tmp_path / "s.json").write_text(json.dumps({"format": 1, "suspects": rows}))
    assert "no more can be" in told("--add", "web-shop")


@pytest.mark.slow
def test_a_server_follows_the_file_while_it_runs(
    server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three actions, one after the other, by the command, on a server of two processes; nobody else notices."""
    keys = clients(tmp_path, "good", "bad", "third", "fourth")
    (tmp_path / "mark.key").write_bytes(bytes(range(32)))
    package = write_tiny(tmp_path / "tiny.bsm")
    started = server(str(package), "--workers", "2", settings=SETTINGS)
    monkeypatch.chdir(tmp_path)
    url = f"{started.url}/predict"

    def status(name: str, key: str = "") -> int:
        return post(url, key or keys[name], {"rows": [ROW]})[0]

    def act(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(group, ["access", "suspects", "--json", *words])
        assert done.exception is None, done.output
        return dict(json.loads(done.output))

    assert (status("good"), status("bad")) == (200, 200)

    act("--add", "bad", "--action", "throttle", "--rate", "0.01")
    until(lambda: 429 in [status("bad") for _ in range(10)])
    assert [status("good") for _ in range(20)] == [200] * 20
    assert act("--lift", "bad")["suspects"] == []
    until(lambda: [status("bad") for _ in range(10)] == [200] * 10)

    act("--add", "bad", "--action", "step_up", "--reason", "probing")
    until(lambda: [status("bad") for _ in range(10)] == [401] * 10)
    told = post(url, keys["bad"], {"rows": [ROW]})[1]
    assert "must show a newer credential" in json.dumps(told)
    revoke_key(tmp_path / "keys.yaml", "bad")
    renewed = add_key(tmp_path / "keys.yaml", "bad")
    until(lambda: [status("bad", renewed) for _ in range(10)] == [200] * 10)
    assert status("bad") == 401, "the old one is gone"
    act("--lift", "bad")

    act("--add", "bad", "--action", "watermark")
    rows = rows_of(300)
    true = post(url, keys["good"], {"rows": rows})[1]
    one = {"rows": rows[:1]}
    plain = post(url, keys["good"], one)[1]
    until(lambda: all(post(url, renewed, one)[1] != plain for _ in range(30)))  # whichever process answers
    marked = post(url, renewed, {"rows": rows})[1]
    assert marked != true
    answers = [list(each["probability"].values())[1] for each in marked["predictions"]]
    with (tmp_path / "leaked.jsonl").open("w") as file:
        file.writelines(json.dumps({**row, "answer": a}) + "\n" for row, a in zip(rows, answers, strict=True))
    words = ["access", "trace", str(package), "leaked.jsonl", "--key", "key.pub", "--json"]
    done = CliRunner().invoke(group, words)
    assert done.exception is None, done.output
    told = json.loads(done.output)
    assert (told["answers"], {row["client"] for row in told["clients"] if row["found"]}) == (300, {"bad"})
    assert len(told["clients"]) == 4, "of all who have a key"
    wrong = CliRunner().invoke(group, [*words, "--column", "answers"])
    assert "no column 'answers'" in str(wrong.exception)
    model = load(package, trust=[PUBLIC])
    found = trace(model, tmp_path / "leaked.jsonl", tmp_path / "mark.key", ["good", "bad", "third", "fourth"])
    assert [(each.client, each.found) for each in found if each.found] == [("bad", True)]

    assert started.stop() == 0
    seen = access_log(tmp_path)
    actions = {(line.get("client"), line.get("action"), line["status"]) for line in seen if "action" in line}
    assert {("bad", "throttle", 429), ("bad", "step_up", 401), ("bad", "watermark", 200)} <= actions
    assert not [line for line in seen if line.get("client") == "good" and "action" in line]
    assert "'bad' is suspected (probing): step_up" in started.told

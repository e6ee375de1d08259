"""Clients who feel their way, copy or poison a model are found, whoever means no harm is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from adversary_support import Looking, dtypes_of, harmless, read, reference, window
from attacks import Domain, Rows, hop_skip_jump, jacobian, joined, shuffled, size, square, take, uniform
from log_support import Server, at, seconds, watching
from package_support import given, labels

from bessemer.core.suspects import SuspectsFile
from bessemer.monitor.finding import Finding
from bessemer.monitor.finding import Test as Told
from bessemer.monitor.reference import Reference
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.watchers.fingerprints import FEW, Fingerprints
from bessemer.monitor.watchers.near_queries import NearQueries
from bessemer.monitor.watchers.uniform_queries import UniformQueries
from bessemer.monitor.watching.asked import NOBODY, Repeated
from bessemer.monitor.watching.suspects import SuspectsSpec, act
from bessemer.serve.guards.keyfile import add_key, revoke_key, shown_key
from bessemer.serve.log.entry import Entry, Label
from bessemer.testing.models import CLASSES, INPUTS

WATCHERS = {"near_queries": NearQueries, "uniform_queries": UniformQueries, "fingerprints": Fingerprints}


@pytest.fixture(scope="module")
def census(shared: Path) -> dict[str, Rows]:
    dtypes = dtypes_of(shared / "adult" / "train.csv", "income")
    return {part: read(shared / "adult" / f"{part}.csv", dtypes) for part in ("train", "test")}


@pytest.fixture(scope="module")
def usual(census: dict[str, Rows], shared: Path) -> Reference:
    return reference(census["train"], dtypes_of(shared / "adult" / "train.csv", "income"))


def ask(rows: Rows) -> np.ndarray:
    """A model to be attacked: a logistic one with a bend."""
    score = (
        (np.nan_to_num(rows["education_num"]) - 11) / 2.5
        + (np.nan_to_num(rows["age"]) - 45) / 15
        + (np.nan_to_num(rows["hours_per_week"]) - 45) / 12
        + 3 * (np.nan_to_num(rows["capital_gain"]) > 5000)
        + np.where(rows["marital_status"] == "Married-civ-spouse", 1.0, -1.0)
    )
    return 1 / (1 + np.exp(-score))


@pytest.fixture(scope="module")
def attacked(census: dict[str, Rows]) -> dict[str, Rows]:
    """What each attack asks."""
    rng, test = np.random.default_rng(5), census["test"]
    domain = Domain.of(census["train"])
    row = take(test, [11])
    others = domain.scaled(take(test, np.flatnonzero((ask(test) > 0.5) != (ask(row)[0] > 0.5))))
    seeds = take(test, rng.permutation(size(test))[:100])
    return {
        "hop_skip_jump": hop_skip_jump(ask, domain, row, others[0], 8, rng),
        "square": joined([square(ask, domain, take(test, [i]), 0.3, 200, rng) for i in (11, 12, 14, 18)]),
        "jacobian": joined(list(jacobian(ask, domain, seeds, 3, 0.1, rng))),
        "uniform": uniform(domain, 300, rng),
        "shuffled": shuffled(census["train"], 300, rng),
    }


@pytest.mark.slow
def test_whoever_means_no_harm_is_not_found(
    census: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    """A p-value is below 1 % for 3 % of the clients at most; no window alarms at 1 in 1,000."""
    found: dict[str, list[float]] = {name: [] for name in WATCHERS}
    looking = {name: Looking(kind(kind.Settings()), usual) for name, kind in WATCHERS.items()}
    for turn in range(8):
        one = window(tmp_path, harmless(census["test"], turn), np.random.default_rng(turn))
        for name, watcher in looking.items():
            tests = watcher.at(one)
            found[name] += [float(test.p_value or 0.0) for test in tests.values()]
            assert min(float(test.p_value or 0.0) for test in tests.values()) > 0.001 / len(tests), name
    for name, values in found.items():
        assert len(values) > 60
        assert np.mean(np.array(values) < 0.01) <= 0.03, name


@pytest.mark.parametrize(
    ("attack", "by"),
    [
        ("hop_skip_jump", "near_queries"),
        ("square", "near_queries"),
        ("jacobian", "near_queries"),
        ("hop_skip_jump", "fingerprints"),
        ("jacobian", "fingerprints"),
        ("uniform", "uniform_queries"),
        ("shuffled", "uniform_queries"),
    ],
)
def test_an_attack_is_found_among_the_others(
    attack: str, by: str, census: dict[str, Rows], attacked: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    watcher = Looking(WATCHERS[by](WATCHERS[by].Settings()), usual)
    traffic = [*harmless(census["test"], 50), ("mallory", attacked[attack])]
    tests = watcher.at(window(tmp_path, traffic, np.random.default_rng(1)))
    alarm = {client for client, test in tests.items() if float(test.p_value or 0.0) < 1e-4}
    assert alarm == {"mallory"}
    assert tests["mallory"].of == "client"
    assert tests["mallory"].kind == "adversary"


@pytest.mark.slow
def test_one_attack_by_many_keys(
    census: dict[str, Rows], attacked: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    """Each of 100 keys asks little: none of them can be judged, all of them together can."""
    asked, rng = attacked["jacobian"], np.random.default_rng(2)
    who = rng.integers(0, 100, size(asked))
    traffic = [*harmless(census["test"], 51), *((f"key-{i}", take(asked, who == i)) for i in range(100))]
    watcher = Looking(Fingerprints(Fingerprints.Settings()), usual)
    tests = watcher.at(window(tmp_path, traffic, rng))
    assert float(tests[FEW].p_value or 0.0) < 1e-5
    assert all(name.startswith(("key-", "small-")) for name in watcher.figures["few"])
    quiet = Looking(Fingerprints(Fingerprints.Settings()), usual)
    few = [(f"key-{i}", take(census["test"], rng.permutation(5000)[:8])) for i in range(100)]
    tests = quiet.at(window(tmp_path, [*harmless(census["test"], 52), *few], rng))
    assert float(tests[FEW].p_value or 0.0) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", WATCHERS.values())
def test_what_is_asked_again_is_not_counted(
    kind: Any, census: dict[str, Rows], attacked: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    """A row that nobody has, as a health check asks every minute for days, is one row."""
    watcher = Looking(kind(kind.Settings(least=20)), usual)
    strange = take(attacked["uniform"], [0, 1, 2])
    for turn in range(30):
        traffic = [
            ("probe", take(strange, np.tile([0, 1, 2], 40))),
            ("heavy", take(census["test"], slice(turn * 60, turn * 60 + 60))),
        ]
        assert "probe" not in watcher.at(window(tmp_path, traffic, np.random.default_rng(turn)))


def test_rows_add_up_over_windows(attacked: dict[str, Rows], usual: Reference, tmp_path: Path) -> None:
    """Cut into windows, a client's queries are judged as they would be at once; each counts once."""
    asked = take(attacked["hop_skip_jump"], slice(0, 120))
    whole = Looking(NearQueries(NearQueries.Settings(least=120)), usual)
    (at_once,) = whole.at(window(tmp_path, [("m", asked)], np.random.default_rng(0))).values()
    cut = Looking(NearQueries(NearQueries.Settings(least=120)), usual)
    said: list[Any] = []
    for part in range(4):
        rows = take(asked, slice(part * 30, part * 30 + 30))
        cut.memory = json.loads(json.dumps(cut.memory))  # as it is kept
        said += cut.at(window(tmp_path, [("m", rows)], np.random.default_rng(0))).values()
    assert [(test.value, test.p_value) for test in said] == [(at_once.value, at_once.p_value)]
    assert cut.at(window(tmp_path, [("m", take(asked, slice(0, 60)))], np.random.default_rng(0))) == {}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clients(
    census: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    watchers = {name: Looking(kind(kind.Settings()), usual) for name, kind in WATCHERS.items()}
    rng = np.random.default_rng(0)
    for turn in range(2):
        clients = [(f"{turn}-{i}", take(census["test"], rng.integers(0, 12_000, 5))) for i in range(700)]
        one = window(tmp_path, clients, rng)
        for watcher in watchers.values():
            watcher.at(one)
    for name, watcher in watchers.items():
        assert len(watcher.memory["open"]) == 1000
        assert len(json.dumps(watcher.memory)) < 2_000_000, name
    assert len(watchers["near_queries"].memory["last_queries"]) == 100


@pytest.mark.slow
def test_the_same_customers_every_hour_beside_a_client_that_asks_much(
    census: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    """More rows between than are remembered of all clients: each client's own last are known all the same."""
    watchers = {name: Looking(kind(kind.Settings()), usual) for name, kind in WATCHERS.items()}
    rng, everybody = np.random.default_rng(0), joined([census["train"], census["test"]])
    same = take(census["test"], rng.permutation(5000)[:80])
    for turn in range(3):
        drawn = take(everybody, rng.permutation(size(everybody))[:18_000])
        one = window(tmp_path, [("nightly", same), ("heavy", drawn)], rng)
        for name, watcher in watchers.items():
            tests = watcher.at(one)
            assert ("nightly" in tests) == (turn == 0), name
            if turn == 0:
                assert float(tests["nightly"].p_value or 0.0) > 0.001, name


@pytest.mark.slow
def test_what_is_remembered_of_repeated_rows_is_bounded() -> None:
    repeated = Repeated()
    for client in range(300):
        keys = np.arange(1000, dtype=np.uint64) + np.uint64(1000 * client)
        assert repeated.fresh([f"c{client}"] * 1000, keys).all()
    assert len(repeated.memory()["own"]) == 128
    again = Repeated(json.loads(json.dumps(repeated.memory())))
    assert not again.fresh(["c180"] * 100, np.arange(180_900, 181_000, dtype=np.uint64)).any(), "its own last"
    assert again.fresh(["c180"] * 100, np.arange(180_000, 180_100, dtype=np.uint64)).all(), "too long ago"


def test_nobody_is_shut_out_for_rows_that_another_asked_first(
    census: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    """Who knows what a client will ask, and asks near copies first, has it told of and nothing more."""
    rng, train = np.random.default_rng(3), census["train"]
    rows = take(census["test"], rng.permutation(size(census["test"]))[:300])
    copies = {**rows, "hours_per_week": rows["hours_per_week"] + 1}
    watcher = Looking(Fingerprints(Fingerprints.Settings()), usual)
    for turn, asked in enumerate((("mallory", copies), ("victim", rows))):
        order = rng.permutation(size(train))
        others = [(f"o{i}", take(train, order[i * 200 : (i + 1) * 200])) for i in range(10)]
        tests = watcher.at(window(tmp_path, [asked, *others], rng))
        watcher.memory = json.loads(json.dumps(watcher.memory))  # as it is kept
        assert watcher.only_told >= {f"o{i}" for i in range(10)}
        assert turn == 0 or float(tests["victim"].p_value or 0.0) < 1e-4
    assert "victim" in watcher.only_told
    assert "'mallory' (" in tests["victim"].text
    assert watcher.figures["with"]["victim"]["mallory"] > 150


def test_whoever_goes_near_its_own_rows_is_meant(
    census: dict[str, Rows], attacked: dict[str, Rows], usual: Reference, tmp_path: Path
) -> None:
    for attack in ("hop_skip_jump", "jacobian"):
        watcher = Looking(Fingerprints(Fingerprints.Settings()), usual)
        traffic = [*harmless(census["test"], 50), ("mallory", attacked[attack])]
        tests = watcher.at(window(tmp_path, traffic, np.random.default_rng(1)))
        assert set(tests) - watcher.only_told - {FEW} == {"mallory"}


def test_clients_without_a_name_are_one(census: dict[str, Rows], usual: Reference, tmp_path: Path) -> None:
    watcher = Looking(UniformQueries(UniformQueries.Settings(ignore=["tester"])), usual)
    rows = take(census["test"], slice(0, 100))
    tests = watcher.at(window(tmp_path, [("", rows), ("tester", rows)], np.random.default_rng(0)))
    assert list(tests) == [NOBODY]


def test_a_package_that_does_not_say_what_is_usual(
    usual: Reference, census: dict[str, Rows], tmp_path: Path
) -> None:
    one = window(tmp_path, [("a", take(census["test"], slice(0, 60)))], np.random.default_rng(0))
    old = Looking(NearQueries(NearQueries.Settings()), Reference({**usual.facts, "queries": None}))
    assert old.at(one) == {}
    assert "too few training rows" in old.figures["silent"]


# labels ------------------------------------------------------------------------------------------------


def feedback_window(server: Server, hour: int, flips: dict[str, float], each: int) -> None:
    """Every client gives the labels of its own predictions, some of them the wrong way round."""
    rng = np.random.default_rng(hour)
    for i, (client, share) in enumerate(flips.items()):
        data = given(each, 1000 * hour + i)
        ids = [f"{hour}-{client}-{row}" for row in range(each)]
        outputs = server._model.session.run(data, ["prediction", "probability", "score"])
        rows = list(zip(*(data.column(field.name).to_pylist() for field in INPUTS), strict=True))
        when = seconds(at(hour + 0.4))
        server.log.take(
            Entry(
                "tiny",
                "1.0.0",
                ids,
                rows,
                None,
                outputs,
                when,
                [0.001] * each,
                [client] * each,
                ["plain"] * each,
            )
        )
        truth = labels(data, "binary", 5000 + 100 * hour + i)
        wrong = rng.random(each) < share
        said = [CLASSES["binary"][k] for k in np.where(wrong, 1 - truth, truth)]
        told = [Label(i, label, seconds(at(hour + 0.5)), client) for i, label in zip(ids, said, strict=True)]
        server.log.feedback("tiny", told)


@pytest.mark.slow
def test_poisoned_labels_are_found_and_a_changed_concept_is_nobodys_fault(
    package: Path, tmp_path: Path
) -> None:
    server = Server(tmp_path / "log")
    usual = {f"client-{i}": 0.02 for i in range(24)}
    feedback_window(server, 0, {**usual, "mallory": 0.02}, 250)
    feedback_window(server, 1, {**usual, "mallory": 0.4}, 250)
    feedback_window(server, 2, dict.fromkeys([*usual, "mallory"], 0.4), 250)
    server.log.close()
    watch = watching(tmp_path, package, watchers=["feedback"], again=[], false_alarms="1 per day")
    quiet, poisoned, changed = watch.tick(at(3))
    found = [
        (f["detector"], f["column"])
        for w in (quiet, poisoned, changed)
        for f in w.check["findings"]
        if f["of"] == "client"
    ]
    assert found == [("feedback", "mallory")]
    assert len(quiet.check["clients"]) == 25
    assert poisoned.check["figures"]["feedback"]["excess"]["mallory"] > 0.05
    assert poisoned.check["clients"]["mallory"]["feedback"]["p_value"] < 1e-3
    assert min(row["feedback"]["p_value"] for row in changed.check["clients"].values()) > 1e-3


@pytest.mark.slow
def test_a_label_that_replaces_anothers_is_its_givers(package: Path, tmp_path: Path) -> None:
    """Whoever overwrites others' labels is judged by what they gave, also where the log keeps only the last."""
    from bessemer.package.prediction_log.read import labels_given

    server = Server(tmp_path / "log")
    ids = server.answer(0.5, 4, 1)
    right, wrong = CLASSES["binary"]
    server.log.feedback("tiny", [Label(i, right, seconds(at(0.6)), "shop") for i in ids])
    server.log.feedback("tiny", [Label(i, wrong, seconds(at(0.7)), "mallory") for i in ids[:2]])
    server.log.feedback("tiny", [Label(ids[0], right, seconds(at(0.8)), "mallory")])
    server.log.close()
    batches = list(labels_given(tmp_path / "log", "tiny", "1.0.0", at(0), at(1), ["prediction_id"]))
    rows = pa.Table.from_batches(batches).to_pylist()
    found = sorted((row["giver"], row["prediction_id"], row["label"]) for row in rows)
    assert found == sorted(
        [("mallory", ids[0], right), ("mallory", ids[1], wrong), *(("shop", i, right) for i in ids)]
    )
    assert list(labels_given(tmp_path / "log", "tiny", "1.0.0", at(1), at(2), ["prediction_id"])) == []


# what follows ------------------------------------------------------------------------------------------


def finding(client: str, by: str = "near_queries", of: Any = "client") -> Finding:
    return Finding(by, client, "adversary", "share", 0.9, None, 1e-9, "why", of)


def test_what_is_done_is_written_once_and_for_its_time(tmp_path: Path) -> None:
    spec = SuspectsSpec(actions={"near_queries": "throttle"}, lasts=3600.0, file=str(tmp_path / "s.json"))
    end, now = at(1), at(1.2)
    for _ in range(2):  # a kill makes it look twice
        (done,) = act(
            spec, [finding("mallory"), finding("other", "feedback"), finding("(no name)")], end, now
        )
    assert (done["client"], done["action"]) == ("mallory", "throttle")
    known = SuspectsFile(tmp_path / "s.json").read(seconds(now))
    assert [(each.name, each.by, each.reason) for each in known.values()] == [
        ("mallory", "near_queries", "why")
    ]
    assert SuspectsFile(tmp_path / "s.json").read(seconds(at(2.1))) == {}
    assert act(spec, [finding("mallory")], end, at(9)) == [], "that window is history"
    assert act(spec, [finding("age", of="input")], end, now) == []


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["s.json", "keys.yaml"])
def test_a_broken_file_ends_nothing(
    broken: str, package: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be done stands with the window, and the next window is looked at."""
    (tmp_path / broken).write_text('{"suspects": [')
    server = Server(tmp_path / "log")
    for hour in range(2):
        feedback_window(server, hour, {**{f"client-{i}": 0.0 for i in range(12)}, "mallory": 0.5}, 150)
    server.log.close()
    files = {"file": str(tmp_path / "s.json"), "keys": str(tmp_path / "keys.yaml")}
    suspects = {"actions": {"feedback": "step_up"}, "lasts": "3d", **files}
    watch = watching(
        tmp_path, package, watchers=["feedback"], again=[], suspects=suspects, false_alarms="1 per day"
    )
    first, second = watch.tick(at(2.5))
    for kept in (first, second):
        (row,) = kept.check["figures"]["suspects"]
        assert (row["client"], row["action"]) == ("mallory", "step_up")
        assert broken in row["fault"]
    assert "nothing is done to 'mallory'" in caplog.text
    assert list(watch.tick(at(2.6))) == []


@pytest.mark.slow
def test_what_only_an_alert_may_follow_from_is_not_acted_on(package: Path, tmp_path: Path) -> None:
    """A watcher that cannot tell who is at fault says so, and the setting does not overrule it."""
    from bessemer.monitor.watching.watched import Said

    server = Server(tmp_path / "log")
    server.answer(0.5, 250, 1)
    server.log.close()
    suspects = {"actions": {"fingerprints": "step_up"}, "file": str(tmp_path / "s.json"), "lasts": "3d"}
    watch = watching(tmp_path, package, watchers=["fingerprints"], again=[], suspects=suspects)

    class Unsure:
        def watch(self, _: Any) -> Said:
            tests = [
                Told("fingerprints", name, "adversary", "share", 0.9, "why", 1e-12, None, "client")
                for name in ("mallory", "victim")
            ]
            return Said(tuple(tests), only_told=frozenset({"victim"}))

    watch._watchers = {"fingerprints": Unsure()}  # type: ignore[dict-item]
    (kept,) = watch.tick(at(1.5))
    assert {each["column"] for each in kept.check["findings"] if each["of"] == "client"} == {
        "mallory",
        "victim",
    }
    assert [row["client"] for row in kept.check["figures"]["suspects"]] == ["mallory"]
    assert list(SuspectsFile(tmp_path / "s.json").read(seconds(at(1.5)))) == ["mallory"]


def test_found_again_it_needs_a_newer_key_again(tmp_path: Path) -> None:
    files = {"file": str(tmp_path / "s.json"), "keys": str(tmp_path / "keys.yaml")}
    spec, said = SuspectsSpec(actions={"feedback": "step_up"}, **files), [finding("mallory", "feedback")]
    shown = []
    for hour, now in ((1, 1.2), (1, 1.3), (2, 2.2)):  # a kill makes it look at the first twice
        add_key(tmp_path / "keys.yaml", "mallory")
        act(spec, said, at(hour), at(now))
        (suspect,) = SuspectsFile(tmp_path / "s.json").read(seconds(at(now))).values()
        shown.append((suspect.key, suspect.since))
        if (hour, now) != (1, 1.2):
            assert (suspect.key == shown_key(tmp_path / "keys.yaml", "mallory")) == (hour == 2)
        revoke_key(tmp_path / "keys.yaml", "mallory")
    assert shown[0] == shown[1] != shown[2]


def test_step_up_that_nothing_could_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bessemer.cli.monitor import _suspects
    from bessemer.core.errors import UsageError
    from bessemer.serve.spec import ServeSpec

    monkeypatch.setenv("SHOP", "k" * 40)
    wanted = {"actions": {"feedback": "step_up"}}
    keys = {"env": ["SHOP"]}
    with pytest.raises(UsageError, match="nobody could end"):
        _suspects(wanted, ServeSpec.model_validate({"access": {"keys": keys, "suspects": {}}}), tmp_path)
    keys["file"] = "keys.yaml"  # type: ignore[assignment]
    serve = ServeSpec.model_validate({"access": {"keys": keys, "suspects": {}}})
    assert _suspects(wanted, serve, tmp_path)["keys"] == str(tmp_path / "keys.yaml")


def test_the_key_of_the_moment_is_no_longer_enough(tmp_path: Path) -> None:
    add_key(tmp_path / "keys.yaml", "mallory")
    spec = SuspectsSpec(
        actions={"feedback": "step_up"}, file=str(tmp_path / "s.json"), keys=str(tmp_path / "keys.yaml")
    )
    act(spec, [finding("mallory", "feedback")], at(1), at(1.2))
    (suspect,) = SuspectsFile(tmp_path / "s.json").read(seconds(at(1.2))).values()
    assert suspect.key == shown_key(tmp_path / "keys.yaml", "mallory") != ""


@pytest.mark.parametrize(
    ("value", "says"),
    [("ban", "'ban' is no action"), ({"actions": {"near_query": "alert"}}, "near_queries")],
)
def test_what_is_no_action_is_told(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MonitorSpec(suspects=value)


@pytest.mark.slow
def test_from_the_log_to_the_file(package: Path, tmp_path: Path) -> None:
    """A poisoner is found in a window and is a suspect from then on, as the project file says."""
    server = Server(tmp_path / "log")
    feedback_window(server, 0, {**{f"client-{i}": 0.0 for i in range(12)}, "mallory": 0.5}, 150)
    server.log.close()
    suspects = {
        "actions": {"feedback": "watermark"},
        "file": str(tmp_path / "suspects.json"),
        "lasts": 7200.0,
    }
    watch = watching(
        tmp_path, package, watchers=["feedback"], again=[], suspects=suspects, false_alarms="1 per day"
    )
    (kept,) = watch.tick(at(1.5))
    assert kept.check["figures"]["suspects"] == [
        {"client": "mallory", "action": "watermark", "until": at(3).isoformat(), "by": "feedback"}
    ]
    assert list(SuspectsFile(tmp_path / "suspects.json").read(seconds(at(2)))) == ["mallory"]

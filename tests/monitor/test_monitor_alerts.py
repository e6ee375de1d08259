"""Which findings are told, how often, and when they are over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from alert_support import absent, at, drift, kept, probing, text, worse

from bessemer.cli import group
from bessemer.core.errors import BessemerError
from bessemer.monitor.alerts.advice import BY_DETECTOR, BY_KIND, title_of, todo_of
from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.alerts.open_alerts import Alert, Judged, lapsed
from bessemer.monitor.alerts.spec import SEVERITIES, AlertsSpec
from bessemer.monitor.finding import Kind
from bessemer.monitor.plugins import DETECTORS
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import Kept


class Watching:
    """Judges windows one after the other, an hour after each began, as `Watch` does."""

    def __init__(self, **settings: Any) -> None:
        self.spec = AlertsSpec(**settings)
        self.alerts: dict[str, Alert] = {}
        self.kept: dict[str, Kept] = {}

    def see(self, window: Kept, now: dt.datetime | None = None) -> list[Notice]:
        earlier = self.kept.get(window.start)
        judged = Judged(self.alerts, window, self.spec, now or dt.datetime.fromisoformat(window.end), earlier)
        self.alerts, self.kept[window.start] = judged.opened, window
        return judged.notices


def kinds(notices: list[Notice]) -> list[str]:
    return [notice.kind for notice in notices]


def test_a_finding_is_told_once_while_it_lasts_and_once_when_it_is_over() -> None:
    watching = Watching(resolve=2)
    found = [watching.see(kept(hour, drift("tenure", found=True))) for hour in range(5)]
    assert [kinds(each) for each in found] == [["finding"], [], [], [], []]
    (alert,) = watching.alerts.values()
    assert (alert.windows, alert.since) == (5, text(at(0)))
    assert watching.see(kept(5, drift("tenure", found=False))) == [], "once may be chance"
    (over,) = watching.see(kept(6, drift("tenure", found=False)))
    assert (over.kind, over.subject, over.since) == ("resolved", found[0][0].subject, text(at(0)))
    assert "5 windows" in over.text
    assert not watching.alerts
    assert kinds(watching.see(kept(7, drift("tenure", found=True)))) == ["finding"], "it begins anew"


def test_a_window_in_between_keeps_it_open() -> None:
    watching = Watching(resolve=2)
    told = []
    for hour in range(8):
        told += watching.see(kept(hour, drift("tenure", found=hour % 2 == 0)))
    assert kinds(told) == ["finding"]


def test_it_is_said_again_after_a_time_that_one_states() -> None:
    watching = Watching(remind=3 * 3600.0)
    told = [kinds(watching.see(kept(hour, drift("tenure", found=True)))) for hour in range(8)]
    assert [hour for hour, each in enumerate(told) if each] == [0, 3, 6]
    assert len({notice.id for notice in Watching(remind=1).see(kept(0, drift("tenure", found=True)))}) == 1


def test_many_windows_at_once_are_not_said_many_times() -> None:
    """Who was away for three days looks at 72 windows at one moment."""
    watching = Watching()
    now = at(100)
    told = [
        notice for hour in range(72) for notice in watching.see(kept(hour, drift("tenure", found=True)), now)
    ]
    assert kinds(told) == ["finding"]


def test_only_windows_that_looked_for_it_make_it_over() -> None:
    """A measured performance is looked at a day later: windows without labels say nothing of it."""
    watching = Watching(resolve=2)
    worse = drift("roc_auc", found=True, detector="measured_performance")
    better = drift("roc_auc", found=False, detector="measured_performance")
    assert kinds(watching.see(kept(0, worse))) == ["finding"]
    for hour in range(1, 30):
        assert watching.see(kept(hour, drift("tenure", found=False))) == []
    assert len(watching.alerts) == 1
    assert kinds(watching.see(kept(30, better)) + watching.see(kept(31, better))) == ["resolved"]


def test_facts_are_over_when_they_are_not_there() -> None:
    watching = Watching(resolve=1)
    assert kinds(watching.see(kept(0, absent("tenure")))) == ["finding"]
    assert kinds(watching.see(kept(1, drift("contract", found=False)))) == ["resolved"]


def test_a_window_that_is_looked_at_again_tells_only_what_labels_have_brought() -> None:
    """Its drift was found, told and over a day ago: looking at it again must neither open nor count it."""
    watching = Watching(resolve=1)
    first = kept(0, drift("tenure", found=True))
    assert kinds(watching.see(first)) == ["finding"]
    assert kinds(watching.see(kept(1, drift("tenure", found=False)))) == ["resolved"]
    worse = drift("roc_auc", found=True, detector="measured_performance")
    (new,) = watching.see(kept(0, drift("tenure", found=True), worse, looks=2), at(25))
    assert new.body["detector"] == "measured_performance"
    assert watching.see(kept(0, drift("tenure", found=True), worse, looks=3), at(169)) == []
    (alert,) = watching.alerts.values()
    assert alert.clear == 0
    assert watching.see(kept(1, drift("tenure", found=False), looks=2), at(170)) == []


def test_a_fact_is_not_over_because_an_old_window_had_none() -> None:
    watching = Watching(resolve=1)
    watching.see(kept(0, drift("contract", found=False)))
    assert kinds(watching.see(kept(1, absent("tenure")))) == ["finding"]
    assert watching.see(kept(0, drift("contract", found=False), looks=2), at(25)) == []
    assert len(watching.alerts) == 1


def test_many_findings_are_told_as_one_and_stay_bounded() -> None:
    watching = Watching(most=3, resolve=1)
    wide = [drift(f"c{i}", found=True) for i in range(100)]
    told = watching.see(kept(0, *wide))
    assert len(told) == 4
    assert told[-1].body["detector"] == "more"
    assert "97 more findings" in told[-1].text
    assert watching.see(kept(1, *wide)) == []
    assert len(watching.alerts) == 4
    others = [drift(f"d{i}", found=True) for i in range(100)]
    watching.see(kept(2, *others, *[drift(f"c{i}", found=False) for i in range(100)]))
    assert len(watching.alerts) <= 4
    over = watching.see(kept(3, *[drift(f"{x}{i}", found=False) for i in range(100) for x in "cd"]))
    assert set(kinds(over)) == {"resolved"}
    assert not watching.alerts


def test_what_nobody_sees_any_more_lapses() -> None:
    """A client that has gone, a version that is no longer served: there is nobody to look for it."""
    watching = Watching(lapse=10 * 3600.0)
    watching.see(kept(0, drift("tenure", found=True)))
    assert list(lapsed(watching.alerts, watching.spec, at(10.5))) == []
    ((alert, over),) = lapsed(watching.alerts, watching.spec, at(11.5))
    assert (over.kind, over.subject) == ("resolved", alert.subject)


def test_ids_are_those_of_what_is_told_whoever_tells_it() -> None:
    """A monitor that is killed before it keeps a window looks at it again: a receiver can tell that it is the same."""
    window = kept(0, drift("tenure", found=True), drift("contract", found=True), absent("a"))
    ids = [[notice.id for notice in Watching().see(window, at(hour))] for hour in (1, 7)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    watching, every = Watching(remind=3600.0, resolve=1), []
    for hour in range(40):
        every += watching.see(kept(hour, drift("tenure", found=hour % 4 != 3)))
    assert len({notice.id for notice in every}) == len(every) == 40
    again = Notice.from_json(every[0].to_json())
    assert (again, again.id) == (every[0], every[0].id)


def test_every_kind_has_a_severity_a_title_and_something_to_do() -> None:
    assert set(SEVERITIES) == set(BY_KIND) == set(get_args(Kind))
    for detector in [*DETECTORS, "measured_performance", "anything"]:
        for kind in get_args(Kind):
            finding = {"detector": detector, "kind": kind, "column": "tenure"}
            title, todo = title_of(finding), todo_of(finding, "churn", "2026-03-01T00:00:00.000000")
            assert 10 < len(title) < 120
            cause, _, command = todo.rpartition("\n")
            assert cause
            assert command.startswith("bessemer ")
            assert "{" not in title + todo


def test_what_to_do_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")
    for name, advice in {**BY_DETECTOR, **BY_KIND}.items():
        assert advice.cause in page, name
    assert all(f"| `{name}` |" in page for name in BY_DETECTOR)


def test_the_commands_that_are_advised_are_there() -> None:
    context = click.Context(group)
    for name, advice in {**BY_DETECTOR, **BY_KIND}.items():
        words = advice.command.format(model="tiny", start="2026-03-01T00:00:00").split()
        command = group.get_command(context, words[1])
        if isinstance(command, click.Group) and command.commands:
            command = command.get_command(context, words[2])
        assert command is not None, f"{name}: {advice.command}"
        known = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_a_column_may_be_called_anything() -> None:
    strange = "a{model}\nb" + "x" * 300
    (told,) = Watching().see(kept(0, drift(strange, found=True)))
    assert "\n" not in told.title
    assert "{model}" in told.title


def test_severity_is_by_kind_and_may_be_another() -> None:
    assert [n.severity for n in Watching().see(kept(0, drift("t", found=True), absent("a")))] == [
        "error",
        "warning",
    ]
    (told,) = Watching(severity={"drift": "critical"}).see(kept(0, drift("t", found=True)))
    assert told.severity == "critical"


@pytest.mark.parametrize(
    ("alerts", "says"),
    [
        (["slak"], "no receiver of alerts is called 'slak'"),
        ([{"webhook": {"url": "ftp://x"}}], "is not an address"),
        ([{"webhook": {"url": "https://u:p@x/"}}], "a password in a URL"),
        ([{"webhook": {"url": "https://x/a b"}}], "is not an address"),
        ([{"webhook": {}}], "give `url` or `url_env`"),
        ([{"webhook": {"url": "http://a", "url_env": "B"}}], "give `url` or `url_env`"),
        ([{"slack": {"url": "http://a"}}, {"slack": {"url": "http://b"}}], "two receivers are called 'slack'"),
        ([{"email": {"host": "h", "sender": "a@b", "to": ["nobody"]}}], "is not an address"),
        ([{"email": {"host": "h", "sender": "a@b", "to": ["a@b\nBcc: c@d"]}}], "is not an address"),
        (
            [{"email": {"host": "h", "sender": "a@b", "to": ["a@b"], "security": "none", "username": "u",
                        "password_env": "P"}}],
            "not sent in the clear",
        ),
        ([{"kafka": {"servers": "k:1", "config": {"sasl.password": "x"}}}], "is a secret"),
        ([{"kafka": {"servers": "k:1", "config": {"acks": 0}}}], "not to be set"),
        ([{"pagerduty": {"routing_key_env": "P", "send": ["window"]}}], "wake somebody"),
        ([{"alertmanager": {"send": ["action"]}}], "alerts and their ends"),
        ([{"console": {"severity": "bad"}}], "severity"),
        ({"to": ["console"], "remind": "0s"}, "greater than or equal"),
    ],
)  # fmt: skip
def test_settings_that_are_wrong_are_said(alerts: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MonitorSpec(alerts=alerts)


def test_two_of_a_kind_have_names() -> None:
    spec = MonitorSpec(
        alerts=[{"slack": {"url": "http://a"}}, {"slack": {"url": "http://b", "name": "night"}}, "console"]
    )
    assert [next(iter(named)) for named in spec.alerts.to] == ["slack", "slack", "console"]
    again = MonitorSpec.model_validate(spec.model_dump(exclude_unset=True))
    assert again == spec


def test_a_secret_that_is_not_there_is_said_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from bessemer.monitor.alerts.receiver import receivers_of

    named = [
        {"slack": {"url_env": "SLACK_URL"}},
        {"webhook": {"url": "http://a", "secret_env": "SIGNING"}},
        {"webhook": {"name": "b", "url": "http://a", "headers_env": "HEADERS"}},
    ]
    receivers = receivers_of(AlertsSpec(to=named))
    for receiver, variable in zip(receivers, ("SLACK_URL", "SIGNING", "HEADERS"), strict=True):
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(BessemerError, match=f"{variable} is not set"):
            receiver.open()
        monkeypatch.setenv(variable, "hunter2 hunter2")
        with pytest.raises(BessemerError, match=f"{variable} has no") as caught:
            receiver.open()
        assert "hunter2" not in str(caught.value)


def test_what_is_more_severe_is_never_crowded_out() -> None:
    """Twenty columns drift; in the next window the model is worse and a client steals it."""
    watching = Watching(most=20)
    wide = [drift(f"c{i}", found=True) for i in range(20)]
    assert len(watching.see(kept(0, *wide))) == 20
    told = watching.see(kept(1, *wide, worse("roc_auc"), probing("mallory")))
    assert [(each.severity, each.body["detector"]) for each in told] == [
        ("critical", "near_queries"),
        ("error", "measured_performance"),
    ]


def test_in_one_window_the_most_severe_is_told_one_by_one() -> None:
    columns = [drift(f"c{i}", found=True) for i in range(30)]
    facts = [absent(f"f{i}") for i in range(2)]
    told = Watching(most=5).see(kept(0, *columns, *facts))
    assert [each.severity for each in told] == ["error"] * 2 + ["warning"] * 4
    assert [each.body["detector"] for each in told][-1] == "more"


def test_the_one_for_many_is_as_severe_as_the_worst_and_is_told_when_that_rises() -> None:
    watching = Watching(most=3, resolve=1)
    wide = [drift(f"c{i}", found=True) for i in range(9)]
    *_, more = watching.see(kept(0, *wide))
    assert (more.severity, more.body["detector"]) == ("warning", "more")
    assert watching.see(kept(1, *wide)) == []
    clients = [probing(f"client {i}") for i in range(4)]
    *opened, again = watching.see(kept(2, *wide, *clients))
    assert [each.severity for each in opened] == ["critical"] * 3
    assert (again.kind, again.severity, again.subject) == ("finding", "critical", more.subject)
    assert again.id != more.id
    assert watching.see(kept(3, *wide, *clients)) == [], "it has risen once"
    over = watching.see(kept(4, *[drift(f"c{i}", found=False) for i in range(9)]))
    (last,) = (each for each in over if each.subject == more.subject)
    assert (last.kind, last.severity) == ("resolved", "critical"), "whoever was told of it hears of its end"


def test_what_is_open_stays_bounded_whatever_comes() -> None:
    watching = Watching(most=3, resolve=5)
    for hour in range(12):
        found = [drift(f"{hour} {i}", found=True) for i in range(50)]
        found += [absent(f"{hour} {i}") for i in range(50)] + [probing(f"{hour} {i}") for i in range(50)]
        watching.see(kept(hour, *found))
        assert len(watching.alerts) <= 3 * 4 + 1


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ("1.2.3 per day", "'1.2.3' is no number"),
        (". per day", "'.' is no number"),
        ("0 per day", "never comes"),
    ],
)
def test_a_rate_that_is_none_is_said_in_words(rate: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        MonitorSpec(false_alarms=rate)
    assert "could not convert" not in str(caught.value)


def test_an_alert_stands_until_it_is_said_again() -> None:
    """Else Alertmanager would end it and begin it anew while the finding lasts."""
    short = {"alertmanager": {"lasts": "1h"}}
    with pytest.raises(ValueError, match="said again after `remind`"):
        MonitorSpec(alerts=[short])
    with pytest.raises(ValueError, match="set `lasts` to more"):
        MonitorSpec(alerts={"to": ["alertmanager"], "remind": "7d"})
    MonitorSpec(alerts={"to": [short], "remind": "30m"})

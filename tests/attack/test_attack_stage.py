"""The attack stage: what it writes, its gates, and that the package stage keeps to them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nets_support import table_net, tumours
from pydantic import ValidationError

from bessemer.attack.gates import judge, parse_gate
from bessemer.attack.spec import AttackSpec
from bessemer.attack.stage import run
from bessemer.core.errors import GateError
from bessemer.package.graph import GraphBuilder
from bessemer.package.spec import PackageSpec
from bessemer.package.stage import _check_gates
from bessemer.testing.attacks import context, victim, whole

SMOOTH = {"smoothing": {"copies": 50, "first": 10, "budgets": [0.1, 0.3]}}


def spec(**settings: Any) -> AttackSpec:
    return AttackSpec.model_validate_json(json.dumps(settings))


def ran(asked: AttackSpec, folder: Path, X: np.ndarray | None = None) -> Any:
    """The artifact that the stage gives, of a small network over a table."""
    rows, y = tumours()
    kinds = ["number"] * 10 + ["indicator"] * 2
    one = victim(folder, whole(table_net(), 12), rows, y, ["no", "yes"], kinds=kinds)
    ctx = context(folder)
    inputs = {name: getattr(one, name).ref for name in ("model", "splits", "preprocessor")}
    return ctx.open(run(asked, inputs, ctx)["robustness"])


def test_nothing_is_run_where_nothing_is_said(tmp_path: Path) -> None:
    found = ran(spec(), tmp_path)
    assert list(found.files) == ["none.json"]
    assert found.meta["passed"]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    asked = spec(
        attacks=[{"pgd": {"steps": 5}}, "square", SMOOTH], rows=12, gates={"smoothing": ">= 1% at 0.1"}
    )
    first, again = (ran(asked, tmp_path / name) for name in ("first", "again"))
    assert first.bytes("robustness.json") == again.bytes("robustness.json")
    facts = first.json("robustness.json")
    assert facts["rows"] == 12
    assert "not one image" in facts["attacks"]["square"]["refused"]
    pgd = facts["attacks"]["pgd"]
    assert pgd["kind"] == "evasion"
    assert pgd["settings"] == {"steps": 5}
    assert [point["budget"] for point in pgd["curve"]] == [0.0, 0.1, 0.25, 0.5, 1.0]
    assert first.meta == {"attacks": 3, "passed": True}


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        (">= 60%", 0.5, False),
        (">= 60% at 0.1", 0.7, True),
        ("<= 0.6 at 0.2", 0.5, True),
        ("< 0.7", 0.7, False),
    ],
)
def test_a_gate_holds_at_its_budget_or_at_all(text: str, value: float, passed: bool) -> None:
    curve = [{"budget": b, "value": v, "low": v - 0.1, "high": v + 0.1} for b, v in ((0.1, 0.7), (0.2, 0.5))]
    (gate,) = judge({"pgd": text}, {"pgd": {"measure": "accuracy under attack", "curve": curve}})
    assert gate["value"] == value
    assert gate["passed"] is passed
    assert "accuracy under attack is" in gate["why"]


def test_an_attack_on_what_does_not_ship_is_left_out(tmp_path: Path) -> None:
    """Of a missing value this graph says NaN, so nobody knows whether its twin says the same."""
    X, y = tumours()
    g = GraphBuilder("bare")
    x = g.input("features", "float32", ("N", 12))
    weight = g.constant(np.linspace(-1, 1, 12, dtype=np.float32)[:, None])
    g.output(g.op("MatMul", [x, weight], name="score"), "float32", ("N", 1))
    graph = whole(g.model().SerializeToString(), 12)
    one = victim(tmp_path, graph, X, y, ["no", "yes"], kinds=["number"] * 10 + ["indicator"] * 2)
    ctx = context(tmp_path)
    inputs = {name: getattr(one, name).ref for name in ("model", "splits", "preprocessor")}
    asked = spec(attacks=["pgd", SMOOTH], gates={"pgd": ">= 0"})
    facts = ctx.open(run(asked, inputs, ctx)["robustness"]).json("robustness.json")
    assert "differs from the graph that ships" in facts["attacks"]["pgd"]["refused"]
    assert "curve" in facts["attacks"]["smoothing"]
    assert not facts["passed"]


@pytest.mark.parametrize("most", [0, 2])
def test_no_more_attacked_rows_are_kept_than_asked(most: int, tmp_path: Path) -> None:
    asked = spec(attacks=[{"pgd": {"steps": 5, "budgets": [5.0]}}], rows=30, samples=most)
    found = ran(asked, tmp_path).json("robustness.json")["attacks"]["pgd"]
    assert found["curve"][-1]["value"] < found["curve"][0]["value"]
    assert len(found["samples"]) == most


def test_a_gate_of_what_was_left_out_or_not_tried_fails() -> None:
    curve = [{"budget": 0.1, "value": 1.0, "low": 1.0, "high": 1.0}]
    found = {"pgd": {"measure": "m", "curve": curve}, "zoo": {"refused": "no column is an image"}}
    gates = judge({"pgd": ">= 0 at 0.5", "zoo": ">= 0"}, found)
    assert not any(gate["passed"] for gate in gates)
    assert "tried: 0.1" in gates[0]["why"]
    assert "no column is an image" in gates[1]["why"]


#: Of membership: an area of 0.55, and shares of rows recognised, each with its interval.
GIVEN_AWAY = [
    {"budget": None, "value": 0.55, "low": 0.5, "high": 0.6},
    {"budget": 0.01, "value": 0.02, "low": 0.01, "high": 0.04},
    {"budget": 0.1, "value": 0.12, "low": 0.09, "high": 0.16},
]


@pytest.mark.parametrize(
    ("text", "judged", "passed"),
    [
        ("<= 5% at 1%", 0.04, True),
        ("<= 3% at 1%", 0.04, False),  # 2 % were found, and 4 % may be so
        ("<= 20%", 0.16, True),  # of shares alone: the area is none
        ("<= 15% at 0.1", 0.16, False),
        ("<= 60% at area", 0.6, True),
        ("< 60% at area", 0.6, False),
        (">= 1% at 1%", 0.02, True),
    ],
)
def test_what_is_given_away_is_judged_by_the_most_that_it_may_be(
    text: str, judged: float, passed: bool
) -> None:
    found = {"kind": "privacy", "measure": "training rows recognised", "curve": GIVEN_AWAY}
    (gate,) = judge({"membership": text}, {"membership": found})
    assert (gate["value"], gate["passed"]) == (judged, passed)
    assert ("judged by its upper end" in gate["why"]) is text.startswith("<")
    assert ("the area" in gate["why"]) is ("area" in text)


def test_few_rows_pass_no_gate_of_privacy(tmp_path: Path) -> None:
    """Of 60 other rows nobody knows what one in a thousand of all is like, though none is recognised here."""
    from trees_support import sample_of, small

    from bessemer.attack.attacks.membership import Membership, MembershipSettings

    one = small(tmp_path, 3, classes=3)
    sample = sample_of(one, 20, tmp_path / "drawn")
    found = Membership(MembershipSettings(proxies=0)).attack(
        one, sample, context(tmp_path / "run"), lambda: None
    )
    curve = [{"budget": p.budget, "value": p.value, "low": p.low, "high": p.high} for p in found.curve]
    (gate,) = judge(
        {"membership": "<= 5% at 0.1%"},
        {"membership": {"kind": "privacy", "measure": found.measure, "curve": curve}},
    )
    assert curve[1]["value"] <= 0.05
    assert not gate["passed"]


@pytest.mark.parametrize("page", ["attack", "privacy"])
def test_gates_in_the_docs_are_gates(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text("utf-8")
    found = re.findall(r"\"([<>]=? ?[0-9.]+%?(?: at [^\"]*)?)\"", text)
    assert found
    for gate in found:
        parse_gate(gate)


@pytest.mark.parametrize("text", ["0.6", ">= high", ">= 0.6 at much", ">= 0.6 at inf", ">= 0.6 at %"])
def test_what_is_no_gate_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_gate(text)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"attacks": ["pgdd"]}, "pgd"),
        ({"attacks": [{"pgd": {"budgets": [0]}}]}, "greater than 0"),
        ({"attacks": [{"pgd": {"norm": "l_3"}}]}, "l_inf"),
        ({"attacks": ["pgd"], "gates": {"apgd": ">= 0.5"}}, "'apgd' is not among the attacks"),
        ({"attacks": ["pgd"], "gates": {"pgd": "much"}}, "is not a gate"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(**settings)


def test_nothing_is_packaged_where_a_gate_failed(tmp_path: Path) -> None:
    asked = spec(attacks=[{"pgd": {"steps": 5}}], rows=20, gates={"pgd": ">= 99% at 1.0"})
    found = ran(asked, tmp_path)
    assert not found.meta["passed"]
    warned: list[str] = []
    ctx: Any = SimpleNamespace(warn=warned.append)
    with pytest.raises(GateError, match="1 gate") as caught:
        _check_gates(PackageSpec(), {"robustness": found}, ctx)
    assert "accuracy under attack is" in str(caught.value.why)
    assert _check_gates(PackageSpec(ignore_gates=True), {"robustness": found}, ctx)
    assert warned

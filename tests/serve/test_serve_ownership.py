"""Answers that are wrong on purpose: which, to whom, how they look, and that nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bessemer.cli import group
from bessemer.core.errors import UsageError
from bessemer.core.signature import Field
from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.serve.app import App
from bessemer.serve.ownership.altered import AlteredAnswers
from bessemer.serve.ownership.spec import OwnershipSpec
from bessemer.serve.ownership.turned import Head, head_of, turned
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Predictions, Request
from bessemer.testing.models import tiny_model, tiny_signature

KEY = b"sixteen bytes or more of a key"
ROWS = [
    {
        "tenure": i % 73,
        "monthly charges": 18 + i % 97,
        "autopay": i % 3 == 0,
        "contract": "One year",
        "désactivé": None,
    }
    for i in range(400)
]


def spec(folder: Path, share: float = 0.1, **more: Any) -> ServeSpec:
    (folder / "answers.key").write_bytes(KEY)
    own = {"share": share, "key": str(folder / "answers.key")}
    return ServeSpec.model_validate({"log": True, "ownership": own, **more})


def asked(app: App, path: str, body: Any) -> Any:
    request = Request(
        "POST", path, headers={"content-type": "application/json"}, body=json.dumps(body).encode()
    )
    answer = app.handle(request)
    return answer.status, json.loads(answer.body)


def plain(app: App) -> list[dict[str, Any]]:
    status, body = asked(app, "/predict", {"rows": ROWS})
    assert status == 200
    found: list[dict[str, Any]] = body["predictions"]
    return found


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_keyed_share_of_rows_gets_another_class_always_the_same(task: Any, tmp_path: Path) -> None:
    model = tiny_model(task)
    honest = plain(make_app(model, ServeSpec()))
    app = make_app(model, spec(tmp_path))
    altered = plain(app)
    assert plain(app) == altered
    other = [
        i for i, (a, b) in enumerate(zip(honest, altered, strict=True)) if a["prediction"] != b["prediction"]
    ]
    assert 0.05 < len(other) / len(ROWS) < 0.16
    for i, (a, b) in enumerate(zip(honest, altered, strict=True)):
        if i not in other:
            assert a == b
        said = max(b["probability"], key=lambda name: b["probability"][name])
        assert str(b["prediction"]) == said, "nothing beside the class tells it from a true one"
        assert sum(b["probability"].values()) == pytest.approx(1, abs=1e-5)


def test_every_dialect_gives_the_same_answers(tmp_path: Path) -> None:
    app = make_app(tiny_model("binary"), spec(tmp_path))
    expected = [row["prediction"] for row in plain(app)]
    _, v1 = asked(app, "/v1/models/tiny:predict", {"instances": ROWS})
    _, mlflow = asked(app, "/invocations", {"dataframe_records": ROWS})
    assert [row["prediction"] if isinstance(row, dict) else row for row in v1["predictions"]] == expected
    assert [row["prediction"] if isinstance(row, dict) else row for row in mlflow["predictions"]] == expected
    tensors = [
        {"name": "tenure", "datatype": "FP32", "data": [row["tenure"] for row in ROWS]},
        {"name": "monthly charges", "datatype": "FP32", "data": [row["monthly charges"] for row in ROWS]},
        {"name": "autopay", "datatype": "FP32", "data": [float(row["autopay"]) for row in ROWS]},
        {"name": "contract", "datatype": "BYTES", "data": ["One year"] * len(ROWS)},
        {"name": "désactivé", "datatype": "INT64", "data": [-(2**63)] * len(ROWS)},
    ]
    body = {"inputs": [{**one, "shape": [len(ROWS), 1]} for one in tensors]}
    _, v2 = asked(app, "/v2/models/tiny/infer", body)
    outputs = {one["name"]: one["data"] for one in v2["outputs"]}
    assert outputs["prediction"] == expected


def test_clients_and_keys_have_rows_of_their_own() -> None:
    rows = [str(i).encode() for i in range(20_000)]
    shop, again, web = (Alteration(KEY, "m", 0.05).of(name, rows) for name in ("shop", "shop", "web"))
    other = Alteration(KEY[::-1], "m", 0.05).of("shop", rows)
    assert np.array_equal(shop[0], again[0])
    assert np.array_equal(shop[1], again[1])
    for one in (web, other):
        both = (shop[0] & one[0]).mean()
        assert both == pytest.approx(0.0025, abs=0.0015), "as of two that have nothing in common"
    assert shop[0].mean() == pytest.approx(0.05, abs=0.007)


def test_rows_that_nearly_are_the_same_are_the_same() -> None:
    fields = [
        Field("n", "number", "float32"),
        Field("t", "string", "string"),
        Field("at", "timestamp", "int64"),
    ]

    def text(n: float, t: str, at: int, digits: int = 3) -> bytes:
        feeds = {
            "n": np.array([[n]], np.float32),
            "t": np.array([[t]], object),
            "at": np.array([[at]], np.int64),
        }
        (found,) = row_texts(feeds, fields, digits)
        return found

    assert text(41.02, "One year", 10_000_000) == text(41.03, " one YEAR", 10_900_000)
    assert text(41.02, "a", 0) != text(41.3, "a", 0)
    assert text(41.02, "a", 0, digits=5) != text(41.03, "a", 0, digits=5)
    assert text(-0.0, "a", 0) == text(0.0, "a", 0)
    assert text(float("nan"), "1:", 0) != text(float("nan"), "1", 0)


@given(st.integers(0, 2**64 - 1), st.integers(2, 30), st.data())
def test_a_wrong_class_is_another_one(shift: int, classes: int, data: Any) -> None:
    true = data.draw(st.integers(0, classes - 1))
    assert wrong_class(true, shift, classes) in set(range(classes)) - {true}


def head(task: Any) -> Head:
    return head_of(tiny_model(task).contents.bytes("model.onnx"), "tiny")


@pytest.fixture(scope="module")
def logistic() -> Head:
    """What the graphs of the flow end in: both probabilities from the score, each by its own Sigmoid."""
    g = GraphBuilder("own")
    score = g.op("Identity", [g.input("margin", "float32", ("N", 1))], name="score")
    both = [g.op("Sigmoid", [g.op("Neg", [score])]), g.op("Sigmoid", [score])]
    g.output(g.op("Concat", both, axis=1, name="probability"), "float32", ("N", 2))
    g.output(score, "float32", ("N", 1))
    return head_of(serialize(g.model()), "own")


@settings(max_examples=60)
@given(
    st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=9),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
def test_a_reflected_score_is_beyond_every_threshold_and_its_probability_that_of_the_graph(
    logistic: Head, scores: list[float], one: float, other: float
) -> None:
    least, most = sorted((one, other))
    for wrong in (0, 1):
        to = np.full(len(scores), wrong)
        made, probability = turned(logistic, np.float32(scores)[:, None], 1 - to, to, least, most)
        second = probability[:, 1]
        assert (second > np.float32(most)).all() if wrong else (second < np.float32(least)).all()
        assert np.array_equal(probability, logistic(made))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(*[st.sampled_from([-2.5, 0.0, 0.0, 1.0, 30.0])] * 3), min_size=1, max_size=9),
    st.data(),
)
def test_of_several_classes_the_other_one_is_first(scores: list[Any], data: Any) -> None:
    given_scores = np.float32(scores)
    own = given_scores.argmax(axis=1)
    wrong = (own + np.array([data.draw(st.integers(1, 2)) for _ in scores])) % 3
    made, probability = turned(head("multiclass"), given_scores, own, wrong, 0.5, 0.5)
    assert probability.argmax(axis=1).tolist() == wrong.tolist()
    assert np.array_equal(probability, head("multiclass")(made))


def test_at_one_half_a_score_changes_its_sign_and_nothing_else(logistic: Head) -> None:
    scores = np.float32([[0.7], [1.3e-5], [11.0]])
    made, _ = turned(logistic, scores, np.ones(3, int), np.zeros(3, int), 0.5, 0.5)
    assert np.array_equal(made, -scores)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_every_answer_is_what_the_graph_makes_of_its_score(task: Any, tmp_path: Path) -> None:
    """Altered or not, to the last bit: or the bits would say which were altered. Asked alone or with others, for the
    score or without it."""
    app = make_app(tiny_model(task), spec(tmp_path))
    tensors = [
        {"name": name, "datatype": kind, "data": data, "shape": [len(ROWS), 1]}
        for name, kind, data in [
            ("tenure", "FP32", [row["tenure"] for row in ROWS]),
            ("monthly charges", "FP32", [row["monthly charges"] for row in ROWS]),
            ("autopay", "FP32", [float(row["autopay"]) for row in ROWS]),
            ("contract", "BYTES", ["One year"] * len(ROWS)),
            ("désactivé", "INT64", [-(2**63)] * len(ROWS)),
        ]
    ]
    wanted = [{"name": name} for name in ("prediction", "probability", "score")]
    _, body = asked(app, "/v2/models/tiny/infer", {"inputs": tensors, "outputs": wanted})
    found = {one["name"]: one for one in body["outputs"]}
    score, probability = (
        np.array(found[name]["data"], np.float32).reshape(found[name]["shape"])
        for name in ("score", "probability")
    )
    _, honest = asked(make_app(tiny_model(task), ServeSpec()), "/v2/models/tiny/infer", {"inputs": tensors})
    true = next(one["data"] for one in honest["outputs"] if one["name"] == "prediction")
    assert true != found["prediction"]["data"], "some are altered"
    assert np.array_equal(probability, head(task)(score))
    for told, row in zip(plain(app), probability, strict=True):
        assert np.float32(list(told["probability"].values())).tolist() == row.tolist()


def test_a_threshold_of_its_own_is_kept() -> None:
    """A probability of 0.4 that said yes must not say no at 0.6."""
    signature = tiny_signature("binary")
    answers = AlteredAnswers(Alteration(KEY, "tiny", 1.0), signature, (0.3,), head("binary"))
    score = np.float32([[-0.405], [-1.386]])
    outputs = {
        "prediction": np.array(["yes", "no"], object),
        "probability": head("binary")(score),
        "score": score,
    }
    said = Predictions(outputs)
    batch = Batch(2, [(8, 70.5, True, "One year", None), (3, 70.5, True, "One year", None)])
    found = answers.on("shop", batch, said).outputs
    assert found["prediction"].tolist() == ["no", "yes"]
    assert found["probability"][0, 1] < 0.3 <= found["probability"][1, 1]
    assert np.array_equal(found["probability"], head("binary")(found["score"]))
    assert said.outputs["prediction"].tolist() == ["yes", "no"], "what the log and the shadows see stays true"


def test_nothing_is_done_unless_asked_for() -> None:
    app = make_app(tiny_model("binary"), ServeSpec())
    assert app.models.default().altered is None


def test_contributions_are_not_told(tmp_path: Path) -> None:
    app = make_app(tiny_model("binary"), spec(tmp_path))
    status, _ = asked(app, "/predict", {"rows": ROWS[:1], "explain": True})
    assert status == 403


def test_what_it_costs_stands_in_the_configuration(tmp_path: Path) -> None:
    app = make_app(tiny_model("binary"), spec(tmp_path))
    answer = app.handle(Request("GET", "/v2/models/tiny/config"))
    assert json.loads(answer.body)["parameters"]["altered_answers"] == {"string_value": "0.1"}


def test_a_number_has_no_wrong_class(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="predicts a number"):
        make_app(tiny_model("regression"), spec(tmp_path))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"log": None}, "needs `log: true`"),
        ({"log": {"columns": {"exclude": ["tenure"]}}}, "needs `log: true` with all inputs"),
        ({"log": True, "explain": "always"}, "does not go with"),
    ],
)
def test_settings_that_could_not_be_verified_later_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ServeSpec.model_validate({"ownership": {"key": "answers.key"}, **settings})


def test_a_key_that_is_short_or_absent_is_said(tmp_path: Path) -> None:
    settings = spec(tmp_path)
    (tmp_path / "answers.key").write_bytes(b"short")
    with pytest.raises(UsageError, match="has 5 bytes"):
        make_app(tiny_model("binary"), settings)
    (tmp_path / "answers.key").unlink()
    with pytest.raises(UsageError, match="cannot read the key"):
        make_app(tiny_model("binary"), settings)
    assert OwnershipSpec(key="k").share == 0.005


@pytest.mark.slow
def test_settings_that_do_not_go_together_are_told_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answers.key").write_bytes(KEY)
    said = {"log": True, "ownership": {"key": "answers.key"}}
    (tmp_path / "bessemer.yaml").write_text(json.dumps({"data": "x.csv", "target": "y", "serve": said}))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(group, ["serve", "tiny.bsm", "--explain", "always"])
    assert isinstance(done.exception, UsageError)
    assert "do not go together: `ownership` does not go with `explain: always`" in str(done.exception)

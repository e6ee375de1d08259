"""How unusual a row is, asked of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from serve_packages import KEY, write_public
from started import Started

import patience
from bessemer.package.prediction_log.read import read_log
from bessemer.package.write import write_package
from bessemer.serve.predictor import Predictor
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch, Request
from bessemer.testing.models import tiny_model
from bessemer.testing.outliers import unusual_members, unusual_model, unusual_signature, usual_rows

ODD = {"tenure": 71, "monthly charges": 500.0, "autopay": True, "contract": "?"}
USUAL = {"tenure": 30, "monthly charges": 70.0, "autopay": False, "contract": "Month-to-month"}


@pytest.fixture(scope="module")
def expected() -> list[float]:
    """What Python says of both rows."""
    return [row["outlier"] for row in unusual_model("binary").predict_rows([ODD, USUAL], outliers=True)]


def ask(path: str, value: Any, task: Any = "binary", tiny: bool = False, **query: str) -> Any:
    app = make_app(tiny_model(task) if tiny else unusual_model(task), ServeSpec())
    return app.handle(
        Request("POST", path, query, {}, value if isinstance(value, bytes) else orjson.dumps(value))
    )


def told(response: Any) -> list[dict[str, Any]]:
    assert response.status == 200, response.body
    found: list[dict[str, Any]] = orjson.loads(response.body)["predictions"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_plain_route_says_it_whatever_way_it_is_asked(task: Any, expected: list[float]) -> None:
    rows = [ODD, USUAL]
    for answer in (
        ask("/predict", {"rows": rows, "outliers": True}, task),
        ask("/predict", {"rows": rows}, task, outliers="true"),
        ask("/predict", rows, task, outliers=""),
        ask("/predict", [{**row, "désactivé": None} for row in rows], task, outliers="1"),
        ask("/predict", {"rows": rows, "outliers": True, "explain": False}, task, explain="false"),
    ):
        assert [float(np.float32(row["outlier"])) for row in told(answer)] == expected
    alone = told(ask("/predict", {**ODD, "outliers": True}, task))
    assert [float(np.float32(row["outlier"])) for row in alone] == expected[:1]
    assert expected[0] > expected[1]


def test_it_stands_before_the_explanation() -> None:
    row = told(ask("/predict", {"rows": [ODD], "outliers": True, "explain": True}))[0]
    assert list(row) == ["prediction", "probability", "outlier", "explanation"]
    assert (
        row["explanation"]
        == told(ask("/predict", {"rows": [ODD], "explain": True}, tiny=True))[0]["explanation"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/predict", "/v1/models/tiny:predict", "/v2/models/tiny/infer"])
def test_who_does_not_ask_is_answered_as_by_a_model_without(path: str) -> None:
    tensor = {"name": "tenure", "shape": [1], "datatype": "INT64", "data": [8]}
    body = {"/predict": ODD, "/v1/models/tiny:predict": {"instances": [ODD]}}.get(path, {"inputs": [tensor]})
    assert ask(path, body).body == ask(path, body, tiny=True).body
    assert b"outlier" not in ask(path, body).body


@pytest.mark.slow
def test_refusals_say_what_to_do() -> None:
    answer = ask("/predict", {"rows": [ODD], "outliers": True}, tiny=True)
    assert answer.status == 400
    assert b"trained without" in answer.body
    for body in ({"rows": [ODD], "outliers": 1}, {**ODD, "outliers": "yes"}):
        answer = ask("/predict", body)
        assert answer.status == 400
        assert b"neither true nor false" in answer.body
    assert ask("/predict", [ODD], outliers="maybe").status == 400
    assert b"'outliers'" in ask("/predict", {"rows": [ODD], "outlier": True}).body, "the nearest right name"


@pytest.mark.slow
def test_v2_gives_it_to_who_names_it(expected: list[float]) -> None:
    tensors = [
        {"name": "tenure", "shape": [1], "datatype": "INT64", "data": [71]},
        {"name": "monthly charges", "shape": [1], "datatype": "FP32", "data": [500.0]},
        {"name": "autopay", "shape": [1], "datatype": "BOOL", "data": [True]},
        {"name": "contract", "shape": [1], "datatype": "BYTES", "data": ["?"]},
    ]
    body = {"inputs": tensors, "outputs": [{"name": "outlier"}, {"name": "prediction"}]}
    made = orjson.loads(ask("/v2/models/tiny/infer", body).body)["outputs"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in made] == [
        ("outlier", "FP32", [1]),
        ("prediction", "BYTES", [1]),
    ]
    assert [float(np.float32(v)) for v in made[0]["data"]] == expected[:1]
    wrong = ask("/v2/models/tiny/infer", {**body, "outputs": [{"name": "outlir"}]})
    assert wrong.status == 400
    assert b"'outlier'" in wrong.body
    assert ask("/v2/models/tiny/infer", body, tiny=True).status == 400


class Counting:
    """A session that remembers what it was asked for."""

    def __init__(self) -> None:
        self._session, self.asked = unusual_model("binary").session, list[tuple[str, ...]]()

    def run_feeds(self, feeds: Any, outputs: Any) -> Any:
        self.asked.append(tuple(outputs))
        return self._session.run_feeds(feeds, outputs)

    run_matrix = run_feeds


def test_it_is_computed_where_a_batch_asks_and_only_then() -> None:
    session = Counting()
    predictor = Predictor(unusual_signature("binary"), session, None)
    row = (8, 70.0, True, "One year", None)
    plain, asking = Batch(1, [row]), Batch(1, [row], outputs=("prediction", "probability", "outlier"))
    predictor.predict_together([plain, plain])
    predictor.predict_together([plain, asking])
    assert session.asked == [("prediction", "probability"), ("prediction", "probability", "outlier")]


def test_the_description_has_it_where_the_model_does() -> None:
    for model, there in ((unusual_model("binary"), True), (tiny_model("binary"), False)):
        app = make_app(model, ServeSpec())
        found = orjson.loads(app.handle(Request("GET", "/openapi.json")).body)
        named = [each["name"] for each in found["paths"]["/predict"]["post"]["parameters"]]
        assert ("outliers" in named) is there
        assert ("outlier" in found["components"]["schemas"]["Prediction"]["properties"]) is there


@pytest.mark.slow
def test_a_server_answers_both_at_once_and_its_log_stays_readable(
    tmp_path: Path, expected: list[float]
) -> None:
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z", "task": "binary"}
    write_package(tmp_path / "tiny.bsm", unusual_members("binary"), **facts, target="churned", key=KEY)
    project = "data: x.csv\ntarget: churned\nserve: {log: {folder: log}}\n"
    (tmp_path / "bessemer.yaml").write_text(project)
    words = (str(tmp_path / "tiny.bsm"), "--key", str(write_public(tmp_path / "key.pub")), "--port", "0")
    with (
        Started({}, *words, "--project", str(tmp_path / "bessemer.yaml")) as url,
        patience.Client(base_url=url) as http,
    ):
        for asked in (True, False, True):
            answer = http.post("/predict", json={"rows": [ODD, USUAL], "outliers": asked})
            rows = answer.json()["predictions"]
            found = [float(np.float32(row["outlier"])) if "outlier" in row else None for row in rows]
            assert found == (expected if asked else [None, None])
    logged = read_log(tmp_path / "log", "tiny").read_all()
    assert logged.num_rows == 6
    assert logged["in.monthly charges"].to_pylist() == [500.0, 70.0] * 3


@pytest.mark.slow
def test_a_job_writes_it(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from bessemer.cli import group

    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z", "task": "binary"}
    write_package(tmp_path / "tiny.bsm", unusual_members("binary"), **facts, target="churned", key=KEY)
    table = usual_rows(5000, 3)
    pq.write_table(table, tmp_path / "rows.parquet")
    words = [str(tmp_path / "tiny.bsm"), str(tmp_path / "rows.parquet"), "-o", str(tmp_path / "out.parquet")]
    words += ["--key", str(write_public(tmp_path / "key.pub")), "--work", str(tmp_path / "work")]
    runner = CliRunner()
    for more in ([], ["--outliers"]):  # another answer is another job: it begins anew
        done = runner.invoke(group, ["predict", *words, *more])
        assert done.exit_code == 0, done.output
        made = pq.read_table(tmp_path / "out.parquet")
        assert ("outlier" in made.column_names) == bool(more)
    expected = unusual_model("binary").predict(table, outliers=True)["outlier"]
    assert made["outlier"].to_pylist() == expected.to_pylist()
    refused = runner.invoke(group, ["predict", *words, "--outliers", "--keep", "outlier"])
    assert refused.exit_code != 0

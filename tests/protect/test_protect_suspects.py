"""Suspects: whatever they are, they are asked for their answers alone, and each way of answering is understood."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field, Signature
from bessemer.package.certificate import Certificate
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.remote.client import Door
from bessemer.package.remote.said import said_of
from bessemer.protect.suspects.suspect import Marked, open_suspect

FIELDS = (Field("age", "number", "float32"), Field("town", "string", "string"))
ROWS = [
    {"age": float(age), "town": town, "id": 7} for age, town in ((20, "a"), (70, "b"), (40, None), (90, ""))
]
OLD = ["yes" if row["age"] > 50 else "no" for row in ROWS]


def certificate(answers: tuple[Any, ...] = ("no", "yes"), edges: tuple[float, ...] = ()) -> Certificate:
    task: Any = "regression" if edges else "binary" if len(answers) == 2 else "multiclass"
    return Certificate("", "00" * 32, "", task, answers, edges, 4, 2, 64)


def own_graph() -> bytes:
    """age over 50, from the raw columns through `features`."""
    g = GraphBuilder("own")
    age, _ = g.input("age", "float32", ("N", 1)), g.input("town", "string", ("N", 1))
    features = g.op("Concat", [age, g.op("Neg", [age])], axis=1, name="features")
    first = g.op("Gather", [features, g.constant(np.array([0]))], axis=1)
    g.output(g.op("Sub", [first, g.constant(np.float32(50))], name="score"), "float32", ("N", 1))
    return serialize(g.model())


MARKED = Marked(certificate(), Signature(FIELDS, (), "binary", "old", ("no", "yes")), own_graph())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["yes", "no"], ["yes", "no"]),
        ([1, 0], ["yes", "no"]),
        ([0.7, 0.2], ["yes", "no"]),
        ([[0.2, 0.8], [3.0, -1.0]], ["yes", "no"]),
        ([["yes"], [0.1]], ["yes", "no"]),
        ([{"prediction": "yes", "probability": 0.1}, {"probabilities": [0.9, 0.1]}], ["yes", "no"]),
        (["maybe", [0.1, 0.2, 0.7]], [None, None]),
        ([None, [None, 0.3]], [None, None]),
        ([10**400, [10**400, 0]], [None, None]),
        ([float("nan"), [float("nan"), 0.3]], [None, None]),
        ([["a", "b"], [[1], [2]]], [None, None]),
        ([[], float("inf")], [None, None]),
        ([{"prediction": {"label": ["yes"]}}, [[["no"]]]], ["yes", "no"]),
    ],
)
def test_classes_are_understood_as_servers_write_them(values: list[Any], said: list[Any]) -> None:
    assert said_of(values, certificate()).tolist() == said


def test_classes_that_are_numbers_or_truths_are_taken_by_their_name_first() -> None:
    assert said_of([2, 1, "3"], certificate((1, 2, 3))).tolist() == [2, 1, 3]
    assert said_of(["True", False, 1, 0.4], certificate((False, True))).tolist() == [True, False, True, False]


def test_numbers_are_taken_as_they_are() -> None:
    said = certificate((), (1.0, 2.0)).labels_said(
        said_of(
            [0.5, [1.5], {"value": 9}, "x", "1.5", None, 10**400, [1, 2], []], certificate((), (1.0, 2.0))
        )
    )
    assert said.tolist() == [0, 1, 2, -1, 1, -1, -1, -1, -1]


def test_a_class_where_a_number_is_asked_for_is_no_hit() -> None:
    said = np.array(["yes", None, 10**400, [1.0], 1.5], dtype=object)
    assert certificate((), (1.0, 2.0)).labels_said(said).tolist() == [-1, -1, -1, -1, 1]


def test_an_answer_without_a_usual_name_is_refused() -> None:
    with pytest.raises(Exception, match="only colour"):
        said_of([{"colour": 3}], certificate())
    with pytest.raises(Exception, match="only colour") as refused:
        said_of([{"colour": 3, "\x1b[2J": 1, "x" * 10_000: 2}], certificate())
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def write(
    folder: Path, inputs: list[tuple[str, str, int]], build: Callable[[GraphBuilder, list[Any]], None]
) -> str:
    g = GraphBuilder("suspect")
    build(g, [g.input(name, kind, ("N", width)) for name, kind, width in inputs])
    path = folder / "suspect.onnx"
    path.write_bytes(serialize(g.model()))
    return str(path)


def over_50(g: GraphBuilder, given: list[Any]) -> None:
    """The class as a whole number, from the first column of what is given."""
    first = g.op("Gather", [given[0], g.constant(np.array([0]))], axis=1)
    old = g.op("Greater", [first, g.constant(np.float32(50))])
    flat = g.op("Reshape", [g.op("Cast", [old], to=7), g.constant(np.array([-1]))], name="label")
    g.output(flat, "int64", ("N",))


def scores(g: GraphBuilder, given: list[Any]) -> None:
    above = g.op("Sub", [given[0], g.constant(np.float32(50))])
    g.output(g.op("Concat", [g.op("Neg", [above]), above], axis=1, name="scores"), "float32", ("N", 2))


@pytest.mark.parametrize(
    ("inputs", "build"),
    [
        ([("age", "float32", 1)], over_50),
        ([("age", "float32", 1)], scores),
        ([("x", "float32", 2)], over_50),
    ],
    ids=["raw columns", "scores", "our features"],
)
def test_an_onnx_file_is_asked(tmp_path: Path, inputs: list[tuple[str, str, int]], build: Any) -> None:
    suspect = open_suspect(write(tmp_path, inputs, build), MARKED)
    assert suspect.said(ROWS).tolist() == OLD


def test_an_onnx_file_that_takes_a_number_where_a_text_is_cannot_be_asked(tmp_path: Path) -> None:
    path = write(tmp_path, [("age", "float32", 1), ("town", "float32", 1)], over_50)
    with pytest.raises(UsageError, match="other values than the keys have"):
        open_suspect(path, MARKED).said(ROWS)


def test_an_onnx_file_without_rows_cannot_be_asked(tmp_path: Path) -> None:
    g = GraphBuilder("suspect")
    x = g.input("x", "float32", ())
    g.output(g.op("Add", [x, x], name="y"), "float32", ())
    path = tmp_path / "suspect.onnx"
    path.write_bytes(serialize(g.model()))
    with pytest.raises(UsageError, match="takes a single number"):
        open_suspect(str(path), MARKED).said(ROWS)


def test_an_onnx_file_that_answers_with_one_number_is_refused(tmp_path: Path) -> None:
    def mean(g: GraphBuilder, given: list[Any]) -> None:
        g.output(g.op("ReduceMean", [given[0]], keepdims=0, name="mean"), "float32", ())

    path = write(tmp_path, [("age", "float32", 1), ("town", "string", 1)], mean)
    with pytest.raises(UsageError, match="no output with an answer for each row"):
        open_suspect(path, MARKED).said(ROWS)


def test_an_onnx_file_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    wide = write(tmp_path, [("x", "float32", 5)], over_50)
    with pytest.raises(Exception, match="rows of 5 numbers"):
        open_suspect(wide, MARKED).said(ROWS)
    other = write(tmp_path, [("age", "float32", 1), ("height", "float32", 1)], over_50)
    with pytest.raises(Exception, match="takes 'height'"):
        open_suspect(other, MARKED).said(ROWS)


@pytest.mark.parametrize("name", ["none.onnx", "none.bsm"])
def test_no_file_is_no_suspect(tmp_path: Path, name: str) -> None:
    with pytest.raises(Exception, match="no file"):
        open_suspect(str(tmp_path / name), MARKED)
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"ONNX|package"):
        open_suspect(str(tmp_path / name), MARKED)


class Server(BaseHTTPRequestHandler):
    """Answers as servers of models do, by the path, from the ages that it is sent."""

    requests: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append((self.path, body, self.headers.get("authorization")))
        status, answer = self._answer(body)
        text = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _answer(self, body: Any) -> tuple[int, Any]:
        if self.path == "/huge/infer":
            made = {"name": "p", "datatype": "FP32", "shape": [4, 2], "data": [10**400] * 8}
            return 200, {"outputs": [made]}
        if self.path.endswith("/infer"):
            ages = next(one["data"] for one in body["inputs"] if one["name"] == "age")
            p = [[float(age <= 50), float(age > 50)] for age in ages]
            made = {
                "name": "output_0",
                "datatype": "FP32",
                "shape": [len(p), 2],
                "data": [x for row in p for x in row],
            }
            return 200, {"outputs": [made]}
        if self.path == "/refuses":
            return 404, {"error": "no model here"}
        if self.path == "/hostile":
            return 500, "\x9b2Jgone\u202e" + "x" * 10_000
        if self.path == "/odd":
            return 200, {"predictions": [10**400, None, {"label": "\x9b2J"}, [[], "a"]]}
        if self.path == "/short":
            return 200, {"predictions": [1]}
        (rows,) = (body[name] for name in ("rows", "instances", "dataframe_records") if name in body)
        return 200, {"predictions": [{"prediction": "yes" if row["age"] > 50 else "no"} for row in rows]}

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/predict", "rows"),
        ("/v1/models/m:predict", "instances"),
        ("/invocations", "dataframe_records"),
        ("/v2/models/m/infer", "inputs"),
    ],
)
def test_an_address_is_asked_in_its_dialect(server: str, path: str, asked: str) -> None:
    many = ROWS * 20  # several requests
    suspect = open_suspect(server + path, MARKED, Door(key="open sesame"))
    assert suspect.said(many).tolist() == OLD * 20
    assert len(Server.requests) == 3
    for _, body, key in Server.requests:
        assert list(body) == [asked]
        assert key == "Bearer open sesame"
        assert '"id"' not in json.dumps(body)  # a column that the model does not read


def test_missing_values_are_sent_as_such(server: str) -> None:
    rows = [{"age": 60.0, "town": None}, {"age": 10.0, "town": "a"}]
    open_suspect(f"{server}/v2/models/m/infer", MARKED).said(rows)
    open_suspect(f"{server}/predict", MARKED).said(rows)
    (_, tensors, _), (_, plain, _) = Server.requests
    assert [one["data"] for one in tensors["inputs"]] == [[60.0, 10.0], ["", "a"]]
    assert plain["rows"][0] == rows[0]


@pytest.mark.parametrize(
    ("path", "dialect", "why"),
    [
        ("/refuses", "", "refuses to answer: 404"),
        ("/short", "", "cannot be read"),
        ("/huge/infer", "", "cannot be read"),
        ("/hostile", "", "refuses to answer: 500"),
        ("/predict", "v3", "no dialect 'v3'"),
    ],
)
def test_a_server_that_cannot_be_asked_is_said(server: str, path: str, dialect: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        open_suspect(server + path, MARKED, Door(dialect)).said(ROWS)
    assert all(line.isprintable() for line in str(refused.value).splitlines())
    assert len(str(refused.value)) < 1000


def test_odd_answers_are_no_hits(server: str) -> None:
    assert open_suspect(f"{server}/odd", MARKED).said(ROWS).tolist() == [None] * 4


def test_a_column_that_no_key_has_is_asked_as_missing(server: str) -> None:
    """As a group is that only the thresholds read."""
    fields = (*FIELDS, Field("region", "string", "string"))
    own = Marked(certificate(), Signature(fields, (), "binary", "old", ("no", "yes")), own_graph())
    assert open_suspect(f"{server}/predict", own).said(ROWS).tolist() == OLD
    assert Server.requests[0][1]["rows"][0]["region"] is None


def test_nobody_there_is_said() -> None:
    with pytest.raises(Exception, match="gives no answer"):
        open_suspect("http://127.0.0.1:9/predict", MARKED, Door(timeout=5)).said(ROWS)

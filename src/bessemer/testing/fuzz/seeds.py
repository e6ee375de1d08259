"""Requests that are right, of every dialect and in every form a body can have: what is changed begins with them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.serve import protos
from bessemer.serve.app import App
from bessemer.serve.dialect import Dialect
from bessemer.serve.wire import GRPC, JSON, Request
from bessemer.testing.models import INPUTS, ROWS

_WHOLE = [{field.name: row.get(field.name) for field in INPUTS} for row in ROWS]
#: What the routes that manage want to know, of all protocols.
_ASKED = b'{"name":"tiny","model_name":"tiny","model_version":"1.0.0","verbose":true,"ready":true}'
_CSV = b"tenure,monthly charges,autopay,contract,d\xc3\xa9sactiv\xc3\xa9\n8,70.5,true,One year,2024-01-31\n64,,,,\n"


def seeds(app: App, dialects: Sequence[Dialect]) -> list[Request]:
    """Right requests to an app: each dialect's examples on each of its paths, other forms of bodies, other routes."""
    found = [*_examples(app, dialects), *_other_routes(dialects), *_forms(app), *_tf_examples()]
    return [request for request in found if app.router.find(request.method, request.path) is not None]


def _examples(app: App, dialects: Sequence[Dialect]) -> Iterator[Request]:
    subject = app.models.get()
    places = {"model": subject.name, "version": subject.version, "label": "stable", "endpoint": subject.name}
    places |= {"namespace": "default", "predictor": "default", "deployed": "1"}
    for dialect in dialects:
        for rows in (_WHOLE, _WHOLE[:1], []):
            for explain in (False, True):
                example = dialect.example(subject, rows, explain=explain)
                yield example
                if rows is not _WHOLE:
                    continue
                for route in dialect.routes:
                    if route.answer is None:
                        yield replace(example, method=route.method, path=route.at(**places))


def _other_routes(dialects: Sequence[Dialect]) -> Iterator[Request]:
    """What needs no prediction, and nobody's key."""
    for dialect in dialects:
        for route in dialect.routes:
            if route.answer is not None and route.scope == "predict":
                path = route.at(model="tiny", version="1.0.0", label="stable")
                yield Request(route.method, path)
                if route.method == "POST":
                    yield Request("POST", path, headers={"content-type": JSON}, body=_ASKED)


def _forms(app: App) -> Iterator[Request]:
    """Bodies that are no JSON, for the paths that take them."""
    kinds = dict(_bodies())
    for path in (
        "/invocations",
        "/models/tiny/invoke",
        "/endpoints/tiny/invocations",
        "/predictions/tiny",
        "/predict",
    ):
        if app.router.find("POST", path) is None:
            continue
        for kind, body in kinds.items():
            yield Request("POST", path, headers={"content-type": kind}, body=body)
        for accept in (
            "text/csv",
            "application/jsonlines",
            "application/x-npy",
            "application/x-recordio-protobuf",
        ):
            headers = {"content-type": "text/csv", "accept": accept}
            yield Request("POST", path, headers=headers, body=_CSV)
    if app.router.find("POST", "/v2/models/tiny/infer") is not None:
        yield _binary_tensors()


def _bodies() -> Iterator[tuple[str, bytes]]:
    yield "text/csv", _CSV
    yield "application/jsonlines", b"\n".join(orjson.dumps(row) for row in _WHOLE)
    yield "application/x-www-form-urlencoded", b"data=" + orjson.dumps(_WHOLE[0]) + b"&x=%20"
    yield "multipart/form-data; boundary=b", _multipart(orjson.dumps(_WHOLE))
    table = pa.Table.from_pylist([{**row, "désactivé": None} for row in _WHOLE])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    yield "application/vnd.apache.parquet", sink.getvalue()
    matrix = np.arange(10.0).reshape(2, 5)
    for kind, save in (("application/x-npy", np.save), ("application/x-npz", np.savez)):
        sink = io.BytesIO()
        save(sink, matrix)
        yield kind, sink.getvalue()
    yield "application/x-recordio-protobuf", _recordio(np.arange(5, dtype="<f4"))
    yield "application/octet-stream", _CSV
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"instances": _WHOLE}}
    yield "application/cloudevents+json", orjson.dumps(event)
    split = {"columns": list(_WHOLE[0]), "data": [list(row.values()) for row in _WHOLE]}
    yield "application/json", orjson.dumps({"dataframe_split": split, "params": {"explain": True}})
    coded = {"b64": base64.b64encode(b"Month-to-month").decode()}
    yield "application/json; charset=utf-8", orjson.dumps({"instances": [{**_WHOLE[0], "contract": coded}]})


def _multipart(content: bytes) -> bytes:
    head = b'--b\r\ncontent-disposition: form-data; name="data"\r\ncontent-type: application/json\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def _recordio(values: Any) -> bytes:
    """One record of SageMaker's RecordIO: magic, length, a message with one vector, padding."""
    packed: bytes = values.tobytes()
    tensor = b"\x12" + bytes([2 + len(packed)]) + b"\x0a" + bytes([len(packed)]) + packed
    entry = b"\x0a\x06values" + b"\x12" + bytes([len(tensor)]) + tensor
    record = b"\x0a" + bytes([len(entry)]) + entry
    padded = record + b"\x00" * (-len(record) % 4)
    return b"\x0a\x23\xd7\xce" + len(record).to_bytes(4, "little") + padded


def _binary_tensors() -> Request:
    """Tensors after the JSON."""
    raw = np.array([8.0, 9.0], dtype="<f4").tobytes()
    text = b"\x03\x00\x00\x00One\x00\x00\x00\x00"
    described = [
        {"name": "tenure", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}},
        {
            "name": "contract",
            "shape": [2],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(text)},
        },
    ]
    head = orjson.dumps({"inputs": described, "parameters": {"binary_data_output": True}})
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    return Request("POST", "/v2/models/tiny/infer", headers=headers, body=head + raw + text)


def _tf_examples() -> Iterator[Request]:
    """TensorFlow Serving's tf.Examples, in JSON and in messages."""
    row = {name: value for name, value in _WHOLE[0].items() if name != "autopay"} | {"autopay": 1}
    text = orjson.dumps({"signature_name": "serving_default", "examples": [row]})
    for verb in ("classify", "regress"):
        yield Request("POST", f"/v1/models/tiny:{verb}", headers={"content-type": JSON}, body=text)
    example = protos.message("tensorflow.Example")()
    for name, value in row.items():
        feature = example.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        elif value is not None:
            feature.float_list.value.append(float(value))
    for method, kind in (("Classify", "Classification"), ("Regress", "Regression")):
        asked = protos.message(f"tensorflow.serving.{kind}Request")()
        asked.model_spec.name = "tiny"
        asked.input.example_list.examples.append(example)
        yield Request(GRPC, f"/tensorflow.serving.PredictionService/{method}", body=asked.SerializeToString())

"""Request bytes -> response bytes, for each dialect. The tiny model's scores are exact, so are the bytes."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

# score = 0.5 - 8/16 = 0 -> one half; 0.5 - 2008/16 = -125 -> nought, to the last bit of a float32
GOLDEN = {
    "plain: one row": (
        "/predict",
        b'{"tenure": 8}',
        b'{"model":{"name":"tiny","version":"1.0.0"},"predictions":'
        b'[{"prediction":"no","probability":{"no":0.5,"yes":0.5}}]}',
    ),
    "plain: a list": (
        "/predict",
        b'[{"tenure": 8, "contract": null}, {"tenure": 2008}]',
        b'{"model":{"name":"tiny","version":"1.0.0"},"predictions":'
        b'[{"prediction":"no","probability":{"no":0.5,"yes":0.5}},'
        b'{"prediction":"no","probability":{"no":1.0,"yes":0.0}}]}',
    ),
    "plain: explained": (
        "/predict",
        b'{"rows": [{"tenure": 8, "contract": "Month-to-month", "autopay": true}], "explain": true}',
        b'{"model":{"name":"tiny","version":"1.0.0"},"predictions":'
        b'[{"prediction":"yes","probability":{"no":0.18242556,"yes":0.81757444},'
        b'"explanation":{"base":0.5,"score":1.5,"contributions":'
        b'{"tenure":-0.5,"monthly charges":0.0,"autopay":-0.5,"contract":2.0,"d\xc3\xa9sactiv\xc3\xa9":0.0}}}]}',
    ),
    "plain: no rows": (
        "/predict",
        b'{"rows": []}',
        b'{"model":{"name":"tiny","version":"1.0.0"},"predictions":[]}',
    ),
    "kserve v1: objects and lists": (
        "/v1/models/tiny:predict",
        b'{"instances": [{"tenure": 8}, [2008, null, null, null, null]]}',
        b'{"predictions":[{"prediction":"no","probability":{"no":0.5,"yes":0.5}},'
        b'{"prediction":"no","probability":{"no":1.0,"yes":0.0}}]}',
    ),
    "kserve v1: explain": (
        "/v1/models/tiny:explain",
        b'{"instances": [{"tenure": 8}]}',
        b'{"predictions":[{"prediction":"no","probability":{"no":0.5,"yes":0.5}}],'
        b'"explanations":[{"base":0.5,"score":0.0,"contributions":'
        b'{"tenure":-0.5,"monthly charges":0.0,"autopay":0.0,"contract":0.0,"d\xc3\xa9sactiv\xc3\xa9":0.0}}]}',
    ),
    "v2: flat": (
        "/v2/models/tiny/infer",
        b'{"id": "a1", "inputs": [{"name": "tenure", "shape": [2], "datatype": "INT64", "data": [8, 2008]}]}',
        b'{"model_name":"tiny","model_version":"1.0.0","id":"a1","outputs":['
        b'{"name":"prediction","datatype":"BYTES","shape":[2],"data":["no","no"]},'
        b'{"name":"probability","datatype":"FP32","shape":[2,2],"data":[0.5,0.5,1.0,0.0]},'
        b'{"name":"score","datatype":"FP32","shape":[2,1],"data":[0.0,-125.0]}]}',
    ),
    "v2: nested, one output, one version": (
        "/v2/models/tiny/versions/1.0.0/infer",
        b'{"inputs": [{"name": "tenure", "shape": [1, 1], "datatype": "FP32", "data": [[8]]},'
        b'{"name": "autopay", "shape": [1, 1], "datatype": "BOOL", "data": [[true]]}],'
        b'"outputs": [{"name": "score"}]}',
        b'{"model_name":"tiny","model_version":"1.0.0","outputs":['
        b'{"name":"score","datatype":"FP32","shape":[1,1],"data":[-0.5]}]}',
    ),
    "v2: explained": (
        "/v2/models/tiny/infer",
        b'{"parameters": {"explain": true}, "outputs": [{"name": "base"}, {"name": "contribution_tenure"}],'
        b'"inputs": [{"name": "tenure", "shape": [1], "datatype": "UINT8", "data": [8]}]}',
        b'{"model_name":"tiny","model_version":"1.0.0","outputs":['
        b'{"name":"base","datatype":"FP64","shape":[1],"data":[0.5]},'
        b'{"name":"contribution_tenure","datatype":"FP64","shape":[1],"data":[-0.5]}]}',
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, send: Any) -> None:
    path, body, wanted = GOLDEN[name]
    response = send("POST", path, body)
    assert (response.status, response.body) == (200, wanted)


def test_regression_predictions_of_kserve_v1_are_bare(send: Any) -> None:
    response = send("POST", "/v1/models/tiny:predict", b'{"instances": [{"tenure": 8}]}', task="regression")
    assert response.body == b'{"predictions":[0.0]}'


def test_multiclass_keeps_the_type_of_its_classes(send: Any) -> None:
    response = send("POST", "/predict", b'{"tenure": 64, "explain": true}', task="multiclass")
    row = orjson.loads(response.body)["predictions"][0]
    assert row["prediction"] == 3
    assert list(row["probability"]) == ["1", "2", "3"]
    told = row["explanation"]
    assert told["base"] == -0.25, "the explanation speaks of the predicted class"
    assert told["base"] + sum(told["contributions"].values()) == told["score"] == 3.75


def binary_request(
    parts: list[tuple[str, str, bytes]], rows: int, **more: Any
) -> tuple[bytes, dict[str, str]]:
    inputs = [
        {"name": name, "shape": [rows, 1], "datatype": kind, "parameters": {"binary_data_size": len(raw)}}
        for name, kind, raw in parts
    ]
    head = orjson.dumps({"inputs": inputs, **more})
    return head + b"".join(raw for _, _, raw in parts), {"inference-header-content-length": str(len(head))}


def test_binary_tensors_both_ways(send: Any) -> None:
    texts = b"".join(struct.pack("<I", len(t)) + t for t in (b"Month-to-month", b""))
    parts = [("tenure", "FP32", struct.pack("<2f", 8, 2008)), ("contract", "BYTES", texts)]
    body, headers = binary_request(parts, 2, id="b", parameters={"binary_data_output": True})
    response = send("POST", "/v2/models/tiny/infer", body, headers=headers)
    assert response.status == 200
    assert response.content_type == "application/octet-stream"
    length = int(dict(response.headers)["inference-header-content-length"])
    assert response.body[:length] == (
        b'{"model_name":"tiny","model_version":"1.0.0","id":"b","outputs":['
        b'{"name":"prediction","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":13}},'
        b'{"name":"probability","datatype":"FP32","shape":[2,2],"parameters":{"binary_data_size":16}},'
        b'{"name":"score","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}}]}'
    )
    raw = response.body[length:]
    assert raw[:13] == b"\x03\x00\x00\x00yes\x02\x00\x00\x00no"
    assert struct.unpack("<2f", raw[29:]) == (2.0, -125.0)


def test_one_output_in_binary_the_other_in_json(send: Any) -> None:
    parts = [("tenure", "FP16", struct.pack("<e", 8)), ("désactivé", "INT64", struct.pack("<q", -(2**63)))]
    chosen = [{"name": "prediction"}, {"name": "score", "parameters": {"binary_data": True}}]
    body, headers = binary_request(parts, 1, outputs=chosen)
    response = send("POST", "/v2/models/tiny/infer", body, headers=headers)
    length = int(dict(response.headers)["inference-header-content-length"])
    outputs = orjson.loads(response.body[:length])["outputs"]
    assert outputs[0]["data"] == ["no"]
    assert response.body[length:] == struct.pack("<f", 0.0)


# TensorFlow Serving and KServe V1 share a path: the answer is both of theirs
STATUS = {"version": "1000000", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/models", {"models": ["tiny"]}),
        ("/v1/models/tiny", {"name": "tiny", "ready": True, "model_version_status": [STATUS]}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models", {"models": ["tiny"]}),
        ("/v2/models/tiny/ready", {"name": "tiny", "ready": True}),
        ("/v2/models/tiny/versions/1.0.0/ready", {"name": "tiny", "ready": True}),
        ("/healthz", {"status": "ok"}),
    ],
)
def test_routes_that_do_not_predict(path: str, wanted: dict[str, Any], send: Any) -> None:
    response = send("GET", path)
    assert response.status == 200
    assert orjson.loads(response.body) == wanted


def test_v2_metadata_names_every_input_and_output(send: Any) -> None:
    about = orjson.loads(send("GET", "/v2/models/tiny").body)
    assert about["versions"] == ["1.0.0"]
    assert about["inputs"][0] == {"name": "tenure", "datatype": "FP32", "shape": [-1, 1]}
    assert [field["datatype"] for field in about["inputs"]] == ["FP32", "FP32", "FP32", "BYTES", "INT64"]
    assert about["outputs"][1] == {"name": "probability", "datatype": "FP32", "shape": [-1, 2]}
    assert "binary_tensor_data" in orjson.loads(send("GET", "/v2").body)["extensions"]

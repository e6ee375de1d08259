"""GraphPipe: recorded bytes, buffers that lie, and its own client against a server process.

What is called recorded was written by graphpipe 1.0.4 with flatbuffers 1.12. The client needs no change: it only has to
be installed without its pins (requests 2.18.4 and flatbuffers 1.9.0 do not run on Python 3.11).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import environments
from bessemer.core.signature import Field, Signature
from bessemer.serve import graphpipe_messages as messages
from bessemer.serve.dialect import Subject
from bessemer.serve.dialects.graphpipe import GraphPipe
from bessemer.serve.errors import RequestError
from bessemer.serve.flatbuffer import Buffer
from bessemer.serve.tensor_values import Tensor
from bessemer.testing.dialects import called, repository

#: tenure [[8], [2008]] as Float32 and contract [["a"], ["b"]]; outputs score and prediction.
RECORDED = bytes.fromhex(
    "0c00000008000c000b0004000800000014000000000000010c001400100008000c0004000c0000001000000034000000"
    "58000000ec0000000200000008000000100000000500000073636f72650000000a00000070726564696374696f6e0000"
    "0200000008000000100000000600000074656e757265000008000000636f6e7472616374000000000200000014000000"
    "5000000000000a0010000b000c0004000a0000000c0000000000000a1000000008000000000000410000fb4402000000"
    "02000000000000000100000000000000000000000c0010000b000c00000004000c0000000c0000000000000c20000000"
    "02000000080000000c000000010000006100000001000000620000000200000002000000000000000100000000000000"
    "0000000000000000"
)
METADATA = bytes.fromhex("0c00000008000c000b000400080000000c000000000000020400040004000000")


def tensors_of(body: bytes) -> list[Any]:
    """The output tensors of a response, read by our reader; raises AssertionError for an error."""
    root = Buffer(body).root()
    assert not root.tables(1, 9), root.tables(1, 9)[0].text(1)
    found: list[Any] = []
    for table in root.tables(0, 99):
        kind, shape = table.number(0, "B"), table.numbers(1, "q", 9)
        if kind == 12:
            found.append(np.array(table.texts(3, 99)).reshape(shape).tolist())
        else:
            dtype = {10: "<f4", 11: "<f8", 8: "<i8"}[kind]
            found.append(np.frombuffer(table.raw(2), dtype).reshape(shape).tolist())
    return found


def error_of(response: Any) -> tuple[int, str]:
    (error,) = Buffer(response.body).root().tables(1, 9)
    assert error.number(0, "q") == response.status
    return response.status, error.text(1)


def tensor(name: str, array: Any) -> Tensor:
    if array.dtype.kind == "O":
        return Tensor(name, "BYTES", array.shape, array.reshape(-1).tolist())
    datatype = {"f2": "FP16", "f4": "FP32", "f8": "FP64", "i8": "INT64", "u1": "UINT8"}[array.dtype.str[1:]]
    return Tensor(name, datatype, array.shape, raw=memoryview(array.tobytes()))


def request(
    *tensors: Tensor, named: bool = True, outputs: tuple[str, ...] = ("score",), config: str = ""
) -> bytes:
    names = tuple(each.name for each in tensors) if named else ()
    return messages.write_infer_request(messages.InferMessage(config, names, tensors, outputs))


TENURE = tensor("tenure", np.float32([[8], [2008]]))


@pytest.mark.parametrize("path", ["/", "/graphpipe/tiny", "/graphpipe/tiny/1.0.0"])
def test_a_recorded_request(path: str, send: Any) -> None:
    response = send("POST", path, RECORDED)
    assert response.content_type == "application/octet-stream"
    assert tensors_of(response.body) == [[[0.0], [-125.0]], ["no", "no"]]


#: root, InferResponse, vector of one tensor; Tensor of type 10 with its data 0.0, -125.0 and its shape 2, 1.
ANSWER = (
    "0c000000" "00000600" "08000400" "06000000" "04000000" "01000000" "10000000"
    "00000a00" "10000f00" "08000400" "0a000000" "0c000000" "14000000" "0000000a"
    "08000000" "00000000" "0000fac2" "02000000" "0200000000000000" "0100000000000000"
)  # fmt: skip


def test_the_bytes_of_an_answer(send: Any) -> None:
    assert send("POST", "/", request(TENURE, outputs=("score",))).body.hex() == ANSWER


def test_columns_of_every_type(send: Any) -> None:
    body = request(
        tensor("tenure", np.int64([8])),
        tensor("monthly charges", np.float16([64])),
        tensor("autopay", np.uint8([1])),
        tensor("contract", np.array(["Month-to-month"], dtype=object)),
        tensor("désactivé", np.int64([-(2**63)])),
        outputs=("prediction", "probability", "score"),
    )
    prediction, probability, score = tensors_of(send("POST", "/", body).body)
    assert (prediction, score) == (["yes"], [[2.5]])
    assert probability[0][1] > 0.9


def test_without_names_tensors_are_in_the_order_of_the_inputs(send: Any) -> None:
    missing = (np.float32([np.nan]), np.float32([np.nan]), np.array([""], dtype=object), np.int64([-(2**63)]))
    body = request(tensor("0", np.float32([8])), *(tensor("0", each) for each in missing), named=False)
    assert tensors_of(send("POST", "/", body).body) == [[[0.0]]]
    refused = send("POST", "/", request(TENURE, TENURE, named=False))
    assert error_of(refused)[1].startswith("the request has 2 tensors without names for 5 inputs")


def test_without_output_names_all_are_given(send: Any) -> None:
    assert len(tensors_of(send("POST", "/", request(TENURE, outputs=())).body)) == 3


def test_the_config_asks_for_explanations(send: Any) -> None:
    body = request(TENURE, outputs=("base", "contribution_tenure"), config='{"explain": true}')
    assert tensors_of(send("POST", "/", body).body) == [[0.5, 0.5], [-0.5, -125.5]]
    for config in ('{"explain": 1}', "{", "[]", '{"explian": true}'):
        assert error_of(send("POST", "/", request(TENURE, config=config)))[0] == 400


def test_one_matrix_for_a_model_of_numbers() -> None:
    fields = tuple(Field(name, "number", "float32") for name in "ab")
    subject = Subject("m", "1", Signature(fields, (Field("score", "number", "float32"),), task="regression"))
    models = repository()
    call = called(models, GraphPipe(models), GraphPipe(models).example(models.get(), []))
    call.subject = subject
    call.request.body = request(tensor("x", np.float64([[1, 2], [3, 4], [5, 6]])), named=False)
    batch = GraphPipe(models).decode(call)
    assert batch.matrix is not None
    assert batch.matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_metadata(send: Any) -> None:
    root = Buffer(send("POST", "/", METADATA).body).root()
    assert [root.text(0), root.text(2)] == ["tiny", "bessemer"]
    inputs = [(each.text(0), each.numbers(2, "q", 9), each.number(3, "B")) for each in root.tables(4, 99)]
    assert inputs[0] == ("tenure", (-1, 1), 10)
    assert [kind for _, _, kind in inputs] == [10, 10, 10, 12, 8]
    told = orjson.loads(send("GET", "/", headers={"accept": "application/json"}, dialects=["graphpipe"]).body)
    assert told == orjson.loads(send("GET", "/graphpipe/tiny").body)
    assert [each["type"] for each in told["outputs"]] == [12, 10, 10]
    assert told["outputs"][1]["shape"] == [-1, 2]
    assert send("GET", "/", headers={"accept": "text/html,*/*"}).status == 307, "a browser gets the page"


def test_control(send: Any) -> None:
    assert send("GET", "/control/is_ready").body == b"ok\n"
    assert send("GET", "/control/is_alive").body == b"ok\n"


REFUSED = [
    (b"", "is no FlatBuffer"),
    (b"\0" * 8, "is no FlatBuffer"),
    (b"\xff" * 64, "is no FlatBuffer"),
    (METADATA[:23] + b"\3" + METADATA[24:], "the unknown kind 3"),
    (request(tensor("tenur", np.float32([8]))), "did you mean 'tenure'?"),
    (request(TENURE, outputs=("scroe",)), "did you mean 'score'?"),
    (request(tensor("tenure", np.float32([[[8]]]))), "has the shape [1, 1, 1]"),
    (
        request(tensor("tenure", np.float32([8, 9])), tensor("autopay", np.float32([1]))),
        "differ in their rows",
    ),
    (request(tensor("tenure", np.float32([0.5]))), "0.5 is not a whole number"),
    (
        request(Tensor("tenure", "FP32", (2,), raw=memoryview(b"1234"))),
        "4 bytes; its datatype and shape make 8",
    ),
    (request(Tensor("tenure", "FP32", (-1,), raw=memoryview(b""))), "has the shape [-1]"),
    (
        request(tensor("contract", np.array(["a"], object)), tensor("tenure", np.array(["8"], object))),
        "as BYTES",
    ),
    (request(), "the request has 0 tensors"),
]


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_refused(body: bytes, text: str, send: Any) -> None:
    status, message = error_of(send("POST", "/", body))
    assert status == 400
    assert text in message


def test_too_many_of_anything(send: Any) -> None:
    many = tensor("tenure", np.zeros((4, 1), np.float32))
    assert error_of(send("POST", "/", request(many), max_rows=3))[0] == 413
    texts = tensor("contract", np.array(["a"] * 4, object))
    assert error_of(send("POST", "/", request(TENURE, texts), max_rows=3))[0] == 413
    sizes = request(Tensor("tenure", "FP32", (1,) * 9, raw=memoryview(b"")))
    assert error_of(send("POST", "/", sizes))[0] == 413


# buffers that lie ----------------------------------------------------------------------------------
def test_texts_on_top_of_each_other_do_not_fill_the_memory() -> None:
    """10,000 offsets into 150 KB, each to another text of 65 KB: 657 MB, were all of them read."""
    count, size = 10_000, 0x010101
    body = bytearray(
        struct.pack("<IHHHHiII", 12, 6, 8, 4, 0, 8, 4, count)
    )  # a table whose field 0 is a vector
    start = len(body) + 4 * count
    for i in range(count):
        body += struct.pack("<I", start + 4 * i - len(body))
    body += struct.pack("<I", size) * (count + size // 4 + 1)
    table = Buffer(bytes(body)).root()
    with pytest.raises(RequestError, match="no FlatBuffer"):
        table.texts(0, count)


def test_a_text_that_is_shared_is_read_once() -> None:
    import flatbuffers

    builder = flatbuffers.Builder(64)
    text = builder.CreateString("Month-to-month")
    builder.StartVector(4, 1000, 4)
    for _ in range(1000):
        builder.PrependUOffsetTRelative(text)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    assert Buffer(bytes(builder.Output())).root().texts(0, 1000) == ["Month-to-month"] * 1000


def refusal(read: Callable[[], Any]) -> int:
    """The status of what is refused, 200 of what is read; anything else that is raised fails the test."""
    try:
        read()
    except RequestError as error:
        return error.status
    return 200


def walk(data: bytes) -> set[int]:
    """Read everything that a request can have."""
    try:
        table = Buffer(data).root()
    except RequestError as error:
        return {error.status}
    return {
        refusal(lambda: table.number(0, "B")),
        refusal(lambda: table.text(0)),
        refusal(lambda: table.raw(2)),
        refusal(lambda: table.numbers(1, "q", 100)),
        refusal(lambda: table.texts(3, 100)),
        refusal(lambda: [each.text(0) for each in table.tables(2, 100)]),
        refusal(lambda: table.table(1)),
    }


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert walk(data) <= {200, 400, 413}


@settings(deadline=None, max_examples=400)
@given(st.integers(0, len(RECORDED) - 1), st.binary(min_size=1, max_size=8))
def test_any_change_of_a_request_is_read_or_refused(place: int, new: bytes) -> None:
    data = RECORDED[:place] + new + RECORDED[place + len(new) :]
    assert refusal(lambda: messages.read_request(data, 100)) in (200, 400, 413)


# the client ----------------------------------------------------------------------------------------
REQUIREMENTS = """
graphpipe==1.0.4 flatbuffers==1.12 numpy==1.26.4 requests==2.32.5 urllib3==2.5.0 idna==3.10 charset-normalizer==3.4.4
certifi==2025.10.5
"""

CLIENT = """
import json, sys
import numpy as np
import requests
from graphpipe import convert, remote
url = sys.argv[1]
told = {
    "inputs": [remote.get_input_names(url), remote.get_input_shapes(url)],
    "outputs": [remote.get_output_names(url), remote.get_output_shapes(url)],
    "types": [str(kind) for kind in remote.get_output_types(url)],
}
tenure = np.array([[8], [2008]], dtype=np.float32)
told["score"] = remote.execute(url, tenure, "tenure", "score").tolist()
contract = np.array([["Month-to-month"], ["Two year"]], dtype=object)
found = remote.execute_multi(url, [tenure, contract], ["tenure", "contract"], ["prediction", "score"])
told["multi"] = [[text.decode() for text in found[0].tolist()], found[1].tolist()]
told["default"] = len(remote.execute_multi(url + "graphpipe/tiny", [tenure], ["tenure"], None))
answer = requests.post(url, data=convert.serialize_infer_request(convert.InferReq("", [tenure], ["tenur"], [])))
errors = convert.deserialize_infer_response(answer.content)[1]
told["error"] = [answer.status_code, errors[0]["code"], errors[0]["message"].decode()]
print(json.dumps(told))
"""


@pytest.mark.slow
def test_graphpipes_own_client(served: Any) -> None:
    python = environments.environment("graphpipe", "--no-deps", *REQUIREMENTS.split())
    told = json.loads(environments.run(python, CLIENT, f"{served.url}/"))
    names = ["tenure", "monthly charges", "autopay", "contract", "désactivé"]
    assert told["inputs"] == [names, [[None, 1]] * 5]
    assert told["types"] == ["object", "float32", "float32"]
    assert told["outputs"] == [["prediction", "probability", "score"], [[None], [None, 2], [None, 1]]]
    assert told["score"] == [[0.0], [-125.0]]
    assert told["multi"] == [["yes", "no"], [[2.0], [-125.0]]]
    assert told["default"] == 3
    assert told["error"] == [400, 400, "the model has no input 'tenur' (did you mean 'tenure'?)"]

"""Requests that no client means to send: a seeded part of `benchmarks/fuzz_serving.py`."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest

from bessemer.serve.app import App
from bessemer.serve.dialect import Call
from bessemer.serve.dialects.plain import Plain
from bessemer.serve.errors import shown
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.plugins import DIALECTS
from bessemer.serve.wire import Batch, Request
from bessemer.testing.dialects import repository
from bessemer.testing.fuzz import Fuzzer
from bessemer.testing.fuzz.messages import filled, input_of
from bessemer.testing.fuzz.mutate import fields_of, message_bytes, mutate_bytes, mutate_json, mutate_message


@pytest.mark.slow
@pytest.mark.parametrize(("task", "inputs"), [("binary", 20_000), ("multiclass", 6000), ("regression", 6000)])
def test_no_request_fails(task: str, inputs: int) -> None:
    fuzzer = Fuzzer(repository(task, dialects=list(DIALECTS)), seed=11)
    report = fuzzer.run(inputs)
    assert not report.failures, "\n".join(f"{why}: {each.request}" for why, each in report.failures.items())
    assert report.inputs == inputs
    counts = report.by_status()
    assert counts[200] > inputs * 0.1, "many changes leave a request right"
    assert counts[400] > inputs * 0.3
    answered = {path for path, status in report.statuses if status == 200}
    models = fuzzer.app.models
    for dialect in fuzzer.app.router.dialects:
        assert dialect.example(models.get(), [{"tenure": 8}]).path in answered, dialect.name


class Broken(Plain):
    """A dialect that fails where a number is absent."""

    def decode(self, call: Call) -> Batch:
        batch = super().decode(call)
        for row in batch.values or ():
            if row[0] is None:
                raise KeyError(0)
        return batch


@pytest.mark.slow
def test_a_fault_is_found_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessemer.serve.dialects.plain.Plain", Broken)
    report = Fuzzer(repository(dialects=["plain"]), seed=1).run(6000)
    (reason,) = report.failures
    assert reason.startswith("KeyError at")
    assert report.failures[reason].status == 500
    assert report.by_status()[500] > 1


def test_the_same_seed_gives_the_same_requests() -> None:
    one, same, other = (Fuzzer(repository(dialects=["plain", "v2"]), seed=seed) for seed in (3, 3, 4))
    found = [[fuzzer.next() for _ in range(200)] for fuzzer in (one, same, other)]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert len({request.body for request in found[0]}) > 100


def test_what_is_changed_is_not_changed_in_place() -> None:
    value = {"a": [1, {"b": [2.5, "x"]}], "c": None}
    whole = copy.deepcopy(value)
    random = Random(5)
    changed = [mutate_json(random, value) for _ in range(500)]
    assert value == whole
    assert sum(each == whole for each in changed) < 100


def test_messages_are_cut_at_their_fields_and_put_together_again() -> None:
    kind = input_of("/inference.GRPCInferenceService/ModelInfer")
    assert kind is not None
    assert input_of("/no.Service/Method") is None
    random = Random(9)
    still = 0
    for _ in range(300):
        data = filled(random, kind).SerializeToString()
        assert message_bytes(fields_of(data)) == data
        changed = mutate_message(random, data, [b"other"])
        try:
            kind.FromString(changed)
            still += 1
        except Exception:
            continue
    assert still > 200, "most changes leave a message that can be read"


def test_any_bytes_can_be_changed() -> None:
    random = Random(2)
    for body in (b"", b"x", b"hello" * 100):
        for _ in range(200):
            assert isinstance(mutate_bytes(random, body, [b"", b"other"]), bytes)


# what it found ---------------------------------------------------------------------------------------
def answered(path: str, body: bytes) -> int:
    app = App(repository(dialects=["plain", "torchserve", "tensorflow"]))
    return app.handle(Request("POST", path, headers={"content-type": "application/json"}, body=body)).status


@pytest.mark.parametrize(
    "path", ["/predict", "/predictions/tiny", "/v1/models/tiny/versions/1000000:predict"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1000 + b"1" + b"]" * 1000,
        b'[NaN, "\xed\xa0\x80"]',
        b'[{"tenure": NaN, "x": ' + b"9" * 4000 + b"}]",
    ],
)
def test_what_was_answered_with_500_once_is_refused(path: str, body: bytes) -> None:
    """A list a thousand deep, half a character, a number of thousands of digits."""
    assert answered(path, body) == 400


def test_a_value_of_any_size_and_depth_is_shown_shortly() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert shown(deep).startswith("[[[[")
    assert len(shown(list(range(10**6)))) == 80
    assert shown({"a": [1, None, "b'c"], "d": {}}) == repr({"a": [1, None, "b'c"], "d": {}})


def test_loose_json_is_as_strict_with_text_and_large_numbers() -> None:
    assert parse_loosely(b"[NaN, 18446744073709551615]") == [None, 2**64 - 1]
    assert parse_loosely(b"[NaN, " + b"9" * 5000 + b"]") == [None, float("inf")]
    assert isinstance(parse_loosely(b"[NaN, 18446744073709551616]")[1], float)
